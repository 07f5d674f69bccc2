"""One metric over steps: append-only columns, and their minimum and maximum per pixel column.

A `Series` only grows, so a `SeriesView` is a length and two buffers, not a copy: it stays true while the
series goes on. Values are kept as written; NaN and infinities are counted and never dropped.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import numpy as np

from gradtop.series.column import Array, Column, Floats, before, upto
from gradtop.series.envelope import MOST_LISTED, Envelope, Made, Newest, Sums, of_lists
from gradtop.series.pyramid import Blocks, Pyramid, quiet
from gradtop.series.smooth import LEAST_ROWS, LINEAR, LOG, PART, Smoothing, span_at
from gradtop.series.spill import Spill
from gradtop.series.table import Table

__all__ = [
    "Array",
    "Column",
    "Envelope",
    "Floats",
    "Segment",
    "Series",
    "SeriesView",
    "Spill",
    "Stats",
    "Table",
    "falls",
]

_FEW = 32
"""Steps that are compared faster one by one."""
_SMALL = 256
"""Values of a block that are cheaper to append to a list than to an array."""
_WAITING = 4096
"""Values that wait in lists before they are moved to the arrays together."""
_TALL = 1 << 14
"""Values from which on a series has a pyramid; a shorter one is gone through as quickly."""


def falls(steps: Sequence[float], last: float | None) -> list[int]:
    """Indices at which a step is lower than the one before it; `last` is the one before the first."""
    if len(steps) <= _FEW:
        before = [steps[0] if last is None else last, *steps[:-1]] if len(steps) else []
        return [i for i, (a, b) in enumerate(zip(before, steps, strict=True)) if b < a]
    numbers = np.asarray(steps)
    found: list[int] = (np.flatnonzero(numbers[1:] < numbers[:-1]) + 1).tolist()
    return [0, *found] if last is not None and len(numbers) and numbers[0] < last else found


@dataclass(frozen=True, slots=True)
class Stats:
    """What `check` reports of one metric. `count` is of all values, `low` and `high` are of the finite ones."""

    count: int = 0
    first: float = math.nan
    last: float = math.nan
    low: float = math.inf
    high: float = -math.inf
    nan: int = 0
    inf: int = 0

    @property
    def lost(self) -> bool:
        """Some values are not finite."""
        return self.nan + self.inf > 0


@dataclass(frozen=True, slots=True)
class Segment:
    """One session of a series: values `start` to `stop`; a later session repeated the steps from `ghost_from` on."""

    start: int
    stop: int
    session: int
    ghost_from: float = math.inf


class Series:
    """The values of one metric, in the order they were written, with their steps."""

    __slots__ = (
        "_newest",
        "_pyramid",
        "_segments",
        "_session",
        "_spill",
        "_stats",
        "_steps",
        "_values",
        "_waiting",
        "_waiting_steps",
        "name",
        "x_kind",
    )

    def __init__(self, name: str, x_kind: str = "step", spill: Spill | None = None) -> None:
        """No value yet; where it gets long it lies on the disk of `spill`."""
        self.name = name
        self.x_kind = x_kind
        self._spill = spill
        self._steps = Column(np.int32, spill)
        self._values = Column(np.float64, spill)
        self._pyramid: Pyramid | None = None
        self._segments: list[Segment] = []
        self._stats = Stats()
        self._waiting_steps: list[float] = []
        self._waiting: list[float] = []
        self._session = 0
        self._newest = Newest()

    def extend(self, steps: Sequence[float], values: Sequence[float], session: int = 0) -> None:
        """Append values of one session; steps within a session do not go back."""
        if session != self._session or len(values) > _SMALL or len(self._waiting) >= _WAITING:
            self._settle()
            self._session = session
        if len(values) > _SMALL:
            self._append(steps, values, session)
        else:
            self._waiting_steps.extend(_listed(steps))
            self._waiting.extend(_listed(values))

    def _settle(self) -> None:
        """Move what waits to the arrays: rows that come one by one would cost as much each as a block of them."""
        steps, values = self._waiting_steps, self._waiting
        if values:
            self._waiting_steps, self._waiting = [], []
            self._append(steps, values, self._session)

    def _append(self, steps: Sequence[float], values: Sequence[float], session: int) -> None:
        start = self._steps.n
        added = np.asarray(values, dtype=np.float64)
        self._steps.extend(steps)
        self._values.extend(added)  # type: ignore[arg-type]  # an array is as good
        self._grow_segment(start, self._steps.n, session, float(steps[0]))
        self._stats = _updated(self._stats, added)
        if self._pyramid is not None:
            self._pyramid.extend(added, self._stats.lost)
        elif self._values.n >= _TALL:
            self._pyramid = Pyramid(self._spill)
            self._pyramid.extend(np.asarray(self._values.view(), dtype=np.float64), self._stats.lost)

    def _grow_segment(self, start: int, stop: int, session: int, first_step: float) -> None:
        if self._segments and self._segments[-1].session == session:
            last = self._segments[-1]
            self._segments[-1] = Segment(last.start, stop, session, last.ghost_from)
            return
        self._segments = [Segment(s.start, s.stop, s.session, min(s.ghost_from, first_step)) for s in self._segments]
        self._segments.append(Segment(start, stop, session))

    def view(self) -> "SeriesView":
        """The series as it is now; it does not change any more."""
        self._settle()
        levels = self._pyramid.view() if self._pyramid is not None else ()
        steps, values, segments = self._steps.view(), self._values.view(), tuple(self._segments)
        return SeriesView(self.name, self.x_kind, steps, values, segments, self._stats, levels, self._newest)


def _listed(values: Sequence[float]) -> Iterable[float]:
    """The values as Python numbers: an array gives them out one by one at many times the cost."""
    tolist = getattr(values, "tolist", None)
    return cast("list[float]", tolist()) if tolist is not None else values


def _updated(stats: Stats, added: Floats) -> Stats:
    if len(added) <= _FEW:
        return _updated_by_few(stats, added.tolist())
    finite = added[np.isfinite(added)]
    nan = int(np.count_nonzero(np.isnan(added)))
    return Stats(
        count=stats.count + len(added),
        first=float(added[0]) if stats.count == 0 else stats.first,
        last=float(added[-1]),
        low=min(stats.low, float(finite.min())) if len(finite) else stats.low,
        high=max(stats.high, float(finite.max())) if len(finite) else stats.high,
        nan=stats.nan + nan,
        inf=stats.inf + len(added) - len(finite) - nan,
    )


def _updated_by_few(stats: Stats, added: list[float]) -> Stats:
    """The same, at a fraction of the cost for the one value of a live row."""
    finite = [value for value in added if math.isfinite(value)]
    nan = sum(value != value for value in added)
    return Stats(
        count=stats.count + len(added),
        first=added[0] if stats.count == 0 else stats.first,
        last=added[-1],
        low=min((stats.low, *finite)),
        high=max((stats.high, *finite)),
        nan=stats.nan + nan,
        inf=stats.inf + len(added) - len(finite) - nan,
    )


@dataclass(frozen=True, slots=True)
class SeriesView:
    """A series at one moment. `steps` and `values` have shape (n,); steps rise within a segment."""

    name: str
    x_kind: str
    steps: Array
    values: Array
    segments: tuple[Segment, ...]
    stats: Stats
    levels: tuple[Blocks, ...] = ()
    """The pyramid over the values; empty for a short series."""
    newest: Newest = field(default_factory=Newest, repr=False, compare=False)
    """What all views of a series have in common."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def last_step(self) -> float | None:
        """The step of the newest value."""
        return float(self.steps[-1]) if len(self.steps) else None

    @property
    def first_step(self) -> float | None:
        """The lowest step."""
        return min((float(self.steps[s.start]) for s in self.segments), default=None)

    def _row(self, step: float) -> int | None:
        """The row of the value at `step` or the nearest step before it, ghosts left out; None before the first."""
        for segment in reversed(self.segments):
            steps = self.steps[segment.start : segment.stop]
            if len(steps) and float(steps[0]) <= step:
                return segment.start + int(upto(steps, [step])[0]) - 1
        return None

    def at(self, step: float) -> float | None:
        """The value at `step` or the nearest step before it, ghosts left out; None before the first."""
        row = self._row(step)
        return float(self.values[row]) if row is not None else None

    def smooth(
        self,
        columns: int,
        first_step: float,
        last_step: float,
        edges: Sequence[float] | None = None,
        *,
        log: bool = False,
        part: bool = False,
    ) -> list[float]:
        """The smoothed values in the columns of `envelope`, see `series.smooth`; none where there are too few.

        `log` averages the logarithms of values above zero, `part` leaves out those below zero.
        """
        if self.span is None:
            return []
        return self._smoothing(log, part).columns(self, columns, first_step, last_step, edges)

    def smooth_at(self, step: float, *, log: bool = False, part: bool = False) -> tuple[float, int] | None:
        """(smoothed value, rows of its span) at a step or the nearest before it; None where nothing is smoothed."""
        row = self._row(step) if self.span is not None else None
        value = self._smoothing(log, part).at(self, row) if row is not None else None
        return (value, span_at(row)) if value is not None and row is not None else None

    @property
    def span(self) -> int | None:
        """Rows of the span of the newest smoothed value; None where there are too few to smooth."""
        finite = self.stats.count - self.stats.nan - self.stats.inf
        return span_at(len(self) - 1) if finite >= LEAST_ROWS else None

    def _smoothing(self, log: bool, part: bool) -> Smoothing:
        return self.newest.smoothing(LOG if log else PART if part else LINEAR)

    def tail(self, n: int) -> list[float]:
        """The last `n` values, oldest first."""
        return [float(v) for v in self.values[max(0, len(self.values) - n) :]]

    def stretch(self, step: float, before: int, after: int) -> tuple[list[float], list[float]]:
        """Steps and values of the last `before` rows before a step and of the first `after` rows from it on.

        Ghosts are left out.
        """
        steps: list[float] = []
        values: list[float] = []
        wanted = after
        for segment, live in self.live():
            at = int(np.searchsorted(live, step))
            start, stop = max(0, at - before), min(len(live), at + wanted)
            wanted -= max(0, stop - at)
            steps += [float(s) for s in live[start:stop]]
            values += [float(v) for v in self.values[segment.start + start : segment.start + stop]]
        first = max(0, sum(s < step for s in steps) - before)
        return steps[first:], values[first:]

    def nearest_step(self, step: float) -> float | None:
        """The step of the value nearest to `step`, ghosts left out."""
        best: float | None = None
        for _, steps in self.live():
            if not len(steps):
                continue
            i = int(before(steps, [step])[0])
            for j in (i - 1, i):
                if 0 <= j < len(steps) and (best is None or abs(float(steps[j]) - step) < abs(best - step)):
                    best = float(steps[j])
        return best

    def live(self) -> Iterable[tuple[Segment, Array]]:
        """Segments with their steps, ghosts cut off."""
        for s in self.segments:
            steps = self.steps[s.start : s.stop]
            if s.ghost_from != math.inf:
                steps = steps[: int(before(steps, [s.ghost_from])[0])]
            yield s, steps

    def envelope(
        self,
        columns: int,
        first_step: float | None = None,
        last_step: float | None = None,
        edges: Sequence[float] | None = None,
    ) -> Envelope:
        """The series between two steps (default: all of it) as `columns` pixel columns.

        Column `k` holds the steps from `first + k * span / columns` up to the next column's, or from `edges[k]` on
        where those are given, in order; the last step is in the last column.
        """
        first = first_step if first_step is not None else (self.first_step or 0.0)
        newest = max((float(steps[-1]) for _, steps in self.live() if len(steps)), default=first)
        last = max(first, last_step if last_step is not None else newest)
        alone = len(self.segments) == 1 and self.segments[0].ghost_from == math.inf
        asked = columns, first, last, None if edges is None else tuple(edges)
        made = self.newest.of(asked, len(self)) if alone else None
        if made is not None:
            return self.newest.keep(Made(asked, len(self), made.begins, self._grown(made)))
        begins = np.linspace(first, last, columns + 1)[:-1] if edges is None else np.asarray(edges, dtype=np.float64)
        found = self._columns(first, last, begins, given=edges is not None)
        return self.newest.keep(Made(asked, len(self), begins, found)) if alone else found

    def _columns(self, first: float, last: float, begins: Floats, *, given: bool) -> Envelope:
        """The columns that begin there; `given`: they are not equally wide."""
        sums = Sums(len(begins), self.stats.lost)
        values = np.asarray(self.values, dtype=np.float64)
        with quiet():
            for segment, steps in self.live():
                stop = int(upto(steps, [last])[0])
                if stop and float(steps[0]) <= last and float(steps[stop - 1]) >= first:
                    starts = np.minimum(before(steps, begins), stop)
                    sums.add(values, self.levels, segment.start + np.append(starts, stop))
            return sums.envelope(first, last, begins if given else None)

    def _grown(self, made: Made) -> Envelope:
        """Columns with the values that came since they were made, of a series in one session."""
        found, begins = made.found, made.begins
        stop = int(upto(self.steps, [found.last_step])[0])
        if stop <= made.n:
            return found
        # Of the column that the first new value is in, all are added up again; behind the newest one there are none.
        ends = [float(self.steps[made.n]), float(self.steps[stop - 1])]
        k, z = np.maximum(np.searchsorted(begins, ends, side="right") - 1, 0).tolist()
        begin, *cuts = before(self.steps, begins[[0, *range(k, z + 1)]]).tolist()
        if stop - cuts[0] <= MOST_LISTED:
            values = np.asarray(self.values[cuts[0] : stop], dtype=np.float64).tolist()
            parts = [values[a - cuts[0] : b - cuts[0]] for a, b in pairwise([*cuts, stop])]
            anew = of_lists(float(begins[k]), found.last_step, parts)
        else:
            anew = self._columns(float(begins[k]), found.last_step, begins[k : z + 1], given=False)
        return found.mended(k, stop - begin, anew)
