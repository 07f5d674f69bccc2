"""The machine without its GPUs."""

from collections.abc import Callable, Iterator, Sequence

from gradtop import units
from gradtop.clean import clean
from gradtop.machine import Host, Machine
from gradtop.view.header import Part
from gradtop.view.system.fact import ABSENT, Fact, History, Panel, absent, dimmed, highest, times_of, why

FULL_DISK = 0.01
"""Part of a disk that is free below which the next checkpoint may not fit."""


def host_panel(samples: Sequence[Machine], old: bool) -> Panel:
    """The host in its newest samples; `old`: these are not of now."""
    host = samples[-1].host if samples else None
    if host is None:
        return Panel("host", summary=(Part("not sampled", 0, "quiet"),), facts=(Fact("", "Not sampled.", "quiet"),))
    facts = tuple(_facts(host, samples))
    return Panel("host", clean(host.name, 60), host_summary(samples), dimmed(facts) if old else facts)


def host_summary(samples: Sequence[Machine]) -> tuple[Part, ...]:
    """Its CPUs and its memory; nothing where the host was not sampled."""
    host = samples[-1].host if samples else None
    if host is None:
        return ()
    cpu = f"CPU {units.whole_percent(host.cpu)}" if host.cpu is not None else f"CPU {ABSENT}"
    memory = f"memory {host_memory(host)}"
    disk = (Part(f"{units.memory(host.disk_free_bytes or 0)} of disk left", 0, "watch"),) if _full(host) else ()
    return (*disk, Part(cpu, 1, "quiet"), Part(memory, 1, "quiet"))


def host_memory(host: Host) -> str:
    """`31/256 GiB`, of all processes."""
    return _used(host.memory_used_bytes, host.memory_total_bytes)


def _facts(host: Host, samples: Sequence[Machine]) -> Iterator[Fact]:
    yield _cpu(host, samples)
    yield _load(host, samples)
    yield _memory(host, samples)
    if (limit := host.memory_limit_bytes) is not None:
        yield Fact("memory limit", units.memory(limit), note="of this container or job")
    yield _swap(host)
    yield _disk(host)


def _cpu(host: Host, samples: Sequence[Machine]) -> Fact:
    if host.cpu is None:
        return absent("CPU", why(host, "cpu"))
    past = _past(samples, lambda h: h.cpu)
    return Fact("CPU", units.whole_percent(host.cpu), "value", host.cpu, _history(samples, past, 1.0, "100 %"))


def _load(host: Host, samples: Sequence[Machine]) -> Fact:
    if host.load is None:
        return absent("load", why(host, "load"))
    past = _past(samples, lambda h: h.load)
    cores = f" on {host.cores:,} core{'' if host.cores == 1 else 's'}" if host.cores else ""
    most = highest(past, host.cores or 1)
    scale = _history(samples, past, most, units.short_count(round(most, 1)))
    return Fact("load", f"{units.number(host.load, 3)}{cores}", history=scale)


def _memory(host: Host, samples: Sequence[Machine]) -> Fact:
    used, total = host.memory_used_bytes, host.memory_total_bytes
    if used is None:
        return absent("memory", why(host, "memory_used_bytes"))
    if not total:
        return Fact("memory", units.memory(used), note=f"of how much is {ABSENT}: {why(host, 'memory_total_bytes')}")
    past = _past(samples, lambda h: h.memory_used_bytes)
    return Fact(
        "memory",
        _used(used, total),
        "value",
        min(1.0, used / total),
        _history(samples, past, total, units.memory(total)),
    )


def _swap(host: Host) -> Fact:
    used, total = host.swap_used_bytes, host.swap_total_bytes
    if used is None:
        return absent("swap", why(host, "swap_used_bytes"))
    if total == 0:
        return Fact("swap", "none")
    return Fact("swap", _used(used, total), share=min(1.0, used / total) if total else None)


def _disk(host: Host) -> Fact:
    free, total = host.disk_free_bytes, host.disk_total_bytes
    if free is None:
        return absent("disk of log", why(host, "disk_free_bytes"))
    share = max(0.0, 1 - free / total) if total else None
    shown = f"{units.memory_of(free, total) if total else units.memory(free)} free"
    return Fact("disk of log", shown, "watch" if _full(host) else "plain", share)


def _full(host: Host) -> bool:
    free, total = host.disk_free_bytes, host.disk_total_bytes
    return free is not None and total is not None and total > 0 and free < FULL_DISK * total


def _used(used: int | None, total: int | None) -> str:
    if used is None:
        return ABSENT
    return units.memory_of(used, total) if total else units.memory(used)


def _past(samples: Sequence[Machine], read: Callable[[Host], float | None]) -> tuple[float, ...]:
    """A value of the host in every sample, NaN where there is none."""
    found = (read(sample.host) if sample.host is not None else None for sample in samples)
    return tuple(float("nan") if value is None else float(value) for value in found)


def _history(samples: Sequence[Machine], past: tuple[float, ...], high: float, top: str) -> History:
    return History(times_of(samples), past, 0.0, high, top)
