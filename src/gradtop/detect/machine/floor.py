"""The lowest memory of spans of rows, near and far back: what garbage collection and peaks leave is the trend."""

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

SPANS = 8
"""Spans in a row whose floors have to rise."""
_FACTOR = 4
"""Spans of one scale that make one of the next."""
_SCALES = 4
_START = 4
"""The span whose floor is the start: what the first steps allocate came before it."""
_STEADY = 0.8
"""Part of the mean pace since the start that the newest growth has: a cache that fills grows ever more slowly."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The lowest value of one span."""

    step: float
    """The last step of the span."""
    value: float
    time: float
    """Seconds of the clock at that step; NaN where rows have no time."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A rise without a pause over eight spans."""

    first: Floor
    last: Floor

    @property
    def per_step(self) -> float:
        """Units of memory per step; 0 where no step was made."""
        steps = self.last.step - self.first.step
        return (self.last.value - self.first.value) / steps if steps > 0.0 else 0.0

    @property
    def step_s(self) -> float:
        """Seconds per step meanwhile; NaN where that is not known."""
        steps = self.last.step - self.first.step
        return (self.last.time - self.first.time) / steps if steps > 0.0 else math.nan


class Floors:
    """The floors of one metric at four scales, each four times as long as the one before."""

    __slots__ = ("_highest", "_lows", "_parts", "_spans", "low", "rows", "scales", "start")

    def __init__(self) -> None:
        """No row seen yet."""
        self.rows = 0
        """Rows of the span that is not complete."""
        self.low = math.inf
        """The lowest value of them."""
        self.scales = tuple(deque[Floor](maxlen=SPANS) for _ in range(_SCALES))
        """The newest floors of each scale, the shortest spans first."""
        self.start: Floor | None = None
        """What was in use after the first steps."""
        self._spans = 0
        self._lows = [math.inf] * _SCALES
        self._parts = [0] * _SCALES
        self._highest = [-math.inf] * _SCALES

    def see(self, value: float) -> None:
        """Take a row in."""
        self.rows += 1
        if value < self.low:
            self.low = value

    def close(self, step: float, time: float) -> int:
        """A span of the shortest scale ends here; the number of scales of which one ended."""
        self._lows[0], self.low = self.low, math.inf
        self.rows = 0
        self._spans += 1
        if self._spans == _START:
            self.start = Floor(step, self._lows[0], time)
        for scale, floors in enumerate(self.scales):
            low, self._lows[scale] = self._lows[scale], math.inf
            if len(floors) == SPANS:
                self._highest[scale] = max(self._highest[scale], floors[0].value)
            floors.append(Floor(step, low, time))
            if scale + 1 == _SCALES:
                break
            self._lows[scale + 1] = min(low, self._lows[scale + 1])
            self._parts[scale + 1] += 1
            if self._parts[scale + 1] < _FACTOR:
                return scale + 1
            self._parts[scale + 1] = 0
        return _SCALES

    def growth(self, scale: int) -> Growth | None:
        """What rose from each of eight spans to the next, and not ever more slowly; None where that is not so.

        What was as high before comes and goes: it is collected now and then.
        """
        floors, start = self.scales[scale], self.start
        if len(floors) < SPANS or start is None or floors[-1].value <= self._highest[scale]:
            return None
        if any(after.value <= before.value for before, after in pairwise(floors)):
            return None
        found = Growth(floors[0], floors[-1])
        return found if found.per_step > _STEADY * max(0.0, Growth(start, floors[-1]).per_step) else None
