"""What the title of a chart says beside the newest value: where the series is going, and in which phase it is."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradtop import units
from gradtop.snapshot import RunSnapshot
from gradtop.view.header import warmup_of

if TYPE_CHECKING:
    from gradtop.series import SeriesView

TREND_ROWS = 100
"""Rows that a trend compares with as many before them."""
_LEAST_TREND_ROWS = 20
_FLAT = 0.001
"""A change that is less than this part of the value is none to speak of."""
_ERRORS = 3.0
"""Standard errors that a change must exceed to be more than noise."""
_LEAST_PHASE_ROWS, _PHASE_ROWS = 5, 50
"""Rows of the learning rate that tell whether it rises or falls."""


def note(name: str, series: "SeriesView", run: RunSnapshot) -> str:
    """A few words on a series; empty where there is nothing to say."""
    stats = series.stats
    lost = stats.nan + stats.inf
    if lost:
        return f"{lost:,} of {stats.count:,} not finite"
    if name == "lr":
        return _phase(series, run)
    # The least training loss is most likely the emptiest batch; a validation loss is a mean over many.
    if name == "val_loss" and 0 < stats.low < math.inf:
        return f"best {units.number(stats.low)}"
    if name == "grad_norm" and run.course is not None and (band := run.course.usual.get(name)):
        return _usual(band[-1])
    return _trend(series) if name == "loss" else ""


def warmup_end(run: RunSnapshot) -> float | None:
    """The step at which the warm-up ends: as declared, or as the learning rates tell."""
    declared = warmup_of(run.view)
    return declared if declared is not None else run.course.warmup_end if run.course is not None else None


def _phase(series: "SeriesView", run: RunSnapshot) -> str:
    """What the learning rate does: `warm-up to 4,000`, `decay to 20,000`, `constant`."""
    end, last = warmup_end(run), run.view.last_step or 0.0
    if end and last < end:
        return f"warm-up to {units.count(end)}"
    if run.course is not None and run.course.warming:
        return "warm-up"
    # Of a short log only the end: its start may be the warm-up that is over.
    rates = series.tail(min(_PHASE_ROWS, max(_LEAST_PHASE_ROWS, len(series) // 4)))
    if len(rates) < _LEAST_PHASE_ROWS:
        return ""
    way = "decay" if rates[-1] < rates[0] else "rise" if rates[-1] > rates[0] else "constant" if rates[-1] else "zero"
    return f"{way} to {units.count(run.view.total)}" if run.view.total and way == "decay" else way


def _usual(newest: tuple[float, float, float]) -> str:
    """`usual 0.21–0.36`; empty where no range is known now."""
    low, high = (units.number(value, 2) for value in newest[1:])
    return f"usual {low}–{high}" if newest[1] == newest[1] else ""


def _trend(series: "SeriesView") -> str:
    """How the median of the newest rows differs from that of as many before them: `▼ 2.1 % in 100 rows`."""
    rows = min(TREND_ROWS, _in_line(series) // 2)
    if rows < _LEAST_TREND_ROWS:
        return ""
    values = series.tail(2 * rows)
    before, now = _median(values[:rows]), _median(values[rows:])
    if not before > 0:
        return ""
    change = (now - before) / before
    # A median of n values errs by 1.25 spreads / sqrt(n), and the spread is 1.48 median deviations.
    noise = 1.25 * 1.48 * _median([abs(value - now) for value in values[rows:]]) * math.sqrt(2 / rows) / before
    if abs(change) < max(_FLAT, _ERRORS * noise):
        return f"no trend in {rows} rows"
    return f"{'▲' if change > 0 else '▼'} {units.percent(abs(change))} in {rows} rows"


def _in_line(series: "SeriesView") -> int:
    """The newest values that no step back parts: what was trained before it is another curve."""
    segments = series.segments
    if len(segments) < 2 or segments[-2].ghost_from > float(series.steps[segments[-2].stop - 1]):
        return len(series)
    return len(series) - segments[-1].start


def _median(values: Sequence[float]) -> float:
    # Not that of `statistics`, whose import takes longer than the first picture may.
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
