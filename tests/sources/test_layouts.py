"""Rows over several lines, from the words that each framework prints."""

import pytest
from reading import read, rows_of

from gradtop.sources.text.reader import TextReader

OLMO = """\
2026-11-23 14:36:09.123\thost1:0\tolmo.train:967\tINFO\t[step=10/739328,epoch=0]
    train/CrossEntropyLoss=9.876
    train/Perplexity=19,457
    throughput/total_tokens=1.234B
    throughput/device/tokens_per_second=12,345
    optim/learning_rate_group0=3.00E-05
    optim/total_grad_norm=1.234
2026-11-23 14:36:19.123\thost1:0\tolmo.train:967\tINFO\t[eval_step=1/10]
2026-11-23 14:36:29.123\thost1:0\tolmo.train:967\tINFO\tc4-validation
    eval/c4-validation/CrossEntropyLoss=4.5
"""
OLMO_CORE = """\
[step=10/100000,epoch=1,eta=3h2m]
    train/CE loss=2.345
    optim/total grad norm=0.4567
    optim/LR (group 0)=0.0003
    optim/step skipped=0.0
    throughput/device/TPS=12,345
    gpu_memory/GPU active mem (GiB)=40.12
[step=11/???,epoch=1]
    train/CE loss=2.2
[step=12/???,epoch=1]
"""
COMPOSER = """\
[epoch=1][batch=10/500]:
\t Train time/batch: 9
\t Train trainer/precision: "amp_bf16"
\t Train loss/train/total: 7.1234
\t Train metrics/train/LanguageCrossEntropy: 7.1
\t Train throughput/tokens_per_sec: 123456.7891
\t Train lr-DecoupledAdamW/group0: 0.0003
\t Train l2_norm/grad/model.layers.0: 0.3
[Eval batch=1/10] Eval on eval data
[Eval batch=10/10] Eval on eval data:
\t Eval metrics/eval/LanguageCrossEntropy: 2.3
\t Eval throughput/tokens_per_sec: 99.0
[epoch=2][batch=10/500]:
\t Train loss/train/total: 6.1234
"""
COMPOSER_BATCHES = """\
[batch=10/4800]:
\t Train time/batch: 9
\t Train loss/train/total: 7.1
[token=8192/1000000]:
\t Train time/batch: 29
\t Train loss/train/total: 5.1
[Eval batch=1/1] Eval on eval data:
\t Eval metrics/eval/LanguageCrossEntropy: 5.0
"""
COMPOSER_FILE = """\
[hyperparameter]: lr: 0.1
[metric][batch=1]: time/batch: 0
[metric][batch=1]: loss/train/total: 7.1
[metric][batch=1]: lr-DecoupledAdamW/group0: 0.0003
[metric][batch=2]: loss/train/total: 7.0
[BATCH][step=4]: { "loss/train/total": 5.1, }
[BATCH][step=5]: {
    "loss/train/total": 4.1,
    "lr": 0.1,
}
"""
COQUI = """\
\x1b[4m\x1b[1m > EPOCH: 0/1000\x1b[0m
\x1b[1m   --> STEP: 24/36 -- GLOBAL_STEP: 1025\x1b[0m
     | > loss_0: 2.3  (2.4)
     | > grad_norm_0: 0.5  (0.6)
     | > current_lr_0: 0.00020\x20
     | > step_time: 1.3151  (1.2)
     | > loader_time: 0.0089  (0.1)

\x1b[1m   --> STEP: 0\x1b[0m
     | > loss: 9.0  (9.0)

  \x1b[1m--> EVAL PERFORMANCE\x1b[0m
     | > avg_loader_time:\x1b[92m 0.2 \x1b[0m(-9.8)
     | > avg_loss:\x1b[92m 2.9 \x1b[0m(-0.1)

\x1b[1m   --> TRAIN PERFORMACE -- EPOCH TIME: 12.00 sec -- GLOBAL_STEP: 1030\x1b[0m
     | > avg_loss: 7.0
\x1b[1m   --> TIME: 2024-01-02 03:04:05 -- STEP: 2/36 -- GLOBAL_STEP: 1050\x1b[0m
     | > loss: tensor(2.0)  (tensor(2.1))
"""
HOME_MADE = """\
=== Step 100 ===
loss: 2.3
lr: 1e-3
=== Step 200 ===
loss: tensor(2.2, device='cuda:0')
Step 300/1000:
  loss: 2.1
  tokens: 1,234,567
  eta: soon
Iteration 400
  - train_loss = 2.0
  * grad norm = 0.5
"""
EPOCHS = """\
Epoch 3/10
  train_loss: 0.5
  val_loss: 0.6
  custom score: 3
Saving the model
Epoch 4/10 (12.3s)
\tTrain Loss: 0.4 | Train Acc: 61.87%
\t Val. Loss: 0.5 |  Val. Acc: 63.93%
Epoch: 05 | Epoch Time: 0m 6s
  train:
    loss: 0.3
    acc: 0.9
  val:
    loss: 0.4
    acc: 0.8
Epoch 5 Validation:
  loss: 0.35
[Epoch 6]
  |- loss = 0.2
"""
WITHIN_EPOCHS = """\
Epoch 1/3, Step 100/500:
  loss: 2.3
Epoch 1/3, Step 200/500:
  loss: 2.2
Epoch 2/3, Step 100/500:
  loss: 2.1
"""
OBJECTS = """\
{'loss': 2.3, 'lr': 0.1,
 'grad_norm': 1.5,
 'step': 5}
{
  "step": 6,
  "train": {
    "loss": 2.2
  }
}
Step 7: {
  'loss': tensor(2.1),
}
"""


