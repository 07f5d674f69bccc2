"""A paragraph of a sheet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MARKS = {True: "●", False: "○", None: "?"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One paragraph of a sheet."""

    text: str
    ink: str = "plain"
    """`title`, `heading`, `plain`, `quiet`, or a tone."""
    indent: int = 0
    """Cells before every line of it."""
    mark: str = ""
    """What stands before its first line, inside the indent."""


def plain_text(entries: Iterable[Entry]) -> str:
    """The paragraphs as text to be pasted somewhere else, one line each."""
    return "\n".join(_lines(entries)) + "\n"


def _lines(entries: Iterable[Entry]) -> Iterator[str]:
    for i, entry in enumerate(entries):
        if entry.ink == "heading" and i:
            yield ""
        lead = f"{entry.mark} ".rjust(entry.indent) if entry.mark else " " * entry.indent
        yield f"{lead}{entry.text}".rstrip()
