"""Samples of the machine beside the rows of a run: each is joined to the row that comes after it.

They are joined by time where rows have one, so that a recording fits its run; live samples have a place among rows
without times as well: behind those that were there when the sample was taken.
"""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gradtop.machine import SAMPLES_KEPT, Gpu, Machine, MachineView
from gradtop.record import Rows
from gradtop.run import Observation, cut

MOST_KEPT = 16_384
"""Samples kept for a run whose sources have to be joined anew; with more, neighbours are made one."""
NOWHERE = 2**31
"""The session of a sample that has a time alone."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the rules look at of a sample, and where it belongs."""

    time: float
    session: int
    step: float
    """Of the newest row when it was taken."""
    names: tuple[str, ...]
    """What it tells; one tuple for all samples that tell the same."""
    numbers: "array[float]"

    @property
    def values(self) -> dict[str, float]:
        """By name."""
        return dict(zip(self.names, self.numbers, strict=True))


class Samples:
    """All samples of one run: the newest whole, the others as far as rules look at them."""

    def __init__(self) -> None:
        """None yet."""
        self._newest: deque[Machine] = deque(maxlen=SAMPLES_KEPT)
        self._view: MachineView | None = None
        self._kept: list[Sampled] = []
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._live_since = -math.inf
        self._recorded = False

    def wants(self, machine: Machine) -> bool:
        """It says something: its process is watched here, or was recorded, and both may be so at a time."""
        if machine.line is not None:
            # What is recorded while it is watched is here already.
            return not -math.inf < self._live_since <= machine.time
        return machine.process is not None or not self._recorded

    def add(self, machine: Machine, session: int, step: float) -> Sampled | None:
        """Take one in, behind a step of a session; None where rules have nothing to look at."""
        self._newest.append(machine)
        self._view = None
        if machine.line is not None:
            self._recorded = True
        elif machine.process is not None and self._live_since == -math.inf:
            self._live_since = machine.time
        known = values(machine)
        return self._keep(self._packed(machine.time, session, step, known)) if known else None

    def _packed(self, time: float, session: int, step: float, known: dict[str, float]) -> Sampled:
        """A sample in little memory: a training of days has very many."""
        names = tuple(known)
        return Sampled(time, session, step, self._names.setdefault(names, names), array("d", known.values()))

    def _keep(self, sampled: Sampled) -> Sampled:
        self._kept.append(sampled)
        if len(self._kept) > MOST_KEPT:
            half = len(self._kept) // 4 * 2
            pairs = zip(self._kept[:half:2], self._kept[1:half:2], strict=True)
            self._kept[:half] = [self._packed(b.time, b.session, b.step, together((a, b))) for a, b in pairs]
        return sampled

    def view(self) -> MachineView | None:
        """The newest samples; None before the first."""
        if self._view is None and self._newest:
            self._view = MachineView(tuple(self._newest))
        return self._view

    def waiting(self) -> "Waiting":
        """All of them, for rows that are read from the start."""
        return Waiting(sorted(self._kept, key=lambda sampled: sampled.time))


class Waiting:
    """Samples on their way to the rows that come after them."""

    def __init__(self, samples: Iterable[Sampled] = ()) -> None:
        """Those that are there already, in order."""
        self._samples = deque(samples, maxlen=MOST_KEPT)

    def add(self, sampled: Sampled) -> None:
        """One more, the newest."""
        self._samples.append(sampled)

    def onto(self, seen: Observation) -> Iterator[Observation]:
        """The same rows, with the samples in the rows that come after them; what a row says itself stands."""
        rows, start = seen.rows, 0
        while self._samples and start < len(rows):
            at = _place(self._samples[0], seen, start)
            if at >= len(rows):
                break
            here = [self._samples.popleft()]
            while self._samples and _place(self._samples[0], seen, start) <= at:
                here.append(self._samples.popleft())
            if at > start:
                yield Observation(cut(rows, start, at), seen.session)
            yield Observation(_with(cut(rows, at, at + 1), together(here)), seen.session)
            start = at + 1
        if start < len(rows):
            yield seen if not start else Observation(cut(rows, start, len(rows)), seen.session)


def _place(sampled: Sampled, seen: Observation, start: int) -> int:
    """The index of the row that a sample belongs to; the number of rows where it comes later."""
    rows, session = seen.rows, seen.session.number
    if (times := rows.columns.get("time")) is not None:
        return bisect_left(times, sampled.time, lo=start)
    if session != sampled.session:
        return start if session > sampled.session else len(rows)
    return bisect_right(rows.steps, sampled.step, lo=start)


def _with(row: Rows, more: dict[str, float]) -> Rows:
    columns: dict[str, Sequence[float]] = {name: [value] for name, value in more.items()}
    return Rows(row.steps, columns | dict(row.columns), row.lines, row.below, row.x_kind)


def values(machine: Machine) -> dict[str, float]:
    """What the rules know by name, of the devices that the run uses, its process and its host."""
    process, host = machine.process, machine.host
    used = process.gpus if process is not None else ()
    gpus = [gpu for gpu in machine.gpus if not used or gpu.index in used]
    found = {f"gpu{gpu.index}/{name}": value for gpu in gpus for name, value in _of_gpu(gpu)}
    if process is not None and process.rss_bytes:
        found["rss_bytes"] = float(process.rss_bytes)
        most = (host.memory_limit_bytes or host.memory_total_bytes) if host is not None else None
        if most:
            found["memory_total_bytes"] = float(most)
    return found


def _of_gpu(gpu: Gpu) -> Iterator[tuple[str, float]]:
    for name in ("utilization", "memory_used_bytes", "memory_total_bytes", "throttle_reasons"):
        value = getattr(gpu, name)
        if value is not None:
            yield name, float(value)


def together(samples: Sequence[Sampled]) -> dict[str, float]:
    """One sample for several: the mean of what is a part of the time, every reason, the newest of all else."""
    if len(samples) == 1:
        return samples[0].values
    out: dict[str, float] = {}
    told = [sampled.values for sampled in samples]
    for name in dict.fromkeys(name for one in told for name in one):
        known = [one[name] for one in told if name in one]
        out[name] = known[-1]
        if name.endswith("/utilization"):
            out[name] = sum(known) / len(known)
        elif name.endswith("/throttle_reasons"):
            mask = 0
            for reasons in known:
                mask |= int(reasons)
            out[name] = float(mask)
    return out
