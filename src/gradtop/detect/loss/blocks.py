"""A whole run in at most 64 means of equally many rows: what trends over long stretches are read from."""

import math
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from gradtop.detect.robust import Level

MOST = 64
"""Blocks kept; when there are as many, neighbours are merged, so that a block is 1/64 to 1/32 of the run."""
_CLIP = 4.0
"""Spreads beside the level beyond which a value counts no more: one spike is not a trend."""
_LEAST = 4
_MOST_LIKE_BEFORE = 0.95


class Fit(NamedTuple):
    """A straight line through blocks."""

    change: float
    """What it rises by, from the first of them to the last."""
    error: float
    """The standard error of that, wider where neighbours are alike."""


class Blocks:
    """Means of equally many values of one form (logarithms, or plain values)."""

    __slots__ = ("_held", "_sum", "ends", "width", "y")

    def __init__(self) -> None:
        """No value seen yet."""
        self.width = 1
        """Values per block."""
        self.y: list[float] = []
        self.ends: list[float] = []
        """Where each block ends."""
        self._held = 0
        self._sum = 0.0

    def __len__(self) -> int:
        return len(self.y)

    def see(self, x: float, y: float) -> bool:
        """Take a value at `x` in; True where it completes a block."""
        self._sum += y
        self._held += 1
        if self._held < self.width:
            return False
        self.y.append(self._sum / self._held)
        self.ends.append(x)
        self._held, self._sum = 0, 0.0
        if len(self.y) == MOST:
            self.y = [(a + b) / 2 for a, b in zip(self.y[::2], self.y[1::2], strict=True)]
            self.ends = self.ends[1::2]
            self.width *= 2
        return True

    def back_to(self, x: float) -> None:
        """Forget what reaches to `x` or beyond: the run has gone back there."""
        while self.ends and self.ends[-1] >= x:
            del self.y[-1], self.ends[-1]
        self._held, self._sum = 0, 0.0

    def since(self, x: float) -> int:
        """The place of the first block that begins after another has reached `x`."""
        return next((i for i, end in enumerate(self.ends, 1) if end >= x), len(self.ends))

    def fit(self, first: int = 0) -> Fit | None:
        """The line through the blocks from the place `first` on; None for fewer than four, or at one x."""
        x, y = self.ends[first:], self.y[first:]
        n = len(y)
        if n < _LEAST:
            return None
        mean_x, mean_y = sum(x) / n, sum(y) / n
        beside = [value - mean_x for value in x]
        square = sum(value * value for value in beside)
        if not square > 0.0 or not math.isfinite(square):
            return None
        slope = sum(a * (b - mean_y) for a, b in zip(beside, y, strict=True)) / square
        left = [b - mean_y - slope * a for a, b in zip(beside, y, strict=True)]
        total = sum(value * value for value in left)
        alike = sum(a * b for a, b in pairwise(left)) / total if total > 0.0 else 0.0
        alike = min(max(alike, 0.0), _MOST_LIKE_BEFORE)
        error = math.sqrt(total / (n - 2) / square * (1 + alike) / (1 - alike))
        return Fit(slope * (x[-1] - x[0]), error * (x[-1] - x[0]))


def clipped(level: Level) -> float:
    """The newest value in the stream's form, no further from the level than a spike counts."""
    if level.z is not None and -_CLIP < level.z < _CLIP:
        return level.last
    limit = _CLIP * level.spread
    return min(max(level.last, level.y - limit), level.y + limit)


def printed_step(values: Iterable[float]) -> float:
    """The unit of the last digit that any of the values has: smaller changes are not in the log."""
    digits = [_last_digit(float(value)) for value in values if math.isfinite(value)]
    return float(Decimal(1).scaleb(min(digits))) if digits else 0.0


@lru_cache(maxsize=2048)
def _last_digit(value: float) -> int:
    """The power of ten of the last digit of a float as Python writes it: -2 of `1.25`.

    Remembered, as most of the newest values were asked about before.
    """
    digits, _, exponent = repr(value).partition("e")
    return int(exponent or 0) - len(digits.partition(".")[2])
