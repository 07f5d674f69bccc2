"""The bytes of one file, from its first one on, to records: told apart, split into lines, read and accounted for."""

from collections.abc import Callable

from gradtop.record import Record
from gradtop.sources.kind import HEAD_BYTES, Kind, recognise
from gradtop.sources.reader import Account, Line, Reader
from gradtop.sources.rows import RowReader
from gradtop.sources.table import CsvReader
from gradtop.sources.tail import LineDecoder
from gradtop.sources.text import TextReader

READERS: dict[str, Callable[[], Reader]] = {
    "gradtop": RowReader,
    "jsonl": RowReader,
    "csv": CsvReader,
    "text": TextReader,
}
"""Format → what reads it."""


class Intake:
    """Understands one file from its start. A file that begins anew needs a new one, with a new account."""

    def __init__(self, name: str) -> None:
        """Take the bytes of a file called `name`."""
        self._name = name
        self._head = bytearray()
        self._decoder = LineDecoder()
        self._reader: Reader | None = None
        self._account = Account()
        self.kind: Kind = recognise(name, b"")
        """What the file is, as far as its bytes show so far."""

    @property
    def format(self) -> str:
        """`gradtop`, `jsonl`, `csv` or `text`; `unknown` for what cannot be told yet or is not read."""
        return self._reader.format if self._reader is not None else "unknown"

    @property
    def account(self) -> Account:
        """How the lines so far were understood."""
        return self._reader.account if self._reader is not None else self._account

    @property
    def partial(self) -> bool:
        """Bytes are held back until their line ends, or until there are enough to tell what they are."""
        return bool(self._head) or self._decoder.partial

    @property
    def wanted(self) -> bool:
        """More bytes are of use; False for a kind that is not read."""
        return self.kind.format != "unread"

    def take(self, data: bytes) -> list[Record]:
        """The records of the lines that end in the next bytes."""
        if self._reader is None:
            return self._tell(data, ended=False)
        return self._feed(self._reader, self._decoder.feed(data))

    def finish(self) -> list[Record]:
        """What was held back, because no more bytes will come: the last line without its end included."""
        records = self._tell(b"", ended=True) if self._reader is None and self._head else []
        if self._reader is None:
            return records
        return records + self._feed(self._reader, self._decoder.finish()) + self._reader.finish()

    def _tell(self, data: bytes, ended: bool) -> list[Record]:
        """Collect the head until it shows what the file is, then read it."""
        if not self.wanted:
            return []
        # A hole before the first line may be as large as a disk allows.
        self._head += data if self._head else data.lstrip(b"\0")
        self.kind = recognise(self._name, bytes(self._head[:HEAD_BYTES]), ended=ended)
        make = READERS.get(self.kind.format)
        if make is None:
            if self.kind.format == "unread":
                self._head.clear()
            return []
        head = bytes(self._head)
        self._head.clear()
        self._reader = make()
        self._decoder = LineDecoder(soft_cr=self.kind.format == "text")
        return self.take(head)

    def _feed(self, reader: Reader, lines: list[Line]) -> list[Record]:
        records = reader.feed(lines) if lines else []
        for line in self._decoder.oversize:
            reader.account.reject("longer than 1 MiB", line)
        self._decoder.oversize.clear()
        return records
