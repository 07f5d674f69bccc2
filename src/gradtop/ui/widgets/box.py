"""A frame of line characters around rows of text."""

from rich.cells import cell_len, set_cell_size

from gradtop.ui.cells import width_of as width_of
from gradtop.ui.widgets.canvas import Row


def cropped(row: Row, width: int) -> Row:
    """The row in exactly `width` cells: cut at the right, or filled up."""
    out: list[tuple[str, str]] = []
    left = width
    for text, ink in row:
        if left <= 0:
            break
        out.append((text if cell_len(text) <= left else fit_end(text, left), ink))
        left -= cell_len(out[-1][0])
    return (*out, (" " * left, "plain")) if left > 0 else tuple(out)


def fit_end(text: str, width: int) -> str:
    """The text cut at its end to exactly `width` cells."""
    return set_cell_size(set_cell_size(text, max(0, width - 1)).rstrip() + "…", width)


def top(title: Row, width: int, ink: str, end: Row = ()) -> Row:
    """The upper edge with a title in it, and a few words at its end."""
    return _edge("╭", title, "╮", width, ink, end)


def bottom(width: int, ink: str, title: Row = ()) -> Row:
    """The lower edge, with or without a title."""
    return _edge("╰", title, "╯", width, ink)


def _edge(left: str, title: Row, right: str, width: int, ink: str, end: Row = ()) -> Row:
    if not title or width < 8:
        return ((left + "─" * max(0, width - 2) + right, ink),)
    room = width - 6 - width_of(end)
    if width_of(title) > room:
        title = cropped(title, room)
    line = "─" * (room + 1 - width_of(title))
    return (
        ((left + "─ ", ink), *title, (" " + line, ink), *end, (right, ink))
        if end
        else ((left + "─ ", ink), *title, (" " + line + right, ink))
    )


def side(content: Row, width: int, ink: str) -> Row:
    """A row between the left and the right edge."""
    return (("│", ink), *cropped(content, width - 2), ("│", ink))
