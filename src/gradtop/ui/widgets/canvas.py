"""Rows of styled text that repaint only the cells that changed."""

from collections.abc import Sequence
from itertools import takewhile

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from gradtop.ui.palette import styles

Row = tuple[tuple[str, str], ...]
"""(text, ink) from left to right."""


class Canvas(Widget):
    """A widget that is its rows. Subclasses compose them and call `paint`; nothing in them is parsed as markup."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        """Start blank."""
        super().__init__(id=id, classes=classes)
        self._rows: list[Row] = []
        self._strips: list[Strip] = []

    def on_mount(self) -> None:
        """Be drawn anew in another theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._restyle())

    def _restyle(self) -> None:
        self._strips = [self._strip(row) for row in self._rows]
        self.refresh()

    def _strip(self, row: Row) -> Strip:
        inks = styles(self.app.theme)
        return Strip([Segment(text, inks[ink]) for text, ink in row if text])

    def paint(self, rows: Sequence[Row]) -> None:
        """Show these rows; the terminal gets what differs from the ones before."""
        before = self._rows
        if len(before) != len(rows):
            self._rows, self._strips = list(rows), [self._strip(row) for row in rows]
            self.refresh()
            return
        changed = [y for y, row in enumerate(rows) if row != before[y]]
        for y in changed:
            row = rows[y]
            start, stop = _changed_span(before[y], row)
            self._rows[y], self._strips[y] = row, self._strip(row)
            self.refresh(Region(start, y, stop - start, 1))

    def render_line(self, y: int) -> Strip:
        """The row `y`, blank where there is none."""
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, styles(self.app.theme)["plain"])


def _changed_span(old: Row, new: Row) -> tuple[int, int]:
    """The cells between the first and the last difference; the whole row where it has wide characters."""
    a, b = _flat(old), _flat(new)
    widths = sum(cell_len(text) for text, _ in old), sum(cell_len(text) for text, _ in new)
    if widths != (len(a), len(b)) or len(a) != len(b):
        return 0, max(1, *widths)
    same = [x == y for x, y in zip(a, b, strict=True)]
    start = len(list(takewhile(bool, same)))
    return start, max(start + 1, len(b) - len(list(takewhile(bool, reversed(same)))))


def _flat(row: Row) -> list[tuple[str, str]]:
    return [(char, ink) for text, ink in row for char in text]
