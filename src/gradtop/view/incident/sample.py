"""What the GPUs of a run did around an incident: their samples, laid beside the rows by time."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan

from gradtop import units
from gradtop.device import MEMORY_USED, POWER, TEMPERATURE, UTILIZATION
from gradtop.finding import Finding, FindingState
from gradtop.snapshot import RunSnapshot
from gradtop.throttle import said
from gradtop.view.incident.stretch import AFTER_ROWS, BEFORE_ROWS, DURING_ROWS, Stretch, stretch_of_points

MEASURES = ((UTILIZATION, "use"), (TEMPERATURE, "°C"), (POWER, "W"), (MEMORY_USED, "memory"))
"""Fields of a device, and how they are called."""
NEAR_S = 5.0
"""Seconds by which a sample may lie beside an incident that is shorter than the time between two samples."""


@dataclass(frozen=True, slots=True)
class Around:
    """The times of the rows around an incident, in Unix seconds."""

    steps: tuple[float, ...]
    times: tuple[float, ...]
    onset: float
    last: float
    begin: float
    """Of the first row that says what was usual."""
    end: float
    """Of the last row that says what it came to."""

    def step_at(self, time: float) -> float | None:
        """The first step at that time or later."""
        at = bisect_left(self.times, time)
        return self.steps[at] if at < len(self.times) else None


@dataclass(frozen=True, slots=True)
class Measured:
    """One measure of one device around an incident."""

    label: str
    found: Stretch
    step: float | None
    """Of the row at which it moved."""


def around(run: RunSnapshot, finding: Finding) -> Around | None:
    """The times around a finding; None where the rows have none."""
    series = run.view.series.get("time")
    if series is None or series.x_kind != run.view.x_kind or not len(series):
        return None
    last = max(finding.first_step, finding.last_step)
    steps, times = series.stretch(finding.first_step, BEFORE_ROWS, DURING_ROWS)
    onset, ended = series.at(finding.first_step), series.at(last)
    if not times or onset is None or ended is None:
        return None
    later = series.stretch(last, 0, AFTER_ROWS)[1]
    return Around(tuple(steps), tuple(times), onset, max(onset, ended), min(times[0], onset), max(ended, *later, onset))


def measured(run: RunSnapshot, finding: Finding, place: Around) -> Iterator[Measured]:
    """Every measure of every device that has samples there."""
    machine = run.machine
    if machine is None:
        return
    holds = finding.state is FindingState.ACTIVE
    for index in sorted({gpu.index for sample in machine.samples for gpu in sample.gpus}):
        for field, label in MEASURES:
            values = machine.gpu_trace(index, field)
            points = [(t, v) for t, v in zip(machine.times, values, strict=True) if not isnan(v)]
            if (found := _stretch(points, place, holds)) is not None:
                step = place.step_at(found.moved) if found.moved is not None else None
                yield Measured(f"GPU {index} {label}", found, step)


def slowed(run: RunSnapshot, place: Around) -> Iterator[tuple[int, float, str]]:
    """(device, Unix seconds, reasons) of devices that the driver slowed down around an incident."""
    samples = run.machine.samples if run.machine is not None else ()
    for index in sorted({gpu.index for sample in samples for gpu in sample.gpus}):
        for sample in samples:
            gpu = sample.gpu(index)
            why = said(gpu.throttle_reasons) if gpu is not None and gpu.throttle_reasons else ""
            if why and place.begin - NEAR_S <= sample.time <= place.last + NEAR_S:
                yield index, sample.time, why
                break


def reach(run: RunSnapshot, place: Around) -> str:
    """Why the samples do not tell of an incident; empty where there are some."""
    if run.machine is None:
        return "not in this log"
    first, last = run.machine.times[0], run.machine.times[-1]
    if last < place.onset - NEAR_S:
        return f"its last sample was taken {units.duration(place.onset - last)} before"
    if first > place.last + NEAR_S:
        return f"its first sample was taken {units.duration(first - place.last)} after"
    return ""


def _stretch(points: Sequence[tuple[float, float]], place: Around, holds: bool) -> Stretch | None:
    """A measure around an incident; None where no sample is near."""
    near = [point for point in points if place.begin - NEAR_S <= point[0] <= place.end + NEAR_S]
    inside = [point for point in near if place.onset <= point[0] <= place.last]
    if not inside:
        beside = min(near, key=lambda point: abs(point[0] - place.onset), default=None)
        if beside is None or abs(beside[0] - place.onset) > NEAR_S:
            return None
        near = [(place.onset, beside[1]) if point is beside else point for point in near]
    return stretch_of_points(sorted(near), place.onset, place.last, holds)
