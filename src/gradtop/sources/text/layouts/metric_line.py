"""Composer's log file: `[metric][batch=10]: loss/train/total: 7.1234`, one metric a line."""

import re

from gradtop.sources.fields.number import Number, finite
from gradtop.sources.fields.prefix import Prefix
from gradtop.sources.fields.printed import Fields
from gradtop.sources.reader import Line
from gradtop.sources.text.layout import MAX_NAMES, Row, Taken, row_of
from gradtop.sources.text.layouts.pair import is_counter, pair

_METRIC = re.compile(r"\[metric\]\[batch=(\d{1,15})\]: (.+)\Z")


class MetricLines:
    """Joins the lines of one batch; see `Layout`."""

    name = "metrics of a batch"
    marks = ("[metric][",)
    bars = False

    def __init__(self) -> None:
        self.open = False
        self._batch = ""
        self._fields: Fields = []
        self._at: tuple[Prefix, Line] | None = None

    def take(self, text: str, prefix: Prefix, line: Line) -> Taken:
        """One line; see `Layout`."""
        if (match := _METRIC.match(prefix.rest)) is None:
            self.open = False
            return Taken(False, self.close())
        rows = self.close() if match[1] != self._batch else ()
        if not self._fields:
            self.open, self._batch, self._at = True, match[1], (prefix, line)
        found = pair(match[2])
        if found is not None and found.number is not None and not is_counter(found.name):
            self._add(found.name, found.number)
        return Taken(True, rows)

    def close(self) -> tuple[Row, ...]:
        """The row of the batch so far; what still follows is another row of it."""
        fields, self._fields = self._fields, []
        if not fields or self._at is None:
            return ()
        prefix, line = self._at
        found = [("step", finite(self._batch)), *fields]
        return (row_of(found, prefix, line),)

    def _add(self, name: str, number: Number) -> None:
        if len(self._fields) < MAX_NAMES:
            self._fields.append((name, number))
