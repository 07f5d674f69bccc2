"""What the tests of the readers share: text to lines, records to plain values."""

from collections.abc import Iterable
from pathlib import Path

from gradtop.record import Event, Record, Rows
from gradtop.sources.reader import Line, Reader

SHARED = Path(__file__).parents[3] / "shared"
"""Third-party captures that may lie beside the repository."""


def lines_of(text: str | bytes) -> list[Line]:
    """Whole lines, as a tail gives them."""
    data = text.encode() if isinstance(text, str) else text
    pieces = data.split(b"\n")
    if pieces[-1] == b"":
        pieces.pop()
    return [Line(number, piece.removesuffix(b"\r")) for number, piece in enumerate(pieces, 1)]


def read(reader: Reader, text: str | bytes, portion: int = 1_000_000) -> list[Record]:
    """Everything the reader makes of a text that is fed in portions of lines."""
    lines = lines_of(text)
    records: list[Record] = []
    for start in range(0, len(lines), portion):
        records += reader.feed(lines[start : start + portion])
    return records + reader.finish()


def rows_of(records: Iterable[Record]) -> list[dict[str, float]]:
    """Every row as a mapping; its step stands under the kind of its x (`step`, `epoch`, `row`)."""
    found: list[dict[str, float]] = []
    for block in records:
        if isinstance(block, Rows):
            for i, step in enumerate(block.steps):
                values = {name: float(column[i]) for name, column in block.columns.items()}
                found.append({block.x_kind: float(step)} | values)
    return found


def events_of(records: Iterable[Record], kind: str) -> list[Event]:
    """The events of one kind."""
    return [record for record in records if isinstance(record, Event) and record.event == kind]
