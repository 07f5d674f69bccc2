"""The bytes of one file, from its first one on, to records: unpacked, told apart, split, read and accounted for."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gradtop.record import Record, Restart
from gradtop.sources.follow.compressed import Unpacker, bare_name, unpacker
from gradtop.sources.follow.kind import HEAD_BYTES, TWICE, Kind, recognise
from gradtop.sources.follow.tail import LineDecoder
from gradtop.sources.reader import Account, Block, Line, Reader
from gradtop.sources.rows.counting import counted_by
from gradtop.sources.rows.document import Document
from gradtop.sources.rows.jsonl import RowReader
from gradtop.sources.rows.second import second_writer
from gradtop.sources.rows.table import CsvReader

if TYPE_CHECKING:
    from gradtop.sources.text.reader import Rule

READERS: dict[str, Callable[[], Reader]] = {"gradtop": RowReader, "jsonl": RowReader, "csv": CsvReader}
"""Format → what reads its lines, apart from text."""


def reader_for(format: str, profiles: "Sequence[Rule]") -> Reader:
    """A new reader of this format; text is read with the user's own `profiles` first."""
    if format != "text":
        return READERS[format]()
    # A run of rows does not wait for all the patterns of text logs.
    from gradtop.sources.text.reader import TextReader

    return TextReader(profiles)


_CUT_OFF = "the compressed data end in the middle: what comes before is read"


class Lines:
    """Bytes to lines to records, by one reader."""

    def __init__(self, reader: Reader, hole: int = 0) -> None:
        """Lines that `reader` understands, after `hole` NUL bytes that were dropped."""
        self.reader = reader
        self.problem = ""
        self._hole = hole
        self._decoder = LineDecoder(soft_cr=reader.format == "text")
        # Readers of tables take lines only.
        self._feed_block: Callable[[Block], list[Record]] | None = getattr(reader, "feed_block", None)

    @property
    def format(self) -> str:
        """The reader's format."""
        return self.reader.format

    @property
    def account(self) -> Account:
        """How the lines so far were understood."""
        return self.reader.account

    @property
    def partial(self) -> bool:
        """A line has begun and has no end yet."""
        return self._decoder.partial

    def take(self, data: bytes) -> list[Record]:
        """The records of the lines that end in the next bytes."""
        if self._feed_block is not None and (block := self._decoder.block(data)) is not None:
            return self._feed_block(block)
        return self._feed(self._decoder.feed(data))

    def idle(self) -> list[Record]:
        """What the reader held back for a following line."""
        return self.reader.idle()

    def finish(self, cut: bool = False) -> list[Record]:
        """The line without its end, unless it is `cut` off, and what the reader held back."""
        last = self._decoder.finish()
        for line in last if cut else ():
            # Half a number reads as another number.
            self.account.reject("cut off with the data it stands in", line)
        return self._feed([] if cut else last) + self.reader.finish()

    def _feed(self, lines: list[Line]) -> list[Record]:
        records = self.reader.feed(lines) if lines else []
        for line in self._decoder.oversize:
            self.account.reject("longer than 1 MiB", line)
        self._decoder.oversize.clear()
        self.account.nuls = self._hole + self._decoder.nuls
        return records


