"""The process that trains."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gradtop import units
from gradtop.clean import clean
from gradtop.machine import Machine, Process, Worker
from gradtop.snapshot import RunSnapshot, RunState
from gradtop.view.header import Part
from gradtop.view.system.device import program
from gradtop.view.system.fact import ABSENT, Fact, History, Panel, absent, cores, dimmed, highest, times_of, why

_OVER = (RunState.FINISHED, RunState.CRASHED)


class _Word(NamedTuple):
    text: str
    ink: str = "plain"
    note: str = ""


_STATES = {
    "running": _Word("running", "good"),
    "sleeping": _Word("sleeping", "plain", "waits for a GPU, data or a process"),
    "disk": _Word("waits for a disk", "watch", "no signal reaches it while it does"),
    "stopped": _Word("stopped", "watch", "by a signal or a debugger: kill -CONT lets it go on"),
    "zombie": _Word("zombie", "act", "it has ended, and its parent has not asked how"),
    "gone": _Word("gone", "act", "it has ended"),
}


def process_panel(run: RunSnapshot | None, samples: Sequence[Machine], now: float, old: bool) -> Panel:
    """The training process of a run in its newest samples; `old`: these are not of now."""
    if run is None:
        return Panel("process", facts=(Fact("", "There is no run yet.", "quiet"),))
    newest = samples[-1] if samples else None
    process = newest.process if newest is not None else None
    if process is None:
        told = clean(newest.process_problem, 400) if newest is not None else ""
        return Panel(
            "process", summary=(Part("not known", 0, "quiet"),), facts=(Fact("", told or _unknown(run), "quiet"),)
        )
    driverless = newest is not None and bool(newest.gpu_problem)
    facts = tuple(_facts(process, run.state, samples, now, driverless))
    return Panel(
        f"process {process.pid}",
        program(process.name),
        process_summary(process, run.state, old),
        dimmed(facts) if old else facts,
    )


def state_word(process: Process, state: RunState) -> str:
    """How a process stands, in a word or two."""
    return _word(process, state).text


def process_summary(process: Process, state: RunState, old: bool) -> tuple[Part, ...]:
    """How it stands, its cores and its memory; `old`: this is not of now."""
    word = _word(process, state)
    return (
        Part(word.text, 0, "quiet" if old else word.ink),
        *((Part(cores(process.cpu), 1),) if process.cpu is not None else ()),
        *((Part(units.memory(process.rss_bytes), 1),) if process.rss_bytes is not None else ()),
    )


def _unknown(run: RunSnapshot) -> str:
    if run.state in _OVER:
        return f"Not known: the run is {run.state.value}."
    return "Not known: no process on this machine was found to write this log."


def _word(process: Process, state: RunState) -> _Word:
    word = _STATES.get(process.state) or _Word(clean(process.state, 60) or ABSENT)
    word = word._replace(note=f"it {process.outcome}") if process.outcome else word
    # Of a run that is over, a process that ended is what one expects.
    return word._replace(ink="quiet") if word.ink == "act" and state is RunState.FINISHED else word


def _facts(process: Process, run: RunState, samples: Sequence[Machine], now: float, driverless: bool) -> Iterator[Fact]:
    word = _word(process, run)
    yield Fact("state", word.text, word.ink, note=word.note)
    if process.started is not None:
        yield Fact("started", f"{units.duration(now - process.started)} ago")
    yield Fact("command", clean(process.name, 400)) if process.name else absent("command", why(process, "name"))
    guess = "" if process.sure else "a guess: it may be another one"
    yield Fact("found by", clean(process.found_by, 200) or ABSENT, "quiet", note=guess)
    if process.state != "gone":
        yield _cpu(process, samples)
        yield _resident(process, samples)
        yield _count(process, "threads")
        yield _disk(process)
        yield _gpus(process, driverless)
        yield from _workers(process)
        yield from _ranks(process)


def _trace(samples: Sequence[Machine], field: str, pid: int) -> tuple[float, ...]:
    """A field of the process with this pid in every sample, NaN where there is none."""
    own = (s.process if s.process is not None and s.process.pid == pid else None for s in samples)
    return tuple(float("nan") if (value := getattr(p, field, None)) is None else float(value) for p in own)


def _cpu(process: Process, samples: Sequence[Machine]) -> Fact:
    if process.cpu is None:
        return absent("CPU", why(process, "cpu"))
    past = _trace(samples, "cpu", process.pid)
    most = highest(past, 1.0)
    scale = History(times_of(samples), past, 0.0, most, cores(most))
    return Fact("CPU", cores(process.cpu), "value", history=scale)


def _resident(process: Process, samples: Sequence[Machine]) -> Fact:
    if process.rss_bytes is None:
        return absent("resident", why(process, "rss_bytes"))
    past = _trace(samples, "rss_bytes", process.pid)
    most = highest(past, 1.0)
    scale = History(times_of(samples), past, 0.0, most, units.memory(most))
    return Fact("resident", units.memory(process.rss_bytes), "value", history=scale)


def _count(process: Process, field: str) -> Fact:
    value: int | None = getattr(process, field)
    return absent(field, why(process, field)) if value is None else Fact(field, f"{value:,}")


def _disk(process: Process) -> Fact:
    read, written = process.read_bytes_per_s, process.write_bytes_per_s
    if read is None and written is None:
        return absent("disk", why(process, "read_bytes_per_s", "write_bytes_per_s"))
    told = [
        f"{word} {units.flow(value)}" if value is not None else f"{word} {ABSENT} ({why(process, field)})"
        for word, value, field in (("reads", read, "read_bytes_per_s"), ("writes", written, "write_bytes_per_s"))
    ]
    return Fact("disk", ", ".join(told))


def _gpus(process: Process, driverless: bool) -> Fact:
    how = clean(process.gpus_why, 200)
    if not process.gpus:
        unknown = ABSENT if driverless else "none"
        return Fact("GPUs", unknown, "quiet", note=how or ("no driver tells" if driverless else ""))
    return Fact("GPUs", ", ".join(str(index) for index in process.gpus), note=how)


def _workers(process: Process) -> Iterator[Fact]:
    if not process.worker_count and not process.workers:
        yield absent("children", why(process, "workers")) if "workers" in process.absent else Fact("children", "none")
        return
    names = {clean(worker.name, 100) for worker in process.workers}
    alike = names.pop() if len(names) == 1 else ""
    count = f"{max(process.worker_count, len(process.workers)):,}"
    yield Fact("children", count, note=", ".join(filter(None, (alike, _busy(process.workers)))))
    for worker in process.workers:
        yield _worker(worker, "" if alike else clean(worker.name, 200))
    if process.worker_count > len(process.workers):
        yield Fact("", f"and {process.worker_count - len(process.workers):,} more", "quiet")


def _worker(worker: Worker, name: str) -> Fact:
    word = _STATES.get(worker.state) or _Word(clean(worker.state, 60) or ABSENT)
    cpu = cores(worker.cpu) if worker.cpu is not None else f"CPU {ABSENT}"
    size = units.memory(worker.rss_bytes) if worker.rss_bytes is not None else f"memory {ABSENT}"
    ink = "plain" if word.ink == "good" else word.ink
    return Fact("", f"{worker.pid}  {word.text}  {cpu}  {size}", ink, note=name)


def _busy(workers: Sequence[Worker]) -> str:
    """What they take together, as far as it is known."""
    known = [worker.cpu for worker in workers if worker.cpu is not None]
    return f"{cores(sum(known))} together" if known else ""


def _ranks(process: Process) -> Iterator[Fact]:
    if process.ranks:
        shown = ", ".join(str(pid) for pid in process.ranks[:16])
        more = f" and {len(process.ranks) - 16:,} more" if len(process.ranks) > 16 else ""
        yield Fact("other ranks", shown + more)
