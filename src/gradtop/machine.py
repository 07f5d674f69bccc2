"""What the machine does at one moment, on the wire as `machine` lines: its GPUs, the training process, the host.

Everything is optional. Where a value is None, `absent` of its struct may say why, by the name of the field: a value
that is neither there nor told of was not asked for. Numbers outside of what is possible are refused.
"""

import math
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

SAMPLES_KEPT = 600
"""Samples that a `MachineView` goes back: ten minutes at one a second."""

Share = Annotated[float, Meta(ge=0, le=1)]
Celsius = Annotated[float, Meta(ge=-60, le=200)]
Watts = Annotated[float, Meta(ge=0, le=10_000)]
Megahertz = Annotated[float, Meta(ge=0, le=20_000)]
Amount = Annotated[float, Meta(ge=0, le=1e15)]
"""Of anything per second, or of cores."""
Bytes = Annotated[int, Meta(ge=0, le=2**60)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Pid = Annotated[int, Meta(ge=1, lt=2**22)]
Seconds = Annotated[float, Meta(ge=0, le=1e11)]
"""Unix time."""
Said = Annotated[str, Meta(max_length=400)]
Absent = Annotated[dict[str, Said], Meta(max_length=64)]


class GpuProcess(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A process that has memory of a GPU."""

    pid: Pid
    memory_bytes: Bytes | None = None
    """None where the driver does not say."""
    name: Said | None = None
    """Of its program; foreign text. None where it cannot be looked up."""
    host_pid: bool = False
    """The pid is one of the host, and means nothing among the processes that are seen here (a container)."""
    ours: bool = False
    """It belongs to a training that is watched."""


class Gpu(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One device, or one MIG instance of it."""

    index: Annotated[int, Meta(ge=0, le=4096)]
    """The driver's number of the device; of an instance, its place on the device."""
    uuid: Said | None = None
    name: Said | None = None
    """Foreign text."""
    problem: Said = ""
    """Why nothing is known of it now, `lost` say: its values are None then. Empty for a device that answers."""
    utilization: Share | None = None
    """Part of the time in which a kernel ran."""
    memory_used_bytes: Bytes | None = None
    memory_total_bytes: Bytes | None = None
    memory_reserved_bytes: Bytes | None = None
    """By the driver itself, neither used nor free; None where the driver counts it as used."""
    temperature_c: Celsius | None = None
    power_w: Watts | None = None
    power_limit_w: Watts | None = None
    """The limit in force."""
    sm_clock_mhz: Megahertz | None = None
    sm_clock_max_mhz: Megahertz | None = None
    memory_clock_mhz: Megahertz | None = None
    fan: Share | None = None
    """Of its full speed."""
    performance_state: Annotated[int, Meta(ge=0, le=15)] | None = None
    """0 is the fastest."""
    pcie_rx_bytes_per_s: Amount | None = None
    pcie_tx_bytes_per_s: Amount | None = None
    nvlink_rx_bytes_per_s: Amount | None = None
    nvlink_tx_bytes_per_s: Amount | None = None
    ecc_corrected: Count | None = None
    """Errors since the driver was loaded, as are the uncorrected ones."""
    ecc_uncorrected: Count | None = None
    throttle_reasons: Count | None = None
    """NVML's clocks event reasons, a bit mask; `throttle` has the words."""
    processes: Annotated[tuple[GpuProcess, ...], Meta(max_length=4096)] | None = None
    """None where the driver does not say; empty where there are none."""
    mig: Annotated[tuple["Gpu", ...], Meta(max_length=64)] = ()
    """Its instances, where it is divided: values of the whole device may be missing then."""
    absent: Absent = {}
    """Field → why it is None: `not supported`, `no permission`, `out of range`, ..."""


class Worker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A child of the training process, such as a worker of its data loader."""

    pid: Pid
    name: Said = ""
    """Foreign text."""
    state: Said = ""
    cpu: Amount | None = None
    """Cores in use: 1 is one of them, all the time."""
    rss_bytes: Bytes | None = None


class Process(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The process that trains."""

    pid: Pid
    name: Said = ""
    """Its command line in short; foreign text."""
    state: Said = ""
    """`running`, `sleeping`, `disk` (waits for one), `stopped`, `zombie`, `gone`, or the system's own word."""
    found_by: Said = ""
    """How it is known to be the one: `its pid is in the log`, `it has the log open for writing`, ..."""
    sure: bool = False
    """It is the one beyond doubt: its pid is in the log, or it has the log open. Else it is a guess."""
    exit_code: Annotated[int, Meta(ge=-128, le=255)] | None = None
    """How it ended, -N by signal N; None while it lives and where the system does not say (Linux before 6.15)."""
    started: Seconds | None = None
    cpu: Amount | None = None
    """Cores in use, its children left out."""
    rss_bytes: Bytes | None = None
    threads: Count | None = None
    read_bytes_per_s: Amount | None = None
    """From disks, not from caches."""
    write_bytes_per_s: Amount | None = None
    workers: Annotated[tuple[Worker, ...], Meta(max_length=256)] = ()
    """Its children, the busiest first."""
    worker_count: Count = 0
    """All of them: `workers` lists the first ones."""
    ranks: Annotated[tuple[Pid, ...], Meta(max_length=256)] = ()
    """Other ranks of the same launch on this machine."""
    gpus: Annotated[tuple[int, ...], Meta(max_length=64)] = ()
    """Indices of the devices that it and its ranks use."""
    gpus_why: Said = ""
    """How these are known, or why they are not."""
    absent: Absent = {}
    """Field → why it is None."""

    @property
    def outcome(self) -> str:
        """`ended with exit code 1`, `was killed by signal 9 (SIGKILL)`; empty where that is not known."""
        if self.exit_code is None or self.exit_code >= 0:
            return f"ended with exit code {self.exit_code}" if self.exit_code is not None else ""
        number = -self.exit_code
        name = next((f" ({one.name})" for one in signal.Signals if one == number), "")
        return f"was {'stopped' if number == signal.SIGINT else 'killed'} by signal {number}{name}"


class Host(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The machine without its GPUs."""

    name: Said = ""
    cpu: Share | None = None
    """Of all cores."""
    cores: Count | None = None
    """Those that may be used."""
    load: Amount | None = None
    """Over the last minute."""
    memory_used_bytes: Bytes | None = None
    memory_total_bytes: Bytes | None = None
    memory_limit_bytes: Bytes | None = None
    """What the container or job may use, where that is less."""
    swap_used_bytes: Bytes | None = None
    swap_total_bytes: Bytes | None = None
    disk_free_bytes: Bytes | None = None
    """Of the disk that holds the log, for a user who is not root."""
    disk_total_bytes: Bytes | None = None
    absent: Absent = {}


class Machine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="machine"):
    """One sample."""

    time: Seconds
    gpus: Annotated[tuple[Gpu, ...], Meta(max_length=64)] = ()
    """In the driver's order. Of a run's own samples: those that its process uses."""
    gpu_problem: Said = ""
    """Why there is nothing to say of GPUs, or that it is old: one plain line; empty where all is well."""
    driver: Said | None = None
    """The driver's version."""
    cuda: Said | None = None
    """The newest CUDA that the driver supports."""
    process: Process | None = None
    process_problem: Said = ""
    """Why the training process is not known: one plain line."""
    host: Host | None = None
    session: Count | None = None
    """Of a recording: the session of the run at that moment, from 0."""
    step: float | None = None
    """Of a recording: the newest step of the run at that moment, for rows that have no times."""
    line: int | None = None
    """Line number in the file that it was read from; None for a sample of this machine, taken now."""

    def gpu(self, index: int) -> Gpu | None:
        """The device with that number."""
        return next((gpu for gpu in self.gpus if gpu.index == index), None)


@dataclass(frozen=True, slots=True)
class MachineView:
    """The newest samples at one moment; nothing in it changes any more."""

    samples: tuple[Machine, ...]
    """At least one and at most `SAMPLES_KEPT`, the oldest first."""

    @property
    def newest(self) -> Machine:
        """The last sample, exactly as it was taken."""
        return self.samples[-1]

    @property
    def recorded(self) -> bool:
        """It was read from a file: it is not what this machine does now."""
        return self.newest.line is not None

    @property
    def times(self) -> tuple[float, ...]:
        """Unix seconds of the samples."""
        return tuple(sample.time for sample in self.samples)

    def trace(self, value: Callable[[Machine], float | None]) -> tuple[float, ...]:
        """A value of every sample, NaN where it is absent."""
        return tuple(math.nan if (read := value(sample)) is None else float(read) for sample in self.samples)

    def gpu_trace(self, index: int, field: str) -> tuple[float, ...]:
        """A numeric field of one device in every sample, NaN where it is absent."""

        def read(sample: Machine) -> float | None:
            gpu = sample.gpu(index)
            value: float | None = getattr(gpu, field) if gpu is not None else None
            return value

        return self.trace(read)
