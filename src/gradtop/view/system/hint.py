"""What the newest sample says to a finding, and that the System room has more: the first thing to check next."""

from collections.abc import Iterator, Sequence

from gradtop import throttle, units
from gradtop.finding import Finding
from gradtop.machine import Gpu, Machine, Process
from gradtop.snapshot import RunSnapshot
from gradtop.view.system.device import memory, power
from gradtop.view.system.fact import cores
from gradtop.view.system.host import host_memory
from gradtop.view.system.process import state_word
from gradtop.view.system.seen import moment

ROOM = "System (5)"
_MOST = 4
"""GPUs that are named one by one."""
_BUSY = ("gpu_starved", "throughput_drop", "stalled")
_ENDED = ("stalled", "throughput_drop", "crashed", "process_gone")


def machine_hints(run: RunSnapshot, finding: Finding) -> tuple[str, ...]:
    """One sentence for a finding about time, memory, devices or the process; none for others or without a sample."""
    if run.machine is None:
        return ()
    said = list(_said(run.machine.newest, run, finding.kind))
    when = f", as recorded {moment(run.machine.newest.time)}" if run.machine.recorded else ""
    return (f"{ROOM} shows it{when}: {', '.join(said)}.",) if said else ()


def _said(machine: Machine, run: RunSnapshot, kind: str) -> Iterator[str]:
    process, gpus = machine.process, machine.gpus
    if kind in _ENDED and process is not None:
        yield f"process {process.pid} is {state_word(process, run.state)}{_cores(process)}"
    if kind == "gpu_throttled":
        yield from _slowed(gpus)
    if kind in _BUSY:
        yield from _shares(gpus)
    if kind == "gpu_starved" and process is not None and process.worker_count:
        known = sum(worker.cpu or 0.0 for worker in process.workers)
        yield f"its {process.worker_count:,} children take {cores(known)} together"
    if kind == "memory_leak":
        yield from _memories(machine)


def _cores(process: Process) -> str:
    return f" and takes {cores(process.cpu)}" if process.cpu is not None and process.state != "gone" else ""


def _slowed(gpus: Sequence[Gpu]) -> Iterator[str]:
    slowed = [gpu for gpu in gpus if throttle.said(gpu.throttle_reasons or 0)]
    for gpu in slowed[:_MOST]:
        heat = f", {gpu.temperature_c:.0f} °C" if gpu.temperature_c is not None else ""
        drawn = f", {power(gpu)}" if gpu.power_w is not None else ""
        yield f"GPU {gpu.index} is slowed down by {throttle.said(gpu.throttle_reasons or 0)}{heat}{drawn}"
    if len(slowed) > _MOST:
        yield f"{len(slowed) - _MOST} more are"
    if not slowed and any(gpu.throttle_reasons is not None for gpu in gpus):
        yield "nothing slows its GPUs down now"


def _shares(gpus: Sequence[Gpu]) -> Iterator[str]:
    busy = [gpu.utilization for gpu in gpus if gpu.utilization is not None]
    if busy:
        low, high = units.whole_percent(min(busy)), units.whole_percent(max(busy))
        which = f"GPU {gpus[0].index}" if len(gpus) == 1 else f"its {len(gpus)} GPUs"
        yield f"{which} busy {low if low == high else f'{low} to {high}'} of the time"


def _memories(machine: Machine) -> Iterator[str]:
    process = machine.process
    if process is not None and process.rss_bytes is not None:
        limit = machine.host.memory_limit_bytes if machine.host is not None else None
        most = f" and may have {units.memory(limit)} here" if limit is not None else ""
        yield f"process {process.pid} has {units.memory(process.rss_bytes)}{most}"
    known = [gpu for gpu in machine.gpus if gpu.memory_used_bytes is not None]
    yield from (f"GPU {gpu.index} {memory(gpu)}" for gpu in known[:_MOST])
    if machine.host is not None and machine.host.memory_used_bytes is not None:
        yield f"the host {host_memory(machine.host)}"
