"""The GPUs of a sample in rows: one for a device, one for each of its MIG instances."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradtop import throttle, units
from gradtop.clean import clean
from gradtop.machine import Gpu, GpuProcess, Machine, Process
from gradtop.view.system.fact import ABSENT, History, times_of

SHORT_HISTORY = 120
"""Samples behind the sparkline of a row."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device, or a MIG instance of one."""

    id: str
    """`3`, or `3.1` of an instance: stable from sample to sample."""
    gpu: Gpu
    parent: Gpu | None = None
    """Of an instance: the device."""

    @property
    def title(self) -> str:
        """`GPU 3`, or `GPU 3 MIG 1`."""
        return f"GPU {self.gpu.index}" if self.parent is None else f"GPU {self.parent.index} MIG {self.gpu.index}"

    @property
    def problem(self) -> str:
        """Why nothing is known of it; empty for one that answers."""
        return clean(self.gpu.problem or (self.parent.problem if self.parent is not None else ""), 120)

    def of(self, sample: Machine) -> Gpu | None:
        """The same device in another sample."""
        index = self.gpu.index if self.parent is None else self.parent.index
        gpus = sample.gpus
        # Devices are in order, and nearly always all there.
        gpu = gpus[index] if index < len(gpus) and gpus[index].index == index else sample.gpu(index)
        if gpu is None or self.parent is None:
            return gpu
        return next((instance for instance in gpu.mig if instance.index == self.gpu.index), None)

    def history(self, samples: Sequence[Machine], field: str, high: float, top: str) -> History:
        """A numeric field in these samples, on a scale from 0 to `high`."""
        seen = (self.of(sample) for sample in samples)
        values = tuple(math.nan if (v := getattr(gpu, field, None)) is None else float(v) for gpu in seen)
        return History(times_of(samples), values, 0.0, high, top)


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One line of the list of devices."""

    id: str
    index: str
    name: str
    """Empty where the driver does not say."""
    utilization: str
    share: float | None
    history: History
    memory: str
    temperature: str
    power: str
    slowed: str
    """By what, in a word or two; the problem of a device that does not answer."""
    slowed_ink: str
    process: str
    ours: bool
    """The open run uses it."""
    ink: str
    """`quiet` where the values are not of now."""


def devices(machine: Machine) -> tuple[Device, ...]:
    """All devices in the driver's order, each followed by its instances."""
    return tuple(_divided(machine.gpus))


def _divided(gpus: Sequence[Gpu]) -> Iterator[Device]:
    for gpu in gpus:
        yield Device(str(gpu.index), gpu)
        yield from (Device(f"{gpu.index}.{instance.index}", instance, gpu) for instance in gpu.mig)


def device_row(device: Device, samples: Sequence[Machine], process: Process | None, old: bool) -> DeviceRow:
    """A device as a line; `old`: its values are not of now."""
    gpu, problem = device.gpu, device.problem
    reasons = gpu.throttle_reasons
    slowed = problem or (_slowed(reasons))
    return DeviceRow(
        device.id,
        str(gpu.index) if device.parent is None else f"·{gpu.index}",
        named(gpu) if gpu.name else "",
        ABSENT if gpu.utilization is None else units.whole_percent(gpu.utilization),
        gpu.utilization,
        device.history(samples[-SHORT_HISTORY:], "utilization", 1.0, "100 %"),
        memory(gpu),
        ABSENT if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} °C",
        power(gpu),
        slowed or "-",
        slowed_ink(reasons) if not problem else "act",
        _user(gpu, process),
        used_by(device, process),
        "quiet" if problem or old else "plain",
    )


def _slowed(reasons: int | None) -> str:
    """The worst reason, and how many more there are."""
    if reasons is None:
        return ABSENT
    worst, *others = throttle.short(reasons) or ("",)
    return f"{worst} +{len(others)}" if others else worst


def named(gpu: Gpu) -> str:
    """What the driver calls it."""
    return clean(gpu.name, 100) if gpu.name else f"{ABSENT}: {clean(gpu.absent.get('name', 'no name'), 60)}"


def memory(gpu: Gpu) -> str:
    """`62.1/80 GiB`."""
    used, total = gpu.memory_used_bytes, gpu.memory_total_bytes
    if used is None:
        return ABSENT if total is None else f"{ABSENT} of {units.memory(total)}"
    return units.memory(used) if total is None else units.memory_of(used, total)


def power(gpu: Gpu) -> str:
    """`645/700 W`."""
    drawn = ABSENT if gpu.power_w is None else f"{gpu.power_w:,.0f}"
    if gpu.power_limit_w is None:
        return drawn if gpu.power_w is None else f"{drawn} W"
    return f"{drawn}/{gpu.power_limit_w:,.0f} W" if gpu.power_w is not None else ABSENT


def slowed_ink(reasons: int | None) -> str:
    """A limit that may be meant is no alarm; what a sound machine does not have is one."""
    return "watch" if reasons and reasons & throttle.FORCED else "plain" if reasons else "quiet"


def used_by(device: Device, process: Process | None) -> bool:
    """The training process, or another rank of it, uses the device."""
    if process is None:
        return False
    index = device.parent.index if device.parent is not None else device.gpu.index
    return any(mine(p, process) for p in device.gpu.processes or ()) or (
        device.parent is None and index in process.gpus
    )


def mine(used: GpuProcess, process: Process | None) -> bool:
    """It is the training process, one of its ranks or one of its children."""
    if process is None or used.host_pid:
        return False
    return used.pid in (process.pid, *process.ranks) or any(used.pid == worker.pid for worker in process.workers)


def by_size(gpu: Gpu, process: Process | None) -> list[GpuProcess]:
    """The processes of a device: those of the run first, then the largest."""
    return sorted(
        gpu.processes or (), key=lambda p: (mine(p, process), p.ours, p.memory_bytes or 0), reverse=True
    )  # fmt: skip


def _user(gpu: Gpu, process: Process | None) -> str:
    """The first process and how many more there are."""
    if gpu.processes is None:
        return ABSENT
    if not gpu.processes:
        return "-"
    first, *others = by_size(gpu, process)
    name = process.name if process is not None and first.pid == process.pid else first.name or ""
    return " ".join(filter(None, (pid(first), program(name), f"+{len(others)}" if others else "")))


def pid(used: GpuProcess) -> str:
    """The number of a process; `host 4242` where it is one that cannot be looked up here."""
    return f"host {used.pid}" if used.host_pid else str(used.pid)


def program(command: str) -> str:
    """What of a command tells it from others: the script that Python runs, else the program."""
    words = clean(command, 400).split()
    script = next((word for word in words if word.endswith((".py", ".sh"))), words[0] if words else "")
    return script.rpartition("/")[2] or script
