import math

import pytest
from reading import SHARED, events_of, lines_of, read, rows_of

from gradtop.record import End, Event, Restart, Rows, RunFacts
from gradtop.sources.reader import Line
from gradtop.sources.text.reader import TextReader, probe

WOBBLE = """\
Step 10: Loss: 8.2345
Step 13: grad_norm=0.0002000
WARNING: grad_norm < 1e-6
Anomaly detected at step 14: gradient_vanishing
Step 14: grad_norm=0.0000005
Step 15: grad_norm=0.0002000
"""


def test_a_wobble_is_read_with_the_alarms_of_its_monitor() -> None:
    records = read(TextReader(), WOBBLE)
    assert rows_of(records) == [
        {"step": 10, "loss": 8.2345},
        {"step": 13, "grad_norm": 2e-4},
        {"step": 14, "grad_norm": 5e-7},
        {"step": 15, "grad_norm": 2e-4},
    ]
    limit, anomaly = events_of(records, "alarm")
    assert (limit.step, limit.line, limit.data) == (13, 3, {"kind": "gradient_vanishing", "limit": 1e-6})
    assert (anomaly.step, anomaly.line, anomaly.data) == (14, 4, {"kind": "gradient_vanishing", "limit": None})


@pytest.mark.parametrize(
    ("line", "kind", "limit", "step"),
    [
        ("[WARNING] step 16: grad_norm 5e-7 < 1e-6", "gradient_vanishing", 1e-6, 16),
        ("Gradient norm (5.0e-07) below threshold 1e-06 at step 17", "gradient_vanishing", 1e-6, 17),
        ("grad_norm > 100.0, clipping", "gradient_exploding", 100.0, None),
        ("gradient_exploding detected at step 20", "gradient_exploding", None, 20),
        ("Exploding gradients detected", "gradient_exploding", None, None),
        ("Loss is NaN", "nonfinite", None, None),
        ("WARN: grad_norm is not finite: nan", "nonfinite", None, None),
        ("Anomaly detected: loss spike", "loss_spike", None, None),
        ("Anomaly detected at step 3: tea is cold", None, None, 3),
    ],
)
def test_alarms_of_others(line: str, kind: str | None, limit: float | None, step: int | None) -> None:
    (alarm,) = events_of(read(TextReader(), line), "alarm")
    assert (alarm.data, alarm.step) == ({"kind": kind, "limit": limit}, step)


@pytest.mark.parametrize(
    ("line", "scale"),
    [
        ("[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, reducing to 32768", 32768),
        ("[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 8, but hysteresis is 2. Reducing", None),
        ("Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 32768.0", 32768),
        ("NOTE: gradient overflow detected, ignoring gradient, setting loss scale to: 64.0", 64),
        ("| WARNING: overflow detected, setting loss scale to: 64.0", 64),
    ],
)
def test_skipped_steps(line: str, scale: float | None) -> None:
    (event,) = events_of(read(TextReader(), line), "skipped_step")
    assert event.data.get("loss_scale") == scale


TRACEBACK = """\
Step 7: loss=2.0
Traceback (most recent call last):
  File "a.py", line 3, in <module>
    loss = f(x)
{error}
"""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("ZeroDivisionError: division by zero", "traceback"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "cuda_oom"),
        ("Exception: Current loss scale already at minimum - cannot decrease scale anymore.", "loss_scale_minimum"),
    ],
)
def test_a_traceback_is_one_crash_told_by_its_exception(error: str, reason: str) -> None:
    text = TRACEBACK.format(error=error)
    chain = "\nDuring handling of the above exception, another exception occurred:\n\n"
    records = read(TextReader(), text + chain + TRACEBACK.format(error="ValueError: x").partition("\n")[2])
    (crash,) = events_of(records, "crash")
    assert (crash.message, crash.data, crash.step, crash.line, crash.level) == (
        error,
        {"reason": reason},
        7,
        2,
        "error",
    )


def test_a_traceback_that_the_log_ends_in_is_a_crash_at_the_end() -> None:
    reader = TextReader()
    cut = TRACEBACK.format(error="")
    assert events_of(reader.feed(lines_of(cut)), "crash") == []
    assert len(events_of(reader.finish(), "crash")) == 1


def test_rows_after_a_traceback_are_read_and_the_next_one_is_another_crash() -> None:
    text = TRACEBACK.format(error="ValueError: a") + TRACEBACK.format(error="ValueError: b").replace("7", "8")
    records = read(TextReader(), text)
    assert [row["step"] for row in rows_of(records)] == [7, 8]
    assert [crash.step for crash in events_of(records, "crash")] == [7, 8]


