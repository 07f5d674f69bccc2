"""What logs do to a reader: bytes and lines, numbers, steps and restarts, each case with the rule for it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import lines_of, read, rows_of

from gradtop.record import End, Event, Record, Restart
from gradtop.sources.follow.tail import LineDecoder
from gradtop.sources.text.reader import TextReader

ROW = {"step": 5.0, "loss": 2.5}


def found_in(text: str | bytes) -> list[dict[str, float]]:
    return rows_of(read(TextReader(), text))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"step 5 loss 2.5\r\n", id="a carriage return before the line end"),
        pytest.param(b"\rstep 5 loss 2.5\n", id="a bare carriage return at the line's start"),
        pytest.param(b"\r 10%|# | 1/10 [00:01<00:09,  1.00it/s]\r      \rstep 5 loss 2.5\n", id="behind a bar"),
        pytest.param(b"step 5 loss 2.5", id="a last line without a line end"),
        pytest.param(b"\x1b[1mstep 5\x1b[0m \x1b[38;2;1;2;3mloss\x1b[39m 2.5\n", id="colours"),
        pytest.param(b"\x1b]8;;http://a/b\x07step 5 loss 2.5\x1b]8;;\x07\n", id="a hyperlink"),
        pytest.param(b"\x1b[A\x1b[2Kstep 5 loss 2.5\n", id="the cursor up"),
        pytest.param(b"waiting" + b"\b" * 70 + b"step 5 loss 2.5\n", id="backspaces"),
        pytest.param(b"\0\0\0\0step 5 loss 2.5\n", id="a hole of NUL bytes"),
        pytest.param("step 5 loss 2.5 | 损失".encode("gbk") + b"\n", id="another encoding"),
        pytest.param("step：5，loss：2.5\n".encode(), id="full-width punctuation"),
        pytest.param(b"<<<<<<< HEAD\nstep 5 loss 2.5\n=======\nstep 5 loss 2.5\n>>>>>>> b\n", id="merge marks"),
        pytest.param(b"step 5 loss 2.5\nstep 5 loss 2.5\n", id="twice"),
        pytest.param(b"+---+\n| GPU  Name  0 |\n| N/A   30C    P0    60W / 400W |\nstep 5 loss 2.5\n", id="nvidia-smi"),
        pytest.param(b"INFO 1: [trainer.py:5]\r\nINFO 1: [trainer.py:5] step 5 loss 2.5\r\n", id="a repeated prefix"),
    ],
)
def test_bytes_and_lines(data: bytes) -> None:
    assert found_in(data) == [ROW]


def test_hours_of_bars_without_a_line_end_are_read_as_they_come() -> None:
    decoder, reader = LineDecoder(soft_cr=True), TextReader()
    records: list[Record] = []
    for n in range(1, 200):
        records += reader.feed(decoder.feed(f"\r 1%|# | {n}/1000 [00:01<00:09, 1.00it/s, loss={n}.5]".encode()))
    assert [row["step"] for row in rows_of(records)][:3] == [1, 2, 3]
    assert len(rows_of(records)) >= 197


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("2.345678E+00", 2.345678),
        ("1e-5", 1e-5),
        (".5", 0.5),
        ("+0.25", 0.25),
        ("nan", math.nan),
        ("NaN", math.nan),
        ("inf", math.inf),
        ("-inf", -math.inf),
        ("Infinity", math.inf),
        ("np.float64(0.0012)", 0.0012),
        ("tensor(2.25, device='cuda:0')", 2.25),
        ("tensor([1.2])", 1.2),
        ("tensor(2.25, device='cuda:0', grad_fn=<NllLossBackward0>)", 2.25),
        ("Array(1.2, dtype=float32)", 1.2),
        ("[2.25, 2.5]", 2.25),
        ("1,046,012", 1046012),
        ("19,457.25", 19457.25),
        ("8.1875", 8.1875),
        ("1.899999976", 1.899999976),
    ],
)
def test_numbers_as_they_are_printed(token: str, value: float) -> None:
    (row,) = found_in(f"step: 5 | loss: {token} | lr: 1e-4\n")
    assert row == pytest.approx({"step": 5, "loss": value, "lr": 1e-4}, nan_ok=True)


@pytest.mark.parametrize(
    ("token", "name", "value"),
    [
        ("dt: 12.5ms", "step_time_s", 0.0125),
        ("dt: 330us", "step_time_s", 0.00033),
        ("dt: 0.31s", "step_time_s", 0.31),
        ("dt: 2.5min", "step_time_s", 150),
        ("step_avg:nanms", "step_time_s", math.nan),
        ("iter time (ms): 12.5", "step_time_s", 0.0125),
        ("train_step_timing in s: 1.25", "step_time_s", 1.25),
        ("mfu: 45.6%", "mfu", 0.456),
        ("mfu 45.6%", "mfu", 0.456),
        ("acc: 45.6%", "accuracy", 0.456),
        ("accuracy: 30/40", "accuracy", 0.75),
        ("tps: 12,345", "tokens_per_s", 12345),
        ("tok/s: 3.2k", "tokens_per_s", 3200),
        ("tokens: 1.25B", "tokens", 1.25e9),
        ("TFLOPs: 51.5", "tflops", 51.5),
        ("ppl: 19,457", "ppl", 19457),
        ("grad norm: nan", "grad_norm", math.nan),
        ("loss scale: 65536.0", "loss_scale", 65536),
    ],
)
def test_units_are_part_of_the_number_or_of_its_name(token: str, name: str, value: float) -> None:
    (row,) = found_in(f"step 5 | loss 2.5 | {token} | lr 1e-4\n")
    assert row[name] == pytest.approx(value, nan_ok=True)
    assert set(row) == {"step", "loss", "lr", name}


@pytest.mark.parametrize("token", ["n/a", "N/A", "NA", "-", "None", "???", "", "12:30", "1.2.3", "abc", "nano"])
def test_what_is_missing_or_no_number_is_no_value(token: str) -> None:
    assert found_in(f"step: 5 | loss: 2.5 | grad_norm: {token} | lr: 1e-4\n") == [ROW | {"lr": 1e-4}]


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("step 100/ 1000 | loss 2.5", 100),
        ("step 00120/21400 | loss 2.5", 120),
        ("Iter(train) [  50/7330]  loss: 2.5", 50),
        ("step 1,200/20,000 | loss 2.5", 1200),
        ("iteration     1200/  500000 | lm loss: 2.5", 1200),
        ("[Step 7] loss: 2.5", 7),
        ("step=7 loss=2.5", 7),
        ("at step 7: loss 2.5", 7),
        ("global_step: 7, loss: 2.5", 7),
        ("step 7 | iter 28 | loss 2.5", 7),
        ("iter 28 step 7 | loss 2.5", 7),
        ("micro_step=28, global_step=7, loss=2.5", 7),
    ],
)
def test_steps_as_they_are_printed(text: str, step: int) -> None:
    (row,) = found_in(text + "\n")
    assert (row["step"], row["loss"]) == (step, 2.5)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        pytest.param("step 5 | loss 1\nval loss 2\n", [(5, "loss"), (5, "val_loss")], id="several rows of one step"),
        pytest.param("step 0 | loss 1\nstep 1 | loss 1\n", [(0, "loss"), (1, "loss")], id="from 0"),
        pytest.param("step 9 loss 1\nstep 9 loss 1\n", [(9, "loss")], id="the same value twice"),
        pytest.param("step 9 loss 1\nstep 3 loss 1\n", [(9, "loss"), (3, "loss")], id="a step that goes back"),
    ],
)
def test_rows_and_their_steps(text: str, rows: list[tuple[float, str]]) -> None:
    assert [(row["step"], next(name for name in row if name != "step")) for row in found_in(text)] == rows


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{'loss': 2.5, 'epoch': 0.25}", "epoch"),
        ("Epoch 3 | loss 2.5 | lr 1e-4", "epoch"),
        ("Train Epoch: 3 [640/60000 (1%)]\tLoss: 2.5", "samples"),
        ("loss: 2.5, lr: 1e-4", "row"),
        ("step 5 loss 2.5", "step"),
    ],
)
def test_what_a_row_counts_is_said(text: str, kind: str) -> None:
    (row,) = found_in(text + "\n")
    assert next(iter(row)) == kind


def test_a_loss_that_a_skipped_step_hides_is_missing_and_not_zero() -> None:
    line = " iteration {} | learning rate: 1E-4 | {}loss scale: 8.0 | number of skipped iterations: {} |\n"
    first, second = found_in(line.format(10, "lm loss: 2.5E+00 | ", 0) + line.format(20, "", 1))
    assert (first["loss"], first["skipped"]) == (2.5, 0)
    assert "loss" not in second
    assert (second["step"], second["skipped"]) == (20, 1)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Resuming training from checkpoint with epoch 1 and global step 8", [Restart]),
        (" loading checkpoint from X at iteration 5", [Restart]),
        ("  successfully loaded checkpoint from X at iteration 5", [Restart]),
        ("Training starts at step 101", [Restart]),
        ("Epoch [1/2]: 跳过前100个step，从step 101开始", [Restart]),
        ("{'train_runtime': 19.0, 'train_steps_per_second': 0.8, 'train_loss': 4.3, 'epoch': 2.0}", [Event, End]),
        ("Training completed", [End]),
    ],
)
def test_restarts_and_ends_that_are_told(text: str, kinds: list[type[Record]]) -> None:
    assert [type(record) for record in read(TextReader(), text)] == kinds


NOTHING = """\
number of nan iterations: 0
loss 1,2 0,3
learning rate warmup: 1,234 steps
loss is 2 times better than before
Loss: CrossEntropyLoss() 5
loss_fn: 3, optimizer: adam
self.loss = loss * 0.5  # step 5
    loss = F.cross_entropy(logits, target)  # 2.5
    "train_loss": 0.5,
  loss: 0.5
  loss_weight: 0.5
