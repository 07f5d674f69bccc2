"""Rows of styled text that repaint only the cells that changed."""

from collections.abc import Sequence

from rich.segment import Segment
from textual.filter import ANSIToTruecolor
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from gradtop.ui.cells import width_of
from gradtop.ui.palette import styles

Row = tuple[tuple[str, str], ...]
"""(text, ink) from left to right."""
_SKIPPED_CELLS = 12
"""Cells in a row that are worth to move the terminal's cursor over."""


class Canvas(Widget):
    """A widget that is its rows. Subclasses compose them and call `paint`; nothing in them is parsed as markup."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        """Start blank."""
        super().__init__(id=id, classes=classes)
        self._rows: list[Row] = []
        self._strips: list[Strip] = []
        self._sent: dict[int, Strip] = {}
        """Rows in their full width and as the filters of the app leave them, until they change."""
        self._sent_width = 0

    def on_mount(self) -> None:
        """Be drawn anew in another theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._restyle())

    def _restyle(self) -> None:
        self._strips = [self._strip(row) for row in self._rows]
        self._sent.clear()
        self.refresh()

    def _strip(self, row: Row) -> Strip:
        inks = styles(self.app.theme)
        return Strip([Segment(text, inks[ink]) for text, ink in row if text], width_of(row))

    def paint(self, rows: Sequence[Row]) -> None:
        """Show these rows; the terminal gets what differs from the ones before."""
        before = self._rows
        if len(before) != len(rows):
            self._rows, self._strips = list(rows), [self._strip(row) for row in rows]
            self._sent.clear()
            self.refresh()
            return
        regions: list[Region] = []
        for y, row in enumerate(rows):
            if row != before[y]:
                regions += [Region(start, y, stop - start, 1) for start, stop in changed_spans(before[y], row)]
                self._rows[y], self._strips[y] = row, self._strip(row)
                self._sent.pop(y, None)
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """The row `y`, blank where there is none."""
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, styles(self.app.theme)["plain"])

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows of a part, cut to its columns.

        A canvas has no border, padding, tint or opacity, which the toolkit looks up for every row again.
        """
        width = self.region.width
        if width != self._sent_width:
            self._sent.clear()
            self._sent_width = width
        sent = self._sent
        if any(y not in sent for y in crop.line_range):
            self._send([y for y in crop.line_range if y not in sent], width)
        strips = [sent[y] for y in crop.line_range]
        return strips if crop.column_span == (0, width) else [strip.crop(*crop.column_span) for strip in strips]

    def _send(self, rows: Sequence[int], width: int) -> None:
        # Inks are true colours, or those of the terminal where they are meant to be.
        filters = [filter for filter in self.get_line_filters() if not isinstance(filter, ANSIToTruecolor)]
        behind = styles(self.app.theme)["plain"].background_style
        for y in rows:
            strip = self.render_line(y).adjust_cell_length(width, behind)
            for filter in filters:
                strip = strip.apply_filter(filter, self.background_colors[1])
            self._sent[y] = strip


def changed_spans(old: Row, new: Row) -> list[tuple[int, int]]:
    """(start, stop) of the cells that differ, at least one; the whole row where it has wide characters.

    Few cells that are the same between two that differ are sent again: that is shorter than to skip them.
    """
    start, stop = _apart(old, new)
    tail = len(new) - stop
    before, after = old[start : len(old) - tail], new[start:stop]
    a, b = _flat(before), _flat(after)
    if len(a) != len(b) or (width_of(before), width_of(after)) != (len(a), len(b)):
        return [(0, max(1, width_of(old), width_of(new)))]
    skipped = width_of(new[:start])
    spans: list[tuple[int, int]] = []
    for x in [x for x, (was, now) in enumerate(zip(a, b, strict=True), skipped) if was != now]:
        if spans and x - spans[-1][1] < _SKIPPED_CELLS:
            spans[-1] = spans[-1][0], x + 1
        else:
            spans.append((x, x + 1))
    return spans or [(0, 1)]


def _apart(old: Row, new: Row) -> tuple[int, int]:
    """The pieces of `new` from the first to behind the last that differs: the others need not be looked into."""
    most = min(len(old), len(new))
    start = next((i for i in range(most) if old[i] != new[i]), most)
    tail = next((i for i in range(most - start) if old[-1 - i] != new[-1 - i]), most - start)
    return start, len(new) - tail


def _flat(row: Row) -> list[tuple[str, str]]:
    return [(char, ink) for text, ink in row for char in text]
