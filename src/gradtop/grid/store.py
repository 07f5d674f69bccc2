"""One per-layer metric of a run, in bounded memory: rows go into buckets that are merged in pairs when there are many.

A cell takes 13 bytes, and a grid has at most `MAX_CELLS` of them: 27 MB, whatever the length of the run. A run of 300
layers keeps 4,096 buckets; 100,000 rows are then 25 rows a bucket.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gradtop.grid.cells import Cells, Places
from gradtop.grid.tally import Doubles, Tally
from gradtop.grid.view import GridView, Newest

MAX_BUCKETS = 4096
MAX_CELLS = 1 << 21
"""Buckets times layers: with more than 512 layers there are fewer buckets."""
MAX_LAYERS = 5000
"""Layers of one grid; a log with more names than this is counted, not stored."""
_START_BUCKETS = 64
_START_LAYERS = 8


class Grid:
    """The values of one family for every layer, in the order they were written. One thread writes, views go anywhere.

    Steps of a later session that an earlier one has already taken (ghosts) leave no trace but in the counts.
    """

    def __init__(self, family: str, x_kind: str = "step") -> None:
        self.family, self.x_kind = family, x_kind
        self._names: tuple[str, ...] = ()
        self._index: dict[str, int] = {}
        self._tally = Tally.empty(0)
        self._cells = Cells.empty(_START_BUCKETS, _START_LAYERS)
        self._first, self._last, self._rows = (np.zeros(_START_BUCKETS) for _ in range(3))
        self._n = 0
        """Closed buckets; nothing before this one is ever written again, so that views can keep the arrays."""
        self._open: Cells | None = None
        self._open_at = (0.0, 0.0, 0)
        """First step, last step and rows of the open bucket."""
        self._stride = 1
        """Rows of a bucket."""
        self._most = MAX_BUCKETS
        self._session = 0
        self._newest = Newest.empty(0)
        self._view: GridView | None = None

    @property
    def last_step(self) -> float:
        """The step of the newest row, below all others before the first."""
        return self._newest.step

    def reached(self, session: int) -> float:
        """The newest step in a session, below all others where it has none."""
        return self._newest.step if session == self._session else -np.inf

    def places(self, layers: Sequence[str]) -> tuple[list[int], list[str]]:
        """(place of each layer, -1 where there is no room for more; names that are left out)."""
        fresh = [name for name in dict.fromkeys(layers) if name not in self._index]
        kept = fresh[: max(0, MAX_LAYERS - len(self._names))]
        if kept:
            self._names += tuple(kept)
            self._index = {name: i for i, name in enumerate(self._names)}
            self._tally = self._tally.grown(len(self._names))
            self._view = None
        return [self._index.get(name, -1) for name in layers], fresh[len(kept) :]

    def extend(self, steps: Sequence[float], values: Doubles, places: Places, session: int) -> None:
        """Append rows of one session: `values` is (rows, layers), `places` says which layers, each once.

        Steps within a session do not go back.
        """
        at = np.asarray(steps, dtype=np.float64)
        self._view = None
        if session != self._session:
            self._begin(session, float(at[0]))
        self._tally.add(at, values, places)
        fresh = np.empty(len(at), dtype=np.bool_)
        fresh[0] = at[0] != self._newest.step
        np.not_equal(at[1:], at[:-1], out=fresh[1:])
        self._take_newest(at, values, places, fresh)
        cells = Cells.of(values).scattered(places, len(self._names))
        start = 0
        while start < len(at):
            # No more rows at once than there are buckets for.
            stop = min(len(at), start + max(1, (self._most - self._n) * self._stride - self._open_at[2]))
            part = slice(start, stop)
            self._take(at[part], cells.part(part), fresh[part])
            start = stop

    def _begin(self, session: int, first_step: float) -> None:
        """Another session: what it repeats is left out from now on."""
        self._close()
        self._session = session
        self._newest = Newest.empty(len(self._names))
        since = self._tally.zero_since
        np.minimum(since, first_step, out=since)
        kept = int(np.searchsorted(self._last[: self._n], first_step))
        if kept < self._n:
            # Views of the longer run go on to use the old arrays.
            self._n = kept
            self._stride = self._stride if kept else 1
            self._resize(max(_START_BUCKETS, kept))

    def _take_newest(self, steps: Doubles, values: Doubles, places: Places, fresh: npt.NDArray[np.bool_]) -> None:
        """Of several rows with the newest step, each has its share of the layers."""
        layers = len(self._names)
        begun = np.flatnonzero(fresh)
        row = Newest.empty(layers, float(steps[-1])) if begun.size else self._newest.grown(layers)
        for i in range(int(begun[-1]) if begun.size else 0, len(steps)):
            row.values[places], row.named[places] = values[i], True
        self._newest = row

    def _take(self, steps: Doubles, cells: Cells, fresh: npt.NDArray[np.bool_]) -> None:
        """Put rows into the open bucket and into new ones behind it. A row at the step before it is no further row."""
        held = self._open_at[2]
        counts = held + np.cumsum(fresh) + (held == 0 and not fresh[0])
        bucket = (counts - 1) // self._stride
        heads = np.concatenate(([0], np.flatnonzero(bucket[1:] != bucket[:-1]) + 1))
        ends = np.append(heads[1:], len(steps)) - 1
        folded = cells.folded(heads, np.ones(len(steps)))
        sizes = np.diff(counts[ends], prepend=held)
        start = 0
        if self._open is not None and bucket[0] == 0:
            whole = self._wide(self._open, folded)
            self._open = whole.joined(folded.part(slice(0, 1)), held, float(sizes[0]))
            self._open_at = (self._open_at[0], float(steps[ends[0]]), held + int(sizes[0]))
            start = 1
        if start == len(heads):
            return
        self._close()
        inner = slice(start, -1)
        self._append(steps[heads[inner]], steps[ends[inner]], sizes[inner], folded.part(inner))
        self._open = folded.part(slice(-1, None))
        self._open_at = (float(steps[heads[-1]]), float(steps[-1]), int(sizes[-1]))

    def _wide(self, cells: Cells, like: Cells) -> Cells:
        """The open bucket with places for layers that turned up since."""
        layers = like.low.shape[1]
        return cells if cells.low.shape[1] == layers else cells.resized(1, layers, cells.low.dtype)

    def _close(self) -> None:
        """The open bucket takes no more rows."""
        if self._open is not None:
            first, last, rows = self._open_at
            self._append(np.array([first]), np.array([last]), np.array([rows]), self._open)
        self._open, self._open_at = None, (0.0, 0.0, 0)

    def _append(self, first: Doubles, last: Doubles, rows: npt.NDArray[np.int64], cells: Cells) -> None:
        """Keep closed buckets; merge all of them in pairs when there is no room for more."""
        if not len(cells):
            return
        n, layers = len(cells), cells.low.shape[1]
        wide = self._cells.low.shape[1] < layers
        dtype = self._cells.low.dtype if cells.narrow else np.dtype(np.float64)
        if self._n + n > len(self._first) or wide or dtype != self._cells.low.dtype:
            self._resize(self._n + n, layers, dtype)
        stop = self._n + n
        self._cells.put(self._n, cells)
        self._first[self._n : stop], self._last[self._n : stop] = first, last
        self._rows[self._n : stop] = rows
        self._n = stop
        while self._n >= self._most:
            self._merge()

    def _resize(self, buckets: int, layers: int = 0, dtype: npt.DTypeLike | None = None) -> None:
        """New arrays with room to grow; views keep the old ones."""
        had = self._cells.low.shape[1]
        layers = had if layers <= had else min(MAX_LAYERS, max(layers, 2 * had))
        self._most = MAX_BUCKETS
        while self._most * max(layers, 1) > MAX_CELLS and self._most > 2:
            self._most //= 2
        size = len(self._first) if buckets <= len(self._first) else max(buckets, 2 * len(self._first))
        size = max(buckets, min(size, self._most + 1))
        kept = self._cells.part(slice(0, self._n))
        self._cells = kept.resized(size, layers, dtype or self._cells.low.dtype)
        self._first, self._last, self._rows = (
            np.concatenate((of[: self._n], np.zeros(size - self._n))) for of in (self._first, self._last, self._rows)
        )

    def _merge(self) -> None:
        """Each pair of buckets becomes one, and from now on a bucket takes twice as many rows."""
        starts = np.arange(0, self._n, 2)
        kept = self._cells.part(slice(0, self._n)).folded(starts, self._rows[: self._n])
        ends = np.minimum(starts + 1, self._n - 1)
        first, last = self._first[starts], self._last[ends]
        rows = np.add.reduceat(self._rows[: self._n], starts)
        self._n, self._stride = len(starts), self._stride * 2
        size = min(2 * self._n, self._most + 1) if self._n < self._most else self._n + 1
        self._cells = kept.resized(size, self._cells.low.shape[1], self._cells.low.dtype)
        empty = np.zeros(size - self._n)
        self._first, self._last, self._rows = (np.concatenate((of, empty)) for of in (first, last, rows))

    def view(self) -> GridView:
        """The grid as it is now; it does not change any more."""
        if self._view is None:
            layers = len(self._names)
            closed = self._cells.part(slice(0, self._n), slice(0, layers))
            steps = [of[: self._n] for of in (self._first, self._last, self._rows)]
            if self._open is not None:
                steps = [np.append(of, now) for of, now in zip(steps, self._open_at, strict=True)]
            narrow = closed.low.shape[1] < layers
            self._view = GridView(
                family=self.family,
                x_kind=self.x_kind,
                names=self._names,
                first=steps[0],
                last=steps[1],
                rows=steps[2],
                closed=closed.resized(self._n, layers, closed.low.dtype) if narrow else closed,
                open=self._opened(layers),
                newest=self._newest.grown(layers),
                tally=self._tally.frozen(),
            )
        return self._view

    def _opened(self, layers: int) -> Cells | None:
        return None if self._open is None else self._open.resized(1, layers, self._open.low.dtype)
