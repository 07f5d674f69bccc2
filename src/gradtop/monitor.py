"""The one loop behind every front end: find, read, judge, and show how things stand."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradtop.attention import Attention
from gradtop.config import Settings
from gradtop.errors import SourceError
from gradtop.finding import Severity
from gradtop.hardware.sampler import Sampler
from gradtop.ledger import Ledger
from gradtop.snapshot import RunSnapshot, Snapshot
from gradtop.sources import Source
from gradtop.sources.follow.file import open_source
from gradtop.sources.follow.guarded import Guarded
from gradtop.sources.follow.lane import Threads
from gradtop.sources.search.discover import Found
from gradtop.sources.search.lookout import Lookout
from gradtop.workspace import Candidate, Watched

if TYPE_CHECKING:  # a run of rows does not wait for what reads text
    from gradtop.sources.text.reader import Rule

POLL_S = 0.05
"""Seconds of reading in one poll while a front end waits for it."""
AWAITED_S = 0.02
"""Seconds for which a poll waits for a disk that has not answered yet, so that polling again costs little."""
MOST_SAMPLED = 8
"""Runs at most whose processes are looked at: the selected one, and the newest of those that are written."""
OPEN_RUNS = 64
"""Runs kept open at the same time; older ones are listed, and opened when they are selected."""


class Monitor:
    """Watches the runs under some paths. One thread polls; what the user says may come from another."""

    def __init__(
        self,
        paths: Sequence[Path],
        settings: Settings,
        *,
        sources: Sequence[tuple[Candidate, Source]] = (),
        profiles: "Sequence[Rule]" = (),
        open_runs: int = OPEN_RUNS,
        state: Path | None = None,
        spill: Path | None = None,
        sampler: Sampler | None = None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch `paths`, and `sources` that are open already (standard input, a replay); keep `open_runs` open.

        Text is read by the user's own `profiles` first. What the user says of findings is kept in the folder `state`.
        Long series lie in the folder `spill`, or in memory without one.
        A `sampler` tells of the machine and of the runs' processes; without one nothing is said of them.
        """
        self._threads = Threads()
        self._lookout = Lookout(paths, self._threads, monotonic, settings.discover_s, profiles) if paths else None
        self._settings, self._profiles = settings, tuple(profiles)
        self._spill = spill
        self._open_runs = open_runs
        self._sampler = sampler
        self._now, self._monotonic = now, monotonic
        self._found: Found | None = None
        self._runs: dict[str, Watched] = {}
        self._unopened: dict[str, tuple[Candidate, RunSnapshot]] = {}
        self._selected: str | None = None
        self._compared: tuple[str, ...] = ()
        self._backlog = True
        self._parted: dict[str, None] = {}
        self._over = False
        self.following = ""
        """How whoever polls learns of new data, for the snapshot."""
        self._ledger = Ledger(state, self._threads, everywhere=settings.muted, clock=monotonic, now=now)
        self._streams = frozenset(str(candidate.path) for candidate, _ in sources)
        for candidate, source in sources:
            run = Watched(candidate, settings.limits, lambda _path, source=source: source, spill)  # type: ignore[misc]  # late binding is what is avoided
            self._runs[run.id] = run

    @property
    def backlog(self) -> bool:
        """Data is waiting: poll again at once."""
        return self._backlog

    @property
    def arrivals(self) -> int:
        """How often new rows came in, over all runs."""
        return sum(run.arrivals for run in self._runs.values())

    @property
    def active(self) -> tuple[Path, ...]:
        """Files of open runs that are being written."""
        at = self._monotonic()
        return tuple(path for run in self._runs.values() if run.active(at) for path in run.paths)

    def select(self, run_id: str) -> None:
        """Read this run first, and open it if it is not open."""
        self._selected = run_id

    def compare(self, run_ids: Sequence[str]) -> None:
        """Open these runs too, however old they are, and keep them open until others are named."""
        self._compared = tuple(run_ids)

    def acknowledge(self, run_id: str, finding_id: str, upto: Severity | None) -> None:
        """A finding is known, and does not count unless it gets more severe than `upto`; None: it counts again."""
        if (run := self._runs.get(run_id)) is not None:
            self._ledger.acknowledge(self._directory(run), run.files, finding_id, upto)

    def mute(self, run_id: str, kind: str, on: bool) -> None:
        """Findings of a kind do not count for this run and those in the same directory; with `on` False they do."""
        if (run := self._runs.get(run_id)) is not None:
            self._ledger.mute(self._directory(run), kind, on)

    def _directory(self, run: Watched) -> Path | None:
        """Where a run lies; None where it lies nowhere: what is said of it is forgotten with it."""
        return None if run.id in self._streams else run.directory

    def poll(self) -> Snapshot:
        """One bounded step: search when it is due, read for about `POLL_S`, and say how things stand.

        A disk that does not answer is not waited for: what it holds is shown as stalled.
        """
        self._look()
        order = self._in_order()
        self._backlog = self._read(order)
        self._backlog = self._part(order) or self._backlog
        if awaited := self._awaited():
            wait(awaited, AWAITED_S, FIRST_COMPLETED)
            self._backlog = True
        self._forget(order)
        self._sample(order)
        return self._snapshot(order)

    def _sample(self, order: Sequence[Watched]) -> None:
        """Take in what there is to know of the machine, and ask for more when it is time."""
        if self._sampler is None:
            return
        at, now = self._monotonic(), self._now()
        opened = [run for run in self._reading_order(order) if run.opened and run.caught_up]
        near = [run for i, run in enumerate(opened) if i == 0 or run.active(at)]
        for id, machine in self._sampler.look([run.wanted(at, now) for run in near[:MOST_SAMPLED]]).items():
            if (run := self._runs.get(id)) is not None and run.opened:
                run.sample(machine, at)

    def _look(self) -> None:
        """Take in what the search has found since."""
        found = self._lookout.look() if self._lookout is not None else None
        if found is None:
            return
        self._found = found
        for candidate in self._found.candidates:
            known = self._runs.get(str(candidate.path))
            if known is None:
                self._runs[str(candidate.path)] = Watched(
                    candidate, self._settings.limits, self._open, spill=self._spill
                )
            else:
                known.meet(candidate)
            for path in candidate.paths:
                # A run that turned out to be part of another one is shown there.
                if str(path) != str(candidate.path) and (part := self._runs.pop(str(path), None)) is not None:
                    part.close()

    def _part(self, order: Sequence[Watched]) -> bool:
        """Take files out of runs that they do not belong to; True when there were any, which are runs of their own."""
        parted = [(run, path) for run in order if run.opened for path in run.part()]
        for run, path in parted:
            note = f"{path} tells of another training than {run.candidate.path}: it is a run of its own"
            self._parted[note] = None
            if self._lookout is not None:
                self._lookout.part(path)
        return bool(parted)

    def due_s(self) -> float:
        """Seconds until there is something to do although nothing new came; infinite where there is not."""
        at = self._monotonic()
        joined = min((run.due_s(at) for run in self._runs.values() if run.opened), default=math.inf)
        return min(joined, self._sampler.due_s(at)) if self._sampler is not None else joined

    def _open(self, path: Path) -> Source:
        # Where logs of several runs lie in one directory, a side file cannot be told to be of one of them.
        alone = sum(run.candidate.path.parent == path.parent for run in self._runs.values()) <= 1
        make = partial(open_source, profiles=self._profiles, beside=alone)
        return Guarded(path, make, self._threads, self._monotonic)

    def _awaited(self) -> list[Future[Any]]:
        """What was asked of disks and is worth waiting for."""
        searches = [self._lookout.awaited] if self._lookout is not None else []
        reads = [answer for run in self._runs.values() if run.opened for answer in _awaited(run)]
        return [*(search for search in searches if search is not None), *reads, *self._ledger.awaited]

    def _in_order(self) -> list[Watched]:
        """Newest first."""
        return sorted(self._runs.values(), key=lambda run: run.candidate.modified, reverse=True)

    def _reading_order(self, order: Sequence[Watched]) -> Iterator[Watched]:
        """The selected run, those it is compared with, then the open ones, newest first."""
        wanted = {run_id: self._runs[run_id] for run_id in self._wanted if run_id in self._runs}
        yield from wanted.values()
        yield from (run for run in order[: self._open_runs] if run.id not in wanted)

    @property
    def _wanted(self) -> tuple[str, ...]:
        """Runs that the user looks at."""
        return (*((self._selected,) if self._selected is not None else ()), *self._compared)

    def _read(self, order: Sequence[Watched]) -> bool:
        deadline = self._monotonic() + POLL_S
        backlog = self._found is not None and not self._found.complete
        for run in self._reading_order(order):
            self._ledger.open(self._directory(run))
            while run.due(self._monotonic()) or any(answer.done() for answer in _awaited(run)):
                more = run.read(self._monotonic())
                backlog = backlog or more
                if not more or any(_awaited(run)) or self._monotonic() >= deadline:
                    break
            if self._monotonic() >= deadline:
                return backlog or not all(run.caught_up for run in self._reading_order(order))
        return backlog

    def _forget(self, order: Sequence[Watched]) -> None:
        """Close runs that are neither among the newest nor looked at."""
        for run in order[self._open_runs :]:
            if run.opened and run.id not in self._wanted:
                run.close()

    def _snapshot(self, order: Sequence[Watched]) -> Snapshot:
        now, monotonic = self._now(), self._monotonic()
        return Snapshot(
            now=now,
            runs=tuple(self._shown(run, now, monotonic) for run in order),
            notes=self._notes(),
            searching=not self._found.complete if self._found is not None else self._searching,
            following=self.following,
            settings=self._settings,
            machine=self._sampler.view if self._sampler is not None else None,
        )

    def _shown(self, run: Watched, now: float, monotonic: float) -> RunSnapshot:
        """A run at this moment; one that is not open stays as it is until a search finds more of it."""
        if run.opened:
            said = self._ledger.of(self._directory(run), run.files)
            return run.snapshot(now, monotonic, said)
        candidate, shown = self._unopened.get(run.id, (None, None))
        if shown is None or candidate is not run.candidate:
            anew = shown is None or candidate != run.candidate
            shown = run.snapshot(now, monotonic, Attention()) if shown is None or anew else shown
            self._unopened[run.id] = run.candidate, shown
        return shown

    def _notes(self) -> tuple[str, ...]:
        stalled = self._lookout.notes if self._lookout is not None else ()
        undecided = self._lookout is not None and self._lookout.undecided and not self._over
        found = self._found.notes if self._found is not None and not undecided else ()
        # What is not there yet is waited for, unless this was the last look.
        waiting = ("waiting for a run to appear",) if found and not self._runs and not self._over else ()
        recording = self._sampler.recording if self._sampler is not None else None
        ended = (recording.problem,) if recording is not None and recording.problem else ()
        return (*ended, *stalled, *self._parted, *found, *waiting)

    @property
    def _searching(self) -> bool:
        return self._lookout is not None and self._lookout.awaited is not None

    def finish(self) -> Snapshot:
        """Take in last lines without an end, where nobody writes any more, and say how things stood at the end."""
        self._over = True
        for run in self._runs.values():
            run.finish(self._now())
        return self._snapshot(self._in_order())

    def newest(self) -> Watched:
        """The newest run that was read.

        Raises:
            SourceError: there is none.
        """
        for run in self._in_order():
            if run.opened:
                return run
        raise SourceError("no run was found there: name a log file, or a directory that holds one")

    def close(self) -> None:
        """Let go of every file."""
        if self._sampler is not None and self._sampler.recording is not None:
            self._sampler.recording.close()
        for run in self._runs.values():
            run.close()


def _awaited(run: Watched) -> list[Future[Any]]:
    """Reads of the run that have not been answered yet."""
    guarded = [source for source in run.sources if isinstance(source, Guarded)]
    return [answer for source in guarded if (answer := source.awaited) is not None]
