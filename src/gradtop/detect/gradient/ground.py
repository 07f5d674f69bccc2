"""What a rise of the grad norm is measured against: its level in the past, not only the one that follows it."""

import math
from collections import deque
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
_APART, _LEAST_APART, _PAST = 25, 5, 5
"""Rows between two levels that are kept; the least of them where a row stands for several steps; and how many."""
STEADY_ROWS, LEAST_STEADY_ROWS = _APART * (_PAST - 1), _LEAST_APART * (_PAST - 1)
"""Rows that a steady rise is looked for in."""
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

    __slots__ = (
        "_base", "_calm", "_fast", "_fast_lag", "_fast_mean", "_learned", "_low", "_near", "_next", "_past",
        "calm_top", "ceiling", "fast", "floor", "lowest", "mean", "top",
    )  # fmt: skip

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.mean = 0.0
        """Mean deviation of the last rows, in robust deviations."""
        self.fast = 0.0
        """The log grad norm by the last rows, single far ones cut, without the lag of a mean; at most the newest."""
        self._fast = self._fast_mean = self._fast_lag = 0.0
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
        self._base: tuple[float, int, int, float] | None = None
        self._past: deque[tuple[int, float]] = deque(maxlen=_PAST)
        self._next = 0

    @property
    def calm(self) -> Mark | None:
        """The newest row at which nothing was high."""
        return Mark(*self._calm) if self._calm is not None else None

    @property
    def base(self) -> Mark | None:
        """The newest calm row near the lowest level since the loss last fell by a tenth: where growth began."""
        return Mark(*self._base) if self._base is not None else None

    def rise(self, s: Signals, rows: int) -> float:
        """How far the level has risen over the last `rows` at least; minus infinity where it is not known."""
        past = self._past
        return s.grad_level.y - past[0][1] if past and s.rows - past[0][0] >= rows else -math.inf

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
        self._follow(y + near * level.spread, early)
        self.top = y if y > self.top or early else self.top - _SINK
        if s.rows >= self._next:
            self._past.append((s.rows, y))
            self._next = s.rows + s.rows_for(_APART, _LEAST_APART)
        if mean < _CALM_Z:
            self._calm, self.calm_top = (s.step, s.rows, s.losses, y), self.top
            if not early:
                if y < self._near:
                    self._low, self.ceiling = self._calm, self.top
                if y < self.lowest or s.loss_level.y < self._learned:
                    self._lower(s, y)
                if y < self.lowest + _NEAR:
                    self._base = self._calm

    def _follow(self, y: float, early: bool) -> None:
        if early:
            self.fast = self._fast = self._fast_mean = y
            self._fast_lag = 0.0
            return
        off, lag = y - self._fast, self._fast_lag
        self._fast_mean += _FAST * (lag + off)
        self._fast_lag = lag + _FAST * off
        fast = self._fast = self._fast_mean + self._fast_lag
        self.fast = fast if fast < y else y

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
