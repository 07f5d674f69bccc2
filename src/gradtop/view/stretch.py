"""One series around an incident: what it was before, in it and after, and when it left its usual range."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtop.finding import Finding, FindingState

if TYPE_CHECKING:
    from gradtop.series import SeriesView

BEFORE_ROWS = 50
"""Rows before an incident that say what was usual."""
LEAST_ROWS = 5
"""Rows from which that is known."""
EARLY_ROWS = 10
"""The last of the rows before it in which something may have moved already."""
DURING_ROWS = 400
"""Rows of an incident that are looked at; of a longer one the first."""
AFTER_ROWS = 20
"""Rows after it whose median is what the series came to."""
MOVED_Z = 6.0
"""Spreads from the median at which a value has moved: the limit of the rules for loss and grad norm."""
_LEAST_LOG, _LEAST_PART = 0.01, 0.01
"""What a spread is at least: of a logarithm, and as a part of the median."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A series around an incident."""

    before: float | None
    """The median of the rows before it; None where there are too few."""
    during: float | None
    """The value farthest from that, or one that is not finite; None where it has no row in it."""
    after: float | None
    """The median of the rows after it, the newest value while it goes on; None where it has none."""
    moved: float | None
    """The first step around it whose value was outside the usual range."""
    rows_before: int

    @property
    def early(self) -> bool:
        """There are too few rows before it to say what was usual."""
        return self.before is None


def stretch_of(series: "SeriesView", finding: Finding, ratio: bool = True) -> Stretch:
    """The series around a finding; `ratio`: differences count as factors where all values are above zero."""
    onset, last = finding.first_step, max(finding.first_step, finding.last_step)
    steps, values = series.stretch(onset, BEFORE_ROWS, DURING_ROWS)
    n = sum(step < onset for step in steps)
    inside = [value for step, value in zip(steps[n:], values[n:], strict=True) if step <= last]
    fine = [value for value in values[:n] if math.isfinite(value)]
    usual = _Usual(fine, ratio and all(value > 0 for value in fine)) if len(fine) >= LEAST_ROWS else None
    near = [(s, v) for s, v in zip(steps, values, strict=True) if s <= last][max(0, n - EARLY_ROWS) :]
    moved = next((s for s, v in near if usual.is_beyond(v)), None) if usual is not None else None
    return Stretch(
        usual.median if usual is not None else None,
        _farthest(inside, usual),
        _after(series, finding, last),
        moved,
        n,
    )


def _after(series: "SeriesView", finding: Finding, last: float) -> float | None:
    if finding.state is FindingState.ACTIVE:
        return series.tail(1)[0] if len(series) and (series.last_step or 0.0) >= finding.first_step else None
    steps, values = series.stretch(last, 0, AFTER_ROWS + 1)
    later = [value for step, value in zip(steps, values, strict=True) if step > last]
    fine = [value for value in later if math.isfinite(value)]
    return _median(fine) if fine else later[0] if later else None


class _Usual:
    """The usual range of a series: a median, and a spread from the median of the distances to it."""

    def __init__(self, values: Sequence[float], logs: bool) -> None:
        self.median = _median(values)
        self._logs = logs
        form = [math.log(value) for value in values] if logs else list(values)
        self._middle = _median(form)
        least = _LEAST_LOG if logs else _LEAST_PART * abs(self._middle)
        self._spread = max(1.4826 * _median([abs(y - self._middle) for y in form]), least, 1e-300)

    def off(self, value: float) -> float:
        """Spreads between a value and the median; infinite where it is not finite, or has no logarithm."""
        if not math.isfinite(value) or (self._logs and value <= 0):
            return math.inf
        off = abs((math.log(value) if self._logs else value) - self._middle) / self._spread
        return off if off == off else math.inf

    def is_beyond(self, value: float) -> bool:
        """It is outside the usual range."""
        return self.off(value) > MOVED_Z


def _farthest(values: Sequence[float], usual: _Usual | None) -> float | None:
    bad = next((value for value in values if not math.isfinite(value)), None)
    if bad is not None or not values:
        return bad
    return max(values, key=usual.off) if usual is not None else max(values)


def _median(values: Sequence[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else ordered[half - 1] / 2 + ordered[half] / 2
