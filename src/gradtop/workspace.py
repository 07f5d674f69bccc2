"""The runs under watch: which there are, which are open, and how each stands."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from gradtop.attention import Attention
from gradtop.closing import last_words
from gradtop.config import Limits
from gradtop.detect import liveness
from gradtop.finding import Finding, FindingState, Severity
from gradtop.hardware.answer import Wanted
from gradtop.history import History
from gradtop.life import Fate, Life, fate
from gradtop.machine import Machine
from gradtop.merge import Joined
from gradtop.naming import called
from gradtop.pace import LEAST_SEEN, Rhythm, replayed, speed
from gradtop.record import End
from gradtop.run import RunView
from gradtop.snapshot import RunSnapshot, RunState
from gradtop.sources import Source, SourceStatus
from gradtop.sources.search.group import STATE, Part, of_samples
from gradtop.verdict import judge

LIVE_S = 60.0
"""A file changed within this many seconds is being written."""
QUIET_LOOK_S = 1.0
"""Seconds between two looks at a run that is not being written."""
WRITTEN_S = 2.0
"""A last line without its end is taken as whole once its file has been left alone for this many seconds."""


class Candidate(Protocol):
    """What is known of a run before it is opened."""

    @property
    def path(self) -> Path:
        """Its file, or the first of several."""
        ...

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its files; empty where it has but one."""
        ...

    @property
    def folder(self) -> Path | None:
        """The directory in which more files of it may turn up."""
        ...

    @property
    def name(self) -> str:
        """What to call it; foreign text."""
        ...

    @property
    def modified(self) -> float:
        """Unix seconds of the newest change."""
        ...


@dataclass(frozen=True, slots=True)
class Named:
    """A run that was not discovered: standard input, or a replay."""

    path: Path
    name: str
    modified: float = float("inf")
    parts: tuple[Part, ...] = ()
    folder: Path | None = None
    pipe: str = ""
    """The pipe that it is read from, as `/proc` names it."""