@pytest.mark.parametrize(
    "error",
    ["KeyboardInterrupt", "torch.distributed.elastic.multiprocessing.api.SignalException: Process 12 got signal: 2"],
)
def test_an_interrupt_by_the_user_is_an_end_and_no_crash(error: str) -> None:
    records = read(TextReader(), TRACEBACK.format(error=error))
    assert [record.status for record in records if isinstance(record, End)] == ["aborted"]
    assert events_of(records, "crash") == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("CUDA out of memory. Tried to allocate 2 GiB", "cuda_oom"),
        ("[rank1]:[E1] Watchdog caught collective operation timeout: WorkNCCL", "nccl_timeout"),
        ("traceback : Signal 9 (SIGKILL) received by PID 162379", "signal"),
        ("run.sh: line 3: 12345 Killed    python train.py", "signal"),
        ("slurmstepd: error: *** STEP 18.0 ON r6i5n1 CANCELLED AT 2021-05-23T08:29:53 ***", "scheduler"),
        ("slurmstepd: error: *** JOB 1 ON n CANCELLED AT 2021-05-23T08:29:53 DUE TO TIME LIMIT ***", "scheduler"),
    ],
)
def test_what_kills_from_outside(line: str, reason: str) -> None:
    (crash,) = events_of(read(TextReader(), line), "crash")
    assert crash.data == {"reason": reason}


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("Resuming training from out", None),
        ("  successfully loaded checkpoint from ckpt [ t 1/8, p 1/4 ] at iteration 1000", 1000),
        ("Resuming training from checkpoint with epoch 1 and global step 8", 8),
        ("Training starts at step 101", 101),
        ("Epoch [1/2]: 跳过前100个step，从step 101开始", 100),
    ],
)
def test_resumes(line: str, step: int | None) -> None:
    assert read(TextReader(), line) == [Restart(reason="resumed", step=step, line=1)]


def test_a_first_start_is_no_resume() -> None:
    assert read(TextReader(), "Training starts at step 1") == []


def test_facts_of_the_run() -> None:
    facts = read(
        TextReader(),
        "  clip_grad ....................................... 1.0\n"
        "  lr .............................................. 0.00015\n"
        "  min_lr .......................................... 1e-05\n"
        "  train_iters ..................................... None\n"
        "  Total optimization steps = 1,600\n"
        "Trainer is initialized with total steps 1000 (warmup 500)\n"
        "number of parameters: 123.65M\n",
    )
    assert all(isinstance(fact, RunFacts) for fact in facts)
    found = [fact for fact in facts if isinstance(fact, RunFacts)]
    assert [fact.train.clip_norm for fact in found if fact.train.clip_norm] == [1.0]
    assert [fact.train.lr_max for fact in found if fact.train.lr_max] == [0.00015]
    assert [(f.train.total_steps, f.train.warmup_steps) for f in found if f.train.total_steps] == [
        (1600, None),
        (1000, 500),
    ]
    assert [fact.model.params for fact in found if fact.model.params] == [123_650_000]


def test_checkpoints_and_the_end() -> None:
    saved, end = read(TextReader(), "Saving model checkpoint to ./out/checkpoint-500\nTraining completed\n")
    assert isinstance(saved, Event)
    assert (saved.event, saved.step) == ("checkpoint", 500)
    assert isinstance(end, End)
    assert end.status == "finished"


NOTHING = """\
import torch
learning_rate = 6e-4 # max learning rate
    print(f"iter {iter_num}: loss {lossf:.4f}, time {dt*1000:.2f}ms, mfu {running_mfu*100:.2f}%")
    print0(f"step:{step}/{args.num_iterations} val_loss:{val_loss:.4f} train_time:{t:.0f}ms step_avg:{a:.2f}ms")
if grad_norm < 1e-6: raise ValueError("gradient_vanishing")
| learning rate (LR)    | 6.000000e-04                                       |
|    loss                 | 0.0123       |
| N/A   30C    P0    60W / 400W |      0MiB / 40960MiB |      0%      Default |
{'lr': 0.001, 'steps': 1000, 'loss': 'mse', 'bs': 32, 'opt': 'adam'}
Namespace(lr=0.001, steps=1000, loss=0.5, epochs=3)
"lr": 0.001,
max_steps: 1000, lr: 0.001, warmup_steps: 100
python train.py --lr 0.001 --steps 1000 --loss mse
every 100 steps loss is logged; step_size=10, lr=0.1
number of nan iterations: 0
NaN check enabled: True
Epoch 3 done in 120s
[GC] took 0.16 seconds at step 50
best loss so far: 2.3 at epoch end
"""


