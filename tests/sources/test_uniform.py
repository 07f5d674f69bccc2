"""Many lines at once: which blocks are read that way, and that nothing in them is taken for something else."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import read, rows_of

from gradtop.record import Rows
from gradtop.sources.follow.tail import LineDecoder
from gradtop.sources.reader import Block, Line
from gradtop.sources.rows.jsonl import SMALL, RowReader


class Slow(RowReader):
    """Counts the lines that are read one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = 0

    def _read(self, line: Line) -> None:
        self.lines += 1
        super()._read(line)


def text_of(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_training_and_evaluation_rows_stay_on_the_fast_path() -> None:
    rows: list[dict[str, Any]] = []
    for step in range(1, 20_001):
        rows.append({"step": step, "epoch": step // 100, "loss": 1 / step, "lr": 0.1})
        if step % 50 == 0:
            rows.append({"step": step, "epoch": step // 100, "val_loss": 2 / step})
        if step % 500 == 0:
            rows.append({"step": step, "grad_norm": 0.5, "extra": step})
    reader = Slow()
    found = rows_of(read(reader, text_of(rows)))
    assert len(found) == len(rows)
    assert [row["step"] for row in found] == [row["step"] for row in rows]
    assert [row["val_loss"] for row in found if "val_loss" in row] == [2 / step for step in range(50, 20_001, 50)]
    assert reader.lines < 0.05 * len(rows)


@pytest.mark.parametrize("odd", ["", "{", '{"step": 5, "loss": null}', '{"step": "x"}', "[1]", "\0", "loss 2"])
def test_an_odd_line_costs_only_its_neighbours_the_fast_path(odd: str) -> None:
    lines = [json.dumps({"step": step, "loss": 1 / step}) for step in range(1, 4001)]
    lines.insert(3000, odd)
    reader = Slow()
    assert [row["step"] for row in rows_of(read(reader, "\n".join(lines)))] == list(range(1, 4001))
    assert reader.lines <= 4 * SMALL


def test_bare_nan_and_infinities_stay_on_the_fast_path() -> None:
    values = [math.nan if step % 7 == 0 else math.inf if step % 11 == 0 else step for step in range(1, 4001)]
    reader = Slow()
    found = rows_of(read(reader, text_of([{"step": i, "loss": v} for i, v in enumerate(values, 1)])))
    assert repr([row["loss"] for row in found]) == repr([float(v) for v in values])
    assert reader.lines <= SMALL


def test_two_objects_on_a_line_are_not_hidden_by_a_blank_line() -> None:
    lines = [json.dumps({"step": step, "loss": 1.0}) for step in range(1, 101)]
    lines += ['{"step":101,"loss":1}{"step":102,"loss":1}', "", '{"step":103,"loss":1}']
    reader = RowReader()
    assert [row["step"] for row in rows_of(read(reader, "\n".join(lines)))] == [*range(1, 101), 103]
    assert [tally.samples[0][0] for tally in reader.account.rejected.values()] == [101]
    assert reader.account.skipped.samples == [(102, "")]


def test_a_time_that_changes_its_kind_is_read_one_by_one() -> None:
    rows = [{"step": i, "loss": 1.0, "time": 0.5 if i % 2 else 1.8e9 + i} for i in range(1, 101)]
    found = rows_of(read(RowReader(), text_of(rows)))
    assert [("time" in row, "step_time_s" in row) for row in found[:2]] == [(False, True), (True, False)]


def test_a_total_that_changes_is_told_again() -> None:
    rows = [{"step": i, "total_steps": 100 if i < 80 else 200, "loss": 1.0} for i in range(1, 201)]
    records = read(RowReader(), text_of(rows))
    totals = [
        record.train.total_steps for record in records if not isinstance(record, Rows) and hasattr(record, "train")
    ]
    assert totals == [100, 200]
    assert len(rows_of(records)) == 200


def test_a_block_is_taken_apart_without_loss() -> None:
    block = Block(7, 3, b"a\nb\r\n\n")
    assert block.lines() == [Line(7, b"a"), Line(8, b"b"), Line(9, b"")]
    assert block.parts(1) == (Block(7, 1, b"a\n"), Block(8, 2, b"b\r\n\n"))


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"\0", b'{"x":1}\n', b"\xef\xbb\xbf"]), max_size=30), st.data())
def test_lines_are_the_same_in_blocks(pieces: list[bytes], data: st.DataObject) -> None:
    written = b"".join(pieces)
    plain, blocked = LineDecoder(), LineDecoder()
    expected, found, at = plain.feed(written) + plain.finish(), list[Line](), 0
    while at < len(written):
        size = data.draw(st.integers(1, 9))
        portion, at = written[at : at + size], at + size
        block = blocked.block(portion)
        found += block.lines() if block is not None else blocked.feed(portion)
    assert found + blocked.finish() == expected


def wrapped(first: int, last: int) -> list[str]:
    return [json.dumps({"step": i, "data": {"actor/pg_loss": 1 / i, "actor/lr": 0.1}}) for i in range(first, last)]


def test_rows_in_a_wrapper_stay_on_the_fast_path() -> None:
    reader = Slow()
    found = rows_of(read(reader, "\n".join([*wrapped(1, 4001), ""])))
    assert [row["step"] for row in found] == list(range(1, 4001))
    assert [row["loss"] for row in found] == [1 / i for i in range(1, 4001)]
    assert reader.lines <= SMALL


@pytest.mark.parametrize(
    "odd",
    [
        '{"step": 2001, "data": {}}',
        '{"step": 2001, "data": {"data": {"actor/lr": 5}}}',
        '{"step": 2001, "data": {"actor/pg_loss": null, "actor/lr": 0.1}}',
        '{"step": 2001, "actor/pg_loss": 7, "actor/lr": 0.1}',
        '{"step": 2001, "data": {"step": 9, "actor/lr": 0.1}}',
        '{"step": 2001, "data": {"actor/lr": 0.1}, "actor/pg_loss": 7}',
        '{"step": 2001, "actor/lr": 0.1}}',
    ],
)
def test_a_wrapped_row_of_another_form_is_read_as_it_is_alone(odd: str) -> None:
    alone = Slow()
    lines = [*wrapped(1, 2001), odd, *wrapped(2002, 3000)]
    expected = [row for line in lines for row in rows_of(read(alone, line + "\n"))]
    together = Slow()
    assert str(rows_of(read(together, "\n".join([*lines, ""])))) == str(expected)
    assert sum(t.count for t in together.account.rejected.values()) == sum(
        t.count for t in alone.account.rejected.values()
    )
    assert together.lines < 10 * SMALL
