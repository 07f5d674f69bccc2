import math

from reading import read, rows_of

from gradtop.sources.rows.table import CsvReader, delimiter_of


def test_cells_become_metrics_and_empty_cells_are_missing() -> None:
    rows = rows_of(read(CsvReader(), 'step,loss,"grad norm",note\r\n1,2.5,0.1,"a,b"\r\n2,,inf,\r\n3,NA,nan,x\r\n'))
    assert rows[0] == {"step": 1, "loss": 2.5, "grad_norm": 0.1}
    assert rows[1] == {"step": 2, "grad_norm": math.inf}
    assert rows[2].keys() == {"step", "grad_norm"}
    assert math.isnan(rows[2]["grad_norm"])


def test_tabs_and_semicolons_separate_too() -> None:
    assert delimiter_of("step\tloss") == "\t"
    assert rows_of(read(CsvReader(), "step;loss\n1;2\n")) == [{"step": 1, "loss": 2}]


def test_a_repeated_header_is_no_row() -> None:
    reader = CsvReader()
    rows = rows_of(read(reader, "step,train_loss\n1,3\nstep,train_loss\n1,2\n"))
    assert rows == [{"step": 1, "loss": 3}, {"step": 1, "loss": 2}]
    assert reader.account.rejected == {}


def test_a_header_with_other_columns_begins_another_table() -> None:
    rows = rows_of(read(CsvReader(), "step,loss\n1,3\nstep,loss,lr\n2,2,0.1\n"))
    assert rows[-1] == {"step": 2, "loss": 2, "lr": 0.1}


def test_what_is_no_row_is_rejected_with_its_reason() -> None:
    reader = CsvReader()
    assert rows_of(read(reader, 'step,loss\n1\nx,2\n3,"4\n\n5,6\n')) == [{"step": 5, "loss": 6}]
    assert {reason: tally.samples for reason, tally in reader.account.rejected.items()} == {
        "another number of cells than the header": [(2, "1")],
        "the step is no finite number": [(3, "x,2")],
        "a quoted field that does not end": [(4, '3,"4')],
    }
    assert reader.account.skipped.count == 1


def test_an_epoch_counts_where_there_is_no_step() -> None:
    rows = rows_of(read(CsvReader(), "epoch,time,train/box_loss,lr/pg0,lr/pg1\n1,183.0,2.4,0.07,0.003\n"))
    assert rows == [{"epoch": 1, "time_s": 183.0, "train/box_loss": 2.4, "lr": 0.07, "lr/pg1": 0.003}]


def test_rows_are_numbered_where_nothing_counts_them() -> None:
    rows = rows_of(read(CsvReader(), "val_loss,loss\n1,2\nnan,3\n"))
    assert [row["row"] for row in rows] == [1, 2]


def test_an_empty_cell_moves_no_other_name() -> None:
    rows = rows_of(read(CsvReader(), "step,loss,train_loss\n1,2,3\n2,,4\n"))
    assert rows == [{"step": 1, "loss": 2, "train_loss": 3}, {"step": 2, "train_loss": 4}]


def test_names_are_accounted_with_what_they_became() -> None:
    reader = CsvReader()
    read(reader, "step,grad norm,foo\n1,2,3\n2,2,\n")
    used = {raw: (use.canonical, use.known, use.count) for raw, use in reader.account.names.items()}
    assert used == {"step": ("step", True, 2), "grad norm": ("grad_norm", True, 2), "foo": ("foo", False, 1)}
