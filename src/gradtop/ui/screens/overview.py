"""The first room: the verdict, and the curves behind it."""

from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Grid
from textual.widget import Widget

from gradtop import plot
from gradtop.ui import keys
from gradtop.ui.scene import Scene
from gradtop.ui.screens.charted import ChartedRoom
from gradtop.ui.widgets.banner import Banner
from gradtop.ui.widgets.chart import Chart
from gradtop.ui.widgets.legend import Legend
from gradtop.ui.widgets.sheet import Sheet
from gradtop.view import banner, charts, overlaid, waiting_for

MOST_CHARTS = 9
_NARROW, _WIDE, _VERY_WIDE = 72, 100, 180
"""Columns of the screen from which charts stand beside each other, in more than three, in three columns."""
_ROWS_STACKED, _ROWS_WIDE = 6, 11
"""Least rows of a chart: on a small screen, and where there is room."""


class Overview(ChartedRoom):
    """Banner and charts of the open run."""

    ROOM: ClassVar[str] = "overview"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("overview")]
    AUTO_FOCUS = None

    def __init__(self, glyphs: plot.Glyphs) -> None:
        """`glyphs` says whether to draw in braille or in ASCII."""
        super().__init__(glyphs)
        self._run_id: str | None = None
        self._layout: object = None

    def furniture(self) -> list[Widget]:
        """The banner, the charts, and what stands in their place while there are none."""
        cells = [Chart(self.glyphs, id=f"chart-{i}") for i in range(MOST_CHARTS)]
        for cell in cells:
            cell.display = False
        waiting = Sheet("waiting", id="waiting")
        return [Banner(id="banner"), Grid(*cells, id="charts"), waiting, Legend(id="legend")]

    def on_resize(self) -> None:
        """Choose how many charts there is room for."""
        if self.scene is not None:
            self.show(self.scene)

    def show_scene(self, scene: Scene) -> None:
        """Show the run: its verdict and its charts, or what is waited for."""
        if scene.run is not None and scene.run.id != self._run_id:
            self._run_id = scene.run.id
            self.forget()
        height = self.app.size.height
        self.query_one(Banner).show(banner(scene.snapshot, scene.run), 3 if height < 16 else 5 if height < 32 else 6)
        others = scene.others
        self.query_one(Legend).show(others)
        self.views = overlaid(charts(scene.run, MOST_CHARTS), scene.run, others)
        self.query_one("#charts").display = bool(self.views)
        waiting = self.query_one("#waiting", Sheet)
        waiting.display = not self.views
        if self.views:
            self.lay_out()
            self.draw()
        else:
            waiting.show(waiting_for(scene.snapshot, scene.run))

    def lay_out(self) -> None:
        """Lay the charts out anew where their number, the size of the screen or the full screen changed."""
        size = self.app.size
        rows_free = size.height - 2 - self.query_one(Banner).rows - self.query_one(Legend).rows
        columns, shown = arrangement(len(self.views), size.width, rows_free)
        full = self.panel if self.full else None
        layout = (columns, shown, full)
        if layout == self._layout:
            return
        self._layout = layout
        grid = self.query_one("#charts", Grid)
        grid.styles.grid_size_columns = 1 if full else columns
        for i, chart in enumerate(self.query(Chart)):
            chart.display = chart is full if full else i < shown
            chart.styles.column_span = columns if i == 0 and shown % columns and not full else 1
        if self.focused is None:
            self.query_one("#chart-0").focus()


def arrangement(count: int, width: int, height: int) -> tuple[int, int]:
    """(columns, charts shown) for `count` charts in `width` by `height` cells; an odd first chart takes a whole row."""
    if width < _NARROW or count == 1:
        return 1, min(count, max(1, height // _ROWS_STACKED))
    columns = 3 if width >= _VERY_WIDE and count >= 5 else 2
    rows = max(1, height // (_ROWS_WIDE if width >= _WIDE else _ROWS_STACKED))
    return columns, min(count, columns * rows, count if width >= _WIDE else max(2, columns * rows - 1))
