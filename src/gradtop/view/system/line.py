"""The machine in two lines of the Overview: the GPUs of the run together, its process, the host."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from gradtop import plot, throttle, units
from gradtop.machine import Gpu, Process
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.view.header import Part
from gradtop.view.system.device import (
    SHORT_HISTORY,
    Device,
    devices,
    memory,
    named,
    power,
    program,
    slowed_ink,
    used_by,
)
from gradtop.view.system.fact import ABSENT
from gradtop.view.system.host import host_summary
from gradtop.view.system.process import process_summary
from gradtop.view.system.seen import Seen, seen

_SPARK_CELLS = 10
_OVER = (RunState.FINISHED, RunState.CRASHED, RunState.QUIET)


def machine_lines(
    snapshot: Snapshot, run: RunSnapshot | None, stale_s: float, ascii_only: bool = False
) -> tuple[tuple[Part, ...], ...]:
    """Two lines, their parts from left to right: what the run uses, what goes with it; none where it uses nothing."""
    shown = seen(snapshot, run, stale_s)
    if run is None or shown.newest is None:
        return ()
    used, own = _of_run(shown, run)
    process = _process(shown.process, run, shown.stale) if shown.process is not None else ()
    first = _gpus(used, own, shown, ascii_only) if used else process
    beside = (*(process if used else ()), *_host(shown))
    return ((*first, *_when(shown)), beside) if first else ()


def _gpus(used: tuple[Device, ...], own: bool, shown: Seen, ascii_only: bool) -> tuple[Part, ...]:
    parts = _one(used[0], shown, ascii_only) if len(used) == 1 else _several(used, shown, ascii_only)
    trouble = (Part(shown.problem, 0, "watch"),) if shown.problem else ()
    title = Part(_title(used, own), 0, "title")
    return (title, *(_dimmed(parts) if shown.stale or trouble else parts), *trouble)


def _when(shown: Seen) -> tuple[Part, ...]:
    return (Part(shown.when, 0, "quiet"),) if shown.when else ()


def _process(process: Process, run: RunSnapshot, old: bool) -> tuple[Part, ...]:
    """The process of the run in short."""
    guess = "" if process.sure else "a guess: "
    title = Part(f"{guess}pid {process.pid} {program(process.name)}".rstrip(), 0, "title" if process.sure else "quiet")
    return (title, *process_summary(process, run.state, old))


def _host(shown: Seen) -> tuple[Part, ...]:
    """What the machine as a whole does, where that was sampled."""
    parts = host_summary(shown.samples)
    return (
        (
            Part("host", 4, "title" if not shown.stale else "quiet"),
            *(replace(part, rank=4) if part.rank else part for part in parts),
        )
        if parts
        else ()
    )


def _dimmed(parts: Sequence[Part]) -> tuple[Part, ...]:
    return tuple(Part(part.text, part.rank, "quiet") for part in parts)


def _of_run(shown: Seen, run: RunSnapshot) -> tuple[tuple[Device, ...], bool]:
    """The devices that the run uses, and True; or all of them where that is not known of a run that goes on."""
    whole = tuple(d for d in devices(shown.newest) if d.parent is None) if shown.newest is not None else ()
    used = tuple(d for d in whole if used_by(d, shown.process))
    if used or shown.recorded:
        return used or whole, True
    if run.state in _OVER or (shown.process is not None and _told(shown)):
        return (), True
    return whole, False


def _told(shown: Seen) -> bool:
    """The driver tells which processes seen from here use a device: one that it does not name uses none."""
    gpus = [part for gpu in (shown.newest.gpus if shown.newest is not None else ()) for part in (gpu, *gpu.mig)]
    known = [process for gpu in gpus for process in gpu.processes or ()]
    return any(gpu.processes is not None for gpu in gpus) and not any(process.host_pid for process in known)


def _title(used: Sequence[Device], own: bool) -> str:
    if len(used) == 1:
        return used[0].title
    indices = [device.gpu.index for device in used]
    together = indices == list(range(indices[0], indices[-1] + 1))
    listed = f"{indices[0]}–{indices[-1]}" if together else ",".join(map(str, indices[:8])) + "…" * (len(indices) > 8)
    return f"GPUs {listed}" if own else f"all {len(used)} GPUs"


def _one(device: Device, shown: Seen, ascii_only: bool) -> tuple[Part, ...]:
    gpu = device.gpu
    name = Part(named(gpu), 6)
    if device.problem:
        return (name, Part(device.problem, 0, "act"))
    return (name, *_busy([device], shown, ascii_only), *_values([gpu]))


def _several(used: Sequence[Device], shown: Seen, ascii_only: bool) -> tuple[Part, ...]:
    names = {named(device.gpu) for device in used if device.gpu.name}
    lost = [device for device in used if device.problem]
    alive = [device for device in used if not device.problem]
    model = (Part(next(iter(names)), 6),) if len(names) == 1 else ()
    gone = tuple(_silent(lost))
    if not alive:
        return (*model, *gone)
    return (*model, *gone, *_busy(alive, shown, ascii_only), *_values([device.gpu for device in alive]))


def _silent(lost: Sequence[Device]) -> Iterator[Part]:
    """`2 lost: 3, 5`."""
    for problem in dict.fromkeys(device.problem for device in lost):
        which = [str(device.gpu.index) for device in lost if device.problem == problem]
        listed = ", ".join(which[:4]) + (", …" if len(which) > 4 else "")
        yield Part(f"{len(which)} {problem}: {listed}", 0, "act")


def _busy(used: Sequence[Device], shown: Seen, ascii_only: bool) -> Iterator[Part]:
    shares = [d.gpu.utilization for d in used if d.gpu.utilization is not None]
    yield Part(
        _range(shares, units.whole_percent) if shares else f"utilisation {ABSENT}", 0, "value" if shares else "quiet"
    )
    if shares:
        # Of several, the idlest: the others wait for it.
        idlest = min((d for d in used if d.gpu.utilization is not None), key=lambda d: d.gpu.utilization or 0.0)
        past = idlest.history(shown.samples[-SHORT_HISTORY:], "utilization", 1.0, "100 %")
        bars = plot.history(past.times, past.values, _SPARK_CELLS, past.low, past.high, ascii_only)
        yield Part(bars, 5, plot.RAW)


def _values(gpus: Sequence[Gpu]) -> Iterator[Part]:
    fullest = max(gpus, key=lambda gpu: (gpu.memory_used_bytes or 0) / (gpu.memory_total_bytes or 1), default=None)
    if fullest is not None:
        known = fullest.memory_used_bytes is not None
        yield Part(_most(gpus, memory(fullest)) if known else f"memory {ABSENT}", 1, "plain" if known else "quiet")
    warm = [gpu.temperature_c for gpu in gpus if gpu.temperature_c is not None]
    yield Part(_most(gpus, f"{max(warm):.0f} °C") if warm else f"temperature {ABSENT}", 2, "plain" if warm else "quiet")
    hungry = max(gpus, key=lambda gpu: gpu.power_w or 0.0, default=None)
    if hungry is not None:
        told = power(hungry) if hungry.power_w is not None else f"power {ABSENT}"
        yield Part(_most(gpus, told), 4, "plain" if hungry.power_w is not None else "quiet")
    yield from _slowed(gpus)


def _most(gpus: Sequence[Gpu], text: str) -> str:
    return text if len(gpus) == 1 else f"max {text}"


def _range(values: Sequence[float], shown: Callable[[float], str]) -> str:
    """`97 %`, or `91–98 %` of several."""
    low, high = shown(min(values)), shown(max(values))
    return high if low == high else f"{low.removesuffix(' %')}–{high}"


def _slowed(gpus: Sequence[Gpu]) -> Iterator[Part]:
    slowed = [gpu.throttle_reasons for gpu in gpus if gpu.throttle_reasons and throttle.short(gpu.throttle_reasons)]
    if slowed:
        every = 0
        for reasons in slowed:
            every |= reasons
        on = f" on {len(slowed)}" if len(gpus) > 1 else ""
        yield Part(", ".join(throttle.short(every)) + on, 1, slowed_ink(every & throttle.THROTTLED))
    damaged = sum(1 for gpu in gpus if gpu.ecc_uncorrected)
    if damaged:
        yield Part("uncorrected memory errors" + (f" on {damaged}" if len(gpus) > 1 else ""), 0, "act")
