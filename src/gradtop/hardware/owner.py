"""Who writes this log: the process whose pid is in it, else who has it open for writing, else who works beside it."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradtop.clean import clean
from gradtop.hardware.answer import Wanted

SEARCH_S = 0.5
"""Seconds that one search may take; what was not looked at by then is not looked at."""
MOST_PIDS = 8192
_CLOCK_SLACK_S = 5.0
"""Seconds by which a process may seem younger than its own log."""
_NEAR = 3
"""Folders at most between the directory that a training works in and that of its log."""
_EVERYBODYS = frozenset(("/home", "/tmp", "/var/tmp"))
"""Folders in which people who have nothing to do with each other work."""
_SHELLS = frozenset(("sh", "bash", "zsh", "dash", "fish", "tmux", "screen", "srun", "slurmstepd", "sudo", "env", "time",
                     "nohup", "script", "tee", "ts", "cat", "torchrun", "accelerate", "deepspeed", "mpirun", "mpiexec",
                     "gradtop", "uv", "poetry", "conda", "timeout", "nice", "ionice", "stdbuf", "make"))  # fmt: skip
"""Programs that hold a log open for the sake of another process."""
_LAUNCHERS = ("torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch", "deepspeed.launcher",
              "gradtop")  # fmt: skip
"""Modules of Python that start others and train nothing themselves."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process of a run, or why there is none to show."""

    pid: int | None = None
    how: str = ""
    """How it was found."""
    problem: str = ""
    sure: bool = False
    """It is the one beyond doubt: its pid is in the log, or it has the log open."""


@dataclass(frozen=True, slots=True)
class Proc:
    """What `/proc` says of a process."""

    pid: int
    parent: int
    name: str
    command: tuple[str, ...]
    started: float
    """Unix seconds."""

    @property
    def starts_others(self) -> bool:
        """A shell, a launcher, a pipe's end: it writes for another."""
        programs = {self.name, *(os.path.basename(word) for word in self.command[:2])}
        return not programs.isdisjoint(_SHELLS) or self.module.startswith(_LAUNCHERS)

    @property
    def module(self) -> str:
        """What `python -m` runs; empty where it runs something else."""
        for i, word in enumerate(self.command[1:6], 1):
            if word == "-m":
                return "".join(self.command[i + 1 : i + 2])
            if not word.startswith("-"):
                break
        return ""


