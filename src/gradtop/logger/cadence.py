"""Which steps are looked at layer by layer: as many as a small part of the training time pays for."""

from __future__ import annotations

from collections import deque
from math import ceil
from statistics import fmean, median
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BYTES_PER_S = 2048.0
"""Lines with values per layer may grow by this much a second, some 170 MB a day."""
_KEPT = 16
"""Newest steps, of which the median time counts, and samples, of which the mean does: every eighth one costs more."""


class Cadence:
    """Samples at step 1, at step 3, and then as often as the budget allows by what samples and steps cost."""

    def __init__(self, every: int | None, budget: float) -> None:
        """Sample every `every` steps, or, where that is None, for at most the part `budget` (0 to 1) of the time."""
        self._every = max(1, every) if every is not None else None
        self._budget = max(budget, 1e-6)
        self._steps: deque[float] = deque(maxlen=_KEPT)
        self._costs: deque[float] = deque(maxlen=_KEPT)
        self._bytes = 0
        self._gap = self._every or 1
        self._next = 1

    def due(self, count: int) -> bool:
        """The step is to be sampled; `count` is from 1 in this session."""
        return count >= self._next

    def ordinary(self, seconds: float) -> None:
        """A step took so long, what a sample in it cost left out."""
        self._steps.append(seconds)

    def cost(self, seconds: float, line_bytes: int) -> None:
        """A sample took so long, and so many bytes of output."""
        self._costs.append(seconds)
        self._bytes = line_bytes

    def follow(self, count: int, gap: int) -> None:
        """The next sample is due `gap` steps after `count`."""
        self._gap = max(1, gap)
        self._next = count + self._gap

    def wanted(self) -> int:
        """The gap in steps that the budget asks for, at most twice the one before: one sample may be slow."""
        if self._every is not None:
            return self._every
        most = self._gap * 2
        if not self._steps or not self._costs:
            return most
        step = max(median(self._steps), 1e-9)
        cost = fmean(self._costs) / (self._budget * step)
        volume = self._bytes / (BYTES_PER_S * step)
        return max(1, min(ceil(max(cost, volume)), most))


class Stopwatch:
    """What a sample costs: the time of the calling thread or of the device, whichever is longer."""

    def __init__(self, device: torch.device | None = None) -> None:
        """At zero; on a CUDA `device` its time is taken as well, by events that nothing waits for."""
        self.host_s = 0.0
        """Seconds of the calling thread so far."""
        self._device = device if device is not None and device.type == "cuda" else None
        self._started = 0.0
        self._marks: list[torch.cuda.Event] = []

    def __enter__(self) -> None:
        if self._device is not None:
            self._marks.append(_mark(self._device))
        self._started = perf_counter()

    def __exit__(self, *raised: object) -> None:
        self.host_s += perf_counter() - self._started
        if self._device is not None:
            self._marks.append(_mark(self._device))

    def seconds(self) -> float:
        """Seconds so far; the device has to have passed the marks, as it has when the values have arrived."""
        pairs = zip(self._marks[::2], self._marks[1::2], strict=True)
        return max(self.host_s, sum(float(began.elapsed_time(ended)) for began, ended in pairs) / 1e3)


def _mark(device: torch.device) -> torch.cuda.Event:
    import torch

    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return event
