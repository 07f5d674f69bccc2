"""`stalled`: the only verdict that depends on the clock."""

import math
from collections.abc import Sequence

from gradtop import units
from gradtop.config import Limits
from gradtop.detect.case import criterion
from gradtop.detect.process.gone import LastWords, gone
from gradtop.detect.process.said import done, finding, place
from gradtop.finding import Finding, Severity
from gradtop.machine import Gpu, Machine, Process
from gradtop.run import RunView

_LEAST_GAPS = 5


def liveness(
    view: RunView,
    *,
    now: float,
    last_arrival: float | None,
    arrival_gaps: Sequence[float],
    watching: bool,
    writer_alive: bool | None,
    machine: Machine | None = None,
    last_words: LastWords | None = None,
    limits: Limits | None = None,
) -> Finding | None:
    """`stalled` when rows stop arriving by the run's own rhythm; when its process is gone, what is known of its end.

    Args:
        view: the run.
        now: seconds of the clock that arrivals are measured with.
        last_arrival: when the newest rows arrived; None when none did while watching.
        arrival_gaps: seconds between arrivals that were seen.
        watching: it grew while it was watched.
        writer_alive: whether the process that writes the log is alive; None where that is not known.
        machine: how that process and its GPUs stood when they were looked at last; None where that is not known.
        last_words: how the log ends; None where that is not known. It matters where the process is gone.
        limits: thresholds; the defaults where None.
    """
    if view.end is not None:
        return None
    if writer_alive is False:
        return gone(view, machine.process if machine is not None else None, last_words)
    if view.last_step is None or last_arrival is None or not (watching or writer_alive) or done(view):
        return None
    limits = limits or Limits()
    silent, allowed = now - last_arrival, allowed_silence_s(arrival_gaps, limits)
    if silent <= allowed:
        return None
    return _stalled(view, silent, allowed, percentile_99(arrival_gaps), machine if writer_alive else None)


def _stalled(view: RunView, silent: float, allowed: float, usual: float | None, machine: Machine | None) -> Finding:
    rhythm = _rhythm(usual)
    process = machine.process if machine is not None else None
    doing, said = _doing(process, machine.gpus) if machine is not None and process is not None else ("", "")
    alive = f"process {process.pid} is alive{f': {said}' if said else ''}" if process is not None else ""
    return finding(
        view,
        "stalled",
        Severity.WATCH,
        f"No new row for {units.duration(silent)} after {place(view)}; {rhythm}.{f' P{alive[1:]}.' if alive else ''}",
        (
            criterion("stalled", "silent", True, f"{units.duration(silent)}, allowed {units.duration(allowed)}"),
            criterion("stalled", "growing", True, alive or "rows arrived while it was watched"),
            criterion("stalled", "not_over", True, "no end in the log"),
        ),
        {"silent_s": silent, "allowed_s": allowed} | ({"process": doing} if doing else {}),
        process,
        doing,
    )


def _rhythm(usual: float | None) -> str:
    if usual is None:
        return "its rhythm is not known yet"
    return f"usually {f'at most {units.duration(usual)} pass' if usual >= 1.0 else 'less than a second passes'}"


_BUSY_CORES = 0.5
"""Cores in use from which a process computes, as opposed to one that waits."""
_SPINS, _COLD = 0.99, 0.6
"""Utilisation from which a GPU is never idle, and the part of its power limit below which it computes nothing."""


def _doing(process: Process, gpus: Sequence[Gpu]) -> tuple[str, str]:
    """What a silent process does: a form of the catalogue, and words for it; empty where that is not known."""
    if process.state == "stopped":
        return "stopped", "it is stopped"
    if process.state == "disk":
        return "disk", "it waits for a disk"
    if stuck := next((worker for worker in process.workers if worker.state == "disk"), None):
        return "disk", f"its child {stuck.pid} waits for a disk"
    if gpus and all(_spins(gpu) for gpu in gpus):
        return "collective", "its GPUs show full utilisation at low power"
    if process.cpu is None:
        return "", ""
    cores = process.cpu + sum(worker.cpu or 0.0 for worker in process.workers)
    used = f"{units.number(cores, 2)} cores" if cores >= 1.0 else f"{units.percent(cores)} of a core"
    return ("waits", f"it waits, on {used}") if cores < _BUSY_CORES else ("computes", f"it computes, on {used}")


def _spins(gpu: Gpu) -> bool:
    if gpu.utilization is None or gpu.power_w is None or not gpu.power_limit_w:
        return False
    return gpu.utilization >= _SPINS and gpu.power_w < _COLD * gpu.power_limit_w


def allowed_silence_s(gaps: Sequence[float], limits: Limits) -> float:
    """Seconds of silence that this rhythm allows."""
    usual = percentile_99(gaps)
    if usual is None:
        return max(limits.stall_unknown_s, limits.stall_gaps * max(gaps, default=0.0))
    return max(limits.stall_s, limits.stall_gaps * usual)


def percentile_99(gaps: Sequence[float]) -> float | None:
    """The gap that 99 % do not exceed; None for fewer than five."""
    if len(gaps) < _LEAST_GAPS:
        return None
    return sorted(gaps)[math.ceil(0.99 * len(gaps)) - 1]