class Search:
    """One search through the processes of this machine. It reads `/proc`, which may hang: not for an event loop."""

    def __init__(self, root: Path = Path("/proc"), clock: Callable[[], float] = time.monotonic) -> None:
        """Look below `root`."""
        self._root, self._clock = root, clock
        self._until = clock() + SEARCH_S
        self._hidden = 0
        self._known: dict[int, Proc | None] = {}

    def owner(self, wanted: Wanted) -> Owner:
        """The process of a run."""
        here = os.uname().nodename
        if wanted.host and wanted.host.partition(".")[0].lower() != here.partition(".")[0].lower():
            return Owner(problem=f"it runs on {wanted.host[:60]}: this is {here[:60]}")
        if wanted.pid is not None and self._is(wanted.pid, wanted):
            told = wanted.since is not None or bool(wanted.argv)
            return Owner(wanted.pid, "its pid is in the log", sure=told and not self._notebook(wanted.pid))
        if not (self._root / "self").exists():
            return Owner(problem="who writes a log can be told on Linux alone")
        holders = self._holders(wanted)
        if (pid := self._trainer(holders)) is not None:
            return Owner(pid, "it has the log open for writing", sure=not self._notebook(pid))
        if wanted.written and not wanted.pipe and (pid := self._beside(wanted.paths)) is not None:
            return Owner(pid, "it works in the directory of the log")
        return Owner(problem=self._why(wanted, holders))

    def _why(self, wanted: Wanted, holders: Sequence[int]) -> str:
        names = [proc.name for pid in holders if (proc := self.look_up(pid)) is not None]
        if names:
            return f"only {clean(names[0], 40)} has the log open, for a process that is not to be seen"
        if wanted.pid is not None and not self._alive(wanted.pid):
            return f"process {wanted.pid}, which wrote the log, is not here: it is over, or in another container"
        hidden = f"; {self._hidden:,} processes of other users cannot be looked into" if self._hidden else ""
        return f"no process here has the log open for writing{hidden}"

    def _is(self, pid: int, wanted: Wanted) -> bool:
        """The process with a pid is the one that began this log: pids are used again, and mean less in a container."""
        found = self.look_up(pid)
        if found is None:
            return False
        if wanted.since is not None and found.started > wanted.since + _CLOCK_SLACK_S:
            return False
        script = os.path.basename(wanted.argv[0]) if wanted.argv else ""
        return not script or not found.command or any(script == os.path.basename(word) for word in found.command)

    def _notebook(self, pid: int) -> bool:
        """It outlives every training in it, and keeps its files open: that it lives says nothing of the run."""
        proc = self.look_up(pid)
        return proc is not None and any("kernel_launcher" in word for word in proc.command[:4])

    def _alive(self, pid: int) -> bool:
        return (self._root / str(pid)).is_dir()

    def pids(self) -> list[int]:
        """All processes, the highest pids first, as a training is young; none where there is no `/proc`."""
        try:
            found = [int(name) for name in os.listdir(self._root) if name.isdigit()]
        except OSError:
            return []
        return sorted(found, reverse=True)[:MOST_PIDS]

    def look_up(self, pid: int) -> Proc | None:
        """A process; None where there is none."""
        if pid not in self._known:
            self._known[pid] = read_proc(self._root, pid)
        return self._known[pid]

    def _holders(self, wanted: Wanted) -> list[int]:
        """Processes that have one of the files, or the pipe, open for writing."""
        names = {wanted.pipe} if wanted.pipe else {os.path.realpath(path) for path in wanted.paths}
        own = os.getpid()
        return [pid for pid in self._in_time(self.pids()) if pid != own and self._holds(pid, names)]

    def _in_time(self, pids: Iterable[int]) -> Iterator[int]:
        for pid in pids:
            if self._clock() > self._until:
                return
            yield pid

    def _holds(self, pid: int, names: set[str]) -> bool:
        folder = f"{self._root}/{pid}/fd"
        try:
            numbers = os.listdir(folder)
        except PermissionError:
            self._hidden += 1
            return False
        except OSError:
            return False
        return any(_link(f"{folder}/{fd}") in names and self._writes(pid, fd) for fd in numbers)

    def _writes(self, pid: int, fd: str) -> bool:
        try:
            text = (self._root / str(pid) / "fdinfo" / fd).read_text()
        except OSError:
            return False
        flags = next((line.split()[1] for line in text.splitlines() if line.startswith("flags:")), "0")
        return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY

    def _trainer(self, holders: Sequence[int]) -> int | None:
        """The one of them that trains: the topmost that is no shell or launcher, or who writes to it through a pipe."""
        procs = [proc for pid in holders if (proc := self.look_up(pid)) is not None]
        own = [proc for proc in procs if not proc.starts_others]
        if not own:
            pipes = {name for proc in procs for name in (_link(f"{self._root}/{proc.pid}/fd/0"),) if "pipe:" in name}
            own = [proc for proc in self._writers(pipes) if not proc.starts_others] if pipes else []
        return self._first(_topmost(own))

    def _first(self, procs: Sequence[Proc]) -> int | None:
        """The lowest rank, or else the oldest."""
        first = min(procs, key=lambda proc: (self._rank(proc.pid), proc.started, proc.pid), default=None)
        return first.pid if first is not None else None

    def _writers(self, pipes: set[str]) -> Iterator[Proc]:
        """Processes whose output goes into one of these pipes."""
        for pid in self._in_time(self.pids()):
            if any(_link(f"{self._root}/{pid}/fd/{fd}") in pipes for fd in (1, 2)):
                proc = self.look_up(pid)
                if proc is not None:
                    yield proc

    def _rank(self, pid: int) -> int:
        """Its number among the ranks of one launch, as its environment has it."""
        rank = self.environment(pid).get("RANK", "")
        return int(rank) if rank.isdigit() else 0

    def environment(self, pid: int) -> dict[str, str]:
        """The environment that a process was started with; empty where that cannot be read."""
        try:
            text = (self._root / str(pid) / "environ").read_bytes()[: 1 << 18].decode("utf-8", "replace")
        except OSError:
            return {}
        return dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)

    def _beside(self, paths: Sequence[Path]) -> int | None:
        """The one Python process, or launch of ranks, that works in the directory of the log, or not far above it."""
        folders = {str(folder) for path in paths for folder in list(path.parents)[: 1 + _NEAR]}
        folders -= {"/", str(Path.home()), *_EVERYBODYS}
        near = [pid for pid in self._in_time(self.pids()) if _link(f"{self._root}/{pid}/cwd") in folders]
        procs = [proc for pid in near if pid != os.getpid() and (proc := self.look_up(pid)) is not None]
        python = [proc for proc in procs if proc.name.startswith("python") and not proc.starts_others]
        top = _topmost(python)
        return self._first(top) if len({(proc.parent, proc.command) for proc in top}) == 1 else None

    def ranks(self, pid: int) -> tuple[int, ...]:
        """Other ranks of the same launch: siblings with the same command line that were told how many there are."""
        proc = self.look_up(pid)
        if proc is None or "WORLD_SIZE" not in self.environment(pid):
            return ()
        others = [other for other in map(self.look_up, self._in_time(self.pids())) if other is not None]
        same = (o.pid for o in others if o.pid != pid and o.parent == proc.parent and o.command == proc.command)
        return tuple(same)[:256]


def _topmost(procs: Sequence[Proc]) -> list[Proc]:
    """Those that none of the others has started."""
    inside = {proc.pid for proc in procs}
    return [proc for proc in procs if proc.parent not in inside]


def read_proc(root: Path, pid: int) -> Proc | None:
    """A process as `/proc` tells of it; None where there is none."""
    try:
        stat = (root / str(pid) / "stat").read_bytes()
        command = (root / str(pid) / "cmdline").read_bytes()[:8192]
        boot = _booted(root)
    except OSError:
        return None
    name, _, rest = stat.partition(b"(")[2].rpartition(b")")
    fields = rest.split()
    words = tuple(word.decode("utf-8", "replace") for word in command.split(b"\0") if word)
    started = boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return Proc(pid, int(fields[1]), name.decode("utf-8", "replace"), words, started)


def _booted(root: Path) -> float:
    """Unix seconds at which the machine started."""
    text = (root / "stat").read_text()
    return next((float(line.split()[1]) for line in text.splitlines() if line.startswith("btime")), 0.0)


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
