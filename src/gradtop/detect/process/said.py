"""Findings about the process of a run: they hold now, whatever its rows say."""

from collections.abc import Mapping

from gradtop import units
from gradtop.catalogue import KINDS
from gradtop.finding import Criterion, Finding, FindingState, Severity
from gradtop.machine import Process
from gradtop.run import RunView

_NEARLY_DONE = 0.98


def place(view: RunView) -> str:
    """`step 1,432`, in what the log counts."""
    counts = view.x_kind.removesuffix("s")
    return f"{counts} {units.count(view.last_step or 0.0)}"


def done(view: RunView) -> bool:
    """The newest row is at the planned end, or next to it."""
    total = view.total
    return bool(total) and view.last_step is not None and view.last_step >= _NEARLY_DONE * (total or 0)


def finding(
    view: RunView,
    kind: str,
    severity: Severity,
    message: str,
    criteria: tuple[Criterion, ...],
    evidence: Mapping[str, float | str],
    process: Process | None,
    form: str,
) -> Finding:
    """A finding that holds now, at the newest row, with the advice of a `form` of its kind."""
    step = view.last_step if view.last_step is not None else 0.0
    pid = process.pid if process is not None else view.facts.pid
    known = {"pid": str(pid)} if pid is not None else {}
    advice = KINDS[kind].advice(form)
    return Finding(
        kind=kind,
        scope="total",
        severity=severity,
        state=FindingState.ACTIVE,
        first_step=step,
        last_step=step,
        raised_step=step,
        count=1,
        message=message,
        evidence=evidence,
        criteria=criteria,
        causes=advice.causes,
        checks=tuple(text for check in advice.checks if (text := check.filled(known))),
    )
