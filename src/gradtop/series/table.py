"""Rows with the same columns, one after the other, for whoever has to go through them again."""

from collections.abc import Collection, Sequence
from typing import cast

import numpy as np

from gradtop.series.column import Floats
from gradtop.series.spill import Place, Spill

FEW_ROWS, MANY_ROWS = 512, 4096
"""Rows of a table in memory, and of one that may lie on a disk."""
_MOST_VALUES = 1 << 20
"""Numbers of a table; one with very many columns has fewer rows."""
_SHORT = 16
"""Values that are handed out as plain numbers: a few of them are worked with one by one."""


class Table:
    """A fixed number of rows of some columns, filled from the top. What is filled does not change any more."""

    __slots__ = ("_place", "_values", "n", "rows")

    def __init__(self, columns: int, spill: Spill | None = None) -> None:
        """Empty; it lies on the disk of `spill`, where that takes it, and else in memory."""
        self.rows = max(1, min(FEW_ROWS if spill is None else MANY_ROWS, _MOST_VALUES // max(1, columns)))
        """Rows that it has room for."""
        self.n = 0
        """Rows that are filled."""
        self._place: Place | None = spill.place(8 * self.rows * columns) if spill is not None else None
        shape = self.rows, columns
        self._values: Floats = (
            np.empty(shape) if self._place is None else self._place.bytes.view(np.float64).reshape(shape)
        )

    def append(self, columns: Collection[Sequence[float]], start: int, stop: int) -> None:
        """Fill further rows with the values from `start` to `stop` of all columns; there has to be room for them."""
        added: Floats = np.empty((stop - start, len(columns)))
        if stop - start == 1:
            added[0] = [column[start] for column in columns]
        else:
            for i, column in enumerate(columns):
                added[:, i] = column[start:stop]
        if self._place is not None and not self._place.write(self._values.strides[0] * self.n, added):
            held, self._place = self._values, None
            self._values = np.empty(held.shape)
            self._values[: self.n] = held[: self.n]
        if self._place is None:
            self._values[self.n : self.n + len(added)] = added
        self.n += len(added)

    def between(self, start: int, stop: int) -> list[Sequence[float]]:
        """All columns from one row to another."""
        if stop - start <= _SHORT:
            return cast("list[Sequence[float]]", self._values[start:stop].T.tolist())
        return [self.column(i, start, stop) for i in range(self._values.shape[1])]

    def column(self, i: int, start: int, stop: int) -> Sequence[float]:
        """The values of a column from one row to another."""
        found = self._values[start:stop, i]
        if stop - start <= _SHORT:
            return cast("list[float]", found.tolist())
        found.flags.writeable = False
        return cast("Sequence[float]", found)
