"""Samples of the machine, a second apart, taken by threads that may hang; whoever polls never waits for them."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

import msgspec

from gradtop.hardware.answer import Gpus, OfRun, Told, Wanted
from gradtop.hardware.recording import Recording
from gradtop.machine import SAMPLES_KEPT, Gpu, GpuProcess, Machine, MachineView, Process
from gradtop.sources.follow.lane import Lane, Threads

SAMPLE_S = 1.0
"""Seconds between two samples while a run is being written."""
QUIET_S = 5.0
"""Seconds between two samples while none is."""
DEADLINE_S = 2.0
"""Seconds without an answer after which a sample is told without what is missing."""
FIRST_S = 0.1
"""Seconds after which the first sample is there, most of the time."""
SILENT = "not answering"
_MOMENT_S = 1e-6

T = TypeVar("T")


class _Asked(Generic[T]):
    """One question at a time to something that may never answer, in a thread of its own."""

    def __init__(self, first: T) -> None:
        """`first` is known before the first answer."""
        self._lane = Lane(Threads())
        self._first = first
        self._answer: Future[T] | None = None
        self._asked_at = -math.inf
        self.known = first
        """The newest answer."""
        self.met = False
        """It has answered before."""
        self.failed = ""
        """Why the last question has none, in a few words; empty where it has."""

    def ask(self, work: Callable[[], T], at: float) -> None:
        """Ask, unless the last question is still open: hung threads do not pile up."""
        if self._answer is None:
            self._answer, self._asked_at = self._lane.do(work), at

    def silent_s(self, at: float) -> float:
        """Take the answer if it is there; seconds for which it has been missing, 0 where it is not."""
        if self._answer is not None and self._answer.done():
            answer, self._answer, self.met = self._answer, None, True
            error = answer.exception()
            self.failed = f"{type(error).__name__}: {str(error)[:200]}" if error is not None else ""
            self.known = answer.result() if error is None else self._first
        return max(at - self._asked_at, _MOMENT_S) if self._answer is not None else 0.0


class _Late(Generic[T]):
    """Something that is made by the first call, in the thread that makes it: its imports take a while."""

    def __init__(self, make: Callable[[], Callable[..., T]]) -> None:
        self._make = make
        self._made: Callable[..., T] | None = None

    def __call__(self, *asked: object) -> T:
        self._made = self._made or self._make()
        return self._made(*asked)


def _driver() -> Callable[[float], Gpus]:
    from gradtop.hardware.driver import Driver

    return Driver().sample


def _system() -> Callable[[float, Sequence[Wanted], Sequence[int]], Told]:
    from gradtop.hardware.system import System

    return System().sample


class Sampler:
    """Takes samples when it is looked at, and only then: while nobody polls, nothing wakes."""

    def __init__(
        self,
        clock: Callable[[], float],
        now: Callable[[], float],
        driver: Callable[[float], Gpus] | None = None,
        system: Callable[[float, Sequence[Wanted], Sequence[int]], Told] | None = None,
        recording: Recording | None = None,
        start_s: float = 0.0,
    ) -> None:
        """`clock` counts seconds, `now` is Unix time; `driver` and `system` answer, in threads of their own.

        They are asked from `start_s` seconds on: until then, whoever shows the samples has a picture to paint.

        What is sampled is written into a `recording`, with the process of the first run that is looked for.
        """
        self._clock, self._now = clock, now
        self._driver, self._system = driver or _Late(_driver), system or _Late(_system)
        self._gpus, self._told = _Asked(Gpus()), _Asked(Told())
        self.recording = recording
        self._asked_at = -math.inf
        self._starts_at = clock() + start_s
        self._every_s = QUIET_S
        self._open = False
        self._time = 0.0
        self._samples: deque[Machine] = deque(maxlen=SAMPLES_KEPT)
        self._view: MachineView | None = None

    @property
    def view(self) -> MachineView | None:
        """The samples of this machine; None before the first."""
        if self._view is None and self._samples:
            self._view = MachineView(tuple(self._samples))
        return self._view

    def due_s(self, at: float) -> float:
        """Seconds until it has to be looked at again; what was asked for is taken in when the next sample is due."""
        return FIRST_S if self._open and not self._samples else max(0.0, self._due_at - at)

    @property
    def _due_at(self) -> float:
        """When to ask again."""
        return max(self._asked_at + self._every_s, self._starts_at)

    def look(self, wanted: Sequence[Wanted]) -> dict[str, Machine]:
        """Take in what was asked for, and ask anew when it is time; the new samples of the runs by their ids."""
        at = self._clock()
        found = self._taken(at, wanted) if self._open else {}
        self._every_s = SAMPLE_S if any(run.written for run in wanted) else QUIET_S
        if not self._open and at >= self._due_at:
            self._open, self._asked_at, self._time = True, at, self._now()
            self._ask(tuple(wanted), at)
        return found

    def _ask(self, wanted: tuple[Wanted, ...], at: float) -> None:
        pids = tuple(process.pid for process in _processes(self._gpus.known.gpus) if not process.host_pid)
        self._gpus.ask(lambda: self._driver(self._clock()), at)
        self._told.ask(lambda: self._system(self._clock(), wanted, pids), at)

    def _taken(self, at: float, wanted: Sequence[Wanted]) -> dict[str, Machine]:
        """The sample that was asked for, once there is nothing more to wait for."""
        driver_s, system_s = self._gpus.silent_s(at), self._told.silent_s(at)
        if 0.0 < driver_s < DEADLINE_S or 0.0 < system_s < DEADLINE_S:
            return {}
        self._open = False
        gpus, told = _silenced(self._gpus, driver_s), self._told.known
        problem = gpus.problem or (f"GPUs cannot be asked for: {self._gpus.failed}" if self._gpus.failed else "")
        unasked = f"processes cannot be looked at: {self._told.failed}" if self._told.failed else ""
        named = tuple(_named(gpu, told) for gpu in gpus.gpus)
        whole = Machine(
            time=self._time,
            gpus=named,
            gpu_problem=problem,
            driver=gpus.driver,
            cuda=gpus.cuda,
            process_problem=unasked,
            host=told.host if not system_s else None,
        )
        self._samples.append(whole)
        self._view = None
        runs = told.runs
        if system_s:
            # What was known before is not how things stand.
            silent = OfRun(problem=f"the system has not answered for {system_s:.0f} s")
            runs = dict.fromkeys(runs, silent)
        alone = sum(of.process is not None for of in runs.values()) == 1
        own = {id: _own(whole, of, gpus.host_pids, alone) for id, of in runs.items()}
        if self.recording is not None:
            self.recording.write(_to_record(whole, own, wanted))
        return own


def _to_record(whole: Machine, own: dict[str, Machine], wanted: Sequence[Wanted]) -> Machine:
    """All devices, with the process of the first run and how far that run is."""
    if (first := next(iter(own), None)) is None:
        return whole
    told = {"process": own[first].process, "process_problem": own[first].process_problem}
    at = {"session": run.session, "step": run.step} if (run := _run(wanted, first)) and run.step is not None else {}
    return msgspec.structs.replace(whole, **told, **at)


def _run(wanted: Sequence[Wanted], id: str) -> Wanted | None:
    return next((run for run in wanted if run.id == id), None)


def _silenced(asked: _Asked[Gpus], silent_s: float) -> Gpus:
    """What is known while the driver does not answer: which devices there are, and nothing of them."""
    gpus = asked.known
    if not silent_s:
        return gpus
    known = tuple(Gpu(index=gpu.index, uuid=gpu.uuid, name=gpu.name, problem=SILENT) for gpu in gpus.gpus)
    since = f"for {silent_s:.0f} s" if asked.met else f"yet, after {silent_s:.0f} s: waking all GPUs may take a while"
    problem = f"NVIDIA's driver has not answered {since}"
    return Gpus(known, problem, gpus.driver, gpus.cuda, gpus.host_pids)


def _processes(gpus: Iterable[Gpu]) -> list[GpuProcess]:
    return [process for gpu in gpus for part in (gpu, *gpu.mig) for process in part.processes or ()]


def _named(gpu: Gpu, told: Told) -> Gpu:
    """The device with the names of its processes, and whose they are."""
    changes = {"processes": _known(gpu.processes, told), "mig": tuple(_named(part, told) for part in gpu.mig)}
    return msgspec.structs.replace(gpu, **changes) if gpu.processes or gpu.mig else gpu


def _known(processes: tuple[GpuProcess, ...] | None, told: Told) -> tuple[GpuProcess, ...] | None:
    if processes is None:
        return None
    return tuple(
        p if p.host_pid else msgspec.structs.replace(p, name=told.names.get(p.pid), ours=p.pid in told.ours)
        for p in processes
    )


def _own(whole: Machine, of: OfRun, foreign: bool, alone: bool) -> Machine:
    """The sample as one run has it: its process, and the devices that it uses."""
    process = of.process
    if process is not None and whole.gpus:
        used, why = _told_to_use(of.visible, whole.gpus, alone) if foreign else _used(process, whole.gpus)
        process = msgspec.structs.replace(process, gpus=used, gpus_why=why)
    gpus = tuple(gpu for gpu in whole.gpus if process is not None and gpu.index in process.gpus)
    return msgspec.structs.replace(whole, gpus=gpus, process=process, process_problem=of.problem)


def _used(process: Process, gpus: Sequence[Gpu]) -> tuple[tuple[int, ...], str]:
    """Which devices a process, its children and its ranks have memory of, and how that is known."""
    if all(gpu.processes is None and not gpu.mig for gpu in gpus):
        return (), "the driver does not tell which processes use a GPU"
    family = {process.pid, *process.ranks, *(worker.pid for worker in process.workers)}
    used = tuple(gpu.index for gpu in gpus if any(p.pid in family for p in _processes((gpu,))))
    return used, "it has memory there" if used else "it has no memory on a GPU"


def _told_to_use(visible: str | None, gpus: Sequence[Gpu], alone: bool) -> tuple[tuple[int, ...], str]:
    """The same in a container, where the driver's pids mean nothing: what it was told to use, or all there is."""
    if visible is not None:
        words = [word.strip() for word in visible.split(",")]
        chosen = [gpu for word in words for gpu in gpus if word and _is(gpu, word)]
        return tuple(sorted({gpu.index for gpu in chosen})), f"CUDA_VISIBLE_DEVICES={visible[:60]}"
    if alone:
        return tuple(gpu.index for gpu in gpus), "all that this container has"
    return (), "the driver does not tell which processes of this container use a GPU"


def _is(gpu: Gpu, word: str) -> bool:
    """A device is meant by its number, or by the beginning of its name for machines."""
    ids = [part.uuid for part in (gpu, *gpu.mig) if part.uuid is not None]
    return word == str(gpu.index) or any(id.startswith(word) for id in ids if not word.isdigit())
