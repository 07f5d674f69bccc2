"""Pixel columns to dots: every column from its least to its greatest value, joined, and the smoothed line."""

import math
from collections.abc import Sequence

from gradtop.plot.picture import Columns
from gradtop.plot.scale import Scale


class Known:
    """Pixel columns without the values below zero of some of them."""

    def __init__(self, data: Columns, below: Sequence[int]) -> None:
        self.first_step, self.last_step, self.edges = data.first_step, data.last_step, data.edges
        self.nan, self.inf, self.high = data.nan, data.inf, list(data.high)
        self.low, self.mean, self.last = list(data.low), list(data.mean), list(data.last)
        for x in below:
            # Of a column with both, the highest value is the one that is known to be left.
            left = self.high[x] if self.high[x] >= 0 else math.nan
            self.low[x] = self.high[x] = self.mean[x] = self.last[x] = left


class _Scaled:
    """Pixel columns with all values multiplied by a factor."""

    def __init__(self, data: Columns, factor: float) -> None:
        self.first_step, self.last_step, self.edges = data.first_step, data.last_step, data.edges
        self.nan, self.inf = data.nan, data.inf
        self.low, self.high, self.mean, self.last = (
            [value * factor for value in values] for values in (data.low, data.high, data.mean, data.last)
        )


def scaled(data: Columns, factor: float) -> Columns:
    """The columns in another unit; the factor is above zero."""
    return data if factor == 1.0 else _Scaled(data, factor)


def bars(data: Columns, scale: Scale, height: int, lost: Sequence[int]) -> list[int]:
    """Each pixel column from its minimum to its maximum as bits (pixel 0 is the top), joined to the column before it.

    Where a value was lost to NaN or infinity nothing is joined, before or after.
    """
    found = [0] * len(data.low)
    row, broken = scale.pixels(height), any(lost)
    x0, y0 = -1, 0
    for x, (low, high) in enumerate(zip(data.low, data.high, strict=True)):
        if low != low:
            continue
        top, bottom = row[high], row[low]
        found[x] |= (1 << bottom + 1) - (1 << top)
        if x0 >= 0 and not (broken and any(lost[x0 : x + 1])) and not (x == x0 + 1 and top - 1 <= y0 <= bottom + 1):
            _join(found, x0, y0, x, min(max(y0, top), bottom))
        x0, y0 = x, row[data.last[x]]
    return found


def _join(bars: list[int], x0: int, y0: int, x1: int, y1: int) -> None:
    """Set a line between two pixels, without gaps; its first pixel is there already."""
    y = y0
    for x in range(x0 + 1, x1 + 1):
        goal = round(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
        low, high = (y + 1, goal) if goal > y else (goal, y - 1) if goal < y else (y, y)
        bars[x] |= (1 << high + 1) - (1 << low)
        y = goal


def smooth_bars(data: Columns, smooth: Sequence[float], scale: Scale, height: int, lost: Sequence[int]) -> list[int]:
    """The smoothed line as bits per pixel column, where the columns hold values, with the same gaps."""
    found = [0] * len(data.mean)
    row, broken = scale.pixels(height), any(lost)
    x0, y0 = -1, 0
    for x, (low, value) in enumerate(zip(data.low, smooth, strict=True)):
        if low != low or value != value:
            continue
        y = row[value]
        found[x] |= 1 << y
        if x0 >= 0 and not (broken and any(lost[x0 : x + 1])) and (x > x0 + 1 or y != y0):
            _join(found, x0, y0, x, y)
        x0, y0 = x, y
    return found
