"""Axes: values to pixels, round ticks and labels that say exactly where they stand. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Self

_ROUND = (1.0, 2.0, 5.0)
_FINE = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
"""Ends of a log axis: fine enough not to waste half of a short one."""
_FEWEST = 12
"""Columns with values below which a lone one is no exception yet."""
_RARE = 50
"""One column in so many may lie outside the usual range of a log axis."""
_SQUEEZED = 0.22
"""Part of the height, above and below, that is left to decades with rare values only."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The y axis between two round values, `low` < `high`; both positive where `log`."""

    low: float
    high: float
    log: bool = False
    step: float = 1.0
    """Distance of the round values, for a linear axis."""
    usual: tuple[float, float] | None = None
    """Where almost all values lie, on a log axis with rare ones decades away: it gets most of the height."""

    @classmethod
    def around(cls, lows: Sequence[float], highs: Sequence[float], log: bool = False) -> Self:
        """A scale that holds all given values (NaN: none) between round ends, so that new values rarely move it.

        A log scale is made of the positive values; without any, the scale is linear. On a log scale, decades that
        hold a few values only are squeezed together, so that one deep dip does not flatten everything else.
        """
        if log:
            least_first, most_first = (
                sorted(v for v in lows if v > 0),
                sorted((v for v in highs if v > 0), reverse=True),
            )
            if most_first:
                low, high = (least_first or most_first)[0], most_first[0]
                return cls._logarithmic(low, high, _usual(least_first, most_first))
        least = min((v for v in lows if v == v), default=0.0)
        return cls._linear(least, max((v for v in highs if v == v), default=least + 1.0))

    @classmethod
    def _logarithmic(cls, low: float, high: float, usual: tuple[float, float]) -> Self:
        low, high = _round_down(low), _round_up(high, _FINE)
        if high == low:
            low, high = (low, low * 10) if math.isfinite(low * 10) else (low / 10, low)
        first, last = max(low, _round_down(usual[0])), min(high, _round_up(usual[1], _FINE))
        far = max(10.0, last / first)
        kept = (first if first / low >= far else low, last if high / last >= far else high)
        return cls(low, high, log=True, usual=kept if kept != (low, high) else None)

    @classmethod
    def _linear(cls, low: float, high: float) -> Self:
        if not math.isfinite(high - low):
            return cls(low, high, step=math.inf)
        if high == low:
            half = abs(low) / 10
            low, high = (low - half, high + half) if half else (0.0, 1.0)
        step = nice_step((high - low) / 5)
        # Division, not multiplication by the inverse: a value on a tick keeps its place.
        bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
        return cls(bottom, top, step=step) if top > bottom else cls(low, high, step=math.inf)

    def level(self, value: float) -> float:
        """The value on the axis: its logarithm on a log axis (-inf for zero and below), itself on a linear one."""
        if not self.log:
            return value
        return math.log10(value) if value > 0 else -math.inf

    def pixel(self, value: float, height: int) -> int:
        """The pixel row of a value, 0 at the top; values beyond an end lie on it."""
        return self.pixels(height)[value]

    def pixels(self, height: int) -> Mapping[float, int]:
        """Value to pixel row for a plot of `height` pixels; remembered, as most of a live picture stays as it was."""
        return _pixels(self, height)

    def ticks(self, rows: int, width: int, dots: int = 1) -> Iterator[tuple[int, str]]:
        """(row of `dots` pixels, label), at most about every second row; labels fit `width` and are exact."""
        taken: list[int] = []
        gap = 2 if rows >= 6 else 1
        for value, step in self._tick_values(rows):
            row = self.pixel(value, rows * dots) // dots
            label = tick_label(value, step, width)
            if label and all(abs(row - other) >= gap for other in taken):
                taken.append(row)
                yield row, label

    def squeezed(self, rows: int, dots: int = 1) -> Iterator[int]:
        """The rows of `dots` pixels that lie outside the usual range."""
        if self.usual is not None:
            first, last = (self.pixel(v, rows * dots) for v in reversed(self.usual))
            yield from (row for row in range(rows) if (row + 1) * dots <= first or row * dots > last)

    def anchors(self) -> list[tuple[float, float]]:
        """(level, part of the height from the bottom) between which the axis is even."""
        ends = [(self.level(self.low), 0.0), (self.level(self.high), 1.0)]
        if self.usual is not None:
            below, above = (self.usual[0] > self.low) * _SQUEEZED, (self.usual[1] < self.high) * _SQUEEZED
            ends[1:1] = [(self.level(self.usual[0]), below), (self.level(self.usual[1]), 1 - above)]
        return [a for a, b in pairwise([*ends, (math.inf, 0.0)]) if a[0] < b[0]]

    def _tick_values(self, rows: int) -> Iterator[tuple[float, float]]:
        if self.log:
            if self.usual is not None:
                yield from ((v, v) for v in (self.low, self.high))
            yield from ((v, v) for v in _log_ticks(*(self.usual or (self.low, self.high)), rows))
            yield from ((v, v) for v in (self.high, self.low))
        elif not math.isfinite(self.step):
            yield from ((v, abs(v) / 100) for v in (self.low, self.high))
        else:
            steps = round((self.high - self.low) / self.step)
            stride = next(n for n in (1, 2, 5, 10) if steps / n <= max(3, rows / 3) or n == 10)
            first = math.ceil(round(self.low / self.step, 6) / stride) * stride
            for n in range(first, round(self.high / self.step) + 1, stride):
                yield n * self.step, self.step
            yield from ((v, self.step) for v in (self.high, self.low))


