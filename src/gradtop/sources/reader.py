"""The seam between following a file and understanding it: whole lines in, records out, everything accounted for."""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gradtop.record import Record

MAX_SAMPLES = 5
"""Lines kept as samples for each rule or reason."""
SAMPLE_CHARS = 400
"""Characters kept of a sample."""
NEWEST_SKIPPED = 3
"""Of the lines without anything to read in them so many of the last ones are kept."""
_WORD = re.compile(rb"[A-Za-z\x80-\xff]")
MAX_MESSAGE = 400
"""Characters kept of a line as the message of an event."""
MAX_NAMES = 2000
"""Names kept in an account; a file with more is a sign of names that hold data."""


class Line(NamedTuple):
    """One whole line, without its line end."""

    number: int
    """From 1; lines that were skipped as too long are counted too."""
    data: bytes


class Block(NamedTuple):
    """Whole lines that follow each other, as they stand in the file, each with its line end."""

    number: int
    """Of the first line."""
    n: int
    """Lines."""
    data: bytes

    def lines(self) -> list[Line]:
        """The lines one by one."""
        pieces = self.data.split(b"\n")[:-1]
        return [Line(number, piece.removesuffix(b"\r")) for number, piece in enumerate(pieces, self.number)]

    def parts(self, first: int) -> "tuple[Block, Block]":
        """The first so many lines, and the others."""
        at = 0
        for _ in range(first):
            at = self.data.index(b"\n", at) + 1
        return (
            Block(self.number, first, self.data[:at]),
            Block(self.number + first, self.n - first, self.data[at:]),
        )


@dataclass(slots=True)
class Tally:
    """How often something was seen, with the first few lines that showed it."""

    count: int = 0
    samples: list[tuple[int, str]] = field(default_factory=list)
    """(line number, text as decoded; foreign: clean it before it is shown)."""

    def add(self, number: int, text: str) -> None:
        """Count one line, and keep it while there is room."""
        self.count += 1
        if len(self.samples) < MAX_SAMPLES:
            self.samples.append((number, text[:SAMPLE_CHARS]))


@dataclass(slots=True)
class NameUse:
    """What became of one name in the file."""

    canonical: str
    """The name it is stored under; its own where no synonym is known."""
    known: bool
    """A synonym of the table, as opposed to a name kept as it is."""
    unit: str = ""
    """How the number was converted, e.g. `ms → s`, `% → ratio`; empty where it is taken as written."""
    count: int = 0


Unread = tuple[tuple[int, str], ...]
"""(line number, why the line was rejected), in the order of reading."""
MAX_UNREAD = 1000
"""Rejected lines that are told by their numbers; of more, the newest ones."""


@dataclass(slots=True)
class Account:
    """How one file was understood: what `explain` prints."""

    rules: dict[str, Tally] = field(default_factory=dict)
    """Rule that read a line → its lines."""
    names: dict[str, NameUse] = field(default_factory=dict)
    """Name in the file → what became of it."""
    groups: dict[str, str] = field(default_factory=dict)
    """Name that a user's profile gives → the group of its regular expression."""
    skipped: Tally = field(default_factory=Tally)
    """Lines without anything to read in them: no fault."""
    newest_skipped: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=NEWEST_SKIPPED))
    """(line number, text as decoded; foreign) of the last of them that have a word."""
    rejected: dict[str, Tally] = field(default_factory=dict)
    """Reason → lines that should have been a record and are not."""
    nuls: int = 0
    """NUL bytes dropped from the start of lines: a file that is truncated under its writer gets a run of them."""
    _newest: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=MAX_UNREAD), repr=False, compare=False)
    _unread: Unread | None = field(default=(), repr=False, compare=False)

    def read(self, rule: str, line: Line) -> None:
        """`rule` made a record of the line."""
        self.rules.setdefault(rule, Tally()).add(line.number, text_of(line))

    def read_all(self, rule: str, lines: Sequence[Line]) -> None:
        """`rule` made records of all these lines."""
        tally = self.rules.setdefault(rule, Tally())
        for line in lines[: MAX_SAMPLES - len(tally.samples)]:
            tally.samples.append((line.number, text_of(line)[:SAMPLE_CHARS]))
        tally.count += len(lines)

    def count(self, rule: str, n: int) -> None:
        """`rule` made records of `n` more lines like those before."""
        self.rules.setdefault(rule, Tally()).count += n

    def skip(self, line: Line) -> None:
        """There is nothing to read in the line."""
        text = text_of(line)
        self.skipped.add(line.number, text)
        if _WORD.search(line.data) is not None:
            self.newest_skipped.append((line.number, text))

    def reject(self, reason: str, line: Line) -> None:
        """The line should have been a record; `reason` is a short phrase without the line's own text."""
        self.rejected.setdefault(reason, Tally()).add(line.number, text_of(line))
        self._newest.append((line.number, reason))
        self._unread = None

    @property
    def unread(self) -> Unread:
        """The newest `MAX_UNREAD` rejected lines."""
        if self._unread is None:
            self._unread = tuple(self._newest)
        return self._unread

    def name(self, raw: str, canonical: str, known: bool, unit: str = "", count: int = 1) -> None:
        """A value was taken under `canonical`."""
        use = self.names.get(raw)
        if use is None:
            if len(self.names) >= MAX_NAMES:
                return
            use = self.names[raw] = NameUse(canonical, known, unit)
        use.count += count


def text_of(line: Line) -> str:
    """The beginning of a line as text; foreign: clean it before it is shown."""
    return line.data[: SAMPLE_CHARS * 4].decode("utf-8", errors="replace")


class Reader(Protocol):
    """Understands the lines of one file. It has no clock and no file."""

    format: str
    """`gradtop`, `jsonl`, `csv` or `text`."""
    account: Account

    def feed(self, lines: Sequence[Line]) -> list[Record]:
        """The records of the next whole lines, in order. Never raises: a bad line is rejected in the account."""
        ...

    def idle(self) -> list[Record]:
        """The records held back for a following line (an open block, a bar), because nothing came for a while."""
        ...

    def finish(self) -> list[Record]:
        """The records still held back, because nothing more will come (the file was replaced, or the run is over)."""
        ...