def rows(text: str) -> list[dict[str, float]]:
    """The rows of a log, without wall clocks."""
    return [{k: v for k, v in row.items() if k != "time"} for row in rows_of(read(TextReader(), text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            OLMO,
            [
                {"step": 10, "epoch": 0, "loss": 9.876, "ppl": 19457, "tokens": 1.234e9, "tokens_per_s": 12345}
                | {"lr": 3e-5, "grad_norm": 1.234},
                {"step": 10, "epoch": 0, "eval/c4-validation/CrossEntropyLoss": 4.5},
            ],
            id="olmo",
        ),
        pytest.param(
            OLMO_CORE,
            [
                {"step": 10, "epoch": 1, "loss": 2.345, "grad_norm": 0.4567, "lr": 3e-4, "skipped": 0}
                | {"tokens_per_s": 12345, "gpu_memory/GPU active mem (GiB)": 40.12},
                {"step": 11, "epoch": 1, "loss": 2.2},
            ],
            id="olmo-core",
        ),
        pytest.param(
            COMPOSER,
            [
                {"step": 10, "epoch": 1, "loss": 7.1234, "metrics/train/languagecrossentropy": 7.1}
                | {"tokens_per_s": 123456.7891, "lr": 3e-4, "grad_norm/model.layers.0": 0.3},
                {"step": 10, "epoch": 1, "val_loss": 2.3},
                {"step": 510, "epoch": 2, "loss": 6.1234},
            ],
            id="composer",
        ),
        pytest.param(
            COMPOSER_BATCHES,
            [{"step": 10, "loss": 7.1}, {"step": 29, "loss": 5.1}, {"step": 29, "val_loss": 5.0}],
            id="composer-batches",
        ),
        pytest.param(
            COMPOSER_FILE,
            [
                {"step": 1, "loss": 7.1, "lr": 3e-4},
                {"step": 2, "loss": 7.0},
                {"step": 4, "loss": 5.1},
                {"step": 5, "loss": 4.1, "lr": 0.1},
            ],
            id="composer-file",
        ),
        pytest.param(
            COQUI,
            [
                {"step": 1025, "loss_0": 2.3, "grad_norm_0": 0.5, "lr": 2e-4, "step_time_s": 1.3151}
                | {"data_time_s": 0.0089},
                {"step": 1025, "eval_loader_time": 0.2, "val_loss": 2.9},
                {"step": 1050, "loss": 2.0},
            ],
            id="coqui",
        ),
        pytest.param(
            HOME_MADE,
            [
                {"step": 100, "loss": 2.3, "lr": 1e-3},
                {"step": 200, "loss": 2.2},
                {"step": 300, "loss": 2.1, "tokens": 1234567},
                {"step": 400, "loss": 2.0, "grad_norm": 0.5},
            ],
            id="home-made",
        ),
        pytest.param(
            EPOCHS,
            [
                {"epoch": 3, "loss": 0.5, "val_loss": 0.6, "custom score": 3},
                {"epoch": 4, "loss": 0.4, "accuracy": 0.6187, "val_loss": 0.5, "val_accuracy": 0.6393},
                {"epoch": 5, "loss": 0.3, "accuracy": 0.9, "val_loss": 0.4, "val_accuracy": 0.8},
                {"epoch": 5, "val_loss": 0.35},
                {"epoch": 6, "loss": 0.2},
            ],
            id="epochs",
        ),
        pytest.param(
            WITHIN_EPOCHS,
            [
                {"step": 100, "epoch": 1, "loss": 2.3},
                {"step": 200, "epoch": 1, "loss": 2.2},
                {"step": 600, "epoch": 2, "loss": 2.1},
            ],
            id="within-epochs",
        ),
        pytest.param(
            OBJECTS,
            [{"step": 5, "loss": 2.3, "lr": 0.1, "grad_norm": 1.5}, {"step": 6, "loss": 2.2}, {"step": 7, "loss": 2.1}],
            id="objects",
        ),
    ],
)
def test_blocks(text: str, expected: list[dict[str, float]]) -> None:
    assert rows(text) == [pytest.approx(row) for row in expected]


