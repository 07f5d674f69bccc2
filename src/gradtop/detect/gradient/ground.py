"""What a rise of the grad norm is measured against: its level in the past, not only the one that follows it."""

import math
from typing import NamedTuple

from gradtop.detect.signals import Signals

DECADE = math.log(10.0)
"""A factor of ten, in the logarithms of a level."""
_FAST = 1 / 8
"""Weight of a new row in the means of the last rows."""
_CLIP_Z = 6.0
"""Deviations that one row counts for in it at most, so that one row alone is no lasting rise."""
_CALM_Z = 0.5
_SINK = DECADE / 1500
"""Fall of the top per row: a gradient that is back after some hundred low rows has not exploded."""
_NEAR = 0.2 * DECADE
_LEARNED = 0.1
"""Fall of the loss, as a part, that explains a larger gradient: the run has left a plateau."""


class Mark(NamedTuple):
    """A row of the past."""

    step: float
    row: int
    losses: int
    """Finite losses up to it."""
    y: float
    """The level of the log grad norm at it."""


class Ground:
    """The level of the grad norm in the past: its top, its lowest, and where it was calm last."""

    __slots__ = ("_calm", "_learned", "_low", "_near", "calm_top", "ceiling", "fast", "floor", "lowest", "mean", "top")

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.mean = 0.0
        """Mean deviation of the last rows, in robust deviations."""
        self.fast = 0.0
        """Mean of the log grad norm over the last rows, single far ones cut."""
        self.top = -math.inf
        """The highest level of the last some hundred rows."""
        self.calm_top = math.inf
        """The top at the newest calm row."""
        self._calm: tuple[float, int, int, float] | None = None
        self._learned = -math.inf
        self.forget()

    def forget(self) -> None:
        """What is usual by now counts as low."""
        self.lowest = self.floor = self._near = math.inf
        self.ceiling = math.inf
        """The top at the newest low row: growth has to go beyond it, or else the gradient has only come back."""
        self._low: tuple[float, int, int, float] | None = None

    @property
    def calm(self) -> Mark | None:
        """The newest row at which nothing was high."""
        return Mark(*self._calm) if self._calm is not None else None

    @property
    def low(self) -> Mark | None:
        """The newest row near the floor."""
        return Mark(*self._low) if self._low is not None else None

    def see(self, s: Signals, z: float, early: bool) -> None:
        """Take in the level and the deviation of this row; `early` rows are no ground for growth."""
        level = s.grad_level
        y = level.y
        near = _CLIP_Z if z > _CLIP_Z else -_CLIP_Z if z < -_CLIP_Z else z
        if early:
            self._learn(s)
        mean = self.mean = self.mean + _FAST * (near - self.mean)
        self.fast = y if early else self.fast + _FAST * (y + near * level.spread - self.fast)
        self.top = y if y > self.top or early else self.top - _SINK
        if mean < _CALM_Z:
            self._calm, self.calm_top = (s.step, s.rows, s.losses, y), self.top
            if not early:
                if y < self._near:
                    self._low, self.ceiling = self._calm, self.top
                if y < self.lowest or s.loss_level.y < self._learned:
                    self._lower(s, y)

    def _lower(self, s: Signals, y: float) -> None:
        """`lowest` counts since the loss last fell by a tenth, `floor` since the beginning."""
        self.lowest = y
        if y < self.floor:
            self.floor, self._near = y, y + _NEAR
        self._learn(s)

    def _learn(self, s: Signals) -> None:
        """The loss at which growth is counted anew."""
        loss = s.loss_level
        if loss.ready:
            self._learned = loss.y - (_LEARNED * loss.unit if loss.linear else _LEARNED)
