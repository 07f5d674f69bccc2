"""What is known of one run: one source straight into the store, several joined to one stream first."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from gradtop.beside import Samples, Waiting
from gradtop.config import Limits
from gradtop.detect import Detector
from gradtop.machine import Machine, MachineView
from gradtop.merge import ANEW_SHARE, Joined, Merger
from gradtop.origin import Origin, OriginView
from gradtop.record import Record, Rows
from gradtop.run import Observation, Run, RunView
from gradtop.series import Spill
from gradtop.sources import SourceStatus
from gradtop.sources.search.group import Part

KEPT_VALUES = 250_000
"""Numbers of a lone source that are kept in case that another joins it; with more, its run is then read again."""
SLICE_ROWS = 4096
"""Rows that are joined anew at a time, so that a poll stays short."""


class Store:
    """A run and what the rules say of it."""

    def __init__(self, limits: Limits, samples: Waiting | None = None, spill: Path | None = None) -> None:
        """Nothing read yet; `samples` of the machine wait for their rows, and long series lie in the folder `spill`."""
        self.run = Run(Spill(spill) if spill is not None else None)
        self.detector = Detector(limits)
        self.samples = samples or Waiting()

    def apply(self, records: Iterable[Record]) -> bool:
        """Take records in; True when rows to judge were among them."""
        rows = False
        for record in records:
            for seen in self.run.apply(record):
                if not isinstance(seen, Observation):
                    self.detector.feed(seen)
                    continue
                rows = True
                for part in self.samples.onto(seen):
                    self.detector.feed(part)
        return rows


class History:
    """The records of all sources of a run, as one run. It has no clock: `at` is seconds from any origin."""

    def __init__(self, limits: Limits, joinable: bool, spill: Path | None = None) -> None:
        """Nothing is known yet. `joinable`: a second source may turn up after the first.

        Long series lie in unnamed files in the folder `spill`, or in memory where it is None.
        """
        self._limits, self._spill = limits, spill
        self._joinable = joinable
        self._paths: list[Path] = []
        self._origins: dict[Path, Origin] = {}
        self._merger: Merger | None = Merger(Spill(spill) if spill is not None else None)
        self._store = Store(limits, spill=spill)
        self._samples = Samples()
        self._recorded = (0, -math.inf)
        """How far the run was at the newest sample of a recording that says so: before its first row, say."""
        self._view: RunView | None = None
        self._anew: Store | None = None
        self._stream: Iterator[Record] = iter(())
        self._began_at = 0.0
        self._due_at = -math.inf
        self._first: Path | None = None
        self._ready = False

    @property
    def several(self) -> bool:
        """There is more than one source."""
        return len(self._paths) > 1

    @property
    def position(self) -> tuple[int, float]:
        """(number of the session, its newest step) of what was read last; -inf before the first row."""
        return self._store.run.position

    @property
    def detector(self) -> Detector:
        """The rules over what has been read."""
        return self._store.detector

    def open(self, part: Part) -> bool:
        """A further source; False where the others would have to be read again for it."""
        if self._merger is None:
            return False
        self._paths.append(part.path)
        self._merger.open(part)
        return True

    def close(self, path: Path) -> None:
        """A source is no part of the run any more."""
        self._paths.remove(path)
        self._origins.pop(path, None)
        if self._merger is None:
            return
        self._merger.close(path)
        self._stream, self._anew = iter(()), None
        if not self.several:
            # From now on the one that is left goes straight into the store.
            self._begin(self._merger)
            self._apply(self._merger.records(0.0, hold=False))

    def take(self, status: SourceStatus, records: tuple[Record, ...]) -> bool:
        """What a source gave, in its order; True when rows were among it."""
        if any(isinstance(record, Machine) for record in records):
            return self._take_samples(status, records)
        self._view = None if records else self._view
        if records:
            self._origins.setdefault(status.path, Origin()).take(records)
        if self._merger is not None and (self.several or self._joinable):
            self._merger.take(status.path, status.format, status.modified, records)
            if not self.several and self._merger.values > KEPT_VALUES:
                self._merger = None
        if not self.several:
            return self._store.apply(records)
        rows = any(isinstance(record, Rows) for record in records)
        self._first = self._first or (status.path if rows else None)
        if not self._ready and status.path == self._first:
            # Until all sources have been read there is at least one of them to see.
            self._store.apply(records)
        return rows

    def _take_samples(self, status: SourceStatus, records: tuple[Record, ...]) -> bool:
        """The same where samples of the machine are among them: they have their place among the rows of their file."""
        rows, start = False, 0
        for i, record in enumerate(records):
            if isinstance(record, Machine):
                rows = (start < i and self.take(status, records[start:i])) or rows
                self.sample(record)
                start = i + 1
        return (start < len(records) and self.take(status, records[start:])) or rows

    def sample(self, machine: Machine) -> None:
        """A sample of the machine, taken now or read from a source; one of several that tell of one moment counts."""
        if not self._samples.wants(machine):
            return
        if machine.session is not None and machine.step is not None:
            self._recorded = machine.session, machine.step
        session, step = self.position if machine.line is None or not self.several else self._recorded
        if (sampled := self._samples.add(machine, session, step)) is None:
            return
        for store in (self._store, self._anew):
            if store is not None:
                store.samples.add(sampled)

    def advance(self, at: float, more: bool) -> bool:
        """Join what came, where there is something to join; True while work is left. `more`: sources are behind."""
        merger = self._merger
        if merger is None or not self.several:
            return False
        if self._anew is None and merger.stale and not more and (at >= self._due_at or not self._ready):
            merger.begin()
            self._anew, self._stream, self._began_at = self._new_store(), merger.records(at, hold=False), at
        if self._anew is not None:
            return self._go_on(self._anew, at)
        if self._ready and not merger.stale:
            self._apply(merger.records(at))
        return False

    def _go_on(self, anew: Store, at: float) -> bool:
        """Join anew for a while; put the result in place when it is complete."""
        rows = 0
        for record in self._stream:
            anew.apply((record,))
            rows += len(record) if isinstance(record, Rows) else 1
            if rows >= SLICE_ROWS:
                return True
        self._store, self._anew, self._view, self._ready = anew, None, None, True
        self._due_at = at + ANEW_SHARE * (at - self._began_at)
        return False

    def _apply(self, records: Iterable[Record]) -> None:
        for record in records:
            self._view = None
            self._store.apply((record,))

    def settle(self) -> None:
        """Join everything that is there: what was given out so far does not matter any more."""
        merger = self._merger
        if merger is None or not self.several:
            return
        if merger.stale or self._anew is not None or not self._ready or merger.differs():
            self._begin(merger)
        self._apply(merger.records(0.0, hold=False))

    def _begin(self, merger: Merger) -> None:
        """An empty store for a stream that is joined anew."""
        merger.begin()
        self._store, self._anew, self._view, self._ready = self._new_store(), None, None, True

    def _new_store(self) -> Store:
        return Store(self._limits, self._samples.waiting(), self._spill)

    def due_s(self, at: float) -> float:
        """Seconds until there is something to do although nothing new came; infinite where there is not."""
        if self._merger is None or not self.several or not self._ready:
            return math.inf
        return max(0.0, self._due_at - at) if self._merger.stale else self._merger.due_s(at)

    def view(self) -> RunView:
        """What has been read."""
        if self._view is None:
            self._view = self._store.run.view()
        return self._view

    def machine(self) -> MachineView | None:
        """What is known of the machine that it runs on."""
        return self._samples.view()

    def joined(self) -> tuple[Joined, ...]:
        """How several sources stand, the most precise first; nothing of a lone one."""
        return self._merger.joined() if self._merger is not None and self.several else ()

    def origins(self) -> tuple[OriginView, ...]:
        """Where the rows stand in their files; without sources whose steps are not those of the run."""
        joined = {one.path: one for one in self.joined()}
        apart = {path for path, one in joined.items() if one.by_epoch or one.left_out}
        shifts = {path: joined[path].offset if path in joined else 0 for path in self._origins}
        return tuple(origin.view(path, shifts[path]) for path, origin in self._origins.items() if path not in apart)

    @property
    def strangers(self) -> tuple[Path, ...]:
        """Sources that tell of another training than the others."""
        return self._merger.strangers if self._merger is not None and self.several else ()
