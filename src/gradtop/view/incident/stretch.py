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
LASTING_Z, LASTING_ROWS = 3.0, 3
"""Spreads at which it has moved as well, where so many rows in a row lie beyond them."""
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
    points = zip(*series.stretch(onset, BEFORE_ROWS, DURING_ROWS), strict=True)
    if finding.state is FindingState.ACTIVE:
        later = series.tail(1) if len(series) and (series.last_step or 0.0) >= onset else []
    else:
        steps, values = series.stretch(last, 0, AFTER_ROWS + 1)
        later = [value for step, value in zip(steps, values, strict=True) if step > last]
    return _stretch([point for point in points if point[0] <= last], onset, later, ratio)


def stretch_of_points(points: Sequence[tuple[float, float]], onset: float, last: float, holds: bool) -> Stretch:
    """The same of (place, value) in rising places of any kind, around `onset` to `last`; `holds`: it goes on."""
    later = [value for place, value in points if place > last][:AFTER_ROWS]
    newest = [points[-1][1]] if points else []
    return _stretch([point for point in points if point[0] <= last], onset, newest if holds else later, ratio=False)


def _stretch(points: Sequence[tuple[float, float]], onset: float, later: Sequence[float], ratio: bool) -> Stretch:
    n = sum(place < onset for place, _ in points)
    fine = [value for _, value in points[:n] if math.isfinite(value)]
    usual = _Usual(fine, ratio and all(value > 0 for value in fine)) if len(fine) >= LEAST_ROWS else None
    # What says what is usual cannot have left it: the first row of a run compiles and is slow.
    near = points[max(min(n, LEAST_ROWS), n - EARLY_ROWS) :]
    return Stretch(
        before=usual.median if usual is not None else None,
        during=_farthest([value for _, value in points[n:]], usual),
        after=_come_to(later),
        moved=_moved(near, usual) if usual is not None else None,
        rows_before=n,
    )


def _come_to(later: Sequence[float]) -> float | None:
    """The median of what is finite; what is not, where nothing is."""
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


def _moved(rows: Sequence[tuple[float, float]], usual: _Usual) -> float | None:
    """The first step at which a series is far from what is usual, or less far but for some rows."""
    since: list[float] = []
    for step, value in rows:
        off = usual.off(value)
        since = [*since, step] if off > LASTING_Z else []
        if off > MOVED_Z or len(since) >= LASTING_ROWS:
            return since[0]
    return None


def _farthest(values: Sequence[float], usual: _Usual | None) -> float | None:
    bad = next((value for value in values if not math.isfinite(value)), None)
    if bad is not None or not values:
        return bad
    return max(values, key=usual.off) if usual is not None else max(values)


def _median(values: Sequence[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else ordered[half - 1] / 2 + ordered[half] / 2
