"""Searching for runs beside the thread that reads them, around places that do not answer."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from gradtop.sources.follow.lane import STALLED_S, Lane, Threads, stalled
from gradtop.sources.follow.mount import remote
from gradtop.sources.search.discover import Found, Search
from gradtop.sources.search.ties import Ties

if TYPE_CHECKING:  # a run of rows does not wait for what reads text
    from gradtop.sources.text.reader import Rule

STUCK_S = 0.3
"""Seconds at one file or directory after which a search goes around it."""
LOOK_SHARE = 200
"""A search that takes long is repeated after this many times as long."""


class Steps:
    """Where a search is: it asks before every file and directory that it touches."""

    def __init__(self) -> None:
        self.avoided: frozenset[str] = frozenset()
        """Absolute paths that are not to be touched, nor what lies below them."""
        self.at = ""
        """The place that was asked for last."""
        self.count = 0
        """Places asked for so far."""

    def __call__(self, path: str) -> bool:
        """Note that `path` comes next; True when it may be touched."""
        if self.avoided and _lies_below(os.path.abspath(path), self.avoided):
            return False
        self.at = path
        self.count += 1
        return True


def _lies_below(path: str, places: frozenset[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


class _Round:
    """One search in a lane of its own, with what it remembers from look to look."""

    def __init__(self, paths: Sequence[Path], threads: Threads, ties: Ties, profiles: "Sequence[Rule]") -> None:
        self.steps = Steps()
        self._search = Search(paths, step=self.steps, ties=ties, profiles=profiles)
        self._lane = Lane(threads)
        self.answer: Future[Found] | None = None
        self.asked_at = self.moved_at = 0.0
        self._seen = 0

    def ask(self, at: float) -> "Future[Found]":
        """Begin to look."""
        self.answer, self.asked_at, self.moved_at = self._lane.do(self._search.look), at, at
        return self.answer

    def silent(self, at: float) -> float:
        """Seconds for which it has not moved on."""
        if self.steps.count != self._seen:
            self._seen, self.moved_at = self.steps.count, at
        return at - self.moved_at


class Lookout:
    """Looks for runs again and again. Where a search gets stuck, another goes around the place until it answers."""

    def __init__(
        self,
        paths: Sequence[Path],
        threads: Threads,
        clock: Callable[[], float],
        interval_s: float,
        profiles: "Sequence[Rule]" = (),
    ) -> None:
        """Search `paths` every `interval_s` seconds of `clock`, by `threads`, for logs that `profiles` read too."""
        self._profiles = profiles
        self._paths, self._threads, self._clock, self._interval_s = tuple(paths), threads, clock, interval_s
        self._ties = Ties()
        self._round = _Round(self._paths, threads, self._ties, profiles)
        self._stuck: dict[str, _Round] = {}
        self._due_at = 0.0

    @property
    def awaited(self) -> Future[Found] | None:
        """The search that is worth waiting for; None where there is none, or where it is stalled."""
        rounds, now = (self._round, *self._stuck.values()), self._clock()
        waiting = (round.answer for round in rounds if now - round.moved_at < STALLED_S)
        return next((answer for answer in waiting if answer is not None), None)

    @property
    def notes(self) -> tuple[str, ...]:
        """The places that do not answer, and for how long. Holds foreign names."""
        now = self._clock()
        silent = ((place, now - round.moved_at) for place, round in self._stuck.items())
        return tuple(f"{place}: {stalled(seconds)}" for place, seconds in silent if seconds >= STALLED_S)

    @property
    def undecided(self) -> bool:
        """A place that the newest search went around may still answer: what it did not find may be there."""
        return any(self._clock() - round.moved_at < STALLED_S for round in self._stuck.values())

    def part(self, path: Path) -> None:
        """The file at `path` is of another training than what it was found with: search again."""
        self._ties.part(path)
        self._due_at = 0.0

    def look(self) -> Found | None:
        """What the search found, once it is over; searches again when it is due."""
        at = self._clock()
        self._return()
        if self._round.answer is None:
            if at < self._due_at:
                return None
            self._threads.answered(self._round.ask(at))
        answer = self._round.answer
        if answer is None or not answer.done():
            self._go_around(at)
            return None
        self._round.answer = None
        found = answer.result()
        self._due_at = at + max(self._interval_s, LOOK_SHARE * (self._clock() - self._round.asked_at))
        self._due_at = self._due_at if found.complete else at
        return found

    def _return(self) -> None:
        """A search that came back from a place goes on: it has seen more than the one around it."""
        for place, round in list(self._stuck.items()):
            if round.answer is not None and round.answer.done():
                del self._stuck[place]
                self._round = round
                self._avoid()

    def _go_around(self, at: float) -> None:
        """Leave a search to itself that stays at one place, and begin another around it."""
        if self._round.silent(at) < STUCK_S or not (place := self._round.steps.at):
            return
        mount = remote(os.path.abspath(place))
        # A second place that is stuck on one mount: it is the mount.
        again = mount and any(remote(os.path.abspath(other)) == mount for other in self._stuck)
        self._stuck[mount if again else place] = self._round
        self._round, self._due_at = _Round(self._paths, self._threads, self._ties, self._profiles), at
        self._avoid()

    def _avoid(self) -> None:
        self._round.steps.avoided = frozenset(map(os.path.abspath, self._stuck))