class Watched:
    """One run under watch. It is opened when it is first read, so that a thousand runs cost as little as three."""

    def __init__(
        self, candidate: Candidate, limits: Limits, open_source: Callable[[Path], Source], spill: Path | None = None
    ) -> None:
        """Watch `candidate`; nothing is opened yet. Long series lie in the folder `spill`, or in memory without one."""
        self.candidate = candidate
        self._spill = spill
        self._limits = limits
        self._open_source = open_source
        self._reset()

    def _reset(self) -> None:
        self._sources: dict[Path, Source] = {}
        self._history = _unread(self._limits)
        self._behind: dict[Path, None] = {}
        self._rhythm = Rhythm()
        self._caught_up = False
        self._read_at: float | None = None
        self._opened_at: float | None = None
        self._life = Life()

    @property
    def id(self) -> str:
        """The path of the file that it was first found by."""
        return str(self.candidate.path)

    @property
    def place(self) -> Path:
        """Its directory where it has several files, else its file."""
        several = len(self.candidate.parts) > 1 and self.candidate.folder is not None
        return self.candidate.folder if several and self.candidate.folder is not None else self.candidate.path

    @property
    def directory(self) -> Path:
        """The directory of its files: what is muted there is muted for all runs in it."""
        return self.candidate.folder or self.candidate.path.parent

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files, opened or not, the one that it goes by first."""
        parts = (part.path for part in self.candidate.parts if part.path != self.candidate.path)
        return (self.candidate.path, *parts)

    @property
    def opened(self) -> bool:
        """Its files have been looked into."""
        return bool(self._sources)

    @property
    def caught_up(self) -> bool:
        """Everything that was in its files has been read."""
        return self._caught_up

    @property
    def arrivals(self) -> int:
        """How often new rows came in while it was watched."""
        return self._rhythm.count

    def active(self, monotonic: float) -> bool:
        """It is looked at in every poll, because it was just opened or is being written."""
        since = self._rhythm.last if self._rhythm.last is not None else self._opened_at
        return since is not None and monotonic - since < LIVE_S

    def due(self, monotonic: float) -> bool:
        """It is time to look for new data: often while it is being written, rarely after that."""
        if self._read_at is None or not self._caught_up:
            return True
        return self.active(monotonic) or monotonic - self._read_at >= QUIET_LOOK_S

    def meet(self, candidate: Candidate) -> None:
        """What a later search found of this run: files that turned up since are read with the others."""
        self.candidate = candidate
        if not self._sources:
            return
        fresh = [part for part in candidate.parts if part.path not in self._sources]
        if any(part.path.name == STATE for part in fresh):
            # A newer copy of the trainer's state holds all that the older one held.
            for path in [path for path in self._sources if path.name == STATE]:
                self._leave(path)
        for part in fresh:
            if not self._history.open(part):
                self.close()
                return
            self._sources[part.path] = self._open_source(part.path)

    def _leave(self, path: Path) -> None:
        self._history.close(path)
        self._sources.pop(path).close()
        self._behind.pop(path, None)

    def part(self) -> tuple[Path, ...]:
        """Let go of the files that tell of another training, and name them; the run keeps the file it goes by."""
        strangers = self._history.strangers
        if self.candidate.path in strangers:
            strangers = tuple(path for path in self._sources if path not in strangers)
        for path in strangers:
            self._leave(path)
        return strangers

    def read(self, monotonic: float) -> bool:
        """Take in the next portion of every source; True when more is waiting."""
        if not self._sources:
            self._history = History(self._limits, self.candidate.folder is not None, self._spill)
            for part in self.candidate.parts or (Part(self.candidate.path),):
                self._history.open(part)
                self._sources[part.path] = self._open_source(part.path)
        self._read_at = monotonic
        self._opened_at = monotonic if self._opened_at is None else self._opened_at
        fresh = [self._take(source) for source in self._in_turn()]
        if any(fresh) and self._caught_up:
            self._rhythm.arrived(monotonic)
        behind = bool(self._behind)
        more = self._history.advance(monotonic, behind) or behind
        self._caught_up = self._caught_up or not more
        return more

    def _in_turn(self) -> list[Source]:
        """The sources to read now: of those that have much to say one at a time."""
        turn = next(iter(self._behind), None)
        return [source for path, source in self._sources.items() if path == turn or path not in self._behind]

    def _take(self, source: Source) -> bool:
        """Take in the next portion of a source; True when it has new rows, from bytes that were not there before."""
        before = source.status.offset
        batch, path = source.read(), source.status.path
        self._behind.pop(path, None)
        if batch.more:
            self._behind[path] = None
        # What was only held back, for a line that never came, is as old as its file.
        return self._history.take(source.status, batch.records) and source.status.offset != before

    def wanted(self, monotonic: float, now: float) -> Wanted:
        """What tells which process it is of. `now` is Unix seconds."""
        facts = self.view().facts
        # Who records the machine has a file of the run open, too.
        paths = tuple(path.absolute() for path in self._sources if not of_samples(path))
        pipe = self.candidate.pipe if isinstance(self.candidate, Named) else ""
        changed = _changed(tuple(source.status for source in self._sources.values()))
        ages = [now - changed] if changed is not None else []
        ages += [monotonic - self._rhythm.last] if self._rhythm.last is not None else []
        written = bool(pipe) or min(ages, default=math.inf) < LIVE_S
        session, step = self._history.position
        known = step if math.isfinite(step) else None
        return Wanted(self.id, paths, facts.host, facts.pid, facts.time, facts.argv, pipe, written, session, known)

    def sample(self, machine: Machine, monotonic: float) -> None:
        """A sample of the machine that it may run on, and of its process."""
        self._history.sample(machine)
        self._life.see(machine, monotonic)

    def due_s(self, monotonic: float) -> float:
        """Seconds until there is something to do although nothing new came; infinite where there is not."""
        return self._history.due_s(monotonic)

    def finish(self, now: float) -> None:
        """Take in last lines without an end, where nobody writes any more. `now` is Unix seconds."""
        for source in self._sources.values():
            modified = source.status.modified
            if modified is None or now - modified > WRITTEN_S:
                self._history.take(source.status, source.finish().records)
        if self._sources:
            self._history.settle()

    def close(self) -> None:
        """Let go of its files and of what was read."""
        for source in self._sources.values():
            source.close()
        self._reset()

    @property
    def sources(self) -> tuple[Source, ...]:
        """Its open sources."""
        return tuple(self._sources.values())

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that are open."""
        return tuple(self._sources)

    def view(self) -> RunView:
        """What has been read."""
        return self._history.view()

    def joined(self) -> tuple[Joined, ...]:
        """How several sources stand, the most precise first; nothing of a lone one."""
        return self._history.joined()

    def snapshot(self, now: float, monotonic: float, attention: Attention) -> RunSnapshot:
        """The run at this moment.

        Args:
            now: Unix seconds.
            monotonic: the clock of arrivals.
            attention: what the user said of its findings.
        """
        view = self.view()
        statuses = tuple(source.status for source in self._sources.values())
        read = _part_read(statuses) if self._sources else 0.0
        loading = bool(self._sources) and not self._caught_up
        known = fate(self._life, self._history.machine(), view, monotonic, self._rhythm.last)
        findings = attention.weighed(self._findings(view, known, now, monotonic, statuses))
        changed = _changed(statuses)
        state = _state(known.end, findings, loading, now, changed, self._rhythm.last, monotonic)
        self._rhythm.reached(view.last_step)
        told = speed(view)
        rate = told if told is not None else self._rhythm.speed
        # Rows that keep coming in are a run that goes on, whatever their dates: a recorded one, too.
        past = replayed(view, now) and self._rhythm.count < LEAST_SEEN
        return RunSnapshot(
            id=self.id,
            name=view.facts.run or called(self.candidate.name, self.place),
            path=self.place,
            state=state,
            read=read,
            view=view,
            findings=findings,
            judgement=judge(
                findings,
                rows=self._history.detector.rows,
                ended=known.end,
                loading=read if loading else None,
                planned=view.total,
                counts=view.x_kind.removesuffix("s"),
                newest=view.last_step,
                growing=state is RunState.LIVE,
            ),
            sources=statuses,
            joined=self._history.joined(),
            changed_at=changed,
            rate=rate,
            rate_seen=told is None and rate is not None,
            coverage=self._history.detector.coverage(),
            goal=self._history.detector.goal,
            course=self._history.detector.course,
            eta_s=_eta_s(view, rate) if state is RunState.LIVE and not past else None,
            attention=attention,
            origins=self._history.origins(),
            moves=self._history.detector.moves,
            machine=self._history.machine(),
        )

    def _findings(
        self, view: RunView, known: Fate, now: float, monotonic: float, statuses: Sequence[SourceStatus]
    ) -> tuple[Finding, ...]:
        found = self._history.detector.findings()
        if not self._caught_up or known.end is not None or any(map(_died, found)):
            return found
        alive = known.alive
        # Of a log that did not grow while it was watched, its file tells since when, if somebody has it open.
        changed = _changed(statuses)
        before = monotonic - (now - changed) if alive and changed is not None else None
        silent = liveness(
            view,
            now=monotonic,
            last_arrival=self._rhythm.last if self._rhythm.last is not None else before,
            arrival_gaps=tuple(self._rhythm.gaps),
            watching=self._rhythm.last is not None,
            writer_alive=alive,
            machine=known.machine,
            last_words=last_words(self.sources, self._history.origins(), view.x_kind) if alive is False else None,
            limits=self._limits,
        )
        return (*found, silent) if silent is not None else found


