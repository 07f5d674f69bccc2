"""What a bucket of rows keeps of each layer: its least and greatest value, its typical one, and what was no number."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64] | npt.NDArray[np.float32]
Flags = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]

KNOWN, NIL, NAN, INF = 1, 2, 4, 8
"""Bits: some row has a value; some value is exactly zero, is NaN, is infinite. Without the first, it is missing."""
_LEAST, _MOST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Cells:
    """`n` buckets of some layers; every array has the shape (n, layers)."""

    low: Floats
    """Least finite value, NaN where there is none."""
    high: Floats
    """Greatest finite value, NaN where there is none."""
    level: Floats
    """Mean of the decimal logarithms of the positive values, NaN where there are none."""
    flags: Flags

    @classmethod
    def empty(cls, n: int, layers: int, dtype: npt.DTypeLike = np.float32) -> Self:
        """Buckets in which no row has a value of any layer."""
        low, high, level = (np.full((n, layers), np.nan, dtype=dtype) for _ in range(3))
        return cls(low, high, level, np.zeros((n, layers), dtype=np.uint8))

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> Self:
        """Rows as buckets of one row each."""
        finite = np.isfinite(values)
        known = values if finite.all() else np.where(finite, values, np.nan)
        flags = np.full(values.shape, KNOWN, dtype=np.uint8)
        flags[values == 0.0] |= NIL
        if known is not values:
            nan = np.isnan(values)
            flags[nan] |= NAN
            flags[~finite & ~nan] |= INF
        with np.errstate(divide="ignore", invalid="ignore"):
            level = np.log10(np.where(known > 0.0, known, np.nan))
        return cls(known, known, level, flags)

    def __len__(self) -> int:
        return len(self.low)

    @property
    def narrow(self) -> bool:
        """Single precision can hold all values."""
        size = np.abs(self.high if self.high is self.low else np.fmax(np.abs(self.low), np.abs(self.high)))
        size = size[size > 0.0]
        return not size.size or bool(size.min() >= _LEAST and size.max() <= _MOST)

    def put(self, start: int, other: "Cells") -> None:
        """Overwrite the buckets from `start` on; `other` may have fewer layers."""
        at = (slice(start, start + len(other)), slice(0, other.low.shape[1]))
        for mine, theirs in zip(self.arrays, other.arrays, strict=True):
            mine[at] = theirs

    def resized(self, n: int, layers: int, dtype: npt.DTypeLike) -> "Cells":
        """A copy with room for `n` buckets of `layers` layers."""
        grown = Cells.empty(n, layers, dtype)
        grown.put(0, self.part(slice(0, n)))
        return grown

    @property
    def arrays(self) -> tuple[Floats, Floats, Floats, Flags]:
        """Low, high, level, flags."""
        return self.low, self.high, self.level, self.flags

    def part(self, buckets: slice, layers: slice | Places = slice(None)) -> "Cells":  # immutable
        """Some buckets of some layers."""
        low, high, level, flags = self.arrays
        at = (buckets, slice(None))
        return Cells(low[at][:, layers], high[at][:, layers], level[at][:, layers], flags[at][:, layers])

    def scattered(self, places: Places, layers: int) -> "Cells":
        """The same among all `layers` of a grid, the others without a value."""
        if len(places) == layers and (places == np.arange(layers)).all():
            return self
        wide = Cells.empty(len(self), layers, self.low.dtype)
        for mine, theirs in zip(wide.arrays, self.arrays, strict=True):
            mine[:, places] = theirs
        return wide

    def folded(self, starts: Places, weights: npt.NDArray[np.float64]) -> "Cells":
        """Buckets from one start to the next as one each. `weights`: rows of each bucket, for the mean."""
        if len(starts) == len(self):
            return self
        return Cells(
            np.fmin.reduceat(self.low, starts, axis=0),
            np.fmax.reduceat(self.high, starts, axis=0),
            _mean(self.level, starts, weights),
            np.bitwise_or.reduceat(self.flags, starts, axis=0),
        )

    def joined(self, other: "Cells", mine: float, theirs: float) -> "Cells":
        """Two times as many buckets of which each pair is one; `mine` and `theirs` are the rows in them."""
        part = theirs / (mine + theirs)
        level = self.level + part * (other.level - self.level)
        level = np.where(np.isnan(self.level), other.level, np.where(np.isnan(other.level), self.level, level))
        low, high = np.fmin(self.low, other.low), np.fmax(self.high, other.high)
        return replace(self, low=low, high=high, level=level, flags=self.flags | other.flags)


def _mean(levels: Floats, starts: Places, weights: npt.NDArray[np.float64]) -> Floats:
    known = ~np.isnan(levels)
    weighted = np.where(known, weights[:, None], 0.0)
    total = np.add.reduceat(np.where(known, levels, 0.0) * weighted, starts, axis=0)
    weight = np.add.reduceat(weighted, starts, axis=0)
    mean: Floats = np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0.0)
    return mean
