"""Gradients that nobody sets to zero: those of parameters that are missing from the optimizer add up."""

import numpy as np

from gradtop.detect.perlayer import Flags, Floats, grown
from gradtop.detect.signals import Signals

_ALPHA = 1 / 16
"""Weight of a new row in the roughness of a layer's gradient."""
_FIRST_ROWS = 5
"""Rows whose mean growth is compared with."""
_SMOOTHER = 0.15
"""Roughness beside that of the median layer: a sum of 64 gradients wavers by some 1/64 of what one of them does."""
_ROUGH = 0.02
"""Roughness that the median layer has to have: in full-batch training everything is smooth."""
_COMPANION = 1.5
"""Growth of further layers that are as smooth as one that has grown enough."""
_EMPTIED = 0.5
"""Part of the last value below which a gradient was set to zero after all."""


class Accumulating:
    """Follows how much each layer's grad norm wavers from row to row, and how far it has grown."""

    __slots__ = ("_first", "_last", "_rough", "_rows", "_sums")

    def __init__(self) -> None:
        """No row seen yet."""
        self._rows = 0
        self._first, self._last, self._rough = np.zeros(0), np.zeros(0), np.zeros(0)
        self._sums = np.zeros(0, dtype=np.bool_)

    def see(self, s: Signals, grads: Floats) -> Flags | None:
        """The layers whose gradients add up at this row; None for none."""
        n = len(grads)
        if n != len(self._last):
            self._first, self._last = grown(self._first, n, 0.0), grown(self._last, n, 0.0)
            self._rough, self._sums = grown(self._rough, n, 1.0), grown(self._sums, n, False)
        self._rows += 1
        fine = (grads > 0.0) & (grads < np.inf)
        y = np.log(np.where(fine, grads, 1.0))
        if self._rows <= _FIRST_ROWS:
            self._first = np.maximum(self._first, np.where(fine, grads, 0.0))
        else:
            part = max(_ALPHA, 1.0 / (self._rows - _FIRST_ROWS))
            self._rough += np.where(fine, part, 0.0) * (np.minimum(np.abs(y - self._last), 1.0) - self._rough)
        if self._sums.any():
            self._sums &= fine & (y >= self._last + np.log(_EMPTIED))
        self._last = y
        long = s.layers.rows_for(s.limits.accumulate_rows, 4 * _FIRST_ROWS)
        if self._rows >= long and (self._rows - long) % (long // 2) == 0:
            self._look(s, grads, fine)
        return self._sums if self._sums.any() else None

    def _look(self, s: Signals, grads: Floats, fine: Flags) -> None:
        usual = float(np.median(self._rough[fine])) if fine.any() else 0.0
        smooth = fine & (self._rough < _SMOOTHER * usual) & (self._first > 0.0)
        if usual >= _ROUGH and (smooth & (grads / s.limits.accumulate_growth >= self._first)).any():
            self._sums |= smooth & (grads / _COMPANION >= self._first)

    def growth(self, places: list[int]) -> float:
        """The largest growth of some layers since the first rows, as a factor."""
        first = np.log(np.maximum(self._first[places], 1e-300))
        return float(np.exp(np.minimum(self._last[places] - first, 700.0).max()))

    @property
    def rows(self) -> int:
        """Rows seen."""
        return self._rows
