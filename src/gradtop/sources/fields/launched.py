"""The lines of our own that `gradtop run` puts around the output of a command."""

import re
from datetime import datetime

from gradtop.record import End, Event, Record, Restart
from gradtop.sources.reader import MAX_MESSAGE, Line

LAUNCH = "launch"
"""The event of the line before another launch, in a file that has output already."""
RELAUNCHED = "relaunched"
"""Why the session after it began."""
RULE = "launch"
"""The name of such lines in `explain`."""
_TIME = rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"
_BEGUN = re.compile(rb"==== gradtop run at " + _TIME + rb" on [!-~]+, process \d+(?:: .*)? ====\s*\Z")
_HOW = rb"(?: with (exit code) (\d{1,3})|, (killed by signal) (\d{1,2}))"
_ENDED = re.compile(rb"==== gradtop run ended at " + _TIME + _HOW + rb" ====\s*\Z")
_STOPPING = (1, 2, 15)
"""Signals by which people and schedulers stop a run: HUP, INT, TERM."""
_OF_SHELL = 128
"""What a shell adds to the number of the signal that killed its command."""


def launched(line: Line) -> tuple[Record, ...]:
    """What the line before a launch says: that it begins, and when; nothing for any other line."""
    found = _BEGUN.match(line.data) if _may_be_ours(line) else None
    if found is None or (time := _unix(found[1])) is None:
        return ()
    message = line.data.decode("utf-8", errors="replace").strip()[:MAX_MESSAGE]
    return Restart(reason=RELAUNCHED, line=line.number), Event(
        event=LAUNCH, message=message, time=time, line=line.number
    )


def ended(line: Line) -> tuple[Record, ...]:
    """What the line behind a launch says: how it ended, and when; nothing for any other line."""
    found = _ENDED.match(line.data) if _may_be_ours(line) else None
    if found is None or (time := _unix(found[1])) is None:
        return ()
    what, number = (found[2] or found[4]).decode(), int(found[3] or found[5])
    if what == "exit code" and number == 0:
        return (End(status="finished", time=time, line=line.number),)
    if number in (_STOPPING if found[4] else [_OF_SHELL + signal for signal in _STOPPING]):
        return (End(status="aborted", time=time, line=line.number),)
    message = f"{what} {number}" if found[4] else f"{what} {number} of the command"
    return (
        Event(event="crash", level="error", message=message, time=time, line=line.number, data={"reason": "exit"}),
        End(status="crashed", time=time, line=line.number),
    )


def _may_be_ours(line: Line) -> bool:
    return line.data.startswith(b"==== g")


def _unix(time: bytes) -> float | None:
    try:
        return datetime.fromisoformat(time.decode()).timestamp()
    except ValueError:
        return None
