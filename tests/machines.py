"""Samples of machines for tests: made up, of no real device."""

import math
from collections.abc import Callable
from typing import Any

import msgspec

from gradtop.machine import Gpu, GpuProcess, Host, Machine, MachineView, Process, Worker

NOW = 1_700_000_000.0
GIB = 2**30
NAME = "NVIDIA Test 80GB"


def gpu(index: int = 0, **changes: Any) -> Gpu:
    """A device that tells everything."""
    whole = Gpu(
        index=index,
        uuid=f"GPU-{index:08d}",
        name=NAME,
        utilization=0.97,
        memory_used_bytes=int(62.1 * GIB),
        memory_total_bytes=80 * GIB,
        memory_reserved_bytes=GIB // 2,
        temperature_c=71.0,
        power_w=645.0,
        power_limit_w=700.0,
        sm_clock_mhz=1755.0,
        sm_clock_max_mhz=1980.0,
        memory_clock_mhz=2619.0,
        fan=0.45,
        performance_state=0,
        pcie_rx_bytes_per_s=1.2e9,
        pcie_tx_bytes_per_s=3.1e8,
        nvlink_rx_bytes_per_s=2.1e10,
        nvlink_tx_bytes_per_s=1.9e10,
        ecc_corrected=3,
        ecc_uncorrected=0,
        throttle_reasons=0x4,
        processes=(GpuProcess(pid=4242 + index, memory_bytes=61 * GIB, name="python", ours=True),),
    )
    return msgspec.structs.replace(whole, **changes)


def bare(index: int = 0, reason: str = "not supported") -> Gpu:
    """A device that tells nothing, with one reason for everything."""
    fields = [f for f in Gpu.__struct_fields__ if f not in ("index", "problem", "mig", "absent")]
    return Gpu(index=index, absent=dict.fromkeys(fields, reason))


def process(**changes: Any) -> Process:
    """A training process with data-loader workers."""
    whole = Process(
        pid=4242,
        name="python train.py --config gpt2.yaml",
        state="running",
        found_by="its pid is in the log",
        sure=True,
        started=NOW - 5000,
        cpu=1.02,
        rss_bytes=int(12.3 * GIB),
        threads=45,
        read_bytes_per_s=1.2e8,
        write_bytes_per_s=4e5,
        workers=tuple(
            Worker(pid=4301 + i, name="pt_data_worker", state="running", cpu=0.9 - 0.1 * i, rss_bytes=GIB)
            for i in range(4)
        ),
        worker_count=4,
        gpus=(0,),
        gpus_why="it has memory of them",
    )
    return msgspec.structs.replace(whole, **changes)


def host(**changes: Any) -> Host:
    """A host that tells everything."""
    whole = Host(
        name="node1",
        cpu=0.25,
        cores=32,
        load=9.5,
        memory_used_bytes=31 * GIB,
        memory_total_bytes=256 * GIB,
        memory_limit_bytes=64 * GIB,
        swap_used_bytes=0,
        swap_total_bytes=8 * GIB,
        disk_free_bytes=812 * GIB,
        disk_total_bytes=2048 * GIB,
    )
    return msgspec.structs.replace(whole, **changes)


def sample(gpus: int | tuple[Gpu, ...] = 1, **changes: Any) -> Machine:
    """One moment of a machine with so many devices."""
    devices = gpus if isinstance(gpus, tuple) else tuple(gpu(i, temperature_c=64.0 + i) for i in range(gpus))
    whole = Machine(time=NOW, gpus=devices, driver="595.10", cuda="13.1", process=process(), host=host())
    return msgspec.structs.replace(whole, **changes)


def seen(*samples: Machine) -> MachineView:
    """These samples, as a view."""
    return MachineView(samples)


def past(newest: Machine, seconds: int = 300) -> MachineView:
    """A second-by-second history that ends with `newest`: utilisation and power swing, memory grows."""
    return MachineView((*(_before(newest, s) for s in range(seconds, 0, -1)), newest))


def _before(newest: Machine, seconds: int) -> Machine:
    swing = 0.5 + 0.5 * math.sin(seconds / 9)
    scaled: Callable[[float | None, float], float | None] = lambda v, by: None if v is None else v * by  # noqa: E731
    gpus = tuple(
        msgspec.structs.replace(
            g,
            utilization=scaled(g.utilization, 0.6 + 0.4 * swing),
            power_w=scaled(g.power_w, 0.7 + 0.3 * swing),
            temperature_c=scaled(g.temperature_c, 0.9 + 0.1 * swing),
        )
        for g in newest.gpus
    )
    return msgspec.structs.replace(newest, time=newest.time - seconds, gpus=gpus)
