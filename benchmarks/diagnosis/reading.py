"""What published rules look at: a log row by row, and the newest values of one metric."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gradtop.record import Record, Rows
from gradtop.run import Observation, Run


@dataclass(frozen=True, slots=True)
class Reading:
    """What one row of a log says."""

    step: float
    values: Mapping[str, float]
    """Metrics of the whole run by their canonical names."""
    layers: Mapping[str, Mapping[str, float]]
    """Family, such as `grad_norm`, to layer to value, in the order of the log."""


def readings(records: Iterable[Record]) -> Iterator[Reading]:
    """The rows of a log as the rules see them."""
    run = Run()
    for record in records:
        for seen in run.apply(record):
            if isinstance(seen, Observation):
                yield from _readings(seen.rows)


def _readings(rows: Rows) -> Iterator[Reading]:
    plain = [name for name in rows.columns if "/" not in name]
    layered = [(name, *name.split("/", 1)) for name in rows.columns if "/" in name]
    for i, step in enumerate(rows.steps):
        layers: dict[str, dict[str, float]] = {}
        for name, family, layer in layered:
            layers.setdefault(family, {})[layer] = float(rows.columns[name][i])
        yield Reading(float(step), {name: float(rows.columns[name][i]) for name in plain}, layers)


class Window:
    """Mean and deviation of the newest values, NaN while one of them is not finite."""

    def __init__(self, length: int) -> None:
        self._values: deque[float] = deque(maxlen=length)
        self._sum = self._squares = self._shift = 0.0
        self._broken = self._fresh = 0

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float) -> None:
        """Take a value in, and let the oldest go."""
        away = 0.0
        if len(self._values) == self._values.maxlen:
            away = self._values[0] - self._shift
            self._count(self._values[0], -1)
        self._values.append(value)
        self._count(value, 1)
        self._fresh += 1
        # What a large value leaves behind when it is taken off a sum is rounding.
        if self._fresh >= len(self._values) or not away * away <= 1e6 * self._squares:
            self._refresh()

    def _count(self, value: float, sign: int) -> None:
        if not math.isfinite(value):
            self._broken += sign
            return
        away = value - self._shift
        self._sum += sign * away
        self._squares += sign * away * away

    def _refresh(self) -> None:
        """Add all up anew, so that what was rounded off does not add up."""
        self._sum = self._squares = 0.0
        self._broken = self._fresh = 0
        self._shift = next(filter(math.isfinite, reversed(self._values)), 0.0)
        for value in self._values:
            self._count(value, 1)

    @property
    def mean(self) -> float:
        """The mean; NaN of none."""
        if self._broken or not self._values:
            return math.nan
        return self._shift + self._sum / len(self._values)

    @property
    def deviation(self) -> float:
        """The standard deviation of a sample; NaN of fewer than two."""
        n = len(self._values)
        if self._broken or n < 2:
            return math.nan
        return math.sqrt(max(0.0, self._squares - self._sum * self._sum / n) / (n - 1))
