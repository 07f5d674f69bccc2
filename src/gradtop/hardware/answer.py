"""What is asked of the machine, and what it answers."""

from dataclasses import dataclass, field
from pathlib import Path

from gradtop.machine import Gpu, Host, Process


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is known of a run whose process is looked for."""

    id: str
    paths: tuple[Path, ...]
    """Its files, absolute."""
    host: str | None = None
    pid: int | None = None
    since: float | None = None
    """Unix seconds at which the log says that it began."""
    argv: tuple[str, ...] = ()
    pipe: str = ""
    """The pipe that it is read from, as `/proc` names it: who writes into it is its process."""
    written: bool = True
    """Its files grew lately: who works beside a log that nobody writes is not its process."""


@dataclass(frozen=True, slots=True)
class Gpus:
    """All devices at one moment."""

    gpus: tuple[Gpu, ...] = ()
    problem: str = ""
    """Why there are none, in one line."""
    driver: str | None = None
    cuda: str | None = None
    host_pids: bool = False
    """Its pids are those of the host, and mean nothing here."""


@dataclass(frozen=True, slots=True)
class OfRun:
    """What is known of the process of a run."""

    process: Process | None = None
    problem: str = ""
    """Why there is none."""
    visible: str | None = None
    """The devices that it was told to use, as `CUDA_VISIBLE_DEVICES` has them; None where it was told nothing."""


@dataclass(frozen=True, slots=True)
class Told:
    """One answer of the system."""

    host: Host | None = None
    runs: dict[str, OfRun] = field(default_factory=dict)
    """By the id of the run."""
    names: dict[int, str] = field(default_factory=dict)
    """Pid → what it runs, of the processes that were asked for."""
    ours: frozenset[int] = frozenset()
    """Pids that belong to a run."""
