"""A validation that is announced in a line of its own: `Test Error:`, and its measures in the next."""

import re

from gradtop.sources.fields.names import meaning_of
from gradtop.sources.fields.plan import COUNTERS
from gradtop.sources.fields.prefix import Prefix
from gradtop.sources.reader import Line
from gradtop.sources.text.found import Found
from gradtop.sources.text.keyvalue import as_validation, key_values
from gradtop.sources.text.layout import Row, Taken

_ANNOUNCED = re.compile(
    r"\W*(?:test|val(?:idation)?|eval(?:uation)?|dev)(?:[ _-]set)?"
    r"(?:[ _-](?:error|results?|metrics|performance))?\s*:\s*",
    re.IGNORECASE,
)


class AnnouncedValidations:
    """Reads the line behind such an announcement; see `Layout`."""

    name = "announced validation"
    marks = ("test", "val")
    bars = False

    def __init__(self) -> None:
        self.open = False

    def take(self, text: str, prefix: Prefix, line: Line) -> Taken:
        """One line; see `Layout`."""
        was_open, self.open = self.open, _ANNOUNCED.fullmatch(prefix.rest) is not None
        if self.open or not was_open:
            return Taken(self.open)
        fields = key_values(prefix.rest) or []
        # One measure a line is a block, which other layouts read.
        if len(fields) < 2 or any(meaning_of(name).canonical in COUNTERS for name, _ in fields):
            return Taken()
        found = Found(as_validation(fields), False, prefix.rest, prefix.rank, prefix.time)
        return Taken(True, ((found, line),))

    def close(self) -> tuple[Row, ...]:
        """Nothing waits."""
        return ()
