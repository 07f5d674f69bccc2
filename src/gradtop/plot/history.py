"""Values over time as one row of bars that stands still: a cell is a span of clock time, only the newest changes."""

import math
from collections.abc import Sequence
from itertools import pairwise

from gradtop.plot.picture import BRAILLE, Glyphs

BARS = "▁▂▃▄▅▆▇"
"""Never a whole cell: histories stand one above the other."""
ASCII_BARS = "_.-=+*#"
_SPANS_S = (
    *(5, 10, 15, 20, 30, 45),
    *(60 * minutes for minutes in (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 45, 60, 120, 180, 360, 720, 1440)),
)
"""Seconds that a cell may stand for. A whole history moves on by a cell at a time: that often, and no more."""
HELD_S = 15.0
"""Seconds for which a value holds while no other comes: three times the longest that samples are apart."""
_HELD_GAPS = 3.0
_GAPS = 15


def history(
    times: Sequence[float], values: Sequence[float], cells: int, low: float, high: float, ascii_only: bool = False
) -> str:
    """The mean per span of time between `low` and `high`, the newest at the right; a space where there is no value.

    `times` are seconds and rise; `values` hold NaN where nothing is known. A value holds until the next one unless that
    is `HELD_S` away, or several times the usual distance: the rhythm of samples is not that of cells. Always `cells`
    characters.
    """
    bars = ASCII_BARS if ascii_only else BARS
    parts = _parts(times, values, cells, low, high)
    return "".join(" " if part is None else bars[min(len(bars) - 1, int(part * len(bars)))] for part in parts)


def outline(
    times: Sequence[float],
    values: Sequence[float],
    cells: int,
    rows: int,
    low: float,
    high: float,
    glyphs: Glyphs = BRAILLE,
) -> list[str]:
    """The same as a line, `rows` high, from top to bottom; it is broken where nothing is known."""
    across, down = glyphs.dots_x, rows * glyphs.dots_y
    dots = [[0] * cells for _ in range(rows)]
    before: int | None = None
    for x, part in enumerate(_parts(times, values, cells * across, low, high)):
        level = None if part is None else (down - 1) - min(down - 1, int(part * down))
        if level is not None:
            reached = level if before is None or before == level else before + (1 if level > before else -1)
            for y in range(min(reached, level), max(reached, level) + 1):
                dots[y // glyphs.dots_y][x // across] |= 1 << (x % across * glyphs.dots_y + y % glyphs.dots_y)
        before = level
    return ["".join(glyphs.raw[bits] for bits in row) for row in dots]


def _parts(times: Sequence[float], values: Sequence[float], cells: int, low: float, high: float) -> list[float | None]:
    """The mean per cell as a part of the scale, 0 to 1; None where nothing is known."""
    if not times or cells < 1:
        return [None] * max(0, cells)
    span = cell_span_s(times[-1] - times[0], cells)
    held = max(HELD_S, _HELD_GAPS * _usual_gap_s(times))
    left = math.floor(times[-1] / span) - cells + 1
    sums, counts = [0.0] * cells, [0] * cells
    until, until_at = cells, times[-1]
    for time, value in zip(reversed(times), reversed(values), strict=True):
        place = math.floor(time / span) - left
        if place < 0 and until <= 0:
            break
        if value == value and 0 <= place < cells:
            sums[place] += value
            counts[place] += 1
        if value == value and until_at - time <= held:
            for empty in range(max(0, place + 1), min(until, cells)):
                sums[empty], counts[empty] = value, 1
        until, until_at = place, time
    return [_part(s / n, low, high) if n else None for s, n in zip(sums, counts, strict=True)]


def _part(value: float, low: float, high: float) -> float:
    return max(0.0, min(1.0, (value - low) / (high - low))) if high > low else 0.0


def _usual_gap_s(times: Sequence[float]) -> float:
    """The median of the newest distances; 0 for a single time."""
    newest = times[-_GAPS - 1 :]
    gaps = sorted(b - a for a, b in pairwise(newest))
    return gaps[len(gaps) // 2] if gaps else 0.0


def cell_span_s(seconds: float, cells: int) -> float:
    """Seconds per cell so that `seconds` fit, from a ladder of round numbers."""
    fitting = (span for span in _SPANS_S if span * (cells - 1) >= seconds)
    return float(next(fitting, math.ceil(seconds / max(1, cells - 1))))
