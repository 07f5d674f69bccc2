"""The list of GPUs. Only the rows on the screen are made."""

from rich.cells import cell_len
from textual import events
from textual.message import Message

from gradtop import plot
from gradtop.ui.cells import apart, fit
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.ui.widgets.gauge import bar
from gradtop.view.system import ABSENT, DeviceRow

_WIDE = 96
"""Cells from which columns stand two cells apart."""
_LEAD_CELLS = 2
"""The mark of the selection and that of the run."""
_NAME_CELLS = 14
"""Cells of a name for which other columns are dropped."""
_RIGHT = ("util", "recent", "temp")
"""Columns that stand at their right edge."""
_DRAWN = ("key", "border", plot.RAW)
"""Inks of bars and histories: a selected row keeps them."""
_MORE_SPARK, _MORE_BAR = 18, 10
"""Cells that histories and bars take where there are more than enough."""
_COLUMNS: tuple[tuple[str, int, int], ...] = (
    ("GPU", 3, 0),
    ("name", 0, 5),
    ("util", 5, 0),
    ("", 6, 7),
    ("recent", 12, 8),
    ("memory", 12, 2),
    ("temp", 6, 3),
    ("power", 9, 4),
    ("slowed by", 13, 1),
    ("process", 15, 6),
)
"""(title, cells, rank): the highest rank is dropped first, what is left goes to the last column."""


class Devices(Canvas, can_focus=True):
    """Rows of devices with one of them selected."""

    class Moved(Message):
        """Another device was selected."""

        def __init__(self, id: str) -> None:
            """`id` as in the view."""
            super().__init__()
            self.device = id

    class Opened(Message):
        """The selected device was clicked again."""

    def __init__(self, ascii: bool, *, id: str | None = None) -> None:
        """`ascii`: bars and histories in ASCII."""
        super().__init__(id=id)
        self._ascii = ascii
        self._title: tuple[str, ...] = ()
        self._rows_seen: tuple[DeviceRow, ...] = ()
        self._selected: str | None = None
        self._top = 0

    @property
    def page_rows(self) -> int:
        """Rows of devices inside the frame, below the titles."""
        return max(1, self.size.height - 3)

    @property
    def _at(self) -> int:
        return next((i for i, row in enumerate(self._rows_seen) if row.id == self._selected), 0)

    def show(self, title: tuple[str, ...], rows: tuple[DeviceRow, ...], selected: str | None) -> None:
        """Show these devices."""
        self._title, self._rows_seen, self._selected = title, rows, selected
        self._lay_out()

    def on_resize(self) -> None:
        """Lay the rows out again."""
        self._lay_out()

    def on_focus(self) -> None:
        """Show that the keys act here."""
        self._lay_out()

    def on_blur(self) -> None:
        """Show that the keys act elsewhere."""
        self._lay_out()

    def on_mouse_scroll_down(self) -> None:
        """The wheel moves the selection."""
        self.move(1)

    def on_mouse_scroll_up(self) -> None:
        """The wheel moves the selection."""
        self.move(-1)

    def on_click(self, event: events.Click) -> None:
        """A click selects, a second one opens."""
        at = self._top + event.y - 2
        if 2 <= event.y < self.size.height - 1 and at < len(self._rows_seen):
            if at == self._at:
                self.post_message(self.Opened())
            self.move(at - self._at)

    def move(self, rows: int) -> None:
        """Select another device, within the list."""
        at = max(0, min(self._at + rows, len(self._rows_seen) - 1))
        if self._rows_seen and self._rows_seen[at].id != self._selected:
            self._selected = self._rows_seen[at].id
            self._lay_out()
            self.post_message(self.Moved(self._selected))

    def _lay_out(self) -> None:
        width, at, count = self.size.width, self._at, len(self._rows_seen)
        if width < 8 or self.size.height < 4:
            return
        self._top = max(at - self.page_rows + 1, min(self._top, at), 0)
        self._top = max(0, min(self._top, count - self.page_rows))
        shown = self._rows_seen[self._top : self._top + self.page_rows]
        gap = " " * gap_of(width)
        columns = fitted(self._rows_seen, width - 2 - _LEAD_CELLS, len(gap))
        names = apart([row.name or ABSENT for row in shown], dict(columns).get("name", 0))
        rows = [self._cells(row, name, columns, gap) for row, name in zip(shown, names, strict=True)]
        rows += [()] * (self.page_rows - len(rows))
        ink = "focus" if self.has_focus else "border"
        head: Row = (
            (" " * _LEAD_CELLS + gap.join(t.rjust(w) if t in _RIGHT else fit(t, w) for t, w in columns), "quiet"),
        )
        below = count - self._top - self.page_rows
        more: Row = ((f"{self._top + 1}–{self._top + len(shown)} of {count}", "quiet"),) if below or self._top else ()
        self.paint(
            [
                box.top(_titled(self._title, width), width, ink),
                box.side(head, width, ink),
                *(box.side(row, width, ink) for row in rows),
                box.bottom(width, ink, more if count > self.page_rows else ()),
            ]
        )

    def _cells(self, row: DeviceRow, name: str, columns: list[tuple[str, int]], gap: str) -> Row:
        selected = row.id == self._selected
        lead: Row = (("▸" if selected else " ", "key"), ("●" if row.ours else " ", "good"))
        cells: list[tuple[str, str]] = []
        for title, width in columns:
            cells += [*self._cell(row, name, title, width), (gap, "plain")]
        return (*lead, *((text, "selected" if selected and ink not in _DRAWN else ink) for text, ink in cells[:-1]))

    def _cell(self, row: DeviceRow, name: str, title: str, width: int) -> Row:
        if title == "":
            blank: Row = ((" " * width, "plain"),)
            return bar(row.share, width, self._ascii) if row.share is not None else blank
        if title == "recent":
            past = row.history
            return ((plot.history(past.times, past.values, width, past.low, past.high, self._ascii), plot.RAW),)
        texts = {
            "GPU": (row.index, row.ink),
            "name": (name, row.ink),
            "util": (row.utilization.rjust(width), row.ink if row.ink == "quiet" else "value"),
            "memory": (row.memory, row.ink),
            "temp": (row.temperature.rjust(width), row.ink),
            "power": (row.power, row.ink),
            "slowed by": (row.slowed, row.slowed_ink),
            "process": (row.process, row.ink),
        }
        text, ink = texts[title]
        return ((fit(text, width), ink),)


