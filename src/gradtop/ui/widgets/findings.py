"""The list of findings. Only the rows on the screen are made."""

from rich.cells import cell_len
from textual import events
from textual.message import Message

from gradtop.ui.cells import fit
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.view import FindingRow, FindingsView

_WORD_CELLS = len("acknowledged")
_WHEN_CELLS = len("since 19.6k")


class Findings(Canvas, can_focus=True):
    """Rows of findings with one of them selected."""

    class Moved(Message):
        """Another row was selected."""

    def __init__(self, *, id: str | None = None) -> None:
        """Start without findings."""
        super().__init__(id=id)
        self._view: FindingsView | None = None
        self._top = 0
        self._at = 0
        self.selected: str | None = None
        """The id of the selected row."""

    @property
    def page_rows(self) -> int:
        """Rows inside the frame."""
        return max(1, self.size.height - 2)

    def show(self, view: FindingsView) -> None:
        """Show these findings; the selected one stays selected wherever it is now, else its place does."""
        self._view = view
        at = view.index(self.selected)
        self._select(at if at is not None else self._at if self.selected is not None else 0)

    def on_resize(self) -> None:
        """Lay the rows out again."""
        self._select(self._at)

    def on_mouse_scroll_down(self) -> None:
        """The wheel moves the selection."""
        self.move(1)

    def on_mouse_scroll_up(self) -> None:
        """The wheel moves the selection."""
        self.move(-1)

    def on_click(self, event: events.Click) -> None:
        """A click selects."""
        if 1 <= event.y <= self.page_rows:
            self.move(self._top + event.y - 1 - self._at)

    def move(self, rows: int) -> None:
        """Move the selection, within the list."""
        before = self.selected
        self._select(self._at + rows)
        if self.selected != before:
            self.post_message(self.Moved())

    def _select(self, at: int) -> None:
        rows = self._view.rows if self._view is not None else ()
        self._at = max(0, min(at, len(rows) - 1))
        self.selected = rows[self._at].id if rows else None
        if self.size.height >= 3 and self.size.width >= 8:
            self._top = max(self._at - self.page_rows + 1, min(self._top, self._at), 0)
            self._top = max(0, min(self._top, len(rows) - self.page_rows))
            self._paint(rows[self._top : self._top + self.page_rows], len(rows))

    def _paint(self, shown: tuple[FindingRow, ...], count: int) -> None:
        width = self.size.width
        when = _WHEN_CELLS if width >= 50 else 0
        cells = [_cells(row, width - 2, when, row.id == self.selected) for row in shown]
        cells += [()] * (self.page_rows - len(cells))
        if not count:
            cells[0] = ((" No finding.", "quiet"),)
        self.paint(
            [
                box.top(self._title(), width, "border"),
                *(box.side(row, width, "border") for row in cells),
                box.bottom(width, "border", self._counter(count)),
            ]
        )

    def _title(self) -> Row:
        told = self._view.counts if self._view is not None else ""
        order = self._view.order if self._view is not None and told and self.size.width >= 50 else ""
        return (("findings", "title"), (f" {told}" if told else "", "quiet"), (f" · {order}" if order else "", "quiet"))

    def _counter(self, count: int) -> Row:
        """Which rows are in sight, where that is not all of them."""
        if count <= self.page_rows:
            return ()
        last = min(count, self._top + self.page_rows)
        return ((f"{self._top + 1}–{last} of {count}", "quiet"),)


def _cells(row: FindingRow, width: int, when: int, selected: bool) -> Row:
    title = max(4, width - 3 - row.indent - _WORD_CELLS - 1 - (when + 1 if when else 0))
    pieces = [
        (" " * row.indent + f"{row.mark} ", row.ink),
        (fit(row.word, _WORD_CELLS) + " ", row.ink),
        (fit(row.title, title), "quiet" if row.ink == "quiet" else "plain"),
        (" " + row.when.rjust(when + len(row.when) - cell_len(row.when))[-when:] if when else "", "quiet"),
    ]
    lead = "▸" if selected else " "
    return ((lead, "key"), *((text, "selected" if selected else ink) for text, ink in pieces))
