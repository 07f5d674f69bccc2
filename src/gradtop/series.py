"""One metric over steps: append-only columns, and their minimum and maximum per pixel column.

A `Series` only grows, so a `SeriesView` is a length and two buffers, not a copy: it stays true while the
series goes on. Values are kept as written; NaN and infinities are counted and never dropped.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]

_START_CAPACITY = 256
_FEW = 32
"""Steps that are compared faster one by one."""
_SMALL = 256
"""Values of a block that are cheaper to append to a list than to an array."""
_WAITING = 4096
"""Values that wait in lists before they are moved to the arrays together."""


class Column:
    """A growing one-dimensional array; views of earlier lengths stay valid.

    Integers start as int32 and widen to int64, or to float64 where a fraction arrives.
    """

    __slots__ = ("_buffer", "n")

    def __init__(self, dtype: npt.DTypeLike = np.float64) -> None:
        self._buffer: Array = np.empty(_START_CAPACITY, dtype=dtype)
        self.n = 0

    def extend(self, values: Sequence[float]) -> None:
        """Append values, widening the type where they need it."""
        # One by one, the numbers of a range would cost a hundred times as much.
        added = np.arange(values.start, values.stop, values.step) if isinstance(values, range) else np.asarray(values)
        dtype = _wide_enough(self._buffer.dtype, added)
        needed = self.n + len(added)
        if needed > len(self._buffer) or dtype != self._buffer.dtype:
            # A new buffer, never a resize: views of the old one stay what they were.
            capacity = max(needed, len(self._buffer) * 2 if needed > len(self._buffer) else len(self._buffer))
            grown = np.empty(capacity, dtype=dtype)
            grown[: self.n] = self._buffer[: self.n]
            self._buffer = grown
        self._buffer[self.n : needed] = added
        self.n = needed

    def view(self) -> Array:
        """The values so far, shape (n,), read-only."""
        seen = self._buffer[: self.n]
        seen.flags.writeable = False
        return seen


def _wide_enough(held: np.dtype[np.generic], added: Array) -> np.dtype[np.generic]:
    if held.kind == "f":
        return held
    if added.dtype.kind == "f":
        whole = bool(np.all(np.isfinite(added))) and bool(np.all(added == np.floor(added)))
        if not whole or (len(added) and float(np.max(np.abs(added))) > 2**53):
            return np.dtype(np.float64)
    elif added.dtype.kind not in "iu":
        return np.dtype(np.float64)
    if len(added) and held.itemsize < 8 and float(np.max(np.abs(added))) > 2**31 - 1:
        return np.dtype(np.int64)
    return held


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


@dataclass(frozen=True, slots=True)
class Segment:
    """One session of a series: values `start` to `stop`; a later session repeated the steps from `ghost_from` on."""

    start: int
    stop: int
    session: int
    ghost_from: float = math.inf


@dataclass(frozen=True, slots=True)
class Envelope:
    """A series as `n` pixel columns over `first_step`..`last_step`; every list has length `n`.

    Ghosts (values that a later session repeated) are left out. An empty column holds NaN in `low`, `high`, `mean`.
    """

    first_step: float
    last_step: float
    low: list[float]
    high: list[float]
    mean: list[float]
    """Mean of the finite values of a column; NaN where their sum overflows."""
    last: list[float]
    """The last finite value of a column, where the line goes on to the next."""
    nan: list[int]
    """NaN values per column."""
    inf: list[int]
    """Infinite values per column."""
    rows: int
    """Values in the range, finite or not."""

    @property
    def n(self) -> int:
        """Number of pixel columns."""
        return len(self.low)


class Series:
    """The values of one metric, in the order they were written, with their steps."""

    __slots__ = ("_segments", "_session", "_stats", "_steps", "_values", "_waiting", "_waiting_steps", "name", "x_kind")

    def __init__(self, name: str, x_kind: str = "step") -> None:
        self.name = name
        self.x_kind = x_kind
        self._steps = Column(np.int32)
        self._values = Column(np.float64)
        self._segments: list[Segment] = []
        self._stats = Stats()
        self._waiting_steps: list[float] = []
        self._waiting: list[float] = []
        self._session = 0

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
        self._steps.extend(steps)
        self._values.extend(values)
        self._grow_segment(start, self._steps.n, session, float(steps[0]))
        self._stats = _updated(self._stats, np.asarray(self._values.view()[start:], dtype=np.float64))

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
        return SeriesView(
            self.name, self.x_kind, self._steps.view(), self._values.view(), tuple(self._segments), self._stats
        )


def _listed(values: Sequence[float]) -> Iterable[float]:
    """The values as Python numbers: an array gives them out one by one at many times the cost."""
    tolist = getattr(values, "tolist", None)
    return cast("list[float]", tolist()) if tolist is not None else values


def _updated(stats: Stats, added: Floats) -> Stats:
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


@dataclass(frozen=True, slots=True)
class SeriesView:
    """A series at one moment. `steps` and `values` have shape (n,); steps rise within a segment."""

    name: str
    x_kind: str
    steps: Array
    values: Array
    segments: tuple[Segment, ...]
    stats: Stats

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

    def at(self, step: float) -> float | None:
        """The value at `step` or the nearest step before it, ghosts left out; None before the first."""
        for segment in reversed(self.segments):
            steps = self.steps[segment.start : segment.stop]
            if len(steps) and float(steps[0]) <= step:
                return float(self.values[segment.start + int(np.searchsorted(steps, step, side="right")) - 1])
        return None

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
        for segment, live in self._live():
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
        for _, steps in self._live():
            if not len(steps):
                continue
            i = int(np.searchsorted(steps, step))
            for j in (i - 1, i):
                if 0 <= j < len(steps) and (best is None or abs(float(steps[j]) - step) < abs(best - step)):
                    best = float(steps[j])
        return best

    def _live(self) -> Iterable[tuple[Segment, Array]]:
        """Segments with their steps, ghosts cut off."""
        for s in self.segments:
            steps = self.steps[s.start : s.stop]
            if s.ghost_from != math.inf:
                steps = steps[: int(np.searchsorted(steps, s.ghost_from))]
            yield s, steps

    def envelope(self, columns: int, first_step: float | None = None, last_step: float | None = None) -> Envelope:
        """The series between two steps (default: all of it) as `columns` pixel columns.

        Column `k` holds the steps from `first + k * span / columns` up to the next column's; the last step is in the
        last column.
        """
        first = first_step if first_step is not None else (self.first_step or 0.0)
        newest = max((float(steps[-1]) for _, steps in self._live() if len(steps)), default=first)
        last = max(first, last_step if last_step is not None else newest)
        sums = _ColumnSums(columns)
        edges = np.linspace(first, last, columns + 1)[:-1]
        for segment, steps in self._live():
            stop = int(np.searchsorted(steps, last, "right"))
            # Whole-number edges keep whole-number steps from being copied to floats for the search.
            starts = np.searchsorted(steps, np.ceil(edges).astype(steps.dtype) if steps.dtype.kind == "i" else edges)
            values = self.values[segment.start : segment.start + stop]
            sums.add(np.asarray(values, dtype=np.float64), np.minimum(starts, stop))
        return sums.envelope(first, last)


class _ColumnSums:
    """What the pixel columns hold, added up over the segments of a series."""

    def __init__(self, columns: int) -> None:
        self.low = np.full(columns, np.nan)
        self.high = np.full(columns, np.nan)
        self.last = np.full(columns, np.nan)
        self.total = np.zeros(columns)
        self.finite = np.zeros(columns, dtype=np.int64)
        self.nan = np.zeros(columns, dtype=np.int64)
        self.inf = np.zeros(columns, dtype=np.int64)
        self.rows = 0

    def add(self, values: Floats, starts: npt.NDArray[np.intp]) -> None:
        """Add one segment: column `k` holds values from `starts[k]` up to the next start or the end."""
        size = np.diff(starts, append=len(values))
        at = np.flatnonzero(size)
        if not len(at):
            return
        cuts = starts[at] - starts[at[0]]
        values = values[starts[at[0]] :]
        self.rows += len(values)
        finite = np.isfinite(values)
        whole = bool(finite.all())
        if not whole:
            nan = np.isnan(values)
            self.nan[at] += np.add.reduceat(nan.astype(np.int64), cuts)
            self.inf[at] += np.add.reduceat((~finite & ~nan).astype(np.int64), cuts)
            size[at] = np.add.reduceat(finite.astype(np.int64), cuts)
            values = np.where(finite, values, np.nan)
        self.low[at] = np.fmin(self.low[at], (np.minimum if whole else np.fmin).reduceat(values, cuts))
        self.high[at] = np.fmax(self.high[at], (np.maximum if whole else np.fmax).reduceat(values, cuts))
        with np.errstate(over="ignore"):  # a sum of values near the largest float; the column then has no mean
            self.total[at] += np.add.reduceat(values if whole else np.where(finite, values, 0.0), cuts)
        self.finite[at] += size[at]
        ends = np.append(cuts[1:], len(values)) - 1
        self.last[at] = _last_finite(values, cuts, ends, self.last[at])

    def envelope(self, first: float, last: float) -> Envelope:
        """The columns as plain lists."""
        known = (self.finite > 0) & np.isfinite(self.total)
        mean = np.divide(self.total, self.finite, out=np.full(len(self.total), np.nan), where=known)
        return Envelope(
            first_step=first,
            last_step=last,
            low=self.low.tolist(),
            high=self.high.tolist(),
            mean=mean.tolist(),
            last=self.last.tolist(),
            nan=self.nan.tolist(),
            inf=self.inf.tolist(),
            rows=self.rows,
        )


def _last_finite(values: Floats, cuts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp], before: Floats) -> Floats:
    """Per column its last value that is not NaN, or what was there before."""
    last = values[ends].copy()
    for k in np.flatnonzero(np.isnan(last)):
        known = np.flatnonzero(~np.isnan(values[cuts[k] : ends[k] + 1]))
        last[k] = values[cuts[k] + known[-1]] if len(known) else before[k]
    return last
