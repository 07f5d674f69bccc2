"""A series that counts upwards, such as the time or the epoch, as an x axis: steps to places on it and back."""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from gradtop.series import SeriesView
from gradtop.series.column import Array, Floats, upto

_MOST_BELOW = 0.1
"""Part of the values that may lie below an earlier one: what goes up and down is a duration."""

_LARGEST, _LEAST = 1e15, 1e-6
"""No count of seconds or epochs is larger, nor a span of them less: this is something else."""


class Rising:
    """Places of steps on an axis by the values of a series; both rise, so nothing folds back.

    A session that begins below what was reached (another clock, a count from zero) goes on from there; a value that is
    below an earlier one of its session is taken for that one. Between two rows, and where several rows have one value,
    steps lie evenly; beyond the ends they go on as they did on average.
    """

    __slots__ = ("_reached", "_slope", "_steps", "of", "usable")

    def __init__(self, series: SeriesView) -> None:
        """By the finite values of a series, ghosts left out."""
        self.of = series
        """What it was made from."""
        parts = list(_sessions(series))
        self._steps = parts[0][0] if len(parts) == 1 else np.concatenate([steps for steps, _ in parts] or [np.empty(0)])
        values: Floats = parts[0][1] if len(parts) == 1 else np.concatenate([v for _, v in parts] or [np.empty(0)])
        rises = bool((values[1:] >= values[:-1]).all())
        self._reached: Floats = values if rises else np.maximum.accumulate(values)
        below = 0 if rises else int(np.count_nonzero(values < self._reached))
        wide = len(values) > 1 and self.last > self.first and bool(self._steps[-1] > self._steps[0])
        wide = wide and self.last - self.first >= _LEAST and max(-self.first, self.last) <= _LARGEST
        self.usable = wide and below <= _MOST_BELOW * len(values)
        """It does rise, and from one step to another."""
        self._slope = (self.last - self.first) / float(self._steps[-1] - self._steps[0]) if wide else 1.0

    @property
    def first(self) -> float:
        """The place of the first row; there has to be one."""
        return float(self._reached[0])

    @property
    def last(self) -> float:
        """The place of the newest row; there has to be one."""
        return float(self._reached[-1])

    def places(self, steps: Sequence[float]) -> list[float]:
        """Where some steps lie."""
        at = np.asarray(steps, dtype=np.float64)
        return self._between(at, upto(self._steps, at), forth=True)

    def steps(self, places: Sequence[float]) -> list[float]:
        """The steps at some places; whole where rows are, or in between."""
        at = np.asarray(places, dtype=np.float64)
        return self._between(at, np.searchsorted(self._reached, at, side="right"), forth=False)

    def _between(self, at: Floats, after: Array, forth: bool) -> list[float]:
        """Places of steps, or steps of places, along lines between the first rows of different values."""
        value = self._reached[np.maximum(after - 1, 0)]
        begin, end = np.searchsorted(self._reached, value), np.searchsorted(self._reached, value, side="right")
        beyond = (end >= len(self._reached)) | (after == 0)
        end = np.minimum(end, len(self._reached) - 1)
        s0, s1 = self._steps[begin].astype(np.float64), self._steps[end].astype(np.float64)
        v0, v1 = self._reached[begin], self._reached[end]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(beyond, self._slope, (v1 - v0) / (s1 - s0))
            found = v0 + (at - s0) * slope if forth else s0 + (at - v0) / slope
        return cast("list[float]", found.tolist())


def _sessions(series: SeriesView) -> Iterator[tuple[Array, Floats]]:
    """Steps and finite values of each session in which they count."""
    reached = -np.inf
    for segment, steps in series.live():
        values = np.asarray(series.values[segment.start : segment.start + len(steps)], dtype=np.float64)
        finite = np.isfinite(values)
        if not finite.all():
            steps, values = steps[finite], values[finite]
        if len(values):
            if values[0] < reached:
                values = values + (reached - values[0])
            reached = float(values.max())
            yield steps, values
