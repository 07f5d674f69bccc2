"""A GPU in full."""

from collections.abc import Iterator, Sequence

from gradtop import throttle, units
from gradtop.clean import clean
from gradtop.machine import Gpu, Machine, Process
from gradtop.view.header import Part
from gradtop.view.system.device import Device, by_size, memory, mine, named, pid, power, slowed_ink, used_by
from gradtop.view.system.fact import ABSENT, Fact, Panel, absent, dimmed, why

_HOTTEST_C = 100.0
"""Upper end of the scale of temperatures."""
_HARMLESS = {0x1: "idle", 0x2: "clocks set by its user", 0x100: "clocks set for a display"}
"""Reasons for lower clocks that slow nothing down."""


def gpu_panel(device: Device, samples: Sequence[Machine], process: Process | None, old: bool) -> Panel:
    """A device in full; `old`: its values are not of now."""
    gpu, name = device.gpu, named(device.gpu)
    if problem := device.problem:
        summary: tuple[Part, ...] = (Part(problem, 0, "act"),)
    else:
        ink = "quiet" if old else "value"
        share = ABSENT if gpu.utilization is None else units.whole_percent(gpu.utilization)
        reasons = ", ".join(throttle.short(gpu.throttle_reasons or 0))
        summary = (
            Part(share, 0, ink),
            Part(memory(gpu), 1, "plain"),
            *((Part(reasons, 2, slowed_ink(gpu.throttle_reasons)),) if reasons else ()),
        )
    facts = tuple(_facts(device, samples, process))
    shown = dimmed(facts) if old and not device.problem else facts
    return Panel(device.title, name, summary, shown, "used by this run" if used_by(device, process) else "")


def _facts(device: Device, samples: Sequence[Machine], process: Process | None) -> Iterator[Fact]:
    gpu = device.gpu
    if device.problem:
        yield Fact("state", device.problem, "act", note="what it did before is not shown as what it does")
    yield _utilization(device, samples)
    yield _memory(device, samples)
    if gpu.memory_reserved_bytes:
        yield Fact("reserved", units.memory(gpu.memory_reserved_bytes), note="by the driver itself, used by nobody")
    if not device.problem:
        yield _power(device, samples)
        yield _temperature(device, samples)
        yield _slowed(gpu)
        yield _clocks(gpu)
        yield _share(gpu, "fan", "fan")
        yield _state(gpu)
        yield _link(gpu, "PCIe", "pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s")
        yield _link(gpu, "NVLink", "nvlink_rx_bytes_per_s", "nvlink_tx_bytes_per_s")
        yield _ecc(gpu)
        yield from _processes(gpu, process)
        yield from _instances(gpu)
    yield Fact("UUID", clean(gpu.uuid, 100), "quiet") if gpu.uuid else absent("UUID", why(gpu, "uuid"))


def _utilization(device: Device, samples: Sequence[Machine]) -> Fact:
    gpu, past = device.gpu, device.history(samples, "utilization", 1.0, "100 %")
    if gpu.utilization is None:
        return Fact("utilisation", ABSENT, "quiet", history=past, note=_reason(device, "utilization"))
    return Fact("utilisation", units.whole_percent(gpu.utilization), "value", gpu.utilization, past)


def _memory(device: Device, samples: Sequence[Machine]) -> Fact:
    gpu, used, total = device.gpu, device.gpu.memory_used_bytes, device.gpu.memory_total_bytes
    whole = total or _total_before(device, samples)
    past = device.history(samples, "memory_used_bytes", float(whole), units.memory(whole))
    if used is None:
        return Fact("memory", memory(gpu), "quiet", history=past, note=_reason(device, "memory_used_bytes"))
    if total is None:
        return Fact("memory", memory(gpu), note=f"of how much is {ABSENT}: {why(gpu, 'memory_total_bytes')}")
    return Fact("memory", memory(gpu), "value", min(1.0, used / total) if total else None, past)


def _total_before(device: Device, samples: Sequence[Machine]) -> int:
    """The memory that a device told of when it last did; 0 where it never has."""
    told = (gpu.memory_total_bytes for gpu in map(device.of, reversed(samples)) if gpu is not None)
    return next(filter(None, told), 0)


def _reason(device: Device, field: str) -> str:
    """Why a field is absent, where the device as a whole does not say so already."""
    return "" if device.problem else why(device.gpu, field)


def _temperature(device: Device, samples: Sequence[Machine]) -> Fact:
    gpu = device.gpu
    if gpu.temperature_c is None:
        return absent("temperature", why(gpu, "temperature_c"))
    past = device.history(samples, "temperature_c", _HOTTEST_C, f"{_HOTTEST_C:.0f} °C")
    return Fact("temperature", f"{gpu.temperature_c:.0f} °C", history=past)


