"""One file as a source: followed by name, recognised by content, read in bounded portions."""

import time
from collections.abc import Callable
from pathlib import Path

from gradtop.record import Record, Restart
from gradtop.sources import Batch, SourceStatus
from gradtop.sources.intake import Intake
from gradtop.sources.reader import Account
from gradtop.sources.tail import CHUNK_BYTES, Tail


class FileSource:
    """Follows one path. A file that begins anew is told apart and accounted for anew."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Follow `path`, which need not exist yet; `clock` is seconds from any origin."""
        self._path = path
        self._tail = Tail(path, clock)
        self._intake = Intake(path.name)

    @property
    def status(self) -> SourceStatus:
        """How the file stood at the last read."""
        return status_of(
            self._path,
            self._intake,
            size=self._tail.size,
            offset=self._tail.offset,
            modified=self._tail.modified,
            problem=self._tail.problem or self._intake.kind.sentence,
        )

    @property
    def account(self) -> Account:
        """How the lines of the file as it is now were understood; a new file at the path starts a new one."""
        return self._intake.account

    def read(self) -> Batch:
        """The next portion, and what happened to the file."""
        portion = self._tail.read(CHUNK_BYTES if self._intake.wanted else 0)
        records: list[Record] = []
        if portion.began:
            # What the old file held back went with it: a line cut off by a truncation is not a line.
            self._intake = Intake(self._path.name)
            records += [Restart(reason=portion.began)] if portion.began != "rotated" else []
        if portion.data:
            records += self._intake.take(portion.data)
        if portion.ended:
            records += self._intake.finish()
        # A file of an unread kind was only looked at: what took its place is still to be read.
        return Batch(tuple(records), portion.more or bool(portion.began))

    def finish(self) -> Batch:
        """What is still held back, when nobody will write any more: the last line without its end included."""
        return Batch(tuple(self._intake.finish()))

    def close(self) -> None:
        """Let go of the file; the next read goes on where this one stopped."""
        self._tail.close()


def status_of(
    path: Path, intake: Intake, *, size: int, offset: int, modified: float | None, problem: str
) -> SourceStatus:
    """The status of a source with the counts of its account."""
    account = intake.account
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
        lines_rejected=sum(tally.count for tally in account.rejected.values()),
    )


def open_source(path: Path) -> FileSource:
    """Follow a file, whatever it is: a kind that is not read says so in its status."""
    return FileSource(path)