def gap_of(width: int) -> int:
    """Cells between two columns."""
    return 2 if width >= _WIDE else 1


def fitted(rows: tuple[DeviceRow, ...], width: int, gap: int) -> list[tuple[str, int]]:
    """(title, cells) of the columns that fit; a name that all share is in the title of the list instead."""
    alike = len({row.name for row in rows if row.name}) <= 1
    longest = max((cell_len(row.name) for row in rows), default=0)
    name = min(longest, _NAME_CELLS)
    columns = [(t, name if t == "name" else w, rank) for t, w, rank in _COLUMNS if t != "name" or not alike]
    while (worst := max(rank for _, _, rank in columns)) and _cells_of(columns, gap) > width:
        columns = [column for column in columns if column[2] != worst]
    left = max(0, width - _cells_of(columns, gap))
    more: dict[str, int] = {}
    for title, most in (("name", longest - name), ("recent", _MORE_SPARK), ("", _MORE_BAR), (columns[-1][0], left)):
        if any(t == title for t, _, _ in columns):
            more[title] = more.get(title, 0) + min(left, most)
            left -= min(left, most)
    return [(t, w + more.get(t, 0)) for t, w, _ in columns]


def _cells_of(columns: list[tuple[str, int, int]], gap: int) -> int:
    return sum(w for _, w, _ in columns) + gap * (len(columns) - 1)


def _titled(title: tuple[str, ...], width: int) -> Row:
    """The pieces that fit, the first one always."""
    row: list[tuple[str, str]] = []
    for i, piece in enumerate(title):
        cells = ((" ─ ", "border"), (piece, "quiet")) if i else ((piece, "title"),)
        if i == 0 or box.width_of([*row, *cells]) <= width - 6:
            row += cells
    return tuple(row)
