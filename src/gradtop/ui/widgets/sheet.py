"""Paragraphs to read and scroll."""

from collections.abc import Sequence

from gradtop.ui.cells import wrap
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Row
from gradtop.ui.widgets.scrolled import Scrolled
from gradtop.view import Entry

_MOST_CELLS = 110
"""Longest line: longer ones are hard to read."""


class Sheet(Scrolled):
    """Entries in lines, as many as fit, with what is above and below said on the frame."""

    def __init__(self, title: str, *, id: str | None = None) -> None:
        """`title` is our own text."""
        super().__init__(id=id)
        self._title = title
        self._entries: Sequence[Entry] = ()
        self._top = 0

    def show(self, entries: Sequence[Entry], *, anew: bool = False) -> None:
        """Show these entries from where the sheet stands; `anew`: from the top."""
        self._entries = entries
        self._top = 0 if anew else self._top
        self.scroll_rows(0)

    def scroll_rows(self, rows: int) -> None:
        """Move by some rows, within the text."""
        width, height = self.size.width, self.size.height
        if width < 8 or height < 3:
            return
        lines = laid_out(self._entries, min(_MOST_CELLS, width - 4))
        self._top = max(0, min(self._top + rows, len(lines) - self.page_rows))
        seen = lines[self._top : self._top + self.page_rows]
        seen += [()] * (self.page_rows - len(seen))
        below = len(lines) - self._top - self.page_rows
        title: Row = ((self._title, "title"),)
        more: Row = ((f"{below} more line{'s' if below > 1 else ''} ↓", "quiet"),) if below > 0 else ()
        self.paint(
            [
                box.top(title, width, "border"),
                *(box.side(((" ", "plain"), *row), width, "border") for row in seen),
                box.bottom(width, "border", more),
            ]
        )


def laid_out(entries: Sequence[Entry], width: int) -> list[Row]:
    """The entries as rows: wrapped, indented, an empty row before every heading."""
    rows: list[Row] = []
    for entry in entries:
        if entry.ink == "heading" and rows:
            rows.append(())
        for i, line in enumerate(wrap(entry.text, max(8, width - entry.indent))):
            lead = f"{entry.mark} ".rjust(entry.indent) if entry.mark and i == 0 else " " * entry.indent
            rows.append(((lead, entry.ink), (line, entry.ink)))
    return rows
