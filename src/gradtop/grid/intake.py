"""Rows on their way into the grids of a run: which column is of which family and layer, many rows at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from gradtop.grid.cells import Places
from gradtop.grid.name import split
from gradtop.grid.store import MAX_LAYERS, Grid
from gradtop.grid.tally import Doubles
from gradtop.grid.view import GridView
from gradtop.record import Rows

_LAYOUTS_KEPT = 256
_MOST_WAITING = 1024
"""Rows that wait to be stored together."""


@dataclass(frozen=True, slots=True)
class _Share:
    """The columns of one grid."""

    grid: Grid
    columns: Places
    """Which of all columns, by their turn."""
    places: Places


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the columns of rows with the same columns belong."""

    plain: tuple[str, ...]
    """Those that are of no layer."""
    shares: tuple[_Share, ...]


class Grids:
    """The per-layer values of a run, one grid for each family and kind of step."""

    def __init__(self, better: Callable[[str, str], bool]) -> None:
        """`better(a, b)`: where a family comes in two kinds of steps, `a` has the plain name and `b` does not."""
        self._better = better
        self._grids: dict[str, Grid] = {}
        self._layouts: dict[tuple[str, tuple[str, ...]], _Layout] = {}
        self._waiting: _Layout | None = None
        self._session = 0
        self._steps: list[float] = []
        self._rows: list[list[float]] = []
        self.dropped: set[str] = set()
        """Names left out because a grid has too many layers; as many as one grid may have."""

    def take(self, rows: Rows, session: int) -> tuple[str, ...]:
        """Take what is of layers; the names of the other columns."""
        names = tuple(rows.columns)
        layout = self._layouts.get((rows.x_kind, names)) or self._laid_out(rows.x_kind, names)
        if layout.shares:
            if layout is not self._waiting or session != self._session or len(self._steps) >= _MOST_WAITING:
                self.settle()
                self._waiting, self._session = layout, session
            if len(rows) == 1:
                self._steps.append(rows.steps[0])
                self._rows.append([column[0] for column in rows.columns.values()])
            else:
                self.settle()
                self._store(layout, rows.steps, _table([*rows.columns.values()]))
        return layout.plain

    def reached(self, rows: Rows, session: int) -> float:
        """The newest step in a session of what these rows have, below all others where it has none."""
        self.settle()
        layout = self._layouts.get((rows.x_kind, tuple(rows.columns)))
        return max((share.grid.reached(session) for share in layout.shares), default=-np.inf) if layout else -np.inf

    def settle(self) -> None:
        """Store what waits."""
        if not self._steps or self._waiting is None:
            return
        self._store(self._waiting, self._steps, _table(self._rows).T)
        self._steps, self._rows = [], []

    def _store(self, layout: _Layout, steps: Sequence[float], values: Doubles) -> None:
        """Store rows; `values` is (columns, rows)."""
        for share in layout.shares:
            share.grid.extend(steps, np.ascontiguousarray(values[share.columns].T), share.places, self._session)

    def _laid_out(self, x_kind: str, names: tuple[str, ...]) -> _Layout:
        if len(self._layouts) >= _LAYOUTS_KEPT:
            self._layouts.clear()
        families: dict[str, list[tuple[int, str]]] = {}
        for i, name in enumerate(names):
            if (found := split(name)) is not None:
                families.setdefault(found[0], []).append((i, found[1]))
        if families:
            # Layers that are new to a grid that rows wait for would not fit them.
            self.settle()
        shares = tuple(self._share(family, x_kind, of) for family, of in families.items())
        if (weights := families.get("weight_norm")) and (grads := self._grids.get("grad_norm")) is not None:
            # A layer that never has a gradient is one of the model all the same.
            grads.places([layer for _, layer in weights])
        layered = {i for of in families.values() for i, _ in of}
        plain = tuple(name for i, name in enumerate(names) if i not in layered)
        layout = _Layout(plain, tuple(share for share in shares if len(share.columns)))
        self._layouts[x_kind, names] = layout
        return layout

    def _share(self, family: str, x_kind: str, columns: Sequence[tuple[int, str]]) -> _Share:
        grid = self._grid(family, x_kind)
        places, left_out = grid.places([layer for _, layer in columns])
        self.dropped.update(f"{family}/{layer}" for layer in left_out[: max(0, MAX_LAYERS - len(self.dropped))])
        kept = [(turn, place) for (turn, _), place in zip(columns, places, strict=True) if place >= 0]
        turns, at = zip(*kept, strict=True) if kept else ((), ())
        return _Share(grid, np.array(turns, dtype=np.intp), np.array(at, dtype=np.intp))

    def _grid(self, family: str, x_kind: str) -> Grid:
        """The grid of this family and kind; of two kinds the worse one goes by `FAMILY by KIND`."""
        held = self._grids.get(family)
        if held is not None and held.x_kind != x_kind:
            if self._better(x_kind, held.x_kind):
                self._grids[f"{family} by {held.x_kind}"] = self._grids.pop(family)
                held = None
            else:
                family = f"{family} by {x_kind}"
                held = self._grids.get(family)
        if held is None:
            held = self._grids[family] = Grid(family.partition(" ")[0], x_kind)
        return held

    def view(self) -> dict[str, GridView]:
        """All grids as they are now, by the name of their family."""
        self.settle()
        return {name: grid.view() for name, grid in self._grids.items()}


def _table(lines: Sequence[Sequence[float]]) -> Doubles:
    """Lines of equal length as an array: numpy takes twice as long to find that out by itself."""
    found = np.fromiter(chain.from_iterable(lines), dtype=np.float64, count=len(lines) * len(lines[0]))
    return found.reshape(len(lines), -1)
