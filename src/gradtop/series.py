"""One metric over steps: append-only columns, and their minimum and maximum per pixel column.

A `Series` only grows, so a `SeriesView` is a length and two buffers, not a copy: it stays true while the
series goes on. Values are kept as written; NaN and infinities are counted and never dropped.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]

_START_CAPACITY = 256


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
        added = np.asarray(values)
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


@dataclass(frozen=True, slots=True)
class Stats:
    """What `check` reports of one metric. `count` has finite and non-finite values; `low` and `high` are of the finite ones."""

    count: int = 0
    first: float = math.nan
    last: float = math.nan
    low: float = math.inf
    high: float = -math.inf
    nan: int = 0
    inf: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """One session of a series: values `start` to `stop`; those at steps from `ghost_from` on were repeated by a later session."""

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
    """Mean of the finite values of a column."""
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

    __slots__ = ("_segments", "_stats", "_steps", "_values", "name", "x_kind")

    def __init__(self, name: str, x_kind: str = "step") -> None:
        self.name = name
        self.x_kind = x_kind
        self._steps = Column(np.int32)
        self._values = Column(np.float64)
        self._segments: list[Segment] = []
        self._stats = Stats()

    def extend(self, steps: Sequence[float], values: Sequence[float], session: int = 0) -> None:
        """Append values of one session; steps within a session do not go back."""
        if not len(values):
            return
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
        self._segments = [
            Segment(s.start, s.stop, s.session, min(s.ghost_from, first_step)) for s in self._segments
        ]
        self._segments.append(Segment(start, stop, session))

    def view(self) -> "SeriesView":
        """The series as it is now; it does not change any more."""
        return SeriesView(
            self.name, self.x_kind, self._steps.view(), self._values.view(), tuple(self._segments), self._stats
        )


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

    def nearest_step(self, step: float) -> float | None:
        """The step of the value nearest to `step`, ghosts left out."""
        best: float | None = None
        for segment, steps in self._live():
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

        A value at step `t` falls into column `floor((t - first) * columns / (last - first))`, the last step into the last.
        """
        first = first_step if first_step is not None else (self.first_step or 0.0)
        last = last_step if last_step is not None else max((float(x[-1]) for _, x in self._live() if len(x)), default=first)
        low = np.full(columns, np.inf)
        high = np.full(columns, -np.inf)
        total, count = np.zeros(columns), np.zeros(columns)
        end = np.full(columns, np.nan)
        nan, inf = np.zeros(columns, dtype=np.int64), np.zeros(columns, dtype=np.int64)
        rows = 0
        span = last - first
        for segment, steps in self._live():
            a, b = int(np.searchsorted(steps, first, "left")), int(np.searchsorted(steps, last, "right"))
            if b <= a:
                continue
            rows += b - a
            values = np.asarray(self.values[segment.start + a : segment.start + b], dtype=np.float64)
            x = np.asarray(steps[a:b], dtype=np.float64)
            place = np.minimum(((x - first) * (columns / span)).astype(np.int64), columns - 1) if span > 0 else np.zeros(b - a, np.int64)
            ok = np.isfinite(values)
            if not ok.all():
                nan += np.bincount(place[np.isnan(values)], minlength=columns)
                inf += np.bincount(place[np.isinf(values)], minlength=columns)
                values, place = values[ok], place[ok]
            if not len(values):
                continue
            starts = np.flatnonzero(np.r_[True, place[1:] != place[:-1]])
            at = place[starts]
            low[at] = np.minimum(low[at], np.minimum.reduceat(values, starts))
            high[at] = np.maximum(high[at], np.maximum.reduceat(values, starts))
            total[at] += np.add.reduceat(values, starts)
            count[at] += np.diff(np.r_[starts, len(values)])
            end[at] = values[np.r_[starts[1:], len(values)] - 1]
        empty = count == 0
        low[empty] = high[empty] = np.nan
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = total / count
        return Envelope(first, last, low.tolist(), high.tolist(), mean.tolist(), end.tolist(), nan.tolist(), inf.tolist(), rows)
