"""Exact numbers of every layer, over all of its values: first, last, extremes, what was not finite, since when zero."""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
_START = {"low": np.inf, "high": -np.inf, "count": 0.0, "nan": 0.0, "inf": 0.0}


@dataclass(slots=True)
class Tally:
    """One number per layer in each array."""

    count: Doubles
    """Values, whatever they are."""
    first: Doubles
    last: Doubles
    low: Doubles
    """Least finite value, infinite where there is none."""
    high: Doubles
    nan: Doubles
    inf: Doubles
    first_step: Doubles
    last_step: Doubles
    """Step of the newest value."""
    zero_since: Doubles
    """Step from which on all values are exactly zero; NaN where the last one is not."""

    @classmethod
    def empty(cls, layers: int) -> Self:
        """Layers without a value."""
        return cls(**{f.name: np.full(layers, _START.get(f.name, np.nan)) for f in fields(cls)})

    def grown(self, layers: int) -> "Tally":
        """The same with room for more layers."""
        wider = Tally.empty(layers)
        for field in fields(self):
            old = getattr(self, field.name)
            getattr(wider, field.name)[: len(old)] = old
        return wider

    def frozen(self) -> "Tally":
        """A copy."""
        return replace(self, **{f.name: getattr(self, f.name).copy() for f in fields(self)})

    def add(self, steps: Doubles, values: Doubles, at: Places) -> None:
        """Take in rows: `values` has the shape (rows, layers), and `at` says which layers."""
        finite = np.isfinite(values)
        known = values if (whole := bool(finite.all())) else np.where(finite, values, np.nan)
        fresh = at[self.count[at] == 0.0]
        if fresh.size:
            self.first[fresh] = values[0][self.count[at] == 0.0]
            self.first_step[fresh] = steps[0]
        self.low[at] = np.fmin(self.low[at], np.fmin.reduce(known, axis=0))
        self.high[at] = np.fmax(self.high[at], np.fmax.reduce(known, axis=0))
        self.count[at] += len(values)
        self.last[at], self.last_step[at] = values[-1], steps[-1]
        if not whole:
            nan = np.count_nonzero(np.isnan(values), axis=0)
            self.nan[at] += nan
            self.inf[at] += np.count_nonzero(~finite, axis=0) - nan
        self._follow_zeros(steps, values, at)

    def _follow_zeros(self, steps: Doubles, values: Doubles, at: Places) -> None:
        zero = values == 0.0
        if not zero.any():
            self.zero_since[at] = np.nan
            return
        other = ~zero
        # Rows behind the last one that is not zero.
        behind = np.where(other.any(axis=0), np.argmax(other[::-1], axis=0), len(values))
        begun = np.where(behind > 0, steps[np.minimum(len(values) - behind, len(values) - 1)], np.nan)
        before = self.zero_since[at]
        self.zero_since[at] = np.where((behind == len(values)) & ~np.isnan(before), before, begun)
