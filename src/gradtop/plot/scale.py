"""The y axis: values to pixels, linear, logarithmic or both. Pure."""

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Self

from gradtop.plot.rounding import FINE, nice_step, round_down, round_up, tick_label

_FEWEST = 12
"""Columns with values below which a lone one is no exception yet."""
_RARE = 50
"""One column in so many may lie outside the usual range of an axis."""
_SQUEEZED = 0.22
"""Part of the height, above and below, that is left to rare values only."""
_FAR = 10.0
"""How many times farther than the usual values reach a rare one lies for its part of the axis to be squeezed."""
_SYMLOG_DECADES = 1e-12
"""The least part of the greatest value that a symlog axis tells from zero."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The y axis between two values, `low` < `high`; both positive where `log`."""

    low: float
    high: float
    log: bool = False
    step: float = 1.0
    """Distance of the round values, for a linear axis."""
    usual: tuple[float, float] | None = None
    """Where almost all values lie, on an axis with rare ones far away: it gets most of the height."""
    near_zero: float = 0.0
    """Above zero: the axis is logarithmic in both directions, and linear between this and its negative."""

    @classmethod
    def around(cls, lows: Sequence[float], highs: Sequence[float], log: bool = False, symlog: bool = False) -> Self:
        """A scale that holds all given values (NaN: none), mostly between round ends, so that new ones rarely move it.

        A log scale is made of the positive values; without any, the scale is linear. Where few values lie far from all
        others, as after one spike or one deep dip, their part of the axis is squeezed together, so that they do not
        flatten everything else.
        """
        if log and not symlog:
            least_first, most_first = sorted(v for v in lows if v > 0), _falling(v for v in highs if v > 0)
            if most_first:
                low, high = (least_first or most_first)[0], most_first[0]
                return cls._logarithmic(low, high, _usual(least_first or most_first, most_first))
        least_first, most_first = sorted(v for v in lows if v == v), _falling(v for v in highs if v == v)
        low = least_first[0] if least_first else 0.0
        high = most_first[0] if most_first else low + 1.0
        if symlog:
            return cls._symmetric(low, high, [abs(v) for v in (*least_first, *most_first) if v])
        return cls._linear(low, high, _usual(least_first or [low], most_first or [high]))

    @classmethod
    def _logarithmic(cls, low: float, high: float, usual: tuple[float, float]) -> Self:
        low, high = round_down(low), round_up(high, FINE)
        if high == low:
            low, high = (low, low * 10) if math.isfinite(low * 10) else (low / 10, low)
        first, last = max(low, round_down(usual[0])), min(high, round_up(usual[1], FINE))
        far = max(10.0, last / first)
        kept = (first if first / low >= far else low, last if high / last >= far else high)
        return cls(low, high, log=True, usual=kept if kept != (low, high) else None)

    @classmethod
    def _linear(cls, low: float, high: float, usual: tuple[float, float]) -> Self:
        if not math.isfinite(high - low):
            return cls(low, high, step=nice_step(high / 5 - low / 5))
        far = _FAR * (usual[1] - usual[0])
        below, above = 0 < far <= usual[0] - low, 0 < far <= high - usual[1]
        inner = cls._round(usual[0] if below else low, usual[1] if above else high)
        ends = low if below else inner.low, high if above else inner.high
        if ends == (inner.low, inner.high):
            return inner
        return cls(*ends, step=inner.step, usual=(inner.low, inner.high))

    @classmethod
    def _round(cls, low: float, high: float) -> Self:
        if high == low:
            half = abs(low) / 10
            low, high = (_finite(low - half), _finite(high + half)) if half else (0.0, 1.0)
        step = nice_step((high - low) / 5)
        # Division, not multiplication by the inverse: a value on a tick keeps its place.
        bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
        sound = top > bottom and math.isfinite(bottom) and math.isfinite(top)
        return cls(bottom, top, step=step) if sound else cls(low, high, step=step)

    @classmethod
    def _symmetric(cls, low: float, high: float, sizes: Sequence[float]) -> Self:
        """Logarithmic away from zero, from about the size of the smaller values on."""
        if not sizes:
            return cls._linear(low, high, (low, high))
        most = max(sizes)
        near = round_down(max(sorted(sizes)[len(sizes) // _RARE], most * _SYMLOG_DECADES) or most)
        bottom, top = (math.copysign(_finite(round_up(abs(v), FINE)), v) if v else 0.0 for v in (low, high))
        bottom = math.copysign(round_down(low), low) if low > 0 else bottom
        top = -round_down(-high) if high < 0 else top
        return (
            cls(bottom, top, near_zero=near) if top > bottom else cls(min(bottom, 0.0), max(top, 0.0), near_zero=near)
        )

    def level(self, value: float) -> float:
        """The value on the axis: its logarithm on a log axis (-inf for zero and below), itself on a linear one."""
        if self.near_zero:
            return math.copysign(math.log10(1 + abs(value) / self.near_zero), value)
        if not self.log:
            return value
        return math.log10(value) if value > 0 else -math.inf

    def value(self, level: float) -> float:
        """What has this level; infinite beyond the largest float."""
        try:
            if self.near_zero:
                return math.copysign((10.0 ** abs(level) - 1) * self.near_zero, level)
            return 10.0**level if self.log else level
        except OverflowError:
            return math.copysign(math.inf, level)

    def part(self, value: float) -> float:
        """How high a value lies, from 0 at the bottom to 1; NaN where the axis cannot show it."""
        level = self.level(value)
        if not math.isfinite(level):
            return math.nan
        (a, at), (b, up) = next(((p, q) for p, q in _parts(self) if level <= q[0]), _parts(self)[-1])
        return at + (up - at) * _between(level, a, b)

    def at_part(self, part: float) -> float:
        """The value that lies at a part of the height; NaN for NaN."""
        (a, at), (b, up) = next(((p, q) for p, q in _parts(self) if part <= q[1]), _parts(self)[-1])
        return self.value(a + (b / 2 - a / 2) * ((part - at) / (up - at)) * 2)

    def pixel(self, value: float, height: int) -> int:
        """The pixel row of a value, 0 at the top; values beyond an end lie on it."""
        return self.pixels(height)[value]

    def pixels(self, height: int) -> Mapping[float, int]:
        """Value to pixel row for a plot of `height` pixels; remembered, as most of a live picture stays as it was."""
        return _pixels(self, height)

    def ticks(self, rows: int, width: int, dots: int = 1) -> Iterator[tuple[int, str]]:
        """(row of `dots` pixels, label), at most about every second row; labels fit `width` and are exact."""
        yield from _ticks(self, rows, width, dots)

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

    def tick_values(self, rows: int) -> Iterator[tuple[float, float]]:
        """(value, how exact its label has to be), the ones that matter most first."""
        low, high = self.usual or (self.low, self.high)
        if self.usual is not None:
            # What lies far away is read off its label alone, to half a per cent.
            far = ((v, abs(v) / 2 if v not in self.usual else self.step) for v in (self.low, self.high))
            yield from far if not self.log else ((v, v) for v in (self.low, self.high))
        if self.near_zero:
            yield from ((v, abs(v)) for v in (0.0, *_symlog_ticks(self, rows)) if self.low <= v <= self.high)
        elif self.log:
            yield from ((v, v) for v in _log_ticks(low, high, rows))
            yield from ((v, v) for v in (self.high, self.low))
        elif not math.isfinite(self.step):
            yield from ((v, abs(v) / 100) for v in (self.low, self.high))
        else:
            yield from ((v, self.step) for v in _even_ticks(low, high, self.step, rows))


class _Pixels(dict[float, int]):
    """Pixel rows by value, computed when they are first asked for."""

    _MOST = 8192

    def __init__(self, scale: Scale, height: int) -> None:
        super().__init__()
        self._level, self._bottom = scale.level, height - 1
        anchors = scale.anchors()
        self._low = anchors[0][0]
        self._parts = [(a, b, at, up - at) for (a, at), (b, up) in pairwise(anchors)]

    def __missing__(self, value: float) -> int:
        if len(self) >= self._MOST:
            self.clear()
        level = max(self._low, self._level(value))
        first, last, at, height = next((part for part in self._parts if level <= part[1]), self._parts[-1])
        row = self[value] = max(0, self._bottom - round((at + height * _between(level, first, last)) * self._bottom))
        return row


def _between(level: float, first: float, last: float) -> float:
    """The part of the way from one level to another; halves where the distance of two finite numbers is not finite."""
    span = last - first
    return (level - first) / span if span < math.inf else (level / 2 - first / 2) / (last / 2 - first / 2)


@lru_cache(maxsize=64)
def _pixels(scale: Scale, height: int) -> _Pixels:
    return _Pixels(scale, height)


def _gap(rows: int) -> int:
    """Rows from one label to the next at least."""
    return 2 if rows >= 6 else 1


@lru_cache(maxsize=64)
def _ticks(scale: Scale, rows: int, width: int, dots: int) -> tuple[tuple[int, str], ...]:
    """The ticks of an axis; remembered, as the axis of a live picture rarely moves."""
    taken: list[int] = []
    found: list[tuple[int, str]] = []
    gap = _gap(rows)
    for value, step in scale.tick_values(rows):
        row = scale.pixel(value, rows * dots) // dots
        label = tick_label(value, step, width)
        if label and all(abs(row - other) >= gap for other in taken):
            taken.append(row)
            found.append((row, label))
    return tuple(found)


@lru_cache(maxsize=64)
def _parts(scale: Scale) -> tuple[tuple[tuple[float, float], tuple[float, float]], ...]:
    return tuple(pairwise(scale.anchors()))


def _falling(values: Iterator[float]) -> list[float]:
    return sorted(values, reverse=True)


def _usual(least_first: Sequence[float], most_first: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest value when the rarest of each are left out."""
    n = min(len(least_first), len(most_first))
    rare = max(1, n // _RARE) if n >= _FEWEST else 0
    return least_first[rare], most_first[rare]


def _even_ticks(low: float, high: float, step: float, rows: int) -> list[float]:
    """Multiples of a step, or of 2, 5 or 10 of them, as many as there is room for; the ends where those are too few."""
    most = max(2.0, (rows - 1) / _gap(rows))
    first, last = math.ceil(round(low / step, 6)), math.floor(round(high / step, 6))
    stride = next(n for n in (1, 2, 5, 10) if (last - first) / n <= most or n == 10)
    found = [n * step for n in range(math.ceil(first / stride) * stride, last + 1, stride)]
    return found if len(found) > 1 else [*found, high, low]


def _log_ticks(low: float, high: float, rows: int) -> list[float]:
    """Decades, thinned where there are many, then 2 and 5 between them where there are few."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    stride = max(1, math.ceil((last - first + 1) / max(2, rows / 2)))
    decades = [float(f"1e{n}") for n in range(first, last + 1, stride)]
    between = [float(f"{m}e{n}") for n in range(first - 1, last + 1) for m in (5, 2)]
    values = decades if last - first >= 2 else [*decades, *between]
    return [v for v in values if 0 < v < math.inf and low * 0.999 <= v <= high + low * 0.001]


def _symlog_ticks(scale: Scale, rows: int) -> Iterator[float]:
    """The ends, then decades on both sides of zero, the greatest first."""
    yield from (scale.high, scale.low)
    ends = [abs(end) for end in (scale.low, scale.high) if end]
    decades = _log_ticks(scale.near_zero, max(ends), rows // 2 if scale.low < 0 < scale.high else rows)
    for decade in reversed(decades):
        yield from (decade, -decade)


def _finite(value: float) -> float:
    """The value, or the last one before infinity."""
    return max(-sys.float_info.max, min(value, sys.float_info.max))
