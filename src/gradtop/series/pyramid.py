"""Blocks of 16 values, and of 16 such blocks, and so on: what they hold is known without looking at the values again.

With it the columns of a chart cost the same however long the series is. A block has its least, its greatest and the sum
of its finite values, which takes 13 % more memory, and, in a series with NaN or infinite values, how many it has.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradtop.series.column import Column, Floats
from gradtop.series.spill import Spill

WIDTH = 16
"""Blocks, or values, that make a block of the next level."""
_MANY = 256
"""Blocks per range up to which they are gone through one by one: to look at the ends of wider blocks costs as much."""
_NAN = 1 << 32
"""What a NaN adds to a count of lost values; an infinite one adds 1."""
Places = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int64]


def quiet() -> np.errstate:
    """Sums of values near the largest float overflow, and have no mean then: numpy need not say so."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


@dataclass(frozen=True, slots=True)
class Blocks:
    """What some blocks, or ranges of values, hold: shape (n,) each. Sums are taken inside of `quiet`."""

    low: Floats
    """Least finite value; +inf where there is none."""
    high: Floats
    """Greatest finite value; -inf where there is none."""
    total: Floats
    """Sum of the finite values."""
    lost: Counts | None = None
    """NaN values times 2**32, plus infinite values; None where the series has none at all."""

    def __len__(self) -> int:
        return len(self.low)

    @classmethod
    def of_values(cls, values: Floats, lost: bool) -> "Blocks":
        """Each value as a block; `lost`: some of the series are NaN or infinite."""
        if not lost:
            return cls(values, values, values)
        finite = np.isfinite(values)
        counts = np.where(finite, 0, np.where(np.isnan(values), _NAN, 1))
        return cls(
            np.where(finite, values, np.inf), np.where(finite, values, -np.inf), np.where(finite, values, 0.0), counts
        )

    @classmethod
    def nothing(cls, n: int, lost: bool) -> "Blocks":
        """`n` empty ones."""
        counts = np.zeros(n, dtype=np.int64) if lost else None
        return cls(np.full(n, np.inf), np.full(n, -np.inf), np.zeros(n), counts)

    def at(self, places: Places | slice) -> "Blocks":
        """Some of them."""
        lost = self.lost[places] if self.lost is not None else None
        return Blocks(self.low[places], self.high[places], self.total[places], lost)

    def followed(self, more: "Blocks") -> "Blocks":
        """These and more behind them."""
        lost = np.concatenate((self.lost, more.lost)) if self.lost is not None and more.lost is not None else None
        low, high = np.concatenate((self.low, more.low)), np.concatenate((self.high, more.high))
        return Blocks(low, high, np.concatenate((self.total, more.total)), lost)

    def with_lost(self) -> "Blocks":
        """The same with counts of lost values: none."""
        return Blocks(self.low, self.high, self.total, np.zeros(len(self), dtype=np.int64))

    def copy(self) -> "Blocks":
        """Apart from the arrays that they were taken from, which are perhaps large."""
        lost = self.lost.copy() if self.lost is not None else None
        return Blocks(self.low.copy(), self.high.copy(), self.total.copy(), lost)

    def reduced(self, cuts: Places) -> "Blocks":
        """The blocks from each cut up to the next one, or to the end, as one."""
        low, high = np.minimum.reduceat(self.low, cuts), np.maximum.reduceat(self.high, cuts)
        lost = np.add.reduceat(self.lost, cuts) if self.lost is not None else None
        return Blocks(low, high, np.add.reduceat(self.total, cuts), lost)

    def take_in(self, where: Places, more: "Blocks") -> None:
        """Add what further blocks hold to those at `where`, each of which is there once."""
        self.low[where] = np.minimum(self.low[where], more.low)
        self.high[where] = np.maximum(self.high[where], more.high)
        self.total[where] += more.total
        if self.lost is not None and more.lost is not None:
            self.lost[where] += more.lost

    @property
    def nan(self) -> Counts:
        """NaN values in each."""
        return self.lost // _NAN if self.lost is not None else np.zeros(len(self), dtype=np.int64)

    @property
    def inf(self) -> Counts:
        """Infinite values in each."""
        return self.lost % _NAN if self.lost is not None else np.zeros(len(self), dtype=np.int64)


