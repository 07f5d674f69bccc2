"""The sources of one run as they grow, and the one stream that they make."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gradtop.merge.join import Join
from gradtop.merge.plan import Fit, Plan, planned
from gradtop.merge.track import Track
from gradtop.record import Record, Rows
from gradtop.series import Spill
from gradtop.sources.search.group import Part

HOLD_S = 0.25
"""Seconds for which the newest step waits for what other sources have to say of it."""
CONSOLE_S = 5.0
"""Seconds for which what a console tells of further steps waits for its stream, which is not flushed at each of them.

What is told of a step before the stream has it would have to be joined anew.
"""
ANEW_SHARE = 20
"""Joining anew, which takes a while in a long run, is repeated after this many times as long."""


@dataclass(frozen=True, slots=True)
class Joined:
    """How one source stands in its run."""

    path: Path
    rows: int
    """Rows that it has, of any kind."""
    metrics: dict[str, int]
    """Metric to values that come from it."""
    offset: int = 0
    """Added to its steps."""
    by_epoch: bool = False
    """Its steps were found by its epochs."""
    left_out: str = ""
    """Why its rows do not count; empty where they do."""


class Merger:
    """Joins sources. What it gives out is a function of what they hold once everything has been joined anew.

    New rows are given out as they come. What comes late, and changes what was given out, is joined anew.
    """

    def __init__(self, spill: Spill | None = None) -> None:
        """No source yet; what they give lies on the disk of `spill` where it is much."""
        self._spill = spill
        self._tracks: dict[Path, Track] = {}
        self._join = Join(Plan())
        self._kinds: dict[int, set[str]] = {}
        self._rows = self._planned_rows = 0
        self._newest = self._limit = -math.inf
        self._held_since = 0.0
        self.stale = False
        """What was given out is not what there is to give out now."""

    def open(self, part: Part) -> Track:
        """A further source."""
        self.stale = True
        return self._tracks.setdefault(part.path, Track(part, self._spill))

    def close(self, path: Path) -> None:
        """A source is no longer part of the run."""
        if self._tracks.pop(path, None) is not None:
            self.stale = True

    @property
    def values(self) -> int:
        """Numbers held."""
        return sum(track.values for track in self._tracks.values())

    @property
    def several(self) -> bool:
        """There is something to join."""
        return len(self._tracks) > 1

    def take(self, path: Path, format: str, modified: float | None, records: Iterable[Record]) -> None:
        """What a source gave, in its order."""
        track = self._tracks[path]
        if track.format != format:
            track.format, self.stale = format, True
        track.modified = modified
        if self._spill is not None:
            self._spill.looked()
        for record in records:
            laps = len(track.laps)
            for kept in track.take(record):
                if not self.stale and self.several:
                    self.stale = len(track.laps) != laps or self._changes(track, kept)

    def _changes(self, track: Track, record: Record) -> bool:
        """Join one more record; True when it cannot be, or changes what was given out."""
        if isinstance(record, Rows):
            if record.x_kind not in self._kinds.get(id(track), ()):
                return True
            self._rows += len(record)
            if self._rows >= 2 * self._planned_rows and self.differs():
                return True
        return self._join.add(track, len(track.laps) - 1, record)

    def differs(self) -> bool:
        """The sources fit together otherwise than when they were last joined."""
        self._planned_rows = self._rows
        return _shape(planned(list(self._tracks.values()))) != _shape(self._join.plan)

    def begin(self) -> None:
        """Join anew, from the first record on."""
        tracks = list(self._tracks.values())
        for track in tracks:
            track.pack()
        self._join = Join(planned(tracks))
        self._kinds = {id(track): track.kinds() for track in tracks}
        self._rows = self._planned_rows = sum(track.rows(kind) for track in tracks for kind in track.kinds())
        self._newest = self._limit = -math.inf
        self.stale = False

    def records(self, at: float, hold: bool = True) -> Iterator[Record]:
        """What there is to give out at `at` (seconds of any clock); with `hold`, the newest step may have to wait."""
        if hold:
            self._hold(at)
        else:
            self._newest = self._limit = self._join.newest
        return self._join.advance(self._limit if hold and self._holds(at) else math.inf)

    def _holds(self, at: float) -> bool:
        """Something is not to be given out yet."""
        return self._limit < self._newest or (self._join.ahead and at - self._held_since < CONSOLE_S)

    def _hold(self, at: float) -> None:
        """Let go of every step but the newest, and of that one when all sources have it or its time is up."""
        newest = self._join.newest
        if newest != self._newest:
            self._limit, self._newest, self._held_since = self._newest, newest, at
        if self._join.reached >= newest or at - self._held_since >= HOLD_S:
            self._limit = newest

    def due_s(self, at: float) -> float:
        """Seconds until a step that is held is to be given out; infinite without one."""
        if not self.several or not self._holds(at):
            return math.inf
        return max(0.0, self._held_since + (HOLD_S if self._limit < self._newest else CONSOLE_S) - at)

    @property
    def strangers(self) -> tuple[Path, ...]:
        """Sources that tell of another training than the others."""
        return tuple(fit.track.part.path for fit in self._join.plan.fits if fit.contradicts)

    def joined(self) -> tuple[Joined, ...]:
        """How the sources stand, the most precise first."""
        return tuple(_joined(fit, self._join) for fit in self._join.plan.fits)


def _joined(fit: Fit, join: Join) -> Joined:
    track = fit.track
    rows = sum(track.rows(kind) for kind in track.kinds())
    return Joined(track.part.path, rows, join.used(fit), fit.offset, fit.moved is not None, fit.left_out)


def _shape(plan: Plan) -> tuple[object, ...]:
    """What decides how rows are joined."""
    fits = tuple(
        (id(fit.track), fit.offset, fit.sessions, fit.stands, fit.moved is None, bool(fit.left_out), fit.contradicts)
        for fit in plan.fits
    )
    other_kinds = any(f.track.kinds() - {plan.x_kind} for f in plan.fits)
    return fits, plan.x_kind, plan.starts, plan.names if other_kinds else ()
