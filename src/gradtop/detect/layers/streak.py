"""For how many rows in a row something holds for each layer."""

import math

import numpy as np

from gradtop.detect.perlayer import Flags, grown


class Streaks:
    """One count per layer; a row that says nothing of a layer leaves its count alone."""

    __slots__ = ("any", "count", "since")

    def __init__(self) -> None:
        """No row seen yet."""
        self.count = np.zeros(0, dtype=np.intp)
        """Rows so far, of each layer."""
        self.since = np.zeros(0)
        """The step of the first of them."""
        self.any = False
        """Some count is above 0."""

    def see(self, step: float, holds: Flags, ends: Flags) -> None:
        """Take a row in: it holds for some layers, it is over for others."""
        if len(self.count) != len(holds):
            self.count, self.since = grown(self.count, len(holds), 0), grown(self.since, len(holds), math.nan)
        self.since[holds & (self.count == 0)] = step
        self.count += holds
        self.count[ends] = 0
        self.any = bool(self.count.any())

    def clear(self) -> None:
        """Rows of two sessions are not neighbours."""
        self.count[:] = 0
        self.any = False

    def first(self, some: Flags) -> float:
        """The earliest step since which it holds for `some`, at least one, that have a count."""
        return float(self.since[some].min())

    def most(self, some: Flags) -> int:
        """The longest count of `some`, at least one."""
        return int(self.count[some].max())
