import pytest

from gradtop.sources.fields.prefix import Prefix, seconds, strip_prefix

NOON = 1795435200.0  # 2026-11-23 12:00:00 UTC


@pytest.mark.parametrize(
    ("line", "prefix"),
    [
        ("[rank7]:[titan] 2026-11-23 12:00:00,250 - root - INFO - step: 1", Prefix("step: 1", 7, NOON + 0.25)),
        (" [2026-11-23 12:00:00.5] iteration 1/ 5", Prefix("iteration 1/ 5", None, NOON + 0.5)),
        ("[2026-11-23 12:00:00,000] [INFO] [logging.py:123:log_dist] [Rank 0] step=10", Prefix("step=10", 0, NOON)),
        ("2026-11-23 12:00:00 | INFO | train_inner | {", Prefix("{", None, NOON)),
        ("[INFO|trainer.py:912] 2026-11-23 12:00:00,000 >> Saving", Prefix("Saving", None, NOON)),
        ("INFO:__main__:loss 3", Prefix("loss 3")),
        ("[NeMo I 2026-11-23 12:00:00 nemo_logging:393 rank:3] x", Prefix("x", 3, NOON)),
        ("[1,2]<stdout>:step 5", Prefix("step 5", 2)),
        ("(TaskRunner pid=12345) step:5", Prefix("step:5")),
        ("3: step 5 loss 2", Prefix("step 5 loss 2", 3)),
        ("2026-11-23T12:00:00.123456789Z stdout F step 4", Prefix("step 4", None, NOON + 0.123456)),
        ("[11/23 14:36:09 d2.utils.events]:  eta: 1", Prefix("eta: 1")),
        ("[2026-11-23 12:00:00 swin_tiny] (main.py 205): INFO Train: [0/3]", Prefix("Train: [0/3]", None, NOON)),
        ("[host7] 2026-11-23 12:00:00,000 (trainer:732) INFO: 1epoch", Prefix("1epoch", None, NOON)),
        ("[2026/11/23 12:00:00] ppcls INFO: [Train][Epoch 1/2]", Prefix("[Train][Epoch 1/2]", None, NOON)),
        ("[11/23 14:36:09] ppdet.engine INFO: Epoch: [0]", Prefix("Epoch: [0]")),
        ("trainer-1  | Epoch: [0]", Prefix("Epoch: [0]")),
        ("node12: Epoch: [0]", Prefix("Epoch: [0]")),
        ("Nov 23 14:36:09 node1 python[123]: Epoch: [0]", Prefix("Epoch: [0]")),
        ("2026-11-23T12:00:00 node1 python[123]: Epoch: [0]", Prefix("Epoch: [0]", None, NOON)),
        ("W0511 08:47:58.255000 1929137 torch/distributed/run.py:803] ***", Prefix("***")),
    ],
)
def test_launchers_and_loggers_are_taken_off(line: str, prefix: Prefix) -> None:
    assert strip_prefix(line) == prefix


@pytest.mark.parametrize(
    "line", ["10: loss=2.3", "step 5: loss 2", "[step=10/100]", "| epoch 003 | loss 2", "  indented 1"]
)
def test_what_belongs_to_the_line_stays(line: str) -> None:
    assert strip_prefix(line) == Prefix(line)


def test_a_time_without_a_zone_is_read_as_utc() -> None:
    assert seconds("2026-11-23T12:00:00") == NOON
    assert seconds("2026-11-23T14:00:00+02:00") == NOON
    assert seconds("2026-13-45T99:00:00") is None


@pytest.mark.parametrize("blank", [" ", "\t"])
def test_a_long_run_of_blanks_is_read_to_its_end(blank: str) -> None:
    assert strip_prefix(f"a{20_000 * blank}x").rest.startswith("a")
    assert strip_prefix(20_000 * blank + "!").rest.strip() == "!"
