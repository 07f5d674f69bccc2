"""A grid at one moment: cells for a heatmap, the curve of one layer, and exact numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gradtop.grid.cells import INF, KNOWN, NAN, NIL, Cells
from gradtop.grid.tally import Doubles, Tally
from gradtop.plot.shade import BLANK, HEAT, MISSING, NONFINITE, ZERO, Shades
from gradtop.series import Envelope, Series, Stats

DIP = 1.0
"""Decades below the mean of a cell from which on its least value is shown, where that is farther than the greatest."""
_SAMPLED = 50_000
"""Cells that a scale is made of."""
_RARE = 1.0
"""Per cent of the cells that may lie outside a scale at each end."""
_FAR = 1.5
"""Spreads of the middle half that a scale reaches beyond it at most (Tukey's fences)."""
_NEAR = 3.0
"""A row stands until the next one, where that is not more than so many usual gaps away."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest row exactly."""

    step: float
    values: Doubles
    """One per layer; NaN where it has none, too."""
    named: npt.NDArray[np.bool_]
    """Whether the row has a value of the layer."""

    @classmethod
    def empty(cls, layers: int, step: float = -math.inf) -> Self:
        """A row without a value."""
        return cls(step, np.full(layers, np.nan), np.zeros(layers, dtype=np.bool_))

    def grown(self, layers: int) -> "Newest":
        """A copy with places for layers that turned up since."""
        row = Newest.empty(layers, self.step)
        row.values[: len(self.values)], row.named[: len(self.named)] = self.values, self.named
        return row


@dataclass(frozen=True, slots=True)
class Cell:
    """What one cell of a heatmap stands for."""

    first_step: float
    last_step: float
    """Steps of its rows."""
    rows: int
    code: int
    low: float
    """Least finite value, NaN where there is none."""
    high: float
    zeros: bool
    """Some value is exactly zero."""
    nan: bool
    inf: bool


Groups = Sequence[Sequence[int]]
"""Layers that share a line of a heatmap, by their places."""


@dataclass(frozen=True)
class GridView:
    """One per-layer metric at one moment. Bucket `i` holds rows from `first[i]` to `last[i]`; steps rise."""

    family: str
    x_kind: str
    names: tuple[str, ...]
    first: Doubles
    last: Doubles
    rows: Doubles
    closed: Cells
    """All buckets but the last one."""
    open: Cells | None
    """The last bucket; None before the first row."""
    newest: Newest
    tally: Tally

    def __len__(self) -> int:
        return len(self.names)

    @property
    def first_step(self) -> float | None:
        """The lowest step that is kept."""
        return float(self.first[0]) if len(self.first) else None

    @property
    def last_step(self) -> float | None:
        """The step of the newest row."""
        return float(self.last[-1]) if len(self.last) else None

    @property
    def row_count(self) -> int:
        """Rows, ghosts left out."""
        return int(self.rows.sum())

    @property
    def most(self) -> int:
        """Values of the layer that has most of them, ghosts included."""
        return int(self.tally.count.max(initial=0))

    @cached_property
    def _until(self) -> Doubles:
        """Where each bucket ends on the axis: at the next one, unless rows are missing between them."""
        if len(self.first) < 2:
            return self.last.copy()
        gaps = np.diff(self.first) / self.rows[:-1]
        near = self.first[1:] - self.last[:-1] <= _NEAR * float(np.median(gaps))
        return np.append(np.where(near, self.first[1:], self.last[:-1]), self.last[-1])

    def _spans(self, columns: int, first: float, last: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """(first bucket, bucket after the last) of each column: those that begin in it, else the one that goes on."""
        edges = np.linspace(first, last, columns + 1)
        starts, ends = edges[:-1], edges[1:].copy()
        ends[-1] = math.nextafter(last, math.inf)
        low, high = np.searchsorted(self.first, starts), np.searchsorted(self.first, ends)
        before = np.maximum(low - 1, 0)
        goes_on = (low >= high) & (low > 0) & ((self._until[before] > starts) | (self.last[before] >= starts))
        return np.where(goes_on, before, low), high

    def _merged(
        self, groups: Groups, low: npt.NDArray[np.intp], high: npt.NDArray[np.intp], levels: bool = False
    ) -> Cells:
        """Buckets `low` to `high` of each column as one, and the layers of each group as one: (columns, groups).

        A column without buckets has no meaning, and the levels have none unless they are asked for.
        """
        members = np.array([i for group in groups for i in group], dtype=np.intp)
        start, stop = int(low.min()), int(high.max())
        stop = min(stop, len(self.closed))
        # One more bucket, as the end of the last column has to be a place.
        behind = Cells.empty(1, len(members))

        pairs = np.column_stack((low, np.maximum(high, low + 1))).ravel() - start
        pairs = np.minimum(pairs, max(0, stop - start) + (self.open is not None))
        heads = np.cumsum([0, *(len(group) for group in groups[:-1])])

        def reduced(name: str, function: np.ufunc, known: bool = False) -> npt.NDArray[Any]:
            parts = [getattr(self.closed, name)[start:stop, members], getattr(behind, name)]
            if self.open is not None:
                parts.insert(1, getattr(self.open, name)[:, members])
            whole = np.concatenate(parts)
            if name == "level":
                # Of levels the sum is wanted, and of how many it is.
                whole = (~np.isnan(whole)).astype(np.float32) if known else np.nan_to_num(whole)
            by_column = function.reduceat(whole, pairs, axis=0)[::2]
            return by_column if len(heads) == len(members) else function.reduceat(by_column, heads, axis=1)

        least, most = reduced("low", np.fmin), reduced("high", np.fmax)
        level = np.full(most.shape, np.nan)
        if levels:
            count = reduced("level", np.add, known=True)
            np.divide(reduced("level", np.add), count, out=level, where=count > 0)
            # Layers of unlike sizes have no mean: of a module the greatest value is shown.
            level[:, [len(group) > 1 for group in groups]] = np.nan
        return Cells(least, most, level, reduced("flags", np.bitwise_or))

    def codes(self, groups: Groups, columns: int, first: float, last: float, scale: Shades) -> list[bytes]:
        """One line of `columns` codes for each group, between two steps; a cell shows the greatest of its values.

        On a log scale it shows the least one where that is a dip: see `DIP`.
        """
        if not len(self.first) or not groups or columns < 1:
            return [bytes((BLANK,)) * columns] * len(groups)
        low, high = self._spans(columns, first, last)
        cells = self._merged(groups, np.minimum(low, len(self.first) - 1), high, levels=scale.log)
        found = _coded(cells, scale)
        found[low >= high] = BLANK
        return [line.tobytes() for line in np.ascontiguousarray(found.T)]

    def cell(
        self, group: Sequence[int], columns: int, at: int, first: float, last: float, scale: Shades
    ) -> Cell | None:
        """What column `at` shows of a group; None where it has no row."""
        if not len(self.first):
            return None
        low, high = self._spans(columns, first, last)
        start, stop = int(low[at]), int(high[at])
        if start >= stop:
            return None
        one = self._merged((group,), np.array([start]), np.array([stop]), levels=scale.log)
        flags = int(one.flags[0, 0])
        return Cell(
            float(self.first[start]),
            float(self.last[stop - 1]),
            int(self.rows[start:stop].sum()),
            int(_coded(one, scale)[0, 0]),
            float(one.low[0, 0]),
            float(one.high[0, 0]),
            bool(flags & NIL),
            bool(flags & NAN),
            bool(flags & INF),
        )

    def spread(self, log: bool) -> tuple[float, float] | None:
        """Where almost all values lie (`log`: of their decimal logarithms); None without any. A sample decides."""
        every = max(1, len(self.closed) * len(self.names) // _SAMPLED)
        some = [self.closed.high[::every], *((self.open.high,) if self.open is not None else ())]
        values = np.concatenate(some).ravel().astype(np.float64)
        values = np.log10(values[values > 0.0]) if log else values[np.isfinite(values)]
        if not values.size:
            return None
        low, first, third, high = (float(q) for q in np.percentile(values, (_RARE, 25, 75, 100 - _RARE)))
        # In a short run one odd row is more than a rare value.
        reach = _FAR * (third - first) if third > first else math.inf
        return max(low, first - reach), min(high, third + reach)

    def stats(self, layer: int) -> Stats:
        """What `check` reports of a metric."""
        t = self.tally
        return Stats(
            int(t.count[layer]),
            float(t.first[layer]),
            float(t.last[layer]),
            float(t.low[layer]),
            float(t.high[layer]),
            int(t.nan[layer]),
            int(t.inf[layer]),
        )

    def layer(self, place: int) -> "LayerView":
        """The curve of one layer."""
        return LayerView(self, place)

    def typical(self, place: int) -> float:
        """The median over the buckets of a layer's typical (geometric mean) value; NaN without a positive one."""
        levels = self._column("level", place)
        levels = levels[~np.isnan(levels)]
        return float(10.0 ** np.median(levels)) if levels.size else math.nan

    def _column(self, name: str, place: int) -> npt.NDArray[np.generic]:
        """One array of all buckets for one layer."""
        parts = [getattr(self.closed, name)[:, place]]
        if self.open is not None:
            parts.append(getattr(self.open, name)[:, place])
        column: npt.NDArray[np.generic] = np.concatenate(parts)
        return column


def _logarithm(values: npt.NDArray[Any]) -> Doubles:
    """Decimal logarithms, infinitely low for zero and below, NaN for NaN."""
    wide = values.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Doubles = np.where(wide > 0.0, np.log10(wide), np.where(wide <= 0.0, -np.inf, np.nan))
    return found


def _coded(cells: Cells, scale: Shades) -> npt.NDArray[np.uint8]:
    value = cells.high.astype(np.float64)
    if scale.log:
        value = _logarithm(cells.high)
        # A dip of one row is news as a spike is; an exact zero among others is said in words alone.
        down = np.where(cells.low > 0.0, cells.level - _logarithm(np.where(cells.low > 0.0, cells.low, 1.0)), 0.0)
        value = np.where((down >= DIP) & (down > value - cells.level + 1e-3), cells.level - down, value)
    value = np.clip(np.nan_to_num(value, nan=scale.low), scale.low, scale.high)
    part = (value - scale.low) / (scale.high - scale.low)
    found = np.clip(part * HEAT, 0, HEAT - 1).astype(np.uint8)
    if scale.log:
        found[(cells.flags & NIL != 0) & (cells.high == 0.0) & (cells.low == 0.0)] = ZERO
    found[cells.flags & KNOWN == 0] = MISSING
    found[cells.flags & (NAN | INF) != 0] = NONFINITE
    return found


@dataclass(frozen=True, slots=True)
class LayerView:
    """One layer of a grid, as a chart needs it. Its mean is that of the logarithms."""

    grid: GridView
    place: int

    def __len__(self) -> int:
        return int(self.grid.tally.count[self.place])

    def envelope(
        self,
        columns: int,
        first_step: float | None = None,
        last_step: float | None = None,
        edges: Sequence[float] | None = None,
    ) -> Envelope:
        """The values between two steps as pixel columns, see `SeriesView`; one without a row of its own is empty."""
        grid = self.grid
        first = grid.first_step or 0.0 if first_step is None else first_step
        last = max(first, (grid.last_step or first) if last_step is None else last_step)
        starts = np.linspace(first, last, columns + 1)[:-1] if edges is None else np.asarray(edges, dtype=np.float64)
        places = np.searchsorted(grid.first, np.append(starts, math.nextafter(last, math.inf)))
        low, high = places[:-1], np.maximum(places[1:], places[:-1])
        if not len(grid.first) or not (high > low).any():
            return Series("").view().envelope(columns, first, last)
        cells = grid._merged(((self.place,),), np.minimum(low, len(grid.first) - 1), high, levels=True)
        some = high > low
        with np.errstate(over="ignore"):
            mean = 10.0 ** cells.level[:, 0].astype(np.float64)
        return Envelope(
            first,
            last,
            low=_kept(cells.low[:, 0], some),
            high=_kept(cells.high[:, 0], some),
            mean=_kept(mean, some),
            last=_kept(cells.high[:, 0], some),
            nan=np.where(some & (cells.flags[:, 0] & NAN != 0), 1, 0).tolist(),
            inf=np.where(some & (cells.flags[:, 0] & INF != 0), 1, 0).tolist(),
            rows=len(self),
        )

    def at(self, step: float) -> float | None:
        """The greatest value of the bucket at a step or before it; None where there is none."""
        grid = self.grid
        at = int(np.searchsorted(grid.first, step, side="right")) - 1
        if at < 0:
            return None
        if at == len(grid.first) - 1 and step >= grid.newest.step:
            return float(grid.newest.values[self.place]) if grid.newest.named[self.place] else None
        flags, high = grid._column("flags", self.place)[at], float(grid._column("high", self.place)[at])
        if not int(flags) & KNOWN:
            return None
        return math.nan if int(flags) & NAN else math.inf if int(flags) & INF else high

    span = None
    """Buckets hold the least and the greatest of several values: nothing is smoothed."""

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
        """Nothing."""
        return []

    def smooth_at(self, step: float, *, log: bool = False, part: bool = False) -> None:
        """Nothing."""
        return None

    def nearest_step(self, step: float) -> float | None:
        """The step of the nearest bucket."""
        steps = self.grid.first
        if not len(steps):
            return None
        at = int(np.searchsorted(steps, step))
        near = [float(steps[i]) for i in (at - 1, at) if 0 <= i < len(steps)]
        return min(near, key=lambda found: abs(found - step))

    def tail(self, n: int) -> list[float]:
        """Greatest values of the last `n` buckets, oldest first."""
        return [float(v) for v in self.grid._column("high", self.place)[-n:]]


def _kept(values: npt.NDArray[np.generic], some: npt.NDArray[np.bool_]) -> list[float]:
    found: list[float] = np.where(some, values.astype(np.float64), np.nan).tolist()
    return found
