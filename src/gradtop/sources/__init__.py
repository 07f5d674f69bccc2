"""Bytes to records: a source is one file (or stream) of a run, read in bounded portions and followed.

search/    directories to runs: which files there are, and which of them belong to one training
follow/    the bytes of one file or stream, followed: told apart, unpacked, split into whole lines
text/      lines for people to rows: single lines, bars, blocks of lines, events, facts
rows/      rows for programs: JSON lines, tables, documents
fields/    what names, numbers and units mean, and what a row of fields is
reader.py  the seam between them: lines in, records out, everything accounted for
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gradtop.record import Record
from gradtop.sources.reader import Account, Unread


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read gave."""

    records: tuple[Record, ...] = ()
    more: bool = False
    """More is waiting: read again at once."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source stands, for the header, the Log screen and `check`."""

    path: Path
    format: str
    """`gradtop`, `jsonl`, `json`, `csv`, `text`, or `unknown` while it cannot be told."""
    size: int = 0
    """Bytes in the file at the last look."""
    offset: int = 0
    """Bytes read."""
    modified: float | None = None
    """Unix seconds of the last change of the file; None for a stream or a file that is not there."""
    problem: str = ""
    """A sentence for the user: waiting for the file, permission denied, binary, ...; empty when all is well."""
    partial: bool = False
    """The last line has no end yet and is held back."""
    lines_read: int = 0
    """Lines that gave a record."""
    lines_skipped: int = 0
    """Lines without anything to read in them."""
    lines_rejected: int = 0
    """Lines that should have been a record and are not; `explain` shows samples."""
    rejected_why: str = ""
    """The most frequent reason, a short phrase; empty where no line was rejected."""
    unread: Unread = ()
    """The newest of those lines, and why each was rejected."""


class Source(Protocol):
    """One file or stream."""

    @property
    def status(self) -> SourceStatus:
        """How it stands after the last read."""
        ...

    def read(self) -> Batch:
        """The next portion: at most about 256 KiB of input, never blocking on a regular file."""
        ...

    @property
    def account(self) -> Account:
        """How the lines so far were understood."""
        ...

    def finish(self) -> Batch:
        """What is still held back, when nobody will write any more: the last line without its end included."""
        ...

    def close(self) -> None:
        """Let go of the file; the next read goes on where this one stopped."""
        ...
