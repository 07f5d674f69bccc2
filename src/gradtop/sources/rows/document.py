"""The reader of one whole JSON document that holds rows: `trainer_state.json` and its like, or a list of rows."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from gradtop.record import Record, Restart, Rows, RunFacts
from gradtop.sources.fields.setting import facts_from
from gradtop.sources.reader import Account, Line
from gradtop.sources.rows.jsonl import RowReader
from gradtop.sources.rows.past import Past
from gradtop.sources.rows.uniform import quoted

MAX_BYTES = 256 << 20
"""A larger document is not read."""
HISTORY = "log_history"
"""The list of rows in a trainer's state."""

_SETTINGS = {
    "max_steps": "max_steps",
    "num_train_epochs": "num_train_epochs",
    "train_batch_size": "per_device_train_batch_size",
}
"""Settings in a trainer's state, by the names that say what they are."""
_HEAD_BYTES = 2000
_Parts = dict[str, msgspec.Raw] | list[msgspec.Raw]


class Document:
    """Takes the bytes of a document, which is complete when it parses; until then nothing is read, and nothing is lost.

    A trainer writes the whole document again at every save. The rows that it gave before are not given twice.
    """

    format = "json"

    def __init__(self, name: str) -> None:
        """Read a document from a file called `name`."""
        self._name = name
        self._data = bytearray()
        self._done = False
        self._past = Past()
        self._reader = RowReader()
        self._facts: RunFacts | None = None
        self._row = 0
        self.problem = ""
        """Why the document is not read, as a sentence; empty when all is well."""

    @property
    def account(self) -> Account:
        """How the rows so far were understood; a line of it is a row of the document."""
        return self._reader.account

    @property
    def partial(self) -> bool:
        """The document is not complete yet."""
        return bool(self._data)

    def rewind(self, reason: str) -> None:
        """The document is written anew, for `reason`."""
        self._data.clear()
        self._done = False
        self.problem = ""
        self._past.rewind(reason)

    def take(self, data: bytes) -> list[Record]:
        """The new rows of the document that the next bytes complete."""
        if self.problem or (self._done and not data.strip()):
            return []
        self._data += data
        if len(self._data) > MAX_BYTES:
            self.problem = f"one JSON document of more than {MAX_BYTES >> 20} MiB: it is not read"
            self._data.clear()
            return []
        closed = data.rstrip(b" \t\r\n\0").endswith((b"}", b"]"))
        parts = _parsed(bytes(self._data)) if closed else None
        if parts is None:
            return []
        self._data.clear()
        self._done = True
        return list(self._news(parts))

    def idle(self) -> list[Record]:
        """Nothing is held back: a document that is not complete is being written."""
        return []

    def finish(self) -> list[Record]:
        """Nothing can be read of a document that was not completed."""
        if self._data:
            self.account.reject("a document that does not end", Line(1, bytes(self._data[:_HEAD_BYTES])))
            self._data.clear()
        return []

    def _news(self, parts: _Parts) -> Iterator[Record]:
        """What is in this document and was not in the ones before it."""
        if isinstance(parts, dict):
            settings = [(name, msgspec.json.decode(parts[key])) for key, name in _SETTINGS.items() if key in parts]
            facts = facts_from(settings, self._name)
            if facts is not None and facts != self._facts:
                self._facts = facts
                yield facts
        rows = _history(parts)
        fresh: list[bytes] = []
        at = 0
        while at < len(rows) and self._past.repeating:
            data = _on_one_line(rows[at])
            at += 1
            if before := self._past.admit(data):
                self._reader = RowReader()
                yield from before
                fresh.append(data)
        if after := [_on_one_line(row) for row in rows[at:]]:
            self._past.extend(after)
            fresh += after
        first = len(rows) - len(fresh)
        lines = [Line(number, data) for number, data in enumerate(fresh, first + 1)]
        yield from map(_without_line, [*self._reader.feed(lines), *self._reader.finish()])


def _on_one_line(row: msgspec.Raw) -> bytes:
    return b" ".join(bytes(row).split())


def _parsed(data: bytes) -> _Parts | None:
    """The parts of a whole document; None where it is not complete."""
    data = data.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n\0")
    try:
        return _split(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _split(quoted(data.decode("utf-8", errors="replace").encode()))
    except (msgspec.DecodeError, RecursionError):
        return None


def _split(data: bytes) -> _Parts:
    if data.startswith(b"["):
        return msgspec.json.decode(data, type=list[msgspec.Raw])
    return msgspec.json.decode(data, type=dict[str, msgspec.Raw])


def _history(parts: _Parts) -> Sequence[msgspec.Raw]:
    """The rows, undecoded."""
    if isinstance(parts, list):
        return parts
    try:
        return msgspec.json.decode(parts.get(HISTORY, msgspec.Raw(b"[]")), type=list[msgspec.Raw])
    except msgspec.DecodeError:
        return []


def _without_line(record: Record) -> Record:
    """A row of a document has no line of its own."""
    if isinstance(record, Rows):
        return replace(record, lines=())
    return record if isinstance(record, RunFacts | Restart) else msgspec.structs.replace(record, line=None)
