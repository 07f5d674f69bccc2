"""Tables as the frameworks write them, rewritten and sparse, and their rows whatever way they arrive."""

import math
from pathlib import Path

import pytest
from follower import Reading, reasons
from hypothesis import given
from hypothesis import strategies as st
from reading import lines_of, read, rows_of

from gradtop.record import Record, Rows
from gradtop.sources.rows.table import CsvReader

LIGHTNING = """\
epoch,grad_2.0_norm/l1.weight,grad_2.0_norm_total,lr-AdamW,step,train_loss_step
,,,0.0004,1,
0,0.37,0.85,,1,0.109
0,0.36,0.84,,7,0.108
"""
LIGHTNING_GROWN = """\
epoch,grad_2.0_norm/l1.weight,grad_2.0_norm_total,lr-AdamW,step,train_loss_epoch,train_loss_step,val_loss
,,,0.0004,1,,,
0,0.37,0.85,,1,,0.109,
0,0.36,0.84,,7,,0.108,
0,,,,7,0.1085,,0.073
"""


def test_lightning_rewrites_its_table_when_a_name_comes_up(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(LIGHTNING)
    reading = Reading(path)
    assert rows_of(reading.poll()) == [
        {"step": 1, "lr": 0.0004},
        {"step": 1, "epoch": 0, "grad_norm/l1.weight": 0.37, "grad_norm": 0.85, "loss": 0.109},
        {"step": 7, "epoch": 0, "grad_norm/l1.weight": 0.36, "grad_norm": 0.84, "loss": 0.108},
    ]
    path.write_text(LIGHTNING_GROWN)
    records = reading.poll()
    assert reasons(records) == []
    assert rows_of(records) == [{"step": 7, "epoch": 0, "train_loss_epoch": 0.1085, "val_loss": 0.073}]
    assert reading.source.status.lines_read == 5


def test_a_rewrite_that_is_seen_half_written_is_no_restart(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(LIGHTNING)
    reading = Reading(path)
    reading.poll()
    records: list[Record] = []
    with path.open("w") as out:
        for character in LIGHTNING_GROWN:
            out.write(character)
            out.flush()
            records += reading.poll()
    assert reasons(records) == []
    assert [row["val_loss"] for row in rows_of(records)] == [0.073]


def test_timm_trims_its_table_on_resume(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    head = "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr\n"
    rows = [f"{epoch},{3 - epoch / 10},{3.1 - epoch / 10},{epoch},{2 * epoch},0.1\n" for epoch in range(6)]
    path.write_text(head + "".join(rows))
    reading = Reading(path)
    (first, *_) = rows_of(reading.poll())
    assert first == {"epoch": 0, "loss": 3.0, "val_loss": 3.1, "eval_top1": 0, "eval_top5": 0, "lr": 0.1}
    path.write_text(head + "".join(rows[:3]))
    assert reading.poll() == []
    with path.open("a") as out:
        out.write("3,2.5,2.6,9,18,0.1\n")
    records = reading.poll()
    assert reasons(records) == ["resumed"]
    assert [(row["epoch"], row["loss"]) for row in rows_of(records)] == [(3, 2.5)]


def test_another_meaning_of_a_column_gives_all_rows_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,train_loss\n1,2.5\n")
    reading = Reading(path)
    reading.poll()
    path.write_text("step,train_loss,loss\n1,2.5,2.75\n")
    records = reading.poll()
    assert reasons(records) == ["replaced"]
    assert rows_of(records) == [{"step": 1, "train_loss": 2.5, "loss": 2.75}]


def test_stable_baselines_and_guided_diffusion_pad_their_old_rows(tmp_path: Path) -> None:
    path = tmp_path / "progress.csv"
    path.write_text("time/fps,time/total_timesteps\n3079,2048\n")
    reading = Reading(path)
    assert rows_of(reading.poll()) == [{"step": 2048, "time/fps": 3079}]
    path.write_text("time/fps,time/total_timesteps,train/loss\n3079,2048,\n2036,4096,549.5\n")
    assert rows_of(reading.poll()) == [{"step": 4096, "time/fps": 2036, "loss": 549.5}]


def test_deepspeed_counts_samples_and_repeats_its_header(tmp_path: Path) -> None:
    path = tmp_path / "Train_Samples_train_loss.csv"
    path.write_text("step,train_loss\n256,2.5\n512,2.25\nstep,train_loss\n256,2.5\n")
    blocks = [record for record in Reading(path).poll() if isinstance(record, Rows)]
    assert {block.x_kind for block in blocks} == {"samples"}
    assert [step for block in blocks for step in block.steps] == [256, 512, 256]


YOLOV5 = (
    "               epoch,      train/box_loss,      train/obj_loss,      train/cls_loss,        val/box_loss,"
    "        val/obj_loss,        val/cls_loss,               x/lr0\n"
    "                   0,            0.125,             0.5,            0.25,"
    "            0.25,             0.5,            0.75,            0.07\n"
)
YOLOV8 = (
    "epoch,time,train/box_loss,train/cls_loss,train/dfl_loss,metrics/precision(B),val/box_loss,val/cls_loss,"
    "val/dfl_loss,lr/pg0,lr/pg1\n1,21.4,0.125,0.25,0.5,0.9,0.25,nan,0.75,0.1,0.2\n"
)


def test_ultralytics_has_its_loss_in_parts() -> None:
    (old,) = rows_of(read(CsvReader(), YOLOV5))
    assert (old["epoch"], old["loss"], old["val_loss"]) == (0, 0.875, 1.5)
    reader = CsvReader()
    (new,) = rows_of(read(reader, YOLOV8))
    assert (new["epoch"], new["loss"], new["lr"], new["time_s"]) == (1, 0.875, 0.1, 21.4)
    assert math.isnan(new["val_loss"])
    use = reader.account.names["train/box_loss + train/cls_loss + train/dfl_loss"]
    assert (use.canonical, use.unit, use.count) == ("loss", "sum", 1)


@pytest.mark.parametrize(
    "header", ["epoch,train/actor_loss,train/critic_loss", "epoch,g_loss,d_loss", "epoch,train/box_loss,train/loss"]
)
def test_losses_that_are_no_parts_are_not_added_up(header: str) -> None:
    (row,) = rows_of(read(CsvReader(), f"{header}\n1,0.5,0.25\n"))
    assert row.get("loss") in (None, 0.25)


def test_keras_leaves_out_what_was_not_measured() -> None:
    rows = rows_of(read(CsvReader(), "epoch,loss,mae,val_loss,val_mae\r\n0,2.5,1.5,NA,NA\r\n1,2.25,1.25,2.0,1.0\r\n"))
    assert rows[0] == {"epoch": 0, "loss": 2.5, "mae": 1.5}
    assert rows[1] == {"epoch": 1, "loss": 2.25, "mae": 1.25, "val_loss": 2.0, "val_mae": 1.0}


def test_commas_stand_before_decimals_where_semicolons_separate() -> None:
    rows = rows_of(read(CsvReader(), "step;loss;lr\n1;2,5;1,5e-4\n2;1.234,5;0,001\n3;2.25;0\n"))
    assert rows == [
        {"step": 1, "loss": 2.5, "lr": 1.5e-4},
        {"step": 2, "loss": 1234.5, "lr": 0.001},
        {"step": 3, "loss": 2.25, "lr": 0},
    ]


def test_the_index_of_pandas_is_no_metric() -> None:
    assert rows_of(read(CsvReader(), ",step,loss\n0,10,2.5\n1,20,2.0\n")) == [
        {"step": 10, "loss": 2.5},
        {"step": 20, "loss": 2.0},
    ]


def test_batches_of_epochs_are_added_up() -> None:
    text = "epoch,batch,loss\n" + "".join(f"{e},{b},1.0\n" for e in (1, 2, 3) for b in range(1, 41))
    reader = CsvReader()
    assert [row["step"] for row in rows_of(read(reader, text))] == list(range(1, 121))
    assert "table row, steps of an epoch added up" in reader.account.rules


def test_a_row_that_is_half_written_waits(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n1,0.5\n2,0.2")
    reading = Reading(path)
    assert [row["step"] for row in rows_of(reading.poll())] == [1]
    with path.open("a") as out:
        out.write("5\n")
    assert rows_of(reading.poll()) == [{"step": 2, "loss": 0.25}]


CELLS = st.sampled_from(
    ["1", "2.5", "-0.0", "nan", "inf", "", " 3 ", "NA", "x", '"4"', "1_0", "5e-3", "1e999", "7,5", "tensor(2.)"]
)
ODD_ROWS = st.one_of(
    st.tuples(st.integers(0, 99).map(str), CELLS, CELLS, st.sampled_from(["", "0", "1"])).map(",".join),
    st.tuples(st.integers(0, 99).map(str), st.floats().map(repr), st.just(""), st.just("3")).map(",".join),
    st.sampled_from(["", "step,loss,lr,epoch", "1,2", "1,2,3,4,5", ",1,2,3", "x,1,2,3", "nan,1,1,1", "\0\0"]),
)


@given(st.lists(ODD_ROWS, max_size=30), st.integers(1, 5))
def test_rows_are_the_same_however_they_arrive(rows: list[str], repeats: int) -> None:
    text = "step,loss,lr,epoch\n" + "".join(f"{row}\n" for row in rows for _ in range(repeats * 20))
    at_once, one_by_one = CsvReader(), CsvReader()
    assert repr(rows_of(read(at_once, text))) == repr(rows_of(read(one_by_one, text, portion=1)))
    assert at_once.account == one_by_one.account
    counted = sum(t.count for t in (*at_once.account.rules.values(), *at_once.account.rejected.values()))
    assert counted + at_once.account.skipped.count == len(lines_of(text))
