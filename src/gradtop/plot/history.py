"""Values over time as one row of bars that stands still: a cell is a span of clock time, only the newest changes."""

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇"
"""Never a whole cell: histories stand one above the other."""
ASCII_BARS = "_.-=+*#"
_SPANS_S = (
    *(1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 45),
    *(60 * minutes for minutes in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 45, 60, 120, 180, 360, 720, 1440)),
)
"""Seconds that a cell may stand for."""


def history(
    times: Sequence[float], values: Sequence[float], cells: int, low: float, high: float, ascii_only: bool = False
) -> str:
    """The mean per span of time between `low` and `high`, the newest at the right; a space where there is no value.

    `times` are seconds and rise; `values` hold NaN where nothing is known. Always `cells` characters.
    """
    if not times or cells < 1:
        return " " * max(0, cells)
    span = cell_span_s(times[-1] - times[0], cells)
    newest = math.floor(times[-1] / span)
    sums, counts = [0.0] * cells, [0] * cells
    for time, value in zip(reversed(times), reversed(values), strict=True):
        place = cells - 1 - (newest - math.floor(time / span))
        if place < 0:
            break
        if value == value and place < cells:
            sums[place] += value
            counts[place] += 1
    bars = ASCII_BARS if ascii_only else BARS
    return "".join(_bar(s / n, low, high, bars) if n else " " for s, n in zip(sums, counts, strict=True))


def cell_span_s(seconds: float, cells: int) -> float:
    """Seconds per cell so that `seconds` fit, from a ladder of round numbers."""
    fitting = (span for span in _SPANS_S if span * (cells - 1) >= seconds)
    return float(next(fitting, math.ceil(seconds / max(1, cells - 1))))


def _bar(value: float, low: float, high: float, bars: str) -> str:
    part = max(0.0, min(1.0, (value - low) / (high - low))) if high > low else 0.0
    return bars[min(len(bars) - 1, int(part * len(bars)))]