class Intake:
    """Understands one file, from its start and again from every new beginning."""

    def __init__(self, name: str, profiles: "Sequence[Rule]" = ()) -> None:
        """Take the bytes of a file called `name`; text lines are read with `profiles` first."""
        self._profiles = profiles
        self._name = name
        self._kept: tuple[Lines | Document, str] | None = None
        self._reset()

    def _reset(self) -> None:
        self._unpacker: Unpacker | None = None
        self._packed_as = ""
        self._head = bytearray()
        self._hole = 0
        self._inside: Lines | Document | None = None
        self._account = Account()
        self._fault = ""
        self.kind: Kind = recognise(self._name, b"")
        """What the file is, as far as its bytes show so far; of a packed file what is inside."""

    @property
    def format(self) -> str:
        """`gradtop`, `jsonl`, `json`, `csv` or `text`; `unknown` for what cannot be told yet or is not read."""
        return self._inside.format if self._inside is not None else "unknown"

    @property
    def account(self) -> Account:
        """How the lines so far were understood."""
        return self._inside.account if self._inside is not None else self._account

    @property
    def problem(self) -> str:
        """Why something is not read, as a sentence; empty when all is well."""
        inside = self._inside.problem if self._inside is not None else ""
        return self._fault or inside or self.kind.sentence

    @property
    def partial(self) -> bool:
        """Bytes are held back until their line ends, or until there are enough to tell what they are."""
        unpacking = self._unpacker is not None and self._unpacker.partial
        return bool(self._head) or unpacking or (self._inside is not None and self._inside.partial)

    @property
    def waiting(self) -> bool:
        """More can be read of the bytes that were taken: take none, to go on."""
        return self._unpacker is not None and self._unpacker.waiting and self._is_read

    @property
    def wanted(self) -> bool:
        """More bytes are of use now; False for a kind that is not read, and while something is waiting."""
        done = self._unpacker is not None and bool(self._unpacker.problem)
        return self._is_read and not self.waiting and not done

    @property
    def _is_read(self) -> bool:
        return self.kind.format != "unread" and not (self._inside is not None and self._inside.problem)

    def begin(self, reason: str) -> list[Record]:
        """The file begins anew, for `reason`: other bytes follow. A file that is written whole again is no restart."""
        kept = self._inside
        again = isinstance(kept, Document) or (
            isinstance(kept, Lines) and isinstance(kept.reader, CsvReader) and reason != "rotated"
        )
        if again and kept is not None:
            self._kept = kept, reason
        earlier = self._kept
        self._reset()
        return [] if earlier is not None or reason == "rotated" else [Restart(reason=reason)]

    def take(self, data: bytes) -> list[Record]:
        """The records of the lines that end in the next bytes."""
        if self._unpacker is None:
            return self._take(data)
        records = self._take(self._unpacker.take(data))
        self._fail(self._unpacker.problem)
        return records

    def _take(self, data: bytes) -> list[Record]:
        return self._tell(data, ended=False) if self._inside is None else self._inside.take(data)

    def idle(self) -> list[Record]:
        """What was held back for a following line, because nothing came for a while; a line without its end stays."""
        return self._inside.idle() if self._inside is not None else []

    def finish(self) -> list[Record]:
        """What was held back, because no more bytes will come: the last line without its end included."""
        records: list[Record] = []
        while self.waiting:
            records += self.take(b"")
        if self._inside is None and self._head:
            records += self._tell(b"", ended=True)
        if self._unpacker is not None and self._unpacker.partial and not self._fault:
            self._fail(_CUT_OFF)
        if self._inside is None:
            return records
        cut = self._unpacker is not None and self._unpacker.cut
        return records + (self._inside.finish(cut) if isinstance(self._inside, Lines) else self._inside.finish())

    def _fail(self, problem: str) -> None:
        """Say why a part of a packed file is not read, and account for it once."""
        self._fault = f"{self._packed_as}: {problem}" if problem else ""
        if problem and problem not in self.account.rejected:
            self.account.reject(problem, Line(0, self._name.encode("utf-8", errors="replace")))

    def _tell(self, data: bytes, ended: bool) -> list[Record]:
        """Collect the head until it shows what the file is, then read it."""
        if not self._is_read:
            return []
        # A hole before the first line may be as large as a disk allows.
        kept = data if self._head else data.lstrip(b"\0")
        self._hole += len(data) - len(kept)
        self._head += kept
        name = self._name if self._unpacker is None else bare_name(self._name)
        self.kind = recognise(name, bytes(self._head[:HEAD_BYTES]), ended=ended)
        if self.kind.format == "packed":
            return self._unpack()
        if not self.kind.readable:
            if self.kind.format == "unread":
                self._head.clear()
            return []
        head = bytes(self._head)
        self._head.clear()
        before = self._open(name)
        return before + self._take(head)

    def _unpack(self) -> list[Record]:
        """Go on with what is inside."""
        packed = bytes(self._head)
        self._head.clear()
        if self._unpacker is not None:
            self.kind = TWICE
            return []
        self._unpacker, self._packed_as = unpacker(self.kind.packing), self.kind.name
        return self.take(packed)

    def _reader(self, name: str) -> Reader:
        if self.kind.format == "csv":
            return CsvReader(counted_by(name))
        if writer := second_writer(name):
            return RowReader(writer)
        return reader_for(self.kind.format, self._profiles)

    def _open(self, name: str) -> list[Record]:
        """Read on with what reads this kind: the same as before, where a file of the same kind was written anew."""
        kept, self._kept = self._kept, None
        if kept is not None and kept[0].format == self.kind.format:
            inside, reason = kept
            if isinstance(inside, Document):
                inside.rewind(reason)
                self._inside = inside
            elif isinstance(inside.reader, CsvReader):
                inside.reader.rewind(reason)
                self._inside = Lines(inside.reader, self._hole)
            return []
        if self.kind.format == "json":
            self._inside = Document(name)
        else:
            self._inside = Lines(self._reader(name), self._hole)
        return [Restart(reason=kept[1])] if kept is not None else []
