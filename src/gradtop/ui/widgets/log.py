"""Lines of a log file with what gradtop read in them."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.message import Message

from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.view import marked_values


@dataclass(frozen=True, slots=True)
class LogText:
    """What the panel shows."""

    title: str
    """Clean."""
    note: str
    lines: Sequence[str] = ()
    """Clean."""
    query: str = ""
    """Marked wherever it stands."""
    found: int | None = None
    """Index of the line that a search led to."""
    left: int = 0
    """Characters cut off at the left."""
    first: int | None = None
    """The number of the first line; None: lines have no numbers."""
    rows: frozenset[int] = frozenset()
    """Indices of the lines that gave a row."""
    unread: frozenset[int] = frozenset()
    """Indices of the lines that should have given one and were rejected."""


class Log(Canvas, can_focus=True):
    """A window into a file."""

    class Clicked(Message):
        """A line was clicked."""

        def __init__(self, index: int) -> None:
            """`index` is its place among the lines that are shown."""
            super().__init__()
            self.index = index

    _text = LogText("", "")

    @property
    def page_rows(self) -> int:
        """Rows inside the frame."""
        return max(1, self.size.height - 2)

    def show(self, text: LogText) -> None:
        """Show these lines."""
        self._text = text
        width = self.size.width
        if width < 8 or self.size.height < 3:
            return
        rows = [
            box.side((*_margin(text, i), *marked(line, text.query, text.left, i == text.found)), width, "border")
            for i, line in enumerate(text.lines[: self.page_rows])
        ]
        rows += [box.side((), width, "border")] * (self.page_rows - len(rows))
        title: Row = ((text.title, "title"),)
        note: Row = ((text.note, "quiet"),) if text.note else ()
        self.paint([box.top(title, width, "border"), *rows, box.bottom(width, "border", note)])

    def on_resize(self) -> None:
        """Lay the lines out again."""
        self.show(self._text)

    def on_click(self, event: events.Click) -> None:
        """A click chooses a line."""
        if 1 <= event.y <= min(self.page_rows, len(self._text.lines)):
            self.post_message(self.Clicked(event.y - 1))


def _margin(text: LogText, i: int) -> Row:
    """What stands before a line: its number, and whether gradtop read a row there, or could not."""
    read = ("·", "good") if i in text.rows else ("!", "watch") if i in text.unread else (" ", "plain")
    mark = ("▸", "key") if i == text.found else read
    if text.first is None:
        return (mark, (" ", "plain")) if text.rows or text.unread or text.found is not None else ((" ", "plain"),)
    cells = len(str(text.first + len(text.lines)))
    return ((f"{text.first + i:>{cells}}", "quiet"), mark, (" ", "plain"))


def marked(line: str, query: str, left: int, found: bool) -> Row:
    """A line from character `left` on, its values and the matches of the search marked."""
    inks = ["found" if found else "plain"] * len(line)
    for start, stop in marked_values(line):
        inks[start:stop] = ["found" if found else "good"] * (stop - start)
    at = line.lower().find(query.lower()) if query else -1
    while at >= 0:
        inks[at : at + len(query)] = ["match"] * len(line[at : at + len(query)])
        at = line.lower().find(query.lower(), at + len(query))
    pieces: list[tuple[str, str]] = []
    start = left
    for i in range(left + 1, len(line) + 1):
        if i == len(line) or inks[i] != inks[start]:
            pieces.append((line[start:i], inks[start]))
            start = i
    return tuple(pieces)
