"""One line of a post-mortem, and how it says when something moved."""

from dataclasses import dataclass

from gradtop import units
from gradtop.finding import Finding
from gradtop.snapshot import RunSnapshot
from gradtop.view.incident.stretch import Stretch

MISSING = "not in this log"


@dataclass(frozen=True, slots=True)
class Trace:
    """One line of the post-mortem."""

    label: str
    before: str = ""
    during: str = ""
    after: str = ""
    moved: str = ""
    """`4 steps before`, `at its start`, `did not move`."""
    step: float | None = None
    """Where it moved."""
    blind: str = ""
    """Why nothing can be told; the rest is empty then."""
    early: bool = False
    """There is too little before it to tell whether it moved."""


def when(run: RunSnapshot, finding: Finding, step: float | None, found: Stretch) -> str:
    """When something moved that did so at a step; None: it did not."""
    if step is None:
        return "no row in it" if found.during is None else "did not move"
    return distance(run, finding.first_step, step)


def distance(run: RunSnapshot, onset: float, step: float) -> str:
    """`4 steps before`, `at its start`."""
    away = abs(step - onset)
    if not away:
        return "at its start"
    word = run.view.x_kind.removesuffix("s") + ("s" if away != 1 else "")
    return f"{units.count(away)} {word} {'before' if step < onset else 'after'}"


def number(value: float) -> str:
    """A value in three digits."""
    return units.number(value, 3)
