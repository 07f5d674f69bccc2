"""Lines of a log as they are shown: what a redrawn one came to, which numbers have names, which file comes first."""

import re
from collections.abc import Sequence

from gradtop.sources import SourceStatus

_NAME = (
    r"(?:[\w/.-]*(?:loss|ppl|perplexity|norm|accuracy|acc)|lr|learning[_ ]rate|(?:global[_ ])?step|iter(?:ation)?|epoch"
    r"|loss[_ ]scale|tokens?[_/ ](?:per[_ ])?s(?:ec)?|tps|mfu)"
)
_NUMBER = r"[-+]?(?:\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)\b"
_VALUE = re.compile(rf"(?<![\w/.-]){_NAME}[\"']?(?:\s{{0,3}}[:=]\s{{0,3}}|\s{{1,3}})[\"']?({_NUMBER})", re.IGNORECASE)
_REDRAWN = re.compile(r"\r+|\x08{3,}")
MAX_CHARS = 2000
"""Characters of a line that are looked through."""


def first_source(sources: Sequence[SourceStatus]) -> int:
    """The place of the file to open first: the newest that people read, else the first; 0 where there is none."""
    texts = [i for i, source in enumerate(sources) if source.format == "text"]
    return max(texts, key=lambda i: sources[i].modified or 0.0, default=0)


def standing(line: str, query: str = "") -> str:
    """What a terminal was left with of a line that was drawn over and over: its last state that is not blank.

    With a `query`, the last state that holds it (upper and lower case alike), where one does.
    """
    if "\r" not in line and "\x08" not in line:
        return line
    states = [state for state in _REDRAWN.split(line) if state.strip()]
    holding = [state for state in states if query.lower() in state.lower()] if query else []
    return (holding or states or [""])[-1].rstrip()


def marked_values(line: str) -> list[tuple[int, int]]:
    """(start, stop) of the numbers that follow a known name, from left to right."""
    return [match.span(1) for match in _VALUE.finditer(line[:MAX_CHARS])]
