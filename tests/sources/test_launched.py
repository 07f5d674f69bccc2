"""A launch that is recorded behind another one is a session of its own, and starts from nothing."""

import pytest
from reading import read, rows_of

from gradtop.launch.output import opening
from gradtop.record import Event, Record, Restart, Rows
from gradtop.sources.reader import Line
from gradtop.sources.text.launched import LAUNCH, launched
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
