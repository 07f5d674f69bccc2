"""Faults put into the losses of real healthy logs: how many are found, and how soon."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gradtop.config import Limits
from gradtop.finding import Severity
from gradtop.history import Store
from gradtop.record import Rows
from gradtop.run import cut

from .watch import read, watched

Change = Callable[[int], float]
"""Rows since the fault began to the factor of the loss."""
BEFORE, AFTER = 300, 700
"""Rows of the log before and after the fault begins, at least; it has to be found within the latter."""


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault of the loss."""

    name: str
    change: Change


def _burst(rows: int, factor: float) -> Change:
    return lambda i: factor if i < rows else 1.0


def _ramp(rows: int, factor: float) -> Change:
    return lambda i: 1.0 + (factor - 1.0) * min(1.0, (i + 1) / rows)


INJECTIONS = (
    Injection("+30 % for 1 step", _burst(1, 1.3)),
    Injection("+30 % for 2 steps", _burst(2, 1.3)),
    Injection("+30 % for 5 steps", _burst(5, 1.3)),
    Injection("+15 % for 5 steps", _burst(5, 1.15)),
    Injection("+100 % for 2 steps", _burst(2, 2.0)),
    Injection("+20 % from there on", _ramp(1, 1.2)),
    Injection("+30 % from there on", _ramp(1, 1.3)),
    Injection("+20 % over 300 steps", _ramp(300, 1.2)),
    Injection("+30 % over 300 steps", _ramp(300, 1.3)),
    Injection("+50 % over 300 steps", _ramp(300, 1.5)),
)
"""What is put in. A single step is meant to stay a notice, and 15 % is near the noise of some of the logs."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was said of one injected fault."""

    fault: int
    """Its place in `INJECTIONS`."""
    kind: str = ""
    """Of the first alarm after it; empty where there is none."""
    delay: float | None = None
    """Steps."""


def injected(path: Path, fault: int, place: float) -> Found:
    """The first alarm after a fault at a `place`, 0 to 1, of a log whose rows are all of one shape."""
    rows = next(record for record in whole(path) if "loss" in record.columns)
    at = BEFORE + int(place * (len(rows) - BEFORE - AFTER))
    change = INJECTIONS[fault].change
    after = cut(rows, at, at + AFTER)
    losses = [loss * change(i) for i, loss in enumerate(after.columns["loss"])]
    store = Store(Limits())
    store.apply((cut(rows, 0, at),))
    told = watched((Rows(after.steps, {**after.columns, "loss": losses}),), store)[1]
    onset = float(after.steps[0])
    loud = (alarm for alarm in told.alarms if alarm.severity > Severity.NOTICE and alarm.step >= onset)
    return next((Found(fault, alarm.kind, alarm.step - onset) for alarm in loud), Found(fault))


def whole(path: Path) -> list[Rows]:
    """The rows of a log as one block for each set of columns that follow each other."""
    joined: list[Rows] = []
    for record in read(path):
        if not isinstance(record, Rows):
            continue
        columns = {name: [*map(float, values)] for name, values in record.columns.items()}
        if joined and joined[-1].columns.keys() == columns.keys():
            before = joined.pop()
            columns = {name: [*values, *columns[name]] for name, values in before.columns.items()}
            joined.append(Rows([*before.steps, *record.steps], columns))
        else:
            joined.append(Rows(record.steps, columns))
    return joined
