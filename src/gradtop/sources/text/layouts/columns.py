"""Numbers in columns under a line of names: fastai, spaCy, notebook tables, Markdown tables and home-made loops."""

from typing import NamedTuple

from gradtop.sources.fields.names import meaning_of
from gradtop.sources.fields.prefix import Prefix
from gradtop.sources.fields.printed import Fields
from gradtop.sources.reader import Line
from gradtop.sources.text.layout import Row, Taken, row_of
from gradtop.sources.text.layouts.cells import MAX_LINE, bordered, is_blank, is_header, is_rule, value_in, wide
from gradtop.sources.text.layouts.pair import is_counter

MAX_BETWEEN = 50
"""Other lines between two lines of a table before it ends: a loop prints what it saves."""

_SHORT = {"e": "epoch", "#": "step"}
"""Names of spaCy's counters."""


class _Columns(NamedTuple):
    names: tuple[str, ...]
    between: str
    """`|`, `,`, or a blank."""


class ColumnTables:
    """Follows the tables of one log; see `Layout`."""

    name = "columns under names"
    marks = ("epoch", "step", "iter", "#  ")
    bars = False

    def __init__(self) -> None:
        self._columns: _Columns | None = None
        self._between = 0
        self._last = -1.0

    @property
    def open(self) -> bool:
        """Names were read, and lines of numbers may follow."""
        return self._columns is not None

    def take(self, text: str, prefix: Prefix, line: Line) -> Taken:
        """One line; see `Layout`. Every line of numbers is a row at once."""
        rest = prefix.rest.strip()
        if (columns := _header(rest)) is not None:
            self._columns, self._between, self._last = columns, 0, -1.0
            return Taken(True)
        if self._columns is None:
            return Taken()
        if is_rule(rest):
            return Taken(True)
        if (fields := _row(rest, self._columns)) is None or not self._follows(fields):
            self._between += 1
            if self._between > MAX_BETWEEN:
                self._columns = None
            return Taken()
        self._between = 0
        return Taken(True, (row_of(fields, prefix, line),))

    def close(self) -> tuple[Row, ...]:
        """Nothing: no row waits."""
        return ()

    def _follows(self, fields: Fields) -> bool:
        """After another line only a later step goes on with the table."""
        at = max(number.value for name, number in fields if is_counter(name))
        if self._between and at <= self._last:
            return False
        self._last = at
        return True


def _header(text: str) -> _Columns | None:
    """The columns of a line of names."""
    if len(text) > MAX_LINE or "=" in text or ": " in text or not text or text[0].isdigit():
        return None
    if (cells := bordered(text)) is not None:
        found, between = [cell.strip() for cell in cells], "|"
    elif "|" in text:
        found, between = [cell.strip() for cell in text.split("|")], "|"
    elif "," in text:
        found, between = [cell.strip() for cell in text.split(",")], ","
    else:
        found, between = wide(text), " "
        if not is_header(found := _lengthened(found)):
            found = _worded(text)
    names = _lengthened(found)
    return _Columns(tuple(names), between) if is_header(names) else None


def _lengthened(names: list[str]) -> list[str]:
    """The same names with spaCy's two counters written out."""
    return [_SHORT.get(name.lower(), name) for name in names] if names[:2] == ["E", "#"] else names


def _worded(text: str) -> list[str]:
    """The names of a line with single blanks between them, if all of its words are part of known ones."""
    words, names, at = text.split(), list[str](), 0
    while at < len(words) <= 16:
        for end in range(min(len(words), at + 3), at, -1):
            if meaning_of(" ".join(words[at:end])).known:
                names.append(" ".join(words[at:end]))
                at = end
                break
        else:
            return []
    return names


def _row(text: str, columns: _Columns) -> Fields | None:
    """The fields of a line of numbers: as many cells as names; under a known name a number, or a sign for none."""
    cells = _cells(text, columns)
    if cells is None or len(cells) != len(columns.names):
        return None
    fields: Fields = []
    counted = False
    for name, cell in zip(columns.names, cells, strict=True):
        number = value_in(cell)
        if number is not None:
            counted = counted or is_counter(name)
            fields.append((name, number))
        elif meaning_of(name).known and not is_blank(cell):
            return None
    return fields if counted and len(fields) >= 2 else None


def _cells(text: str, columns: _Columns) -> list[str] | None:
    if len(text) > MAX_LINE:
        return None
    if columns.between == "|":
        return bordered(text) or text.split("|")
    if columns.between == ",":
        return text.split(",")
    cells = text.split()
    return cells if len(cells) == len(columns.names) else wide(text)
