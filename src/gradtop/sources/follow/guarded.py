"""A source on a disk that may stop answering."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from gradtop.sources import Batch, Source, SourceStatus
from gradtop.sources.follow.lane import STALLED_S, Lane, Threads, answered, stalled
from gradtop.sources.reader import Account

Answer = tuple[Batch, SourceStatus, Account]
"""What a call gave, and how the source stood after it."""
LOOK_S = 0.05
"""Seconds between two looks at a disk that is waited for."""


class OnDisk(Source, Protocol):
    """A source that says when it waits for its disk."""

    @property
    def asked(self) -> int | None:
        """The number of what the disk was asked for and has not given yet; None while it is asked for nothing."""
        ...


class Guarded:
    """Reads a source in a lane of its own, so that a read that never returns holds up nothing but this source."""

    def __init__(
        self, path: Path, open_source: Callable[[Path], OnDisk], threads: Threads, clock: Callable[[], float]
    ) -> None:
        """Open and read `path` by `threads`; `clock` counts the seconds without an answer."""
        self._source: OnDisk | None = None
        self._path, self._open_source = path, open_source
        self._threads, self._lane, self._clock = threads, Lane(threads), clock
        self._answer: Future[Answer] | None = None
        self._begun = False
        self._asked: int | None = None
        self._asked_at = 0.0
        self._given_up = False
        self._status = SourceStatus(path, "unknown")
        self._account = Account()

    @property
    def status(self) -> SourceStatus:
        """How it stood after the last read that was answered; for how long the next one is not."""
        silent = self._silent
        return replace(self._status, problem=stalled(silent)) if silent >= STALLED_S else self._status

    @property
    def account(self) -> Account:
        """How the lines so far were understood; empty while a read is under way, which may be changing it."""
        return self._account if self._answer is None else Account()

    @property
    def awaited(self) -> Future[Answer] | None:
        """The call that is worth waiting for; None where there is none, or where it is stalled."""
        return self._answer if self._silent < STALLED_S else None

    @property
    def _silent(self) -> float:
        """Seconds without an answer of the disk, or of a thread to ask it; 0 while what it gave is worked on."""
        if self._answer is None or self._answer.done():
            return 0.0
        source, now = self._source, self._clock()
        asked = -1 if not self._begun else source.asked if source is not None else None
        if asked is None or asked != self._asked:
            self._asked, self._asked_at = asked, now
        return now - self._asked_at

    def read(self) -> Batch:
        """The next portion, or the one that came late; nothing while a call is under way."""
        return self._ask(lambda: self._opened.read())

    def finish(self) -> Batch:
        """What came late and what is still held back; nothing of a source that does not answer."""
        late = self.read() if self._answer is not None else Batch()
        if self._under_way():
            return late
        rest = self._ask(lambda: self._opened.finish())
        while self._under_way(LOOK_S):
            if self._silent >= STALLED_S:
                return late
        rest = self._ask(Batch) if self._answer is not None else rest
        return Batch(late.records + rest.records)

    def close(self) -> None:
        """Let go of the file, as soon as the call that is under way is over."""
        closed = self._lane.do(self._close)
        if self._answer is None:
            self._threads.answered(closed)

    def _ask(self, work: Callable[[], Batch]) -> Batch:
        """The answer to the call that is under way, else to a new one."""
        if self._answer is None:
            self._begun, self._asked, self._asked_at, self._given_up = False, -1, self._clock(), False
            self._answer = self._lane.do(lambda: self._told(work))
            self._threads.answered(self._answer)
        if self._silent >= STALLED_S and not self._given_up:
            # It may be this process that was held up: a last moment tells.
            self._given_up = True
            self._threads.answered(self._answer)
        if not self._answer.done():
            return Batch(more=self._silent < STALLED_S)
        answer, self._answer = self._answer, None
        batch, self._status, self._account = answer.result()
        return batch

    def _under_way(self, patience_s: float = 0.0) -> bool:
        """A call is not answered, nor in this time."""
        return self._answer is not None and not answered(self._answer, patience_s)

    def _told(self, work: Callable[[], Batch]) -> Answer:
        """What a call gives, in the lane."""
        self._begun = True
        batch, source = work(), self._opened
        return batch, source.status, source.account

    @property
    def _opened(self) -> OnDisk:
        """The source, used in the lane alone."""
        if self._source is None:
            self._source = self._open_source(self._path)
        return self._source

    def _close(self) -> None:
        if self._source is not None:
            self._source.close()
