"""Logs that are nothing but `<step> <name> <value>` lines: `0 val 10.95`, `0 train 10.96`.

Two numbers and a word can be anything, so the first lines have to be of this kind without exception, and name a loss.
"""

import re

from gradtop.sources.fields.names import meaning_of
from gradtop.sources.fields.number import NON_FINITE, NUMBER, is_whole, parse
from gradtop.sources.fields.printed import Fields
from gradtop.sources.reader import Line

SURE = 10
"""Lines without exception at the head of a log after which it is one of this kind."""
LEAST = 3
"""Lines that a whole log of this kind has at least."""

_TRIPLET = re.compile(rf"\s*(\d+)\s+([A-Za-z_][\w/.-]*)\s+({NUMBER}|{NON_FINITE})\s*")
_WORDS = {"train": "loss", "training": "loss", "val": "val_loss", "valid": "val_loss", "validation": "val_loss"}


class Triplets:
    """Decides whether a log is of this kind; lines wait until that is clear."""

    __slots__ = ("_held", "_last", "_names", "open", "sure")

    def __init__(self) -> None:
        self.open = True
        """It is not clear yet."""
        self.sure = False
        """The log is of this kind."""
        self._held: list[Line] = []
        self._last = 0.0
        self._names: set[str] = set()

    def take(self, line: Line) -> list[Line]:
        """One more line; the lines that are clear now, in order."""
        fields = triplet(line.data.decode("utf-8", errors="replace"))
        self._held.append(line)
        if fields is None or fields[0][1].value < self._last:
            return self._settled(False)
        self._last = fields[0][1].value
        self._names.add(meaning_of(fields[1][0]).canonical)
        return self._settled(self._named()) if len(self._held) >= SURE else []

    def close(self) -> list[Line]:
        """The lines that wait, because no more come."""
        return self._settled(len(self._held) >= LEAST and self._named()) if self.open else []

    def _settled(self, sure: bool) -> list[Line]:
        self.open, self.sure = False, sure
        held, self._held = self._held, []
        return held

    def _named(self) -> bool:
        return not self._names.isdisjoint(("loss", "val_loss"))


def triplet(text: str) -> Fields | None:
    """Step and metric of one such line; None where a line is none."""
    match = _TRIPLET.fullmatch(text)
    if match is None or (step := parse(match[1])) is None or not is_whole(step.value):
        return None
    value = parse(match[3])
    return [("step", step), (_WORDS.get(match[2].lower(), match[2]), value)] if value is not None else None
