"""A JSON object or a printed dict over several lines, with its step in it or before it."""

import re

from gradtop.sources.fields.prefix import Prefix
from gradtop.sources.fields.printed import Fields, json_object, printed_dict
from gradtop.sources.reader import Line
from gradtop.sources.text.keyvalue import key_values
from gradtop.sources.text.layout import Row, Taken, row_of
from gradtop.sources.text.layouts.pair import is_counter, is_measured, is_place

MAX_LINES = 600
"""Lines of an object beyond which it is no row."""
MAX_CHARS = 60_000
"""Characters of an object beyond which it is no row."""
MAX_BEFORE = 80
"""Characters that may stand before the object in its first line."""
MAX_BETWEEN = 5
"""Lines of others within an object before it is given up."""

_ITEM = re.compile(
    r"[\"']|[}\]][,}\]\s]*\Z|\{\s*(?:[\"'}]|\Z)|\[[\[\]\s\d.,\"'eE+-]*\Z"
    r"|(?:-?[\d.]+(?:[eE][-+]?\d+)?|true|false|null|None|NaN)\s*,?\Z"
)


class SpreadObjects:
    """Follows the objects of one log; see `Layout`."""

    name = "object over several lines"
    marks = ("{",)
    bars = False

    def __init__(self) -> None:
        self.open = False
        self._depth = 0
        self._chars = 0
        self._between = 0
        self._texts: list[str] = []
        self._at: tuple[Prefix, Line] | None = None

    def take(self, text: str, prefix: Prefix, line: Line) -> Taken:
        """One line; see `Layout`."""
        rest = prefix.rest.strip()
        if not self.open:
            return Taken(self._begins(rest, prefix, line))
        if not _ITEM.match(rest) or (self._at is not None and prefix.rank != self._at[0].rank):
            self._between += 1
            if self._between > MAX_BETWEEN:
                self._end()
            return Taken()
        if rest[0] == "{" and rest[-1] == "}" and len(rest) > 2:
            # A whole object of its own: the one that was begun was cut off.
            self._end()
            return Taken()
        self._add(rest)
        if self._depth > 0 and len(self._texts) <= MAX_LINES and self._chars <= MAX_CHARS:
            return Taken(True)
        rows = self._row() if self._depth == 0 else ()
        self._end()
        return Taken(True, rows)

    def close(self) -> tuple[Row, ...]:
        """Nothing: half an object is none."""
        return ()

    def _begins(self, rest: str, prefix: Prefix, line: Line) -> bool:
        before, _, after = rest.partition("{")
        if len(before) > MAX_BEFORE or "(" in before or not _ITEM.match(after.strip() or "}"):
            return False
        if rest[-1:] not in ("{", ",") or rest.count("{") <= rest.count("}"):
            return False
        self.open, self._at = True, (prefix, line)
        self._add(rest)
        return True

    def _add(self, rest: str) -> None:
        self._texts.append(rest)
        self._chars += len(rest)
        self._depth += rest.count("{") - rest.count("}")

    def _end(self) -> None:
        self.open, self._depth, self._chars, self._between, self._at = False, 0, 0, 0, None
        self._texts.clear()

    def _row(self) -> tuple[Row, ...]:
        """The row of a whole object: it has a metric, and a step in it or before it."""
        whole = " ".join(self._texts)
        fields: Fields = json_object(whole) or printed_dict(whole) or []
        if not any(is_counter(name) for name, _ in fields):
            before = key_values(whole.partition("{")[0]) or []
            fields = [*[named for named in before if is_counter(named[0])], *fields]
        names = {name for name, _ in fields}
        if self._at is None or len(names) < len(fields):
            return ()
        if not any(is_place(name) for name in names) or not any(is_measured(name) for name in names):
            return ()
        prefix, line = self._at
        return (row_of(fields, prefix, line),)
