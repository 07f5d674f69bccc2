"""Rows of a source that have to be joined again one day: in tables, so that many take little memory."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from gradtop.record import Rows
from gradtop.run import cut
from gradtop.series import Spill, Table

MOST_LAYOUTS = 64
"""Sets of columns that have tables; a source whose rows have yet others keeps these as they are."""


@dataclass(frozen=True, slots=True)
class Stretch(Sequence[float]):
    """Steps from `start` to `stop` of some that grow at their end."""

    of: "array[int] | array[float]"
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @overload
    def __getitem__(self, i: int) -> float: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[float]: ...
    def __getitem__(self, i: int | slice) -> float | Sequence[float]:
        if not isinstance(i, slice):
            at = i + (self.start if i >= 0 else self.stop)
            if self.start <= at < self.stop:
                return self.of[at]
            raise IndexError(i)
        start, stop, step = i.indices(len(self))
        return self.of[self.start + start : self.start + max(start, stop) : step]

    def __iter__(self) -> Iterator[float]:
        return iter(self.of[self.start : self.stop])


def part(rows: Rows, start: int, stop: int) -> Rows:
    """The rows `start` to `stop` of a block, as plain rows."""
    if not isinstance(rows.columns, Columns):
        return cut(rows, start, stop)
    held = rows.columns
    columns = zip(held.pile.index, held.pile.table.between(held.start + start, held.start + stop), strict=True)
    return Rows(rows.steps[start:stop], dict(columns), below=rows.below, x_kind=rows.x_kind)


def below(steps: Sequence[float], step: float) -> int:
    """How many of some rising steps are below one."""
    if isinstance(steps, Stretch):
        return bisect_left(steps.of, step, steps.start, steps.stop) - steps.start
    return bisect_left(steps, step)


def upto(steps: Sequence[float], step: float, start: int = 0) -> int:
    """How many of some rising steps are not above one; the first `start` are known not to be."""
    if isinstance(steps, Stretch):
        return bisect_right(steps.of, step, steps.start + start, steps.stop) - steps.start
    return bisect_right(steps, step, start)


@dataclass(slots=True)
class _Pile:
    """A table that is being filled, with the steps of its rows."""

    index: dict[str, int]
    table: Table
    steps: "array[int] | array[float]"


@dataclass(frozen=True, slots=True)
class Columns(Mapping[str, Sequence[float]]):
    """The columns of the rows from `start` to `stop` of a table."""

    pile: _Pile
    start: int
    stop: int

    def __getitem__(self, name: str) -> Sequence[float]:
        return self.pile.table.column(self.pile.index[name], self.start, self.stop)

    def __iter__(self) -> Iterator[str]:
        return iter(self.pile.index)

    def __len__(self) -> int:
        return len(self.pile.index)

    def __contains__(self, name: object) -> bool:
        return name in self.pile.index

    def keys(self) -> KeysView[str]:
        """The names, as a dictionary has them: a mapping of one's own compares them one by one."""
        return self.pile.index.keys()


def following(rows: Rows, more: Rows) -> Rows | None:
    """Both as one block, where they follow each other in one table."""
    a, b = rows.columns, more.columns
    if not (isinstance(a, Columns) and isinstance(b, Columns) and a.pile is b.pile and a.stop == b.start):
        return None
    s, t = rows.steps, more.steps
    # Steps that were moved to those of the run are no longer in the pile.
    if not (isinstance(s, Stretch) and isinstance(t, Stretch)) or rows.below != more.below:
        return None
    return Rows(Stretch(s.of, s.start, t.stop), Columns(a.pile, a.start, b.stop), below=rows.below, x_kind=rows.x_kind)


class Piles:
    """All rows of one source."""

    def __init__(self, spill: Spill | None) -> None:
        """None yet; where there are many they lie on the disk of `spill`."""
        self._spill = spill
        self._piles: dict[tuple[str, ...], _Pile] = {}

    def put(self, rows: Rows, steps: "array[int] | array[float]", start: int, stop: int) -> Iterator[Rows]:
        """The rows from `start` to `stop`, with their `steps`, as rows that take little memory: as blocks in order."""
        names = tuple(rows.columns)
        if names not in self._piles and len(self._piles) >= MOST_LAYOUTS:
            yield Rows(steps[start:stop], _plain(rows, start, stop), below=rows.below, x_kind=rows.x_kind)
            return
        columns = [*rows.columns.values()]
        while start < stop:
            pile = self._pile(names, steps.typecode)
            at, end = pile.table.n, min(stop, start + pile.table.rows - pile.table.n)
            pile.table.append(columns, start, end)
            pile.steps.extend(steps[start:end])  # type: ignore[arg-type]  # both have one type code
            kept = Columns(pile, at, pile.table.n)
            yield Rows(Stretch(pile.steps, at, pile.table.n), kept, below=rows.below, x_kind=rows.x_kind)
            start = end

    def _pile(self, names: tuple[str, ...], kind: str) -> _Pile:
        """One with room for a row; the first one is small, and in memory."""
        pile = self._piles.get(names)
        if pile is None or pile.table.n == pile.table.rows or pile.steps.typecode != kind:
            index = pile.index if pile is not None else {name: i for i, name in enumerate(names)}
            pile = _Pile(index, Table(len(names), self._spill if pile is not None else None), array(kind))
            self._piles[names] = pile
        return pile


def _plain(rows: Rows, start: int, stop: int) -> dict[str, Sequence[float]]:
    columns = ((name, values[start:stop]) for name, values in rows.columns.items())
    return {name: values if hasattr(values, "dtype") else array("d", values) for name, values in columns}