@pytest.mark.parametrize("line", NOTHING.splitlines())
def test_source_code_settings_and_tables_say_nothing(line: str) -> None:
    reader = TextReader()
    records = read(reader, line)
    assert [record for record in records if not isinstance(record, RunFacts)] == []
    assert bool(records) or reader.account.skipped.count == 1
    assert reader.account.rejected == {}


def test_printed_dicts_quoted_and_bare() -> None:
    text = (
        "{'loss': '4.324', 'grad_norm': '0.6713', 'learning_rate': '1.25e-05', 'epoch': '0.25'}\n"
        "{'loss': nan, 'grad_norm': inf, 'learning_rate': 0.0, 'epoch': 0.5, 'entropy': np.float64(0.5)}\n"
        "{'eval_loss': 4.3, 'eval_runtime': 1.7, 'epoch': 0.5}\n"
    )
    first, second, validation = rows_of(read(TextReader(), text))
    assert first == {"epoch": 0.25, "loss": 4.324, "grad_norm": 0.6713, "lr": 1.25e-5}
    assert math.isnan(second["loss"])
    assert (second["grad_norm"], second["entropy"]) == (math.inf, 0.5)
    assert validation == {"epoch": 0.5, "val_loss": 4.3, "eval_runtime": 1.7}


def test_coarse_epochs_count_for_nothing_and_rows_are_numbered() -> None:
    text = "{'loss': 1.0, 'epoch': 0.0}\n{'loss': 1.0, 'epoch': 0.01}\n{'loss': 1.0, 'epoch': 0.01}\n"
    assert [row["row"] for row in rows_of(read(TextReader(), text))] == [1, 2, 3]


def test_the_closing_dict_is_a_summary_and_the_end() -> None:
    text = "{'train_runtime': 19.0, 'train_samples_per_second': 6.7, 'train_loss': 4.3, 'epoch': 2.0}\n"
    summary, end = read(TextReader(), text)
    assert isinstance(summary, Event)
    assert summary.event == "summary"
    assert isinstance(end, End)


def test_json_inside_a_line_with_a_logger_before_it() -> None:
    line = (
        '2026-11-23 12:00:00 | INFO | train_inner | {"epoch": 1, "loss": "8.2", "num_updates": "1000", "x": {"y": 3}}'
    )
    assert rows_of(read(TextReader(), line)) == [
        {"step": 1000, "epoch": 1, "loss": 8.2, "x/y": 3, "time": 1795435200.0}
    ]


def test_a_step_before_a_dict_is_the_rows_step() -> None:
    assert rows_of(read(TextReader(), "Step 10: {'loss': 2.5}")) == [{"step": 10, "loss": 2.5}]


def test_a_zero_below_the_print_keeps_what_it_may_hide() -> None:
    records = read(TextReader(), "step 1: loss 2.0, grad_norm 0.000\nstep 2: loss 1.9, grad_norm 0.001\n")
    first, second = (record for record in records if isinstance(record, Rows))
    assert first.below == {"grad_norm": 0.0005}
    assert second.below == {}


def test_colours_and_states_of_a_line() -> None:
    text = (
        "\x1b[31mstep: 8  \x1b[38;2;180;60;0mloss: 2.1\x1b[0m\rstep: 9  loss: 2.0" + "\b" * 20 + "step: 10  loss: 1.9"
    )
    assert [(row["step"], row["loss"]) for row in rows_of(read(TextReader(), text))] == [(8, 2.1), (9, 2.0), (10, 1.9)]


def test_the_first_rank_with_a_loss_is_heard() -> None:
    reader = TextReader()
    text = "".join(f"[rank{r}]: step: {s} loss: {s + r} grad_norm: 1\n" for s in (1, 2) for r in (3, 0, 7))
    assert [row["loss"] for row in rows_of(read(reader, text))] == [4, 5]
    assert reader.account.rules["row of another rank"].count == 4


def test_the_same_row_from_every_process_is_one_row() -> None:
    text = "step 5 loss 3\n" * 8 + "step 6 loss nan\n" * 8
    assert [row["step"] for row in rows_of(read(TextReader(), text))] == [5, 6]


