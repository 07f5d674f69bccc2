"""The course of a run as the rules see it: its own usual range over the steps, and where its warm-up ends."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from gradtop.detect.robust import Level

MOST = 512
"""Places kept of a usual range: every row's at first, then every second one's, and so on."""
Band = tuple[tuple[float, float, float], ...]
"""(step, low, high) in order; NaN from a step on where no range was known until the next one."""


@dataclass(frozen=True, slots=True)
class Course:
    """What charts show behind the curves."""

    usual: Mapping[str, Band] = field(default_factory=dict)
    """By metric: two spreads below and above its level, once the burn-in of a session or a cycle is over."""
    warmup_end: float | None = None
    """The step at which the warm-up ends or ended, where that is declared or can be seen."""
    warming: bool = False
    """The newest step lies in it, or in one whose end is not known yet."""


class Trail:
    """Where the usual range of a level lay; it takes no more memory however long the run is."""

    __slots__ = ("_band", "_points", "_rows", "_stride", "_unknown")

    def __init__(self) -> None:
        """No row seen yet."""
        self._points: list[tuple[float, float, float]] = []
        self._band: Band | None = ()
        self._stride = 1
        self._rows = 0
        self._unknown = True

    def see(self, step: float, level: Level) -> None:
        """Take in the level after a row."""
        if not level.ready:
            if not self._unknown:
                self._unknown = True
                self._keep(step, math.nan, math.nan)
            return
        self._rows += 1
        if (self._unknown or self._rows % self._stride == 0) and (usual := level.usual) is not None:
            self._unknown = False
            self._keep(step, *usual)

    def rewind(self, step: float) -> None:
        """A session begins at a step: what was known of it and later ones holds no more."""
        while self._points and self._points[-1][0] >= step:
            self._points.pop()
        self._band, self._unknown = None, True
        if self._points:
            self._keep(step, math.nan, math.nan)

    def _keep(self, step: float, low: float, high: float) -> None:
        self._band = None
        self._points.append((step, low, high))
        if len(self._points) >= MOST:
            self._stride *= 2
            # Where a range ends stays, unless there are too many ends.
            kept = [p for i, p in enumerate(self._points) if i % 2 == 0 or p[1] != p[1]]
            self._points = kept if len(kept) <= MOST * 3 // 4 else self._points[::2]

    @property
    def band(self) -> Band:
        """The range over the steps."""
        if self._band is None:
            self._band = tuple(self._points)
        return self._band
