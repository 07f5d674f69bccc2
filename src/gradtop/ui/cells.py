"""Text measured in terminal cells, where a CJK character takes two."""

from collections.abc import Iterable, Sequence
from itertools import takewhile

from rich.cells import cell_len, chop_cells, set_cell_size

_ELLIPSIS = "…"
_narrow: set[str] = set()
"""Characters that were met and take one cell each."""


def width_of(row: Iterable[tuple[str, str]]) -> int:
    """Cells of pieces of text, each with its ink."""
    texts = [text for text, _ in row]
    whole = "".join(texts)
    if not _narrow.issuperset(whole):
        _narrow.update(char for char in set(whole) - _narrow if cell_len(char) == 1)
    # What takes no cell or two of them may join with its neighbours: such texts are measured as a whole.
    return len(whole) if _narrow.issuperset(whole) else sum(map(cell_len, texts))


def fit(text: str, width: int) -> str:
    """The text in exactly `width` cells: shortened in the middle, or filled up with spaces."""
    return set_cell_size(shorten(text, width), max(0, width))


def shorten(text: str, width: int) -> str:
    """The text in at most `width` cells, cut in the middle so that both ends stay readable."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return _ELLIPSIS[: max(0, width)]
    head, tail = (width - 1) // 2, width - 1 - (width - 1) // 2
    return _first(text, head) + _ELLIPSIS + _last(text, tail)


def apart(texts: Sequence[str], width: int) -> list[str]:
    """The texts in at most `width` cells each; different ones that would look the same begin where they differ."""
    shown = [shorten(text, width) for text in texts]
    alike: dict[str, set[str]] = {}
    for text, short in zip(texts, shown, strict=True):
        alike.setdefault(short, set()).add(text)
    return [
        _from_difference(text, alike[short], width) if len(alike[short]) > 1 else short
        for text, short in zip(texts, shown, strict=True)
    ]


def _from_difference(text: str, others: set[str], width: int) -> str:
    """The text from where it leaves the nearest of the others, a few characters before that kept."""
    common = max(_shared(text, other) for other in others if other != text)
    start = max(0, min(common - width // 3, len(text) - width + 1))
    return _ELLIPSIS + _first(text[start:], width - 1)


def _shared(a: str, b: str) -> int:
    """Characters at the start of both."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _first(text: str, width: int) -> str:
    kept = chop_cells(text, width)[0] if width > 0 else ""
    return kept if cell_len(kept) <= width else ""


def _last(text: str, width: int) -> str:
    return _first(text[::-1], width)[::-1]


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` cells, broken between words where there are any; at least one line."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        *full, line = chop_cells(word, max(2, width)) or [""]
        lines.extend(full)
    return [*lines, line]
