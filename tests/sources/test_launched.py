"""A launch that is recorded behind another one is a session of its own, and starts from nothing."""

import pytest
from reading import read, rows_of

from gradtop.launch.output import ending, opening
from gradtop.record import End, Event, Record, Restart, Rows
from gradtop.sources.fields.launched import LAUNCH, ended, launched
from gradtop.sources.reader import Line, Reader
from gradtop.sources.rows.jsonl import RowReader
from gradtop.sources.rows.table import CsvReader
from gradtop.sources.text.reader import TextReader

LINE = opening(["python", "train.py", "--lr", "3e-4"], 1795444567.25).decode()
CRASH = 'Traceback (most recent call last):\n  File "t.py", line 1, in <module>\nRuntimeError: CUDA error\n'


def kinds(found: list[Record]) -> list[str]:
    return [record.event if isinstance(record, Event) else type(record).__name__ for record in found]


def test_the_line_of_a_launch_says_when_it_began() -> None:
    restart, event = launched(Line(3, LINE.encode().rstrip()))
    assert restart == Restart(reason="relaunched", line=3)
    assert isinstance(event, Event)
    assert (event.event, event.time, event.message) == (LAUNCH, 1795444567.25, LINE.strip())


@pytest.mark.parametrize(
    ("old", "new"),
    [("==== g", " ==== g"), ("==== g", "> ==== g"), ("-11-", "-13-"), (" ====\n", " ===\n"), (" at ", " ")],
)
def test_a_line_that_is_much_like_it_says_nothing(old: str, new: str) -> None:
    assert launched(Line(1, LINE.replace(old, new).encode())) == ()


def test_nothing_of_the_launch_before_is_carried_on() -> None:
    """The same rows count again, an open traceback ends, and the next death is another one."""
    rows = "".join(f"step {i}: loss {2 - i / 10:.3f}\n" for i in range(1, 9))
    found = read(TextReader(), rows + CRASH + LINE + rows + CRASH.splitlines()[0] + "\n" + LINE + rows + CRASH)
    assert kinds([record for record in found if not isinstance(record, Rows)]) == [
        *("crash", "Restart", LAUNCH, "crash", "Restart", LAUNCH, "crash")
    ]
    assert [row["step"] for row in rows_of(found)] == [*range(1, 9)] * 3


@pytest.mark.parametrize(
    ("code", "status", "why"),
    [(0, "finished", []), (3, "crashed", ["exit code 3 of the command"]), (-9, "crashed", ["killed by signal 9"])]
    + [(code, "aborted", []) for code in (-1, -2, -15, 129, 130, 143)],
)
def test_the_line_of_an_end_says_how_the_command_ended(code: int, status: str, why: list[str]) -> None:
    line = Line(3, ending(code, 1795444567.25).rstrip())
    *events, end = ended(line)
    assert end == End(status=status, time=1795444567.25, line=3)
    assert [event.message for event in events if isinstance(event, Event)] == why
    assert launched(line) == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [("==== g", "> ==== g"), ("-11-", "-13-"), (" ====", " ==="), ("code 0", "code x"), ("==\n", "== 1\n")],
)
def test_a_line_that_is_much_like_an_end_says_nothing(old: str, new: str) -> None:
    text = ending(0, 1795444567.25).decode()
    assert old in text
    assert ended(Line(1, text.replace(old, new).encode())) == ()


@pytest.mark.parametrize(
    ("reader", "row"),
    [
        (TextReader(), "step {0}: loss {1}\n"),
        (RowReader(), '{{"step": {0}, "loss": {1}}}\n'),
        (CsvReader(), "{0},{1}\n"),
    ],
)
def test_output_of_every_kind_is_read_between_our_lines(reader: Reader, row: str) -> None:
    header = "step,loss\n" if isinstance(reader, CsvReader) else ""
    told = header + "".join(row.format(i, 2 - i / 10) for i in range(1, 9))
    found = read(reader, told + ending(3, 1795444567.25).decode() + LINE + told)
    assert kinds([record for record in found if not isinstance(record, Rows)]) == ["crash", "End", "Restart", LAUNCH]
    assert len(rows_of(found)) == 16
    assert reader.account.rejected == {}
