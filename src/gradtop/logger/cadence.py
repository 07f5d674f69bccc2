"""Which steps are looked at layer by layer: as many as a small part of the training time pays for."""

from __future__ import annotations

from collections import deque
from math import ceil, inf
from statistics import fmean, median
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BYTES_PER_S = 2048.0
"""Lines with values per layer may grow by this much a second, some 170 MB a day."""
OPENING = 8
"""The first gaps of ranks that sample together, and agree on one only with the sums of the sample before."""
LEAST = 0.25
"""The part of the budget that is left to samples where `log.step` itself takes the rest, in loops of a millisecond."""
SAVED = 2.0
"""Samples that can be saved up for: after an hour of validation not every step is sampled until it is spent."""
SLOW = 4.0
"""A sample that took so many times the usual time was held up by something else, and is paid for no further."""
EARLY = (8, 32)
"""Steps that are sampled before they are paid for, so that a run of a hundred short steps shows how its layers move."""
LOAN_S = 0.05
"""Seconds that early samples may cost before they are paid for: less than a tenth of what a minute pays for."""
_KEPT = 16
"""Newest steps, of which the median time counts, and samples, of which the mean cost does: some cost more."""


class Cadence:
    """Samples the first step, and then whenever the training time since then has paid for the next sample.

    Two cheap samples come early and are paid for afterwards.

    Times are kept in seconds of training that a cost asks for: the cost, divided by the part of it that may be spent.
    The first sample is not paid for; what follows it is, from the second on, whatever it turned out to cost.
    """

    def __init__(self, every: int | None, budget: float) -> None:
        """Sample every `every` steps, or, where that is None, for at most the part `budget` (0 to 1) of the time."""
        self._every = max(1, every) if every is not None else None
        self._budget = max(budget, 1e-6)
        self._steps: deque[float] = deque(maxlen=_KEPT)
        self._costs: deque[float] = deque(maxlen=_KEPT)
        self._advanced: deque[float] = deque()
        self._balance = self._price = 0.0
        self._known = 0
        """Samples whose cost is known."""
        self._counted = every is not None
        """Steps are counted to the next sample, not paid for."""
        self._next = 1

    @property
    def opening(self) -> int:
        """The gap to begin with, of ranks that sample together."""
        return self._every or OPENING

    def due(self, count: int) -> bool:
        """The step is to be sampled; `count` is from 1 in this session."""
        if count < self._next:
            return False
        lent = LOAN_S / self._budget if count in EARLY else 0.0
        return self._counted or self._balance + lent >= self._price

    def ordinary(self, seconds: float, own: float = 0.0) -> None:
        """A step took so long, what a sample in it cost left out; `own` of it went into recording it."""
        self._steps.append(seconds)
        left, least = seconds - own / self._budget, LEAST * seconds
        balance = self._balance + (left if left > least else least)
        most = SAVED * self._price
        self._balance = balance if balance < most else max(self._balance, most)

    def sampled(self, count: int, gap: int | None = None) -> None:
        """Step `count` was sampled, and what it cost is told later. The next one is `gap` steps on, where given."""
        if gap is not None or self._every is not None:
            self._counted = True
            self._next = count + max(1, gap or self._every or 1)
        if not self._known:
            self._price = inf
        advance = self._price if self._known else 0.0
        self._advanced.append(advance)
        self._balance -= advance

    def cost(self, seconds: float, line_bytes: int) -> None:
        """The oldest sample whose cost is not known yet took so long, and so many bytes of output."""
        volume = line_bytes / BYTES_PER_S
        if self._known == 1:
            self._costs.clear()  # the first sample has to find out how all others are read
        if len(self._costs) > 2:
            seconds = min(seconds, SLOW * median(self._costs))
        self._costs.append(seconds)
        advance = self._advanced.popleft() if self._advanced else 0.0
        if self._known:
            self._balance += advance - max(seconds / self._budget, volume)
        self._known += 1
        self._price = max(fmean(self._costs) / self._budget, volume)

    def spend(self, seconds: float) -> None:
        """So long went into looking, besides."""
        if self._known != 1:
            self._balance -= seconds / self._budget

    def gap(self) -> int:
        """The gap in steps that the budget asks for, as one rank tells it to the others."""
        if self._every is not None:
            return self._every
        if not self._steps or not self._known:
            return OPENING
        debt = max(0.0, -self._balance) / SLOW  # not all at once: the gap was set before the debt was made
        return max(1, ceil((self._price + debt) / max(median(self._steps), 1e-9)))


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
