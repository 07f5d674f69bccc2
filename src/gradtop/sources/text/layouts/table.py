"""Tables of a name and a value in every line: Stable-Baselines3, baselines, guided-diffusion, and printed boxes."""

import re

from gradtop.sources.fields.prefix import Prefix
from gradtop.sources.fields.printed import Fields
from gradtop.sources.reader import Line
from gradtop.sources.text.layout import MAX_NAMES, Row, Taken, row_of
from gradtop.sources.text.layouts.cells import bordered, is_rule
from gradtop.sources.text.layouts.pair import is_measured, is_place, value_of

MAX_LINES = 2000
"""Lines after which a table that does not end is given up."""
MAX_BETWEEN = 5
"""Other lines within a table before it is over."""

_NAME = re.compile(r"[^\W\d][^:=]{0,79}\Z")
_LOWER_CORNERS = "└╰┗╚"
_OF_A_LOOP = re.compile(r"(?:rollout|train|eval)/|Loss[A-Z]|(?:\w*[_/ ])?(?:loss|reward|return|rew_mean)\Z|\w*EpRet\Z")
"""What Stable-Baselines3, baselines and Spinning Up measure."""


class ValueTables:
    """Follows the tables of one log; see `Layout`."""

    name = "table of values"
    marks = ("-----", "─────", "━━━━━", "═════", "=====")
    bars = False

    def __init__(self) -> None:
        self.open = False
        self._width = 0
        self._begin(None)

    def _begin(self, line: Line | None, prefix: Prefix | None = None) -> None:
        self._fields: Fields = []
        self._names: set[str] = set()
        self._group = ""
        self._lines = 0
        self._between = 0
        self._ruled = False
        self._line, self._prefix = line, prefix

    def take(self, text: str, prefix: Prefix, line: Line) -> Taken:
        """One line; see `Layout`."""
        if self.open and self._prefix is not None and prefix.rank != self._prefix.rank:
            return self._pass_by()
        rest = prefix.rest.strip()
        if is_rule(rest):
            return self._take_rule(rest, prefix, line)
        if not self.open:
            return Taken()
        if (cells := bordered(rest)) is None or self._lines > MAX_LINES:
            return self._pass_by()
        self._lines += 1
        self._between, self._ruled = 0, False
        if len(cells) != 2:
            return Taken()
        return Taken(True, self._take_cells(cells[0], cells[1], line, prefix))

    def _pass_by(self) -> Taken:
        """A line that is not the table's: a rule that it follows at once was only a rule."""
        self._between += 1
        self.open = 0 < self._lines <= MAX_LINES and self._between <= MAX_BETWEEN
        return Taken(False, () if self.open else self._given())

    def close(self) -> tuple[Row, ...]:
        """The row of the table, if its last line was a rule: it may be whole."""
        return self._given() if self._ruled else ()

    def _given(self) -> tuple[Row, ...]:
        """The row of the table so far, which begins anew."""
        fields, line, prefix = self._fields, self._line, self._prefix
        self._begin(line, prefix)
        if line is None or prefix is None or not fields or not _is_row(fields):
            return ()
        return (row_of(fields, prefix, line),)

    def _take_rule(self, rule: str, prefix: Prefix, line: Line) -> Taken:
        """A rule opens a table or ends it; one with corners may as well stand between two lines of it."""
        ends = set(rule) <= {"-"} or rule[0] in _LOWER_CORNERS
        self._ruled = True
        if self.open and self._fields and ends:
            self.open = False
            return Taken(True, self._given())
        if self.open and self._lines and len(rule) == self._width:
            return Taken()
        rows = self._given()
        self.open, self._width = True, len(rule)
        self._begin(line, prefix)
        return Taken(False, rows)

    def _take_cells(self, name: str, value: str, line: Line, prefix: Prefix) -> tuple[Row, ...]:
        plain = name.strip()
        if not value.strip() and plain.endswith("/"):
            self._group = plain
            return ()
        number = value_of(value)
        if number is None or not _NAME.match(plain):
            return ()
        full = self._group + plain if name.startswith("   ") else plain
        rows: tuple[Row, ...] = ()
        if full in self._names:
            # The next table stands right under this one.
            rows = self._given()
            self._line, self._prefix = line, prefix
        if len(self._names) < MAX_NAMES:
            self._names.add(full)
            self._fields.append((full, number))
        return rows


def _is_row(fields: Fields) -> bool:
    """A step and a metric are in the table; a table of settings has one of them at most."""
    return any(is_place(name) for name, _ in fields) and any(
        is_measured(name) or _OF_A_LOOP.match(name) for name, _ in fields
    )