class _Pixels(dict[float, int]):
    """Pixel rows by value, computed when they are first asked for."""

    _MOST = 8192

    def __init__(self, scale: Scale, height: int) -> None:
        super().__init__()
        self._level, self._bottom = scale.level, height - 1
        anchors = scale.anchors()
        self._low = anchors[0][0]
        # Halves, because the distance of two finite numbers may not be finite.
        self._parts = [(a, b, (up - at) / (b / 2 - a / 2), at) for (a, at), (b, up) in pairwise(anchors)]

    def __missing__(self, value: float) -> int:
        if len(self) >= self._MOST:
            self.clear()
        level = max(self._low, self._level(value))
        first, _, per_half, at = next((part for part in self._parts if level <= part[1]), self._parts[-1])
        row = self[value] = max(0, self._bottom - round((at + (level / 2 - first / 2) * per_half) * self._bottom))
        return row


@lru_cache(maxsize=64)
def _pixels(scale: Scale, height: int) -> _Pixels:
    return _Pixels(scale, height)


def _usual(least_first: Sequence[float], most_first: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest value when the rarest of each are left out."""
    n = min(len(least_first), len(most_first))
    rare = max(1, n // _RARE) if n >= _FEWEST else 0
    return (least_first or most_first)[rare], most_first[rare]


def _log_ticks(low: float, high: float, rows: int) -> list[float]:
    """Decades, thinned where there are many, then 2 and 5 between them where there are few."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    stride = max(1, math.ceil((last - first + 1) / max(2, rows / 2)))
    decades = [float(f"1e{n}") for n in range(first, last + 1, stride)]
    between = [float(f"{m}e{n}") for n in range(first - 1, last + 1) for m in (5, 2)]
    values = decades if last - first >= 2 else [*decades, *between]
    return [v for v in values if 0 < v < math.inf and low * 0.999 <= v <= high + low * 0.001]


def nice_step(span: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below `span`."""
    return _round_up(span) if span > 0 else 1.0


def _round_up(value: float, marks: Sequence[float] = _ROUND) -> float:
    power = math.floor(math.log10(value))
    for n in (power, power + 1):
        for m in marks:
            found = float(f"{m}e{n}")
            if math.isfinite(found) and found >= value * (1 - 1e-9):
                return found
    return value


def _round_down(value: float) -> float:
    power = math.floor(math.log10(value))
    below = (float(f"{m}e{n}") for n in (power - 1, power) for m in _FINE)
    return max((found for found in below if 0 < found <= value * (1 + 1e-9)), default=value)


def tick_label(value: float, step: float, width: int) -> str:
    """The value in at most `width` characters, right to a hundredth of `step`; empty where that cannot be."""
    small = 0 < abs(value) < (0.01 if step < 1e-3 else 1e-3)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if 0 < step < math.inf else 0
    fixed = [f"{value:.{decimals}f}" if value else "0"] if decimals < 12 else []
    powers = [_power(f"{value:.{digits}e}") for digits in range(4)]
    for text in (*powers, *fixed) if small or abs(value) >= 1e5 else (*fixed, *powers):
        if len(text) <= width and abs(float(text) - value) <= step / 100:
            return text
    return ""


def _power(text: str) -> str:
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}"


def step_labels(first: float, last: float, width: int) -> list[tuple[int, str]]:
    """(cell, text) along an x axis of `width` cells: round steps about every 16 cells, and the two ends."""
    if not last > first:
        return [(0, _step(first))][: 1 if width > len(_step(first)) else 0]
    end = _step(last)
    if len(end) >= width:
        return []
    labels = [(width - len(end), end)]
    free = width - len(end) - 1
    every = nice_step((last - first) / max(1, width / 16))
    start = _step(first)
    left = len(start) + 1 if len(start) < free else 0
    for n in range(math.ceil(first / every), math.floor(last / every) + 1):
        text = _step(round(n * every, 9))
        at = int((n * every - first) / (last - first) * width) - len(text) // 2
        if at >= left and at + len(text) <= free:
            labels.append((at, text))
            left = at + len(text) + 2
    return sorted([(0, start), *labels] if len(start) < free else labels)


def _step(step: float) -> str:
    return f"{int(step):,}" if step == int(step) else f"{step:,.3f}".rstrip("0")


def grown_end(first: float, last: float) -> float:
    """The right end of an x axis that a live run grows into: a round step, moved about eight times a decade."""
    every = nice_step(max(last - first, 10.0) / 4)
    return (math.floor(last / every) + 1) * every