@lru_cache(maxsize=8192)
def _changed(statuses: Sequence[SourceStatus]) -> float | None:
    """Unix seconds of the newest change of its files; recordings of the machine grow whatever the run does."""
    return max((s.modified for s in statuses if s.modified is not None and not of_samples(s.path)), default=None)


@lru_cache(maxsize=4)
def _unread(limits: Limits) -> History:
    """The history of every run that is not open; nothing is ever taken into it."""
    return History(limits, joinable=False)


def _part_read(statuses: Sequence[SourceStatus]) -> float:
    size = sum(s.size for s in statuses)
    return min(1.0, sum(s.offset for s in statuses) / size) if size else 1.0


def _state(
    end: End | None,
    findings: Sequence[Finding],
    loading: bool,
    now: float,
    changed: float | None,
    last_arrival: float | None,
    monotonic: float,
) -> RunState:
    active = {f.kind for f in findings if f.state is FindingState.ACTIVE}
    if loading:
        return RunState.LOADING
    if any(map(_died, findings)) or (end is not None and end.status == "crashed"):
        return RunState.CRASHED
    if end is not None:
        return RunState.FINISHED
    if "stalled" in active:
        return RunState.STALLED
    if "process_gone" in active:
        return RunState.QUIET
    ages = [now - changed] if changed is not None else []
    ages += [monotonic - last_arrival] if last_arrival is not None else []
    return RunState.LIVE if ages and min(ages) < LIVE_S else RunState.QUIET


def _died(finding: Finding) -> bool:
    """It is a death; what fails after the training has said its end, say an export, is none."""
    return finding.kind == "crashed" and finding.severity > Severity.NOTICE and finding.state is FindingState.ACTIVE


def _eta_s(view: RunView, rate: float | None) -> float | None:
    total = view.total
    if total is None or rate is None or view.last_step is None or total <= view.last_step:
        return None
    return (total - view.last_step) / rate
