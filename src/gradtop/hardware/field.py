"""The fields of a device: how each is asked for, in which unit, and what is possible."""

from typing import Any

from gradtop.hardware.reading import OUT_OF_RANGE, Reading
from gradtop.machine import GpuProcess

Nvml = Any
"""The module `pynvml`, which has no types."""
Handle = Any

MOST_PID = 2**22
"""Pids of Linux are below this; larger ones come from a driver with another idea of its structures."""
_MOST_BYTES, _MOST_COUNT, _MOST_PCIE = 2**60, 2**53, 1e12
_MOST_WATTS, _MOST_CELSIUS, _MOST_MHZ = 10_000.0, 200.0, 20_000.0
_MOST_PROCESSES, _MOST_INSTANCES = 256, 64
_NVLINK_TX, _NVLINK_RX, _ALL_LINKS = 138, 139, 0xFFFFFFFF
_KIB = 1024.0


def read_fast(read: Reading, n: Nvml, h: Handle) -> None:
    """What changes from second to second, and is answered at once."""
    read_utilization(read, n, h)
    read.number(
        "temperature_c",
        _MOST_CELSIUS,
        lambda: n.nvmlDeviceGetTemperature(h, 0),
        lambda: n.nvmlDeviceGetTemperatureV(h, 0),
    )
    read.number("power_w", _MOST_WATTS, lambda: n.nvmlDeviceGetPowerUsage(h), scale=0.001)
    read.number("sm_clock_mhz", _MOST_MHZ, lambda: n.nvmlDeviceGetClockInfo(h, 1))
    read.number("memory_clock_mhz", _MOST_MHZ, lambda: n.nvmlDeviceGetClockInfo(h, 2))
    read.number("performance_state", 15, lambda: n.nvmlDeviceGetPerformanceState(h))
    read.number(
        "throttle_reasons",
        _MOST_COUNT,
        lambda: n.nvmlDeviceGetCurrentClocksEventReasons(h),
        lambda: n.nvmlDeviceGetCurrentClocksThrottleReasons(h),
    )


def read_slow(read: Reading, n: Nvml, h: Handle) -> None:
    """What changes rarely, or takes the driver long: a PCIe counter is watched for 20 ms."""
    read.number("power_limit_w", _MOST_WATTS, lambda: n.nvmlDeviceGetEnforcedPowerLimit(h), scale=0.001)
    read.number("sm_clock_max_mhz", _MOST_MHZ, lambda: n.nvmlDeviceGetMaxClockInfo(h, 1))
    read.number("fan", 1.0, lambda: n.nvmlDeviceGetFanSpeed(h), scale=0.01)
    read.number("ecc_corrected", _MOST_COUNT, lambda: n.nvmlDeviceGetTotalEccErrors(h, 0, 0))
    read.number("ecc_uncorrected", _MOST_COUNT, lambda: n.nvmlDeviceGetTotalEccErrors(h, 1, 0))
    read.number("pcie_tx_bytes_per_s", _MOST_PCIE, lambda: n.nvmlDeviceGetPcieThroughput(h, 0), scale=_KIB)
    read.number("pcie_rx_bytes_per_s", _MOST_PCIE, lambda: n.nvmlDeviceGetPcieThroughput(h, 1), scale=_KIB)


def read_names(read: Reading, n: Nvml, h: Handle) -> None:
    """What it is called."""
    read.text("name", lambda: n.nvmlDeviceGetName(h))
    read.text("uuid", lambda: n.nvmlDeviceGetUUID(h))


def read_utilization(read: Reading, n: Nvml, h: Handle) -> None:
    """How busy it is; no device says that of itself while it is divided into instances."""
    read.number("utilization", 1.0, lambda: n.nvmlDeviceGetUtilizationRates(h).gpu, scale=0.01)


def read_memory(read: Reading, n: Nvml, h: Handle) -> None:
    """Memory in bytes. Older drivers count what they reserve as used; some devices share the memory of the host."""
    found = read.ask(
        "memory_total_bytes",
        lambda: n.nvmlDeviceGetMemoryInfo(h, n.nvmlMemory_v2),
        lambda: n.nvmlDeviceGetMemoryInfo(h),
    )
    if found is None:
        why = read.absent["memory_total_bytes"]
        read.absent |= {"memory_used_bytes": why, "memory_reserved_bytes": why}
        return
    total = read.keep("memory_total_bytes", found.total or -1, _MOST_BYTES)
    read.keep("memory_used_bytes", found.used, total if total is not None else _MOST_BYTES)
    if (reserved := getattr(found, "reserved", None)) is None:
        read.absent["memory_reserved_bytes"] = "counted as used"
    else:
        read.keep("memory_reserved_bytes", reserved, total if total is not None else _MOST_BYTES)


def read_processes(read: Reading, n: Nvml, h: Handle, host_pids: bool) -> None:
    """Who computes on it. Pids that cannot be are left out: some drivers fill the list by another structure."""
    found = read.ask(
        "processes",
        lambda: n.nvmlDeviceGetComputeRunningProcesses_v3(h),
        lambda: n.nvmlDeviceGetComputeRunningProcesses_v2(h),
    )
    if found is None:
        if read.absent["processes"] == "no value":
            # The binding raises `Success` where the list is empty.
            del read.absent["processes"]
            read.values["processes"] = ()
        return
    known = {p.pid: p for p in reversed(found) if 0 < p.pid < MOST_PID}
    if found and not known:
        read.absent["processes"] = OUT_OF_RANGE
        return
    total = read.values.get("memory_total_bytes") or _MOST_BYTES
    read.values["processes"] = tuple(
        GpuProcess(pid=pid, memory_bytes=_within(known[pid].usedGpuMemory, total), host_pid=host_pids)
        for pid in sorted(known)[:_MOST_PROCESSES]
    )


def _within(memory: int | None, total: int) -> int | None:
    return memory if memory is not None and 0 <= memory <= total else None


def read_links(read: Reading, n: Nvml, h: Handle) -> dict[str, float]:
    """Bytes of data over all NVLinks so far, by the field of what flows; the driver counts, and tells no rate."""
    fields = ("nvlink_tx_bytes_per_s", "nvlink_rx_bytes_per_s")
    asked = [(_NVLINK_TX, _ALL_LINKS), (_NVLINK_RX, _ALL_LINKS)]
    found = read.ask("nvlink", lambda: n.nvmlDeviceGetFieldValues(h, asked))
    why = read.absent.pop("nvlink", "not supported")
    known = {field: value for field, value in zip(fields, found or (), strict=False) if value.nvmlReturn == 0}
    read.absent |= {field: why for field in fields if field not in known}
    return {field: value.value.ullVal * _KIB for field, value in known.items()}


def mig_handles(read: Reading, n: Nvml, h: Handle) -> dict[int, Handle]:
    """The instances of a device that is divided (MIG), by their places on it."""
    if read.ask("mig", lambda: n.nvmlDeviceGetMigMode(h)[0]) != 1:
        return {}
    most = read.ask("mig", lambda: n.nvmlDeviceGetMaxMigDeviceCount(h)) or 0
    found = {place: _mig_handle(n, h, place) for place in range(min(most, _MOST_INSTANCES))}
    return {place: handle for place, handle in found.items() if handle is not None}


def _mig_handle(n: Nvml, h: Handle, place: int) -> Handle | None:
    """The instance at a place; most places are empty."""
    return Reading(reloads=False).ask("handle", lambda: n.nvmlDeviceGetMigDeviceHandleByIndex(h, place))
