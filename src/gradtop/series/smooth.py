"""The smoothed line of a series: an exponential moving average over its rows, whatever part of it is on the screen.

Its span is about a twenty-fifth of the rows so far, 5 to 500, in steps of 1, 2, 5: a value once smoothed stays as it is
while the series grows, and is the same in every panel, zoom and terminal.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradtop.series.column import Column, Floats, before, upto

if TYPE_CHECKING:
    from gradtop.series import SeriesView

LINEAR, LOG, PART = "linear", "log", "part"
"""What is averaged: values, the logarithms of those above zero, or values that are not below zero."""
LEAST_ROWS = 40
"""Values below which a smoothed line would be drawn from too little."""
LEAST_SPAN, MOST_SPAN, _PART_OF_ROWS = 5, 500, 25
_GROUPS = 20
"""Groups of rows that a span has at least: a group is averaged first, as one step of a long span changes nothing."""
_CONTEXT_ROWS = 1000
"""Rows before a block that say what is usual in it."""
_USUAL = 4.0
"""How many spreads (90 % of the values less 10 %) from the median values count in full; beyond, by their logarithm."""
_LARGEST = 1e200
_EXACT = 2.0**40
_LEAST_POWER = 1e-100
"""Powers of the part that is kept are summed in stretches, so that none of them becomes zero."""


def block_of(row: int) -> tuple[int, int]:
    """The first row of a block of rows with one span, and that of the next: 0, 10, 20, 50, 100, ..."""
    if row < 10:
        return 0, 10
    power = 10 ** (len(str(row)) - 1)
    digit = row // power
    return (power, 2 * power) if digit < 2 else (2 * power, 5 * power) if digit < 5 else (5 * power, 10 * power)


def span_at(row: int) -> int:
    """Rows that the average at a row, counted from 0, goes back: half of its weight is on a third of them."""
    return min(max(block_of(row)[0] // _PART_OF_ROWS, LEAST_SPAN), MOST_SPAN)


class _Domain(NamedTuple):
    """Where values are averaged: one far outside of what is usual does not lift the average for long."""

    log: bool = False
    centre: float = 0.0
    scale: float = 0.0
    """Zero: values count as they are."""

    def of(self, values: Floats) -> Floats:
        levels = np.log10(values) if self.log else np.clip(values, -_LARGEST, _LARGEST)
        return np.arcsinh((levels - self.centre) / self.scale) if self.scale else levels

    def back(self, levels: Floats) -> Floats:
        plain = np.sinh(levels) * self.scale + self.centre if self.scale else levels
        found = 10.0**plain if self.log else plain
        part, power = np.frexp(np.clip(found, -np.finfo(np.float64).max, np.finfo(np.float64).max))
        # The average of equal values is that value: what the sums lost is not to be seen.
        return np.ldexp(np.round(part * _EXACT) / _EXACT, power)


class _Made(NamedTuple):
    """Columns that were made of the first `n` rows."""

    asked: tuple[int, float, float]
    """Columns, and the steps between which they lie."""
    n: int
    kept: int
    found: list[float]


class Smoothing:
    """The average of a growing series, made further when it is asked for. One thread uses it."""

    __slots__ = ("_block", "_domain", "_done", "_kept_rows", "_kept_values", "_kind", "_made", "_total", "_weight")

    def __init__(self, kind: str) -> None:
        """Of nothing yet; `kind` is `LINEAR`, `LOG` or `PART`."""
        self._kind = kind
        self._done = 0
        self._block, self._domain = -1, _Domain(kind == LOG)
        self._total = self._weight = 0.0
        self._kept_rows, self._kept_values = Column(np.int32), Column(np.float64)
        self._made: _Made | None = None

    def at(self, series: "SeriesView", row: int) -> float | None:
        """The average at a row; None before the first."""
        self._follow(series)
        i = int(np.searchsorted(self._kept_rows.view(), row, side="right")) - 1
        return float(self._kept_values.view()[i]) if i >= 0 else None

    def columns(
        self, series: "SeriesView", columns: int, first: float, last: float, edges: Sequence[float] | None
    ) -> list[float]:
        """The mean of the average in columns between two steps, which begin at `edges` where those are given.

        Where a column holds no kept value it is that of the last one before; NaN where there is none.
        """
        self._follow(series)
        if edges is not None:
            return self._columns(series, np.asarray(edges, dtype=np.float64), last)
        begins = np.asarray(first + np.arange(columns) * ((last - first) / columns), dtype=np.float64)
        if len(series.segments) != 1 or not last > first:
            return self._columns(series, begins, last)
        k = self._unchanged(series, (columns, first, last))
        found = [*(self._made.found[:k] if self._made is not None else ()), *self._columns(series, begins[k:], last)]
        self._made = _Made((columns, first, last), len(series), self._kept_rows.n, found)
        return found

    def _unchanged(self, series: "SeriesView", asked: tuple[int, float, float]) -> int:
        """How many columns are those that were made last: all before the one with the first new value."""
        made = self._made
        if made is None or made.asked != asked or made.n > len(series):
            return 0
        new = int(self._kept_rows.view()[made.kept]) if made.kept < self._kept_rows.n else made.n - 1
        columns, first, last = asked
        return min(max(0, int((float(series.steps[new]) - first) / (last - first) * columns) - 1), columns - 1)

    def _columns(self, series: "SeriesView", begins: Floats, last: float) -> list[float]:
        rows, values = self._kept_rows.view(), np.asarray(self._kept_values.view(), dtype=np.float64)
        total, count = np.zeros(len(begins)), np.zeros(len(begins))
        lone = np.full(len(begins), np.nan)
        for segment, steps in series.live():
            stop = int(upto(steps, [last])[0])
            edges = segment.start + np.concatenate((np.minimum(before(steps, begins), stop), (stop,)))
            places = np.searchsorted(rows, edges)
            some = np.flatnonzero(places[1:] > places[:-1])
            if len(some):
                total[some] += np.add.reduceat(values[: places[-1]], places[some])
                count[some] += places[some + 1] - places[some]
            bare = np.flatnonzero((edges[1:] > edges[:-1]) & (places[1:] > 0))
            lone[bare] = values[places[bare + 1] - 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            found: list[float] = np.where(count > 0, total / count, lone).tolist()
        return found

    def _follow(self, series: "SeriesView") -> None:
        """Average the rows that came since."""
        if self._done >= len(series):
            return
        with np.errstate(all="ignore"):
            for start, stop, complete in self._stretches(series):
                if start == self._done and any(segment.start == start for segment in series.segments[1:]):
                    self._go_back(series, start)
                self._enter(series, start)
                self._add(series, start, stop, complete)
                if complete:
                    self._done = stop

    def _stretches(self, series: "SeriesView") -> Iterator[tuple[int, int, bool]]:
        """(first row, row after the last, whether no more can come) of the blocks and sessions that are left."""
        n, cuts = len(series), [segment.start for segment in series.segments]
        while self._done < n:
            start = self._done
            end = min([block_of(start)[1], *(cut for cut in cuts if cut > start)])
            yield start, min(end, n), end <= n
            if end > n:
                return

    def _enter(self, series: "SeriesView", row: int) -> None:
        """Go on in the block of a row: what is usual there was seen before it."""
        begin = block_of(row)[0]
        if self._block == begin:
            return
        level = self._domain.back(np.array([self._total / self._weight])) if self._weight else None
        self._block = begin
        self._domain = _usual(series, begin, self._kind)
        if level is not None:
            self._total = float(self._domain.of(level)[0]) * self._weight

    def _go_back(self, series: "SeriesView", row: int) -> None:
        """A session begins: go on from where the ones before stood at its first step."""
        if float(series.steps[row]) > float(series.steps[row - 1]):
            return
        self._total = self._weight = 0.0
        for segment in reversed([segment for segment in series.segments if segment.start < row]):
            at = int(before(series.steps[segment.start : segment.stop], [float(series.steps[row])])[0])
            if at:
                i = int(np.searchsorted(self._kept_rows.view(), segment.start + at)) - 1
                if i >= 0:
                    self._weight = 1.0
                    self._total = float(self._domain.of(np.asarray(self._kept_values.view()[i : i + 1]))[0])
                return

    def _add(self, series: "SeriesView", start: int, stop: int, complete: bool) -> None:
        """Average the rows of one stretch in groups; a group that is not full yet waits where more can come."""
        span = span_at(start)
        size = max(1, span // _GROUPS)
        values = np.asarray(series.values[start:stop], dtype=np.float64)
        counted = np.flatnonzero(_counts(values, self._kind))
        full = len(counted) // size * size
        groups = values[counted[:full]].reshape(-1, size).mean(axis=1) if size > 1 else values[counted]
        ends = counted[size - 1 : full : size]
        if complete and full < len(counted):
            groups, ends = np.append(groups, values[counted[full:]].mean()), np.append(ends, counted[-1])
        if len(groups):
            self._average(start + ends, groups, (1 - 2 / (span + 1)) ** size)
        if not complete and full:
            self._done = start + int(counted[full - 1]) + 1

    def _average(self, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]", values: Floats, keep: float) -> None:
        most = max(1, int(math.log(_LEAST_POWER) / math.log(keep)))
        for i in range(0, len(values), most):
            levels = self._domain.of(values[i : i + most])
            powers = keep ** np.arange(1, len(levels) + 1)
            totals = powers * (self._total + np.cumsum((1 - keep) * levels / powers))
            weights = 1 - (1 - self._weight) * powers
            self._total, self._weight = float(totals[-1]), float(weights[-1])
            self._kept_rows.extend(rows[i : i + most].tolist())
            self._kept_values.extend(self._domain.back(totals / weights).tolist())


def _counts(values: Floats, kind: str) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    finite = np.isfinite(values)
    return finite & (values > 0) if kind == LOG else finite & (values >= 0) if kind == PART else finite


def _usual(series: "SeriesView", row: int, kind: str) -> _Domain:
    """The domain of a block that begins with a row: even around the median of the rows before it."""
    plain = _Domain(kind == LOG)
    values = np.asarray(series.values[max(0, row - _CONTEXT_ROWS) : row], dtype=np.float64)
    values = values[_counts(values, kind)]
    if not len(values):
        return plain
    low, centre, high = (float(v) for v in np.quantile(plain.of(values), (0.1, 0.5, 0.9)))
    scale = _USUAL * (high - low)
    # Less than what is left of such numbers by their digits is no spread.
    return _Domain(plain.log, centre, scale) if scale > 1e-12 * abs(centre) else plain
