"""Text measured in terminal cells, where a CJK character takes two."""

from rich.cells import cell_len, chop_cells, set_cell_size

_ELLIPSIS = "…"


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
