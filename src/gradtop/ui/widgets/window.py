"""The small chart beside a finding."""

from gradtop import plot, units
from gradtop.ui.cells import shorten
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.ui.widgets.chart import runs
from gradtop.view import Window

LEAST_COLUMNS, LEAST_ROWS = 26, 5
"""Cells below which there is nothing to see."""


class FindingWindow(Canvas):
    """The series that a finding is about, raw, around the steps at which it held."""

    def __init__(self, glyphs: plot.Glyphs, *, id: str | None = None) -> None:
        """`glyphs` says whether to draw in braille or in ASCII."""
        super().__init__(id=id)
        self._glyphs = glyphs
        self._window: Window | None = None
        self._shown: object = None

    def show(self, window: Window | None) -> None:
        """Draw it, unless it is on the screen already."""
        self._window = window
        key = window, self.size
        if key != self._shown:
            self._shown = key
            self.paint(self._drawn(window) if window is not None else self._empty())

    def on_resize(self) -> None:
        """Draw in the new size."""
        self.show(self._window)

    def _empty(self) -> list[Row]:
        width, height = self.size.width, self.size.height
        if width < 8 or height < 3:
            return []
        rows: list[Row] = [box.side(((" No series to draw.", "quiet"),), width, "border")]
        rows += [box.side((), width, "border")] * (height - 3)
        return [box.top((("window", "title"),), width, "border"), *rows, box.bottom(width, "border")]

    def _drawn(self, window: Window) -> list[Row]:
        width, height = self.size.width, self.size.height
        if width < LEAST_COLUMNS or height < LEAST_ROWS:
            return [self._top(window)] if height and width > 7 else []
        columns = plot.pixel_columns(width - 2, self._glyphs)
        data = window.data.envelope(columns, window.first_step, window.last_step)
        data = plot.scaled(data, window.unit.factor)
        frame = plot.Frame(log=window.log, marks=window.marks, cursor=window.onset)
        *lines, axis = plot.draw(data, width - 2, height - 1, frame, self._glyphs)
        return [
            self._top(window),
            *((("│", "border"), *runs(line), ("│", "border")) for line in lines),
            (("╰", "border"), *runs(axis, {plot.AXIS: "border"}), ("╯", "border")),
        ]

    def _top(self, window: Window) -> Row:
        width = self.size.width
        label = shorten(window.label, max(6, width - 24))
        where = f" at {units.count(window.onset)}"
        pieces = [(label, "title"), (f" {window.value or 'no value'}", "quiet"), (where, "quiet")]
        pieces += [(" · log", "quiet")] if window.log else []
        while len(pieces) > 2 and box.width_of(pieces) > width - 6:
            pieces.pop()
        return box.top(tuple(pieces), width, "border")