def test_the_batches_of_a_validation_are_no_steps() -> None:
    """Composer evaluates a model that was not trained in this log."""
    text = "[Eval batch=6/6] Eval on squad/10-shot data:\n\t Eval metrics/squad/10-shot/Accuracy: 0.7459\n"
    assert rows(text) == []


def test_lines_of_another_rank_within_a_block_are_not_its() -> None:
    text = """\
[rank0]: [step=10/100,epoch=0]
[rank1]: [step=10/100,epoch=0]
[rank0]:     train/CrossEntropyLoss=9.0
[rank1]:     train/CrossEntropyLoss=8.0
[rank2]: NCCL is slow
[rank0]:     optim/total_grad_norm=1.0
[rank1]:     optim/total_grad_norm=2.0
"""
    assert rows(text) == [{"step": 10, "epoch": 0, "loss": 9.0, "grad_norm": 1.0}]


@pytest.mark.parametrize(
    ("before", "blanks"),
    [("0: ", 4), ("[default3]:", 4), ("2026-11-23T14:36:09.123Z stdout F ", 2), ("INFO:__main__:", 2), ("\x1b[32m", 2)],
)
def test_what_a_launcher_puts_before_every_line_is_no_indentation(before: str, blanks: int) -> None:
    lines = ("[step=10/100,epoch=0]", f"{' ' * blanks}train/CE loss=9.0", f"{' ' * blanks}optim/total grad norm=1.0")
    expected = [{"step": 10, "epoch": 0, "loss": 9.0, "grad_norm": 1.0}]
    assert rows("".join(f"{before}{line}\n" for line in lines)) == expected


def test_metrics_under_a_heading_that_repeat_are_no_row_of_its_epoch() -> None:
    text = "Epoch 1/10\n  loss: 0.9\n  loss: 0.8\n  loss: 0.7\nEpoch 2/10\n  loss: 0.6\n  loss: 0.5\n"
    assert rows(text) == []


def test_lines_with_a_step_of_their_own_are_read_for_themselves() -> None:
    text = "Epoch 1/3\n  Step 100: loss=2.3\n  Step 200: loss=2.2\n"
    assert rows(text) == [{"step": 100, "loss": 2.3}, {"step": 200, "loss": 2.2}]


def test_an_object_that_is_cut_off_hides_nothing() -> None:
    text = """\
Config: {
  "steps": 1000,
[100/500] step 100 loss: 2.3
{'loss': 2.2, 'step': 110}
step 120: loss 2.1
"""
    assert [(row["step"], row["loss"]) for row in rows(text)] == [(100, 2.3), (110, 2.2), (120, 2.1)]


@pytest.mark.parametrize(
    "line",
    [
        "train/CrossEntropyLoss=nan",
        "train/CrossEntropyLoss=-inf",
    ],
)
def test_numbers_that_are_none_are_kept(line: str) -> None:
    (row,) = rows(f"[step=10/100,epoch=0]\n    {line}\n    optim/total_grad_norm=1.0\n")
    assert repr(row["loss"]) == line.partition("=")[2]
