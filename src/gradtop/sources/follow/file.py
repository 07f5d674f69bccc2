"""One file as a source: followed by name, recognised by content, read in bounded portions."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gradtop.record import Record
from gradtop.sources import Batch, SourceStatus
from gradtop.sources.fields.sidefile import stated_beside
from gradtop.sources.follow.intake import Intake
from gradtop.sources.follow.tail import CHUNK_BYTES, Tail
from gradtop.sources.reader import Account

if TYPE_CHECKING:  # a run of rows does not wait for what reads text
    from gradtop.sources.text.reader import Rule

IDLE_S = 1.0
"""Seconds without new bytes after which a line that belongs to the ones before it is not waited for any more."""


class FileSource:
    """Follows one path. A file that begins anew is told apart and accounted for anew."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        *,
        profiles: "Sequence[Rule]" = (),
        beside: bool = False,
    ) -> None:
        """Follow `path`, which need not exist yet.

        Args:
            path: the file.
            clock: seconds from any origin.
            profiles: the user's own rules for text lines.
            beside: the side files in its directory are its own, so that their facts come first.
        """
        self._path = path
        self._tail = Tail(path, clock)
        self._intake = Intake(path.name, profiles)
        self._beside = beside
        self._silence = Silence(clock)
        self._requests = 0
        self._asking = False
        self._followed = True

    @property
    def asked(self) -> int | None:
        """The number of what the disk was asked for and has not given yet; None while it is asked for nothing."""
        return self._requests if self._asking else None

    @property
    def status(self) -> SourceStatus:
        """How the file stood at the last read."""
        return status_of(
            self._path,
            self._intake,
            size=self._tail.size,
            offset=self._tail.offset,
            modified=self._tail.modified,
            problem=self._tail.problem + (self._tail.remedy if self._followed else "") or self._intake.problem,
        )

    @property
    def account(self) -> Account:
        """How the lines of the file as it is now were understood; a new file at the path starts a new one."""
        return self._intake.account

    def read(self) -> Batch:
        """The next portion, and what happened to the file."""
        self._followed = True
        unpacking = self._intake.waiting
        with self._ask():
            portion = self._tail.read(CHUNK_BYTES if self._intake.wanted else 0)
        records: list[Record] = []
        if portion.began:
            # What the old file held back went with it: a line cut off by a truncation is not a line.
            records += self._intake.begin(portion.began)
        if portion.data and self._beside:
            self._beside = False
            with self._ask():
                records += stated_beside(self._path)
        if portion.data or unpacking:
            records += self._intake.take(portion.data)
        if portion.ended:
            records += self._intake.finish()
        if self._silence.long(bool(portion.data or portion.began)):
            records += self._intake.idle()
        # A file of an unread kind was only looked at: what took its place is still to be read.
        return Batch(tuple(records), portion.more or bool(portion.began) or unpacking or self._intake.waiting)

    def finish(self) -> Batch:
        """What is still held back, when nobody will write any more: the last line without its end included."""
        self._followed = False
        return Batch(tuple(self._intake.finish()))

    def close(self) -> None:
        """Let go of the file; the next read goes on where this one stopped."""
        with self._ask():
            self._tail.close()

    @contextmanager
    def _ask(self) -> Iterator[None]:
        """Only what happens in here can be held up by the disk."""
        self._requests += 1
        self._asking = True
        try:
            yield
        finally:
            self._asking = False


class Silence:
    """Says, once in every silence, that it has lasted for `IDLE_S`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` is seconds from any origin."""
        self._clock = clock
        self._since: float | None = None

    def long(self, heard: bool) -> bool:
        """Bytes came just now, or none; True when none came for long enough, for the first time."""
        if heard:
            self._since = self._clock()
        elif self._since is not None and self._clock() - self._since >= IDLE_S:
            self._since = None
            return True
        return False


def status_of(
    path: Path, intake: Intake, *, size: int, offset: int, modified: float | None, problem: str
) -> SourceStatus:
    """The status of a source with the counts of its account."""
    account = intake.account
    rejected = {reason: tally.count for reason, tally in account.rejected.items()}
    return SourceStatus(
        path=path,
        format=intake.format,
        size=size,
        offset=offset,
        modified=modified,
        problem=problem,
        partial=intake.partial,
        lines_read=sum(tally.count for tally in account.rules.values()),
        lines_skipped=account.skipped.count,
        lines_rejected=sum(rejected.values()),
        unread=account.unread,
        rejected_why=max(rejected, key=lambda reason: rejected[reason], default=""),
    )


def open_source(path: Path, profiles: "Sequence[Rule]" = (), beside: bool = False) -> FileSource:
    """A source that follows the file at `path`, which need not exist yet, and tells by its content how to read it.

    Args:
        path: the file; one of a kind that is not read says so in its status.
        profiles: the user's own rules for text lines, tried first.
        beside: the side files in its directory state facts of its run.
    """
    return FileSource(path, profiles=profiles, beside=beside)
