"""The training process, sample by sample: processor, memory, disk, its workers, and whether it still lives."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gradtop.hardware.outcome import Outcome
from gradtop.hardware.reading import why_absent
from gradtop.machine import Process, Worker

MOST_WORKERS = 64
"""Children that are told of one by one, the busiest first."""
_STATES = {"disk-sleep": "disk", "idle": "sleeping", "dead": "gone", "tracing-stop": "stopped", "waking": "running"}
CHILDREN_S = 5.0
"""Seconds between two searches for children, which look at every process of the machine."""
_MOST_CHILDREN = 256
_NAME_CHARS = 120


def psutil_quiet() -> Any:
    """The module `psutil`, without the warnings that it gives in some containers: they would end up on the screen."""
    import warnings

    warnings.filterwarnings("ignore", category=RuntimeWarning, module="psutil")
    import psutil

    return psutil


class Rate:
    """What a counter that only grows does per second; one for each counter."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        """Not read yet."""
        self._before: tuple[float, float] | None = None

    def see(self, at: float, count: float) -> float | None:
        """The growth per second since the last reading; None for the first one, and where it fell."""
        before, self._before = self._before, (at, count)
        if before is None or at <= before[0] or count < before[1]:
            return None
        return (count - before[1]) / (at - before[0])


class ProcessReader:
    """One process, and what it had used when it was looked at last."""

    def __init__(self, pid: int, how: str = "", sure: bool = False, child: bool = False) -> None:
        """The process that has this pid now; of a `child` of another one it does not matter how it ends.

        Raises:
            psutil.Error: there is none, or it may not be looked at.
        """
        self._psutil = psutil_quiet()
        self._outcome = None if child else Outcome(pid)
        self._process = self._psutil.Process(pid)
        self.pid = pid
        self._started: float = self._process.create_time()
        self._name = _called(self._process, self._psutil)
        self._known = {"pid": pid, "name": self._name, "found_by": how, "sure": sure, "started": self._started}
        self._cpu, self._read, self._written = Rate(), Rate(), Rate()
        self._workers: dict[int, ProcessReader] = {}
        self._searched_at = -math.inf

    @property
    def gone(self) -> bool:
        """It is not there any more: what has its pid now is another."""
        try:
            return not self._process.is_running()
        except self._psutil.Error:
            return True

    @property
    def family(self) -> tuple[int, ...]:
        """Its pid and those of its children."""
        return (self.pid, *self._workers)

    def sample(self, at: float) -> Process:
        """How it stands at `at` (seconds of any clock)."""
        if self.gone:
            return Process(state="gone", exit_code=self._outcome.code() if self._outcome else None, **self._known)
        absent: dict[str, str] = {}
        values = self._values(at, absent)
        workers = sorted((w.brief(at) for w in self._children(at)), key=lambda w: -(w.cpu or 0.0))
        values["workers"], values["worker_count"] = tuple(workers[:MOST_WORKERS]), len(workers)
        if values.get("state") == "zombie" and self._outcome is not None:
            values["exit_code"] = self._outcome.of_zombie()
        return Process(absent=absent, **self._known, **values)

    def _values(self, at: float, absent: dict[str, str], brief: bool = False) -> dict[str, Any]:
        p, values = self._process, {}

        def ask(read: Callable[[], dict[str, Any]], *fields: str) -> None:
            try:
                values.update(read())
            except (OSError, ValueError, AttributeError, self._psutil.Error) as error:
                absent.update(dict.fromkeys(fields, why_absent(error)))

        with p.oneshot():
            ask(lambda: {"state": state_of(p.status())}, "state")
            ask(lambda: {"cpu": self._cpu.see(at, sum(p.cpu_times()[:2]))}, "cpu")
            ask(lambda: {"rss_bytes": p.memory_info().rss}, "rss_bytes")
            if not brief:
                ask(lambda: {"threads": p.num_threads()}, "threads")
                ask(lambda: self._disk(at), "read_bytes_per_s", "write_bytes_per_s")
        return values

    def _disk(self, at: float) -> dict[str, Any]:
        io = self._process.io_counters()
        return {
            "read_bytes_per_s": self._read.see(at, io.read_bytes),
            "write_bytes_per_s": self._written.see(at, io.write_bytes),
        }

    def brief(self, at: float) -> Worker:
        """The same in short, as of a child."""
        return Worker(pid=self.pid, name=self._name, **self._values(at, {}, brief=True))

    def _children(self, at: float) -> Iterable["ProcessReader"]:
        """Its children, each known by what it was when it was met."""
        if at - self._searched_at >= CHILDREN_S:
            self._searched_at = at
            self._meet({child.pid for child in self._found_children()})
        for pid in [pid for pid, worker in self._workers.items() if worker.gone]:
            del self._workers[pid]
        return self._workers.values()

    def _found_children(self) -> list[Any]:
        try:
            children: list[Any] = self._process.children(recursive=True)
        except self._psutil.Error:
            return []
        return children[:_MOST_CHILDREN]

    def _meet(self, found: set[int]) -> None:
        for pid in self._workers.keys() - found:
            del self._workers[pid]
        for pid in found - self._workers.keys():
            try:
                self._workers[pid] = ProcessReader(pid, child=True)
            except self._psutil.Error:
                continue


def state_of(status: str) -> str:
    """Our word for what psutil calls a state."""
    return _STATES.get(status, status)


def short(command: Sequence[str]) -> str:
    """`python train.py`, `python -m torchtitan.train`: a command line without folders and settings; foreign text.

    What else stands there may be a password, and samples can be recorded.
    """
    words = [command[0].rpartition("/")[2]] if command else []
    for word in command[1:]:
        if not word.startswith("-"):
            words.append(word.rpartition("/")[2])
            break
        if word in ("-m", "-c"):
            words.append(word)
        if word == "-c":
            break
    # Arguments are bytes, and need not be text.
    return " ".join(words)[:_NAME_CHARS].encode("utf-8", "replace").decode()


def _called(process: Any, psutil: Any) -> str:
    try:
        return short(process.cmdline() or (process.name(),))
    except (OSError, psutil.Error):
        return ""