def test_a_validation_line_without_a_step_belongs_to_the_last_one() -> None:
    rows = rows_of(read(TextReader(), "step 5 | loss 3\nval loss 2.5\nloss 2.5 lr 1\n"))
    assert rows == [{"step": 5, "loss": 3}, {"step": 5, "val_loss": 2.5}]


def test_a_step_that_is_no_number_is_rejected() -> None:
    reader = TextReader()
    assert read(reader, "step: nan loss: 2") == []
    assert reader.account.rejected["the step is no finite number"].count == 1


def test_every_line_is_accounted_once() -> None:
    reader = TextReader()
    text = WOBBLE + TRACEBACK.format(error="ValueError: a") + NOTHING
    read(reader, text)
    counted = sum(t.count for t in (*reader.account.rules.values(), *reader.account.rejected.values()))
    assert counted + reader.account.skipped.count == len(lines_of(text))


def test_portions_change_nothing() -> None:
    text = (WOBBLE + TRACEBACK.format(error="ValueError: a") + NOTHING) * 3
    at_once, singly = read(TextReader(), text), read(TextReader(), text, portion=1)
    assert rows_of(at_once) == rows_of(singly)
    assert [r for r in at_once if not isinstance(r, Rows)] == [r for r in singly if not isinstance(r, Rows)]


def test_a_probe_counts_rows() -> None:
    assert probe(lines_of(WOBBLE)) == 4
    assert probe(lines_of(NOTHING)) == 0


HOSTILE = (
    b" 5%|#| 1/9 [0:01<0:02, 1it/s]" * 20_000,
    b"1 " * 500_000,
    b"'" * 1_000_000,
    b"{'a':" * 150_000,
    b"\x1b[" * 400_000,
    b"loss (" * 150_000,
    b"%|" * 300_000,
)


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_line_costs_no_more_than_its_length(line: bytes) -> None:
    assert read(TextReader(), line) == []


def test_negative_samples_of_real_logs_hold_no_rows() -> None:
    for name in ("hp06__train_log.txt", "cp01__logs.txt"):
        path = SHARED / "corpus" / name
        if not path.exists():
            pytest.skip(f"no real logs at {path.parent}")
        assert rows_of(read(TextReader(), path.read_bytes())) == []


def test_rows_behind_bars_have_the_same_steps_live_as_at_once() -> None:
    def bar(n: int) -> str:
        return f" 28%|##8       | {n}/1677 [13:09<33:35,  1.67s/it]"

    states = [state for n in range(1, 41) for state in ((bar(n), 50 * " ", "", bar(n)) if n % 10 == 0 else (bar(n),))]
    rows = [f"{{'loss': '{3 - i / 10}', 'grad_norm': '0.9', 'epoch': '0.{i}'}}" for i in range(4)]
    at_once = ["\r".join([*states, 50 * " ", rows[0]]), *rows[1:], bar(41)]
    live = [*states, 50 * " ", *rows, bar(41)]
    for lines in (at_once, live):
        reader = TextReader()
        records = reader.feed([Line(i, line.encode()) for i, line in enumerate(lines, 1)]) + reader.finish()
        assert [step for record in records if isinstance(record, Rows) for step in record.steps] == [10, 20, 30, 40]


def test_rewards_of_episodes_are_rows_without_a_loss() -> None:
    text = "".join(f"Episode {i}\tLast reward: {i + 0.5:.2f}\tAverage reward: 9.76\n" for i in (10, 20, 30))
    records = read(TextReader(), text)
    assert [row["episode"] for row in rows_of(records)] == [10, 20, 30]
    assert [row["Last reward"] for row in rows_of(records)] == [10.5, 20.5, 30.5]
    assert {record.x_kind for record in records if isinstance(record, Rows)} == {"episode"}


ECHO = "Traceback (most recent call last):\nRuntimeError: [pair.cc:553] Connection closed by peer [127.0.0.1]:1\n"
CAUSE = "Traceback (most recent call last):\nRuntimeError: bad batch\n"


@pytest.mark.parametrize(("text", "told"), [(ECHO + CAUSE, 2), (CAUSE + ECHO, 1), (ECHO + ECHO, 1), (CAUSE + CAUSE, 1)])
def test_the_error_of_a_rank_is_told_behind_what_the_others_say_of_it(text: str, told: int) -> None:
    assert len(events_of(read(TextReader(), text), "crash")) == told
