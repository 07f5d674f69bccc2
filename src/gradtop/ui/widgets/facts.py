"""A frame with facts about one thing; folded up it is one line."""

from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Row
from gradtop.ui.widgets.gauge import laid_out
from gradtop.ui.widgets.machine import joined
from gradtop.ui.widgets.outlines import outlines
from gradtop.ui.widgets.scrolled import Scrolled
from gradtop.view import Part
from gradtop.view.system import Panel

_BLANK = Panel("")


class Facts(Scrolled, can_focus=True):
    """As many lines as fit, with what is below said on the frame; histories are drawn large where there is room."""

    def __init__(self, ascii: bool, *, id: str | None = None) -> None:
        """`ascii`: bars and histories in ASCII."""
        super().__init__(id=id)
        self._ascii = ascii
        self._panel = _BLANK
        self._top = 0

    def wanted(self, width: int) -> int:
        """Rows that it takes to show all at this width."""
        return len(laid_out(self._panel.facts, width - 4, self._ascii)) + 2

    def show(self, panel: Panel) -> None:
        """Show these facts from where it stands; those of another thing from the top."""
        self._top = self._top if panel.title == self._panel.title else 0
        self._panel = panel
        self.scroll_rows(0)

    def on_focus(self) -> None:
        """Show that the keys act here."""
        self.scroll_rows(0)

    def on_blur(self) -> None:
        """Show that the keys act elsewhere."""
        self.scroll_rows(0)

    def scroll_rows(self, rows: int) -> None:
        """Move by some rows, within the text."""
        width, height = self.size.width, self.size.height
        if width < 8 or height < 1:
            return
        ink = "focus" if self.has_focus else "border"
        if height < 3:
            self.paint([_folded(self._panel, width, ink)])
            return
        lines = laid_out(self._panel.facts, width - 4, self._ascii)
        self._top = max(0, min(self._top + rows, len(lines) - self.page_rows))
        seen = lines[self._top : self._top + self.page_rows]
        seen += outlines(self._panel.facts, width - 4, self.page_rows - len(seen), self._ascii)
        seen += [()] * (self.page_rows - len(seen))
        below = len(lines) - self._top - self.page_rows
        more: Row = ((f"{below} more ↓", "quiet"),) if below > 0 else ((self._panel.note, "quiet"),)
        self.paint(
            [
                box.top(_titled(self._panel, width), width, ink),
                *(box.side(((" ", "plain"), *row), width, ink) for row in seen),
                box.bottom(width, ink, more if more[0][0] else ()),
            ]
        )


def _titled(panel: Panel, width: int) -> Row:
    """What it is, and what it calls itself where there is room."""
    named = box.width_of(((panel.title, ""), (panel.name, ""))) + 9 <= width
    return ((panel.title, "title"), *(((" ─ ", "border"), (panel.name, "plain")) if panel.name and named else ()))


def _folded(panel: Panel, width: int, ink: str) -> Row:
    """All in one line: what matters least is left out."""
    lead: Row = (("▸ ", ink), (panel.title, "title"))
    parts = [*panel.summary, *((Part(panel.name, 9, "quiet"),) if panel.name else ())]
    while parts and box.width_of(joined(lead, parts)) > width and max(part.rank for part in parts) > 0:
        parts.remove(max(parts, key=lambda part: part.rank))
    return box.cropped(joined(lead, parts), width)
