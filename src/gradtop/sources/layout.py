"""Rows that span several lines: what every layout of a block can do, and which layouts there are."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from gradtop.sources.prefix import Prefix
from gradtop.sources.reader import Line
from gradtop.sources.textrow import Found

Row = tuple[Found, Line]
"""The fields of one row, and the line that it is counted at."""


class Taken(NamedTuple):
    """What a layout made of one line."""

    mine: bool = False
    """The line belongs to the layout: no other rule reads it."""
    rows: tuple[Row, ...] = ()
    """Rows that the line completed; a line that is not the layout's own may end its block."""


class Layout(Protocol):
    """One way of writing a row over several lines. It sees the lines of one log in order, and holds an open block."""

    name: str
    """Shown by `explain`."""
    marks: tuple[str, ...]
    """Lower case; one of them is in every line that may begin a block."""
    open: bool
    """A block has begun and has not ended: every line is offered."""

    def take(self, text: str, prefix: Prefix, line: Line) -> Taken:
        """One line: `text` has its indentation and its prefixes, `prefix.rest` has none."""
        ...

    def close(self) -> tuple[Row, ...]:
        """The row of the open block, because nothing more came."""
        ...


LAYOUTS: tuple[Callable[[], Layout], ...] = ()
"""All layouts; each log has its own of each."""
