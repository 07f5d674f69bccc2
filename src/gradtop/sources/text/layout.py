"""Rows that span several lines: what every layout of a block can do."""

from typing import NamedTuple, Protocol

from gradtop.sources.fields.prefix import Prefix
from gradtop.sources.fields.printed import Fields
from gradtop.sources.reader import Line
from gradtop.sources.text.found import Found

MAX_NAMES = 500
"""Metrics read of one block."""

Row = tuple[Found, Line]
"""The fields of one row, and the line that it is counted at."""


def row_of(fields: Fields, prefix: Prefix, line: Line) -> Row:
    """The row of a block whose head, or whose only line, has this prefix."""
    return Found(fields, True, prefix.rest, prefix.rank, prefix.time, sure=True), line


class Taken(NamedTuple):
    """What a layout made of one line."""

    mine: bool = False
    """The line belongs to the layout: no other rule reads it."""
    rows: tuple[Row, ...] = ()
    """Rows that the line completed; a line that is not the layout's own may end its block."""


class Layout(Protocol):
    """One way of writing a row over several lines. It sees the lines of one log in order, and holds an open block."""

    @property
    def name(self) -> str:
        """Shown by `explain`."""
        ...

    @property
    def marks(self) -> tuple[str, ...]:
        """Lower case; one of them is in every line that may begin a block."""
        ...

    @property
    def bars(self) -> bool:
        """It reads lines with a progress bar in them as well."""
        ...

    @property
    def open(self) -> bool:
        """A block has begun and has not ended: every line is offered."""
        ...

    def take(self, text: str, prefix: Prefix, line: Line) -> Taken:
        """One line: `text` has its indentation and its prefixes, `prefix.rest` has none."""
        ...

    def close(self) -> tuple[Row, ...]:
        """The row of the open block, because nothing more came."""
        ...