def _power(device: Device, samples: Sequence[Machine]) -> Fact:
    gpu, limit = device.gpu, device.gpu.power_limit_w
    if gpu.power_w is None:
        told = f"limit {limit:,.0f} W, draw: " if limit is not None else ""
        return absent("power", told + why(gpu, "power_w"))
    if not limit:
        return Fact("power", power(gpu), note=f"limit {ABSENT}: {why(gpu, 'power_limit_w')}")
    past = device.history(samples, "power_w", limit, f"{limit:,.0f} W")
    return Fact("power", power(gpu), "plain", min(1.0, gpu.power_w / limit), past)


def _slowed(gpu: Gpu) -> Fact:
    reasons = gpu.throttle_reasons
    if reasons is None:
        return absent("slowed by", why(gpu, "throttle_reasons"))
    harmless = ", ".join(text for bit, text in _HARMLESS.items() if reasons & bit)
    return Fact(
        "slowed by", throttle.said(reasons) or "nothing", slowed_ink(reasons & throttle.THROTTLED), note=harmless
    )


def _clocks(gpu: Gpu) -> Fact:
    sm, top, memory_clock = gpu.sm_clock_mhz, gpu.sm_clock_max_mhz, gpu.memory_clock_mhz
    if sm is None and memory_clock is None:
        return absent("clocks", why(gpu, "sm_clock_mhz", "memory_clock_mhz"))
    shown = f"{ABSENT} ({why(gpu, 'sm_clock_mhz')})" if sm is None else f"{sm:,.0f}"
    most = f"/{top:,.0f}" if sm is not None and top else ""
    beside = f"{ABSENT} ({why(gpu, 'memory_clock_mhz')})" if memory_clock is None else f"{memory_clock:,.0f} MHz"
    return Fact("clocks", f"SM {shown}{most}{' MHz' if sm is not None else ''}, memory {beside}")


def _share(gpu: Gpu, field: str, label: str) -> Fact:
    value: float | None = getattr(gpu, field)
    return absent(label, why(gpu, field)) if value is None else Fact(label, units.whole_percent(value))


def _state(gpu: Gpu) -> Fact:
    if gpu.performance_state is None:
        return absent("state", why(gpu, "performance_state"))
    return Fact("state", f"P{gpu.performance_state}", note="the fastest" if gpu.performance_state == 0 else "")


def _link(gpu: Gpu, label: str, into: str, out: str) -> Fact:
    received, sent = getattr(gpu, into), getattr(gpu, out)
    if received is None and sent is None:
        return absent(label, why(gpu, into, out))
    told = [
        f"{word} {units.flow(value)}" if value is not None else f"{word} {ABSENT} ({why(gpu, field)})"
        for word, value, field in (("in", received, into), ("out", sent, out))
    ]
    return Fact(label, ", ".join(told))


def _ecc(gpu: Gpu) -> Fact:
    bad, mended = gpu.ecc_uncorrected, gpu.ecc_corrected
    if bad is None and mended is None:
        return absent("ECC errors", why(gpu, "ecc_uncorrected", "ecc_corrected"))
    shown = f"{bad:,} uncorrected" if bad is not None else f"uncorrected {ABSENT} ({why(gpu, 'ecc_uncorrected')})"
    beside = f"{mended:,} corrected" if mended is not None else f"corrected {ABSENT} ({why(gpu, 'ecc_corrected')})"
    note = "memory of this device is damaged: what it computes may be wrong" if bad else ""
    return Fact("ECC errors", f"{shown}, {beside}", "act" if bad else "plain", note=note)


def _processes(gpu: Gpu, process: Process | None) -> Iterator[Fact]:
    if gpu.processes is None:
        yield absent("processes", why(gpu, "processes"))
    elif not gpu.processes:
        yield Fact("processes", "none")
    for i, used in enumerate(by_size(gpu, process)):
        own = mine(used, process)
        name = clean(
            (process.name if own and process is not None and used.pid == process.pid else used.name) or "", 200
        )
        size = units.memory(used.memory_bytes) if used.memory_bytes is not None else f"memory {ABSENT}"
        whose = "this run" if own else "a watched run" if used.ours else "a pid of the host" if used.host_pid else ""
        ink = "good" if own else "plain"
        yield Fact("" if i else "processes", f"{pid(used)}  {size}", ink, note="  ".join(filter(None, (whose, name))))


def _instances(gpu: Gpu) -> Iterator[Fact]:
    for i, instance in enumerate(gpu.mig):
        share = ABSENT if instance.utilization is None else units.whole_percent(instance.utilization)
        yield Fact("" if i else "MIG", f"{instance.index}  {memory(instance)}  {share}", note=named(instance))
