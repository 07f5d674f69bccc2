"""The main states as text. After a change that is meant: GRADTOP_STATES=write pytest tests/ui/test_states.py"""

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from staging import finding, lines, rows, run, snapshot, staged

from gradtop.finding import Severity
from gradtop.record import Restart, Rows
from gradtop.snapshot import RunState, Snapshot
from gradtop.verdict import Judgement, Verdict

FOLDER = Path(__file__).parents[1] / "data/states"
WRITE = os.environ.get("GRADTOP_STATES") == "write"


def healthy() -> Snapshot:
    return snapshot(run(), run("second", [rows(100)], state=RunState.FINISHED))


def broken() -> Snapshot:
    """A run whose loss became NaN, after a resume."""
    nan = [math.nan] * 60
    records: list[Rows | Restart] = [rows(), Restart(reason="resumed"), rows(60, 401, loss=nan)]
    act = finding(Severity.INTERVENE, 401, "The loss is NaN since step 401.")
    judgement = Judgement(Verdict.INTERVENE, "The loss is NaN since step 401.", act, "Stop, and go back to step 400.")
    return snapshot(run(records=records, findings=(act, finding()), judgement=judgement))


def nothing() -> Snapshot:
    return snapshot(notes=("looked for *.log, *.jsonl in /logs", "waiting for a run to appear"))


STATES: dict[str, tuple[Callable[[], Snapshot], tuple[str, ...]]] = {
    "healthy": (healthy, ()),
    "healthy-cursor": (healthy, ("left", "plus")),
    "broken": (broken, ()),
    "broken-findings": (broken, ("4",)),
    "broken-checklist": (broken, ("c",)),
    "broken-commands": (broken, ("colon", "z", "o", "o", "m")),
    "nothing": (nothing, ()),
    "metrics": (healthy, ("3",)),
    "layers-none": (healthy, ("2",)),
    "runs": (healthy, ("r",)),
    "help": (healthy, ("question_mark",)),
}


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES)
async def test_a_state_looks_as_it_did(state: str, size: tuple[int, int]) -> None:
    make, keys = STATES[state]
    async with staged(make(), size) as (app, pilot):
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        shown = "".join(f"{line.rstrip()}\n" for line in lines(app))
    path = FOLDER / f"{state}-{size[0]}x{size[1]}.txt"
    if WRITE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(shown)
    assert shown == path.read_text()