loss_step_5: 3
--loss 0.5 --step 10
step 5
epoch 5
step 5 of 10 finished in 12.5s
saved checkpoint at step 5
lr: 1e-4
val_check_interval: 1000, log_every_n_steps: 50
AdamW (Parameter Group 0 lr: 0.001 weight_decay: 0.01)
loss: [nan-safe] 5 checks
Loading 5 of 10 shards: loss of precision in step 3
assert loss < 5, step
parser.add_argument('--loss', default=2.5)
model.safetensors: 100%|##########| 120/120 [00:33<00:00, 2.79MB/s]
GPU 0: loss of connection, step back 5
{"model": {"loss": "mse", "steps": 5}}
"""


@pytest.mark.parametrize("line", NOTHING.splitlines())
def test_prose_code_and_settings_are_no_rows(line: str) -> None:
    reader = TextReader()
    assert rows_of(read(reader, line + "\n")) == []
    assert reader.account.rejected == {}


def test_megabytes_of_junk_are_no_rows_and_all_accounted() -> None:
    junk = bytes(range(256)) * 2000 + b"\nloss step lr %| [ { = : epoch\n" * 2000
    reader = TextReader()
    assert rows_of(read(reader, junk)) == []
    assert reader.account.skipped.count + sum(t.count for t in reader.account.rules.values()) == len(lines_of(junk))


PREFIXES = (
    *("", "[rank0]: ", "[default0]:", "[1,0]<stdout>:", "(Worker pid=7, ip=10.0.0.1) ", "[2026-11-23 14:36:09,123] "),
    *(
        "2026-11-23 14:36:09,123 - root - INFO - ",
        "INFO:__main__:",
        "[INFO|trainer.py:912] 2026-11-23 14:36:09,966 >> ",
    ),
    *(
        "2026-11-23T14:36:09.123456789Z stdout F ",
        "11/23 14:36:09 - mmengine - INFO - ",
        "[NeMo I 2026-11-23 14:36:09 a:1] ",
    ),
    *("[2026-11-23 14:36:09,123] [INFO] [logging.py:96:log_dist] [Rank 0] ", "2026-11-23 14:36:09 | INFO | train | "),
)
COLOURS = ("", "\x1b[31m", "\x1b[38;2;1;2;3m", "\x1b[0;1m")
SHAPES = (
    "step{c} {s}{gap}| loss{c} {l}{gap}| lr{c} {r}",
    "step{c}{s}, loss{c}{l}, lr{c}{r}",
    "Step {s}/5000:{gap} loss={l},{gap} lr={r}",
    "[{s}/5000] step: {s} loss: {l} lr: {r}",
    "{{'step': {s}, 'loss': {l}, 'learning_rate': {r}}}",
    '{{"step": {s}, "loss": "{l}", "lr": {r}}}',
    "iter {s}: loss {l}, lr {r}, eta: 1:02:03",
    "Iter(train) [{s}/5000]{gap}  lr: {r}{gap}  loss: {l}",
)


@given(
    prefix=st.sampled_from(PREFIXES),
    shape=st.sampled_from(SHAPES),
    colours=st.tuples(st.sampled_from(COLOURS), st.sampled_from(COLOURS)),
    colon=st.sampled_from((":", ": ", "=", " = ")),
    gap=st.sampled_from(("", " ", "   ")),
    ending=st.sampled_from(("", " ", "\r", "  \x1b[0m")),
    step=st.integers(0, 4999),
    loss=st.floats(0.001, 100).map(lambda x: f"{x:.4f}"),
    lr=st.sampled_from(("1e-4", "0.00012", "3.000e-05", "1.0")),
)
def test_the_same_row_in_any_dress(
    prefix: str,
    shape: str,
    colours: tuple[str, str],
    colon: str,
    gap: str,
    ending: str,
    step: int,
    loss: str,
    lr: str,
) -> None:
    body = shape.format(c=colon, gap=gap, s=step, l=loss, r=lr)
    (row,) = found_in(f"{colours[0]}{prefix}{colours[1]}{body}{ending}\n")
    row.pop("time", None)
    assert row == {"step": step, "loss": float(loss), "lr": float(lr)}


@given(st.text(alphabet="loss tepr=:|,[](){}'\"0123456789.e-+/%#\r\t\x1b", max_size=200))
def test_no_line_makes_the_reader_fail(text: str) -> None:
    reader = TextReader()
    read(reader, text)
    assert reader.account.rejected.keys() <= {"the step is no finite number"}