class Pyramid:
    """The levels of a growing series, the lowest first; only whole blocks are in them."""

    __slots__ = ("_few", "_levels", "_lost", "_seen", "_spill", "_waiting")

    def __init__(self, spill: Spill | None = None) -> None:
        """No value yet; long levels lie on the disk of `spill`."""
        self._spill = spill
        self._levels: list[tuple[Column, Column, Column, Column]] = []
        self._seen: list[Blocks] = []
        """The levels as they are now."""
        self._few: list[float] = []
        """Values that are less than a whole block."""
        self._waiting: list[Blocks] = []
        """Blocks of each level that are less than one of the next: to read them back would bring pages into memory."""
        self._lost = False

    def extend(self, added: Floats, lost: bool) -> None:
        """Take in further values; `lost`: some of the series, these included, are NaN or infinite."""
        if lost and not self._lost:
            self._count_lost()
        if len(self._few) + len(added) < WIDTH:
            self._few += added.tolist()
            return
        values = np.concatenate((self._few, added)) if self._few else added
        whole = len(values) // WIDTH * WIDTH
        self._few = values[whole:].tolist()
        blocks = Blocks.of_values(values[:whole], lost)
        for n in itertools.count():
            with quiet():
                blocks = blocks.reduced(np.arange(0, len(blocks), WIDTH))
            self._grow(n, blocks)
            held = self._waiting[n].followed(blocks)
            whole = len(held) // WIDTH * WIDTH
            self._waiting[n] = held.at(slice(whole, None)).copy()
            if not whole:
                return
            blocks = held.at(slice(0, whole))

    def _count_lost(self) -> None:
        """From now on some values are lost; none was so far."""
        self._lost = True
        for low, _, _, counts in self._levels:
            counts.extend(np.zeros(low.n, dtype=np.int64))  # type: ignore[arg-type]  # an array is as good
        self._waiting = [blocks.with_lost() for blocks in self._waiting]
        self._seen = [self._view(n) for n in range(len(self._levels))]

    def _grow(self, n: int, blocks: Blocks) -> None:
        if n == len(self._levels):
            low, high, total = (Column(spill=self._spill) for _ in range(3))
            self._levels.append((low, high, total, Column(np.int64, self._spill)))
            self._waiting.append(Blocks.nothing(0, self._lost))
        for column, values in zip(self._levels[n], (blocks.low, blocks.high, blocks.total, blocks.lost), strict=True):
            if values is not None:
                column.extend(values)  # type: ignore[arg-type]  # an array is as good as a sequence
        self._seen[n : n + 1] = [self._view(n)]

    def _view(self, n: int) -> Blocks:
        low, high, total, lost = (column.view() for column in self._levels[n])
        return Blocks(low, high, total, lost if self._lost else None)  # type: ignore[arg-type]

    def view(self) -> tuple[Blocks, ...]:
        """The levels as they are now."""
        return tuple(self._seen)


def ranges(values: Floats, levels: tuple[Blocks, ...], starts: Places, stops: Places, lost: bool) -> Blocks:
    """What the values from each start up to its stop hold; the ranges follow each other and do not overlap.

    `levels` are those of the pyramid over the values, without any they are gone through one by one.
    """
    found = Blocks.nothing(len(starts), lost)
    level: Blocks | None = None
    where = np.flatnonzero(stops > starts)
    starts, stops = starts[where], stops[where]
    for above in levels:
        if int(np.sum(stops - starts)) <= _MANY * len(where):
            break
        # Of each range what lies before its first whole block of the level above, and what lies behind its last.
        first, last = -(-starts // WIDTH), stops // WIDTH
        heads = np.minimum(first * WIDTH, stops)
        tails = np.maximum(last * WIDTH, heads)
        places, some, cuts = _ends(starts, heads, tails, stops)
        if len(some):
            found.take_in(where[some], _held(values, level, places, lost).reduced(cuts))
        left, level = np.flatnonzero(last > first), above
        where, starts, stops = where[left], first[left], last[left]
    if len(where):
        # The ranges lie side by side: what is between two of them is less than a block, and left out.
        cuts = np.stack((starts, stops), axis=1).reshape(-1)[:-1] - starts[0]
        held = _held(values, level, slice(int(starts[0]), int(stops[-1])), lost)
        found.take_in(where, held.reduced(cuts).at(slice(None, None, 2)))
    return found


def _ends(starts: Places, heads: Places, tails: Places, stops: Places) -> tuple[Places, Places, Places]:
    """The places of `starts` to `heads` and of `tails` to `stops` by ranges; which ranges have some, from where on.

    There are at most 15 at each end.
    """
    counts = np.stack((heads - starts, stops - tails), axis=1).reshape(-1)
    behind = np.cumsum(counts)
    shifts = np.stack((starts, tails), axis=1).reshape(-1) - (behind - counts)
    places = np.arange(behind[-1]) + np.repeat(shifts, counts)
    some = np.flatnonzero(counts[::2] + counts[1::2])
    return places, some, (behind - counts)[::2][some]


def _held(values: Floats, level: Blocks | None, places: Places | slice, lost: bool) -> Blocks:
    """Some blocks of a level, or some values where that is None."""
    return level.at(places) if level is not None else Blocks.of_values(values[places], lost)
