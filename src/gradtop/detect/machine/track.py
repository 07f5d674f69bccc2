"""One measure of the time of a step in blocks of rows: what it is now, and what was usual before."""

import math
from collections import deque

KEPT = 200
"""Blocks that make the usual time: the last 1,000 rows."""
LEAST = 10
"""Blocks from which it is known."""
_RENEWED = 40
"""Blocks after which the usual time is taken again, once it is well known."""
_HIGH_SHARE = 0.9
"""Part of those blocks that a high one has to exceed: a run whose speed wanders has a wide usual range."""


class Track:
    """The times of a step by one measure."""

    __slots__ = ("_kept", "_pushed", "_rise", "limit", "rows", "usual")

    def __init__(self, rise: float) -> None:
        """No row seen yet; a block is high from a rise of `rise` (0.05 is 5 %) over what is usual."""
        self._rise = math.log1p(rise)
        self.rows: list[float] = []
        """The times > 0 of the block that is not complete."""
        self._kept: deque[float] = deque(maxlen=KEPT)
        self._pushed = 0
        self.usual = math.nan
        """The logarithm of the usual time; NaN before it is known."""
        self.limit = math.nan
        """The logarithm above which a block is high."""

    def close(self) -> float:
        """The block is complete: the logarithm of the median of its rows, at least one."""
        self.rows.sort()
        y = math.log(self.rows[len(self.rows) // 2])
        self.rows.clear()
        return y

    def keep(self, y: float) -> None:
        """A block that is old enough becomes part of what is usual."""
        self._kept.append(y)
        self._pushed += 1
        if self._pushed % (LEAST if self._pushed < KEPT else _RENEWED) == 0:
            ranked = sorted(self._kept)
            self.usual = ranked[len(ranked) // 2]
            wide = ranked[int(_HIGH_SHARE * len(ranked))] - self.usual
            # Of few blocks the range is a guess.
            self.limit = self.usual + max(self._rise, wide * (1.0 + LEAST / len(ranked)))

    def rise(self, y: float) -> float:
        """By how much (in logarithms) a block is high; 0 where it is not, infinite before anything is usual."""
        if self.limit != self.limit:
            return math.inf
        return y - self.usual if y > self.limit else 0.0
