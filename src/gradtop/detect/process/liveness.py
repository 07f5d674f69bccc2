"""`stalled`: the only verdict that depends on the clock."""

import math
from collections.abc import Sequence

from gradtop import units
from gradtop.catalogue import KINDS
from gradtop.config import Limits
from gradtop.detect.case import criterion
from gradtop.finding import Criterion, Finding, FindingState, Severity
from gradtop.run import RunView

_LEAST_GAPS = 5
_NEARLY_DONE = 0.98


def liveness(
    view: RunView,
    *,
    now: float,
    last_arrival: float | None,
    arrival_gaps: Sequence[float],
    watching: bool,
    writer_alive: bool | None,
    limits: Limits | None = None,
) -> Finding | None:
    """`stalled` when rows stop arriving by the run's own rhythm, `crashed` when its process is gone too early.

    Args:
        view: the run.
        now: seconds of the clock that arrivals are measured with.
        last_arrival: when the newest rows arrived; None when none did while watching.
        arrival_gaps: seconds between arrivals that were seen.
        watching: it grew while it was watched.
        writer_alive: whether the process that writes the log is alive; None where that is not known.
        limits: thresholds; the defaults where None.
    """
    if view.end is not None or view.last_step is None:
        return None
    if writer_alive is False:
        return _gone(view)
    if last_arrival is None or not (watching or writer_alive) or _done(view):
        return None
    limits = limits or Limits()
    silent, allowed = now - last_arrival, allowed_silence_s(arrival_gaps, limits)
    return (
        _stalled(view, silent, allowed, percentile_99(arrival_gaps), bool(writer_alive)) if silent > allowed else None
    )


def _stalled(view: RunView, silent: float, allowed: float, usual: float | None, alive: bool) -> Finding:
    rhythm = f"usually at most {units.duration(usual)} pass" if usual is not None else "its rhythm is not known yet"
    return _finding(
        view,
        "stalled",
        Severity.WATCH,
        f"No new row for {units.duration(silent)} after {_place(view)}; {rhythm}.",
        (
            criterion("stalled", "silent", True, f"{units.duration(silent)}, allowed {units.duration(allowed)}"),
            criterion(
                "stalled", "growing", True, "its process is alive" if alive else "rows arrived while it was watched"
            ),
            criterion("stalled", "not_over", True, "no end in the log"),
        ),
        {"silent_s": silent, "allowed_s": allowed},
    )


def allowed_silence_s(gaps: Sequence[float], limits: Limits) -> float:
    """Seconds of silence that this rhythm allows."""
    usual = percentile_99(gaps)
    if usual is None:
        return max(limits.stall_unknown_s, limits.stall_gaps * max(gaps, default=0.0))
    return max(limits.stall_s, limits.stall_gaps * usual)


def percentile_99(gaps: Sequence[float]) -> float | None:
    """The gap that 99 % do not exceed; None for fewer than five."""
    if len(gaps) < _LEAST_GAPS:
        return None
    return sorted(gaps)[math.ceil(0.99 * len(gaps)) - 1]


def _place(view: RunView) -> str:
    """`step 1,432`, in what the log counts."""
    counts = view.x_kind.removesuffix("s")
    return f"{counts} {units.count(view.last_step or 0.0)}"


def _done(view: RunView) -> bool:
    total = view.total
    return bool(total) and view.last_step is not None and view.last_step >= _NEARLY_DONE * (total or 0)


def _gone(view: RunView) -> Finding | None:
    """A process that is gone: a crash only where the plan says that there was more to come."""
    total = view.total
    if not total or view.last_step is None or _done(view):
        return None
    where = f"{_place(view)} of {units.count(total)}"
    return _finding(
        view,
        "crashed",
        Severity.INTERVENE,
        f"The process that wrote this log is gone at {where}, and the log has no end.",
        (
            criterion("crashed", "died", True, "its process is gone"),
            criterion("crashed", "not_resumed", True, "no rows after it"),
        ),
        {"step": view.last_step, "total_steps": float(total)},
    )


def _finding(
    view: RunView,
    kind: str,
    severity: Severity,
    message: str,
    criteria: tuple[Criterion, ...],
    evidence: dict[str, float],
) -> Finding:
    step = view.last_step if view.last_step is not None else 0.0
    known = {"pid": str(view.facts.pid)} if view.facts.pid is not None else {}
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
        causes=KINDS[kind].causes,
        checks=tuple(text for check in KINDS[kind].checks if (text := check.filled(known))),
    )
