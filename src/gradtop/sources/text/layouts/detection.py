"""Ultralytics and YOLOv5: under a line of names an epoch is its averages with a bar behind; then its validation."""

import re

from gradtop.sources.fields.number import finite
from gradtop.sources.fields.prefix import Prefix
from gradtop.sources.fields.printed import Fields
from gradtop.sources.reader import Line
from gradtop.sources.text.layout import Row, Taken, row_of
from gradtop.sources.text.layouts.cells import MAX_COLUMNS, value_in
from gradtop.sources.text.layouts.pair import value_of

MAX_BETWEEN = 200
"""Lines without a state of an epoch after which the training is over."""

_NAMES = re.compile(r"Epoch\s+gpu_mem\s+(\S.*)\Z", re.IGNORECASE)
_STATE = re.compile(r"(\d+)/(\d+)((?:\s+[^\s:|]+)+)\s*(?::\s*(\d+)%(.*))?\Z")
_BAR = re.compile(r"\s(\d+)/(\d+)\s")
_VALIDATED = re.compile(r"Class(?:es)?\s+(?=.*(?:Images|acc|mAP))([^:]+(?::\.95)?)", re.IGNORECASE)
_GROUP = re.compile(r"(\w+)\((\S+)\Z")
_NO_METRIC = frozenset(("instances", "labels", "targets", "size", "img_size", "images"))
_WRITTEN_OUT = {"p": "precision", "r": "recall"}
_LOSSES = frozenset(("box", "obj", "cls", "dfl", "seg", "pose", "kobj", "total"))
"""Parts of the loss, as older versions head their columns."""


class DetectionEpochs:
    """Follows the epochs of one log; see `Layout`. The last state of an epoch is its row."""

    name = "epoch of a detector"
    marks = ("gpu_mem",)
    bars = True

    def __init__(self) -> None:
        self.open = False
        self._names: list[str] = []
        self._metrics: list[str] = []
        self._epoch = -1
        self._waiting: Row | None = None
        self._validated = True
        self._between = 0

    def take(self, text: str, prefix: Prefix, line: Line) -> Taken:
        """One line or one state of a bar; see `Layout`."""
        rest = prefix.rest.strip()
        if match := _NAMES.match(rest):
            self.open, self._names, self._between = True, match[1].split()[:MAX_COLUMNS], 0
            rows, self._epoch = self._given(), -1
            return Taken(True, rows)
        if not self.open:
            return Taken()
        self._between += 1
        if match := _STATE.match(rest):
            return self._take_state(match, prefix, line)
        if match := _VALIDATED.match(rest):
            self._metrics = _metrics(match[1].split())
            return Taken(True, self._given())
        if rest.startswith("all ") and self._metrics:
            return self._take_validation(rest.split(), prefix, line)
        self.open = self._between <= MAX_BETWEEN
        return Taken()

    def close(self) -> tuple[Row, ...]:
        """Nothing: an epoch under way has averages of a part of it."""
        return ()

    def _given(self) -> tuple[Row, ...]:
        """The row of the epoch that is over, once."""
        row, self._waiting = self._waiting, None
        return () if row is None else (row,)

    def _take_state(self, match: re.Match[str], prefix: Prefix, line: Line) -> Taken:
        epoch, cells = int(match[1]), match[3].split()
        if len(cells) != len(self._names) + 1:
            return Taken()
        self._between = 0
        rows = self._given() if self._waiting is not None and epoch != self._epoch else ()
        if epoch == self._epoch and self._waiting is None:
            return Taken(True, rows)
        self._epoch, self._validated = epoch, False
        fields: Fields = [("epoch", finite(match[1])), ("total_epochs", finite(match[2]))]
        for name, cell in zip(("gpu_mem", *self._names), cells, strict=True):
            if name.lower() not in _NO_METRIC and (number := value_of(cell)) is not None:
                fields.append((f"{name}_loss" if name in _LOSSES else name, number))
        self._waiting = row_of(fields, prefix, line)
        bar = _BAR.search(f" {match[5] or ''} ".replace("|", " "))
        done = match[4] is None or (bar is not None and bar[1] == bar[2])
        return Taken(True, (*rows, *self._given()) if done else rows)

    def _take_validation(self, cells: list[str], prefix: Prefix, line: Line) -> Taken:
        """The line of all classes, of the validation that follows an epoch; one at the end is of the best model."""
        rows = self._given()
        values = [value_in(cell) for cell in cells[1:]]
        if self._validated or self._epoch < 0 or len(values) != len(self._metrics) or None in values:
            return Taken(True, rows)
        self._validated = True
        fields: Fields = [("epoch", finite(str(self._epoch)))]
        fields += [(n, v) for n, v in zip(self._metrics, values, strict=True) if v is not None and n]
        return Taken(True, (*rows, row_of(fields, prefix, line)))


def _metrics(heads: list[str]) -> list[str]:
    """The names that the training's own table gives these columns, e.g. `metrics/mAP50(B)`; empty for a count."""
    names: list[str] = []
    group = ""
    for head in heads:
        if match := _GROUP.match(head):
            group, head = f"({match[1][0]})", match[2]
        plain = head.rstrip(")")
        name = _WRITTEN_OUT.get(plain.lower(), plain)
        names.append("" if plain.lower() in _NO_METRIC else f"metrics/{name}{group}")
        group = "" if head.endswith(")") else group
    return names
