"""Which file of a run is shown first, and which parts of a log line are values that gradtop knows the name of."""

import re
from collections.abc import Sequence

from gradtop.sources import SourceStatus

_NAME = (
    r"(?:[\w/.-]*(?:loss|ppl|perplexity|norm|accuracy|acc)|lr|learning[_ ]rate|(?:global[_ ])?step|iter(?:ation)?|epoch"
    r"|loss[_ ]scale|tokens?[_/ ](?:per[_ ])?s(?:ec)?|tps|mfu)"
)
_NUMBER = r"[-+]?(?:\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)\b"
_VALUE = re.compile(rf"(?<![\w/.-]){_NAME}[\"']?(?:\s{{0,3}}[:=]\s{{0,3}}|\s{{1,3}})[\"']?({_NUMBER})", re.IGNORECASE)
MAX_CHARS = 2000
"""Characters of a line that are looked through."""


def first_source(sources: Sequence[SourceStatus]) -> int:
    """The place of the file to open first: the newest that people read, else the first; 0 where there is none."""
    texts = [i for i, source in enumerate(sources) if source.format == "text"]
    return max(texts, key=lambda i: sources[i].modified or 0.0, default=0)


def marked_values(line: str) -> list[tuple[int, int]]:
    """(start, stop) of the numbers that follow a known name, from left to right."""
    return [match.span(1) for match in _VALUE.finditer(line[:MAX_CHARS])]
