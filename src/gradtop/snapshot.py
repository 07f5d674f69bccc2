"""What the front ends get: everything about the watched runs at one moment, frozen."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from gradtop.attention import Attention
from gradtop.config import Settings
from gradtop.finding import Coverage, Finding
from gradtop.sources import SourceStatus
from gradtop.verdict import Judgement

if TYPE_CHECKING:  # a screen is painted before numpy is there
    from gradtop.detect.course import Course
    from gradtop.detect.perlayer import Move
    from gradtop.machine import MachineView
    from gradtop.merge import Joined
    from gradtop.origin import OriginView
    from gradtop.run import RunView


class RunState(StrEnum):
    """Where a run stands."""

    LOADING = "loading"
    """Its files are still being read for the first time; see `RunSnapshot.read`."""
    LIVE = "live"
    STALLED = "stalled"
    FINISHED = "finished"
    CRASHED = "crashed"
    QUIET = "quiet"
    """Nothing new, and nothing in the log says that it ended."""


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """One run at one moment."""

    id: str
    """Stable while gradtop runs; the run's path."""
    name: str
    """Foreign text: clean it before it is shown."""
    path: Path
    state: RunState
    read: float
    """Part of its files that has been read, 0 to 1."""
    view: "RunView"
    findings: tuple[Finding, ...]
    """Active and recovered, worst and newest first, with what the user said of them."""
    judgement: Judgement
    sources: tuple[SourceStatus, ...]
    changed_at: float | None
    """Unix seconds of the newest change of its files."""
    rate: float | None
    """What the run counts by, per second over the newest rows; None where times are unknown."""
    eta_s: float | None
    """Seconds to the planned end at that rate."""
    joined: "tuple[Joined, ...]" = ()
    """How several sources were joined; empty for one."""
    rate_seen: bool = False
    """The rate is that of rows coming in while they were watched: the log tells no times."""
    coverage: tuple[Coverage, ...] = ()
    """Which kinds of findings its log can tell of, those that rows decide."""
    goal: str = ""
    """What it is after where its loss need not fall, and how that is known; empty elsewhere. It quotes foreign text."""
    attention: Attention = field(default_factory=Attention)
    """What the user said of its findings, and where that is kept."""
    origins: "tuple[OriginView, ...]" = ()
    """Which lines of its files its rows were read from; empty for files without lines."""
    moves: "tuple[Move, ...]" = ()
    """When layers left the usual range of their gradients, as far as the log has values per layer."""
    course: "Course | None" = None
    """Its own usual range over the steps and its warm-up, as the rules see them."""
    machine: "MachineView | None" = None
    """Samples of its process and of the GPUs that it uses: taken here, or read from its files (`recorded`)."""

    @property
    def muted(self) -> frozenset[str]:
        """Kinds of findings that never count, because its user said so."""
        return self.attention.muted | self.attention.everywhere


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All runs at one moment, newest first."""

    now: float
    """Unix seconds at which it was taken."""
    runs: tuple[RunSnapshot, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What there is to say about the paths: what was looked for, what is not read, what is missing."""
    searching: bool = True
    """The first search of the paths is not over yet."""
    following: str = ""
    """How new data is noticed: `inotify`, or `polling` with the reason in brackets; empty where nobody waits for it."""
    machine: "MachineView | None" = None
    """Samples of this machine, all its GPUs among them; None while nobody takes any."""
    settings: Settings = field(default_factory=Settings)
    """What the runs are judged by, and where that is set."""
