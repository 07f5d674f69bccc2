"""The first room: the verdict, and the curves behind it."""

from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Grid
from textual.widget import Widget

from gradtop import plot
from gradtop.ui import keys
from gradtop.ui.place import Place
from gradtop.ui.scene import Scene
from gradtop.ui.screens.room import Room
from gradtop.ui.widgets.banner import Banner
from gradtop.ui.widgets.chart import Chart, Look
from gradtop.ui.widgets.sheet import Sheet
from gradtop.view import Chart as ChartView
from gradtop.view import banner, charts, reading, waiting_for

MOST_CHARTS = 9
_NARROW, _WIDE, _VERY_WIDE = 72, 100, 180
"""Columns of the screen from which charts stand beside each other, in more than three, in three columns."""
_ROWS_STACKED, _ROWS_WIDE = 6, 11
"""Least rows of a chart: on a small screen, and where there is room."""


class Overview(Room):
    """Banner and charts of the open run."""

    ROOM: ClassVar[str] = "overview"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("overview")]
    AUTO_FOCUS = None

    def __init__(self, glyphs: plot.Glyphs) -> None:
        """`glyphs` says whether to draw in braille or in ASCII."""
        super().__init__()
        self._glyphs = glyphs
        self._views: tuple[ChartView, ...] = ()
        self._run_id: str | None = None
        self._layout: object = None
        self._full = False
        self._window: tuple[float, float] | None = None
        self._cursor: float | None = None
        self._log: dict[str, bool] = {}
        self._smooth: dict[str, bool] = {}

    def furniture(self) -> list[Widget]:
        """The banner, the charts, and what stands in their place while there are none."""
        cells = [Chart(self._glyphs, id=f"chart-{i}") for i in range(MOST_CHARTS)]
        for cell in cells:
            cell.display = False
        return [Banner(id="banner"), Grid(*cells, id="charts"), Sheet("waiting", id="waiting")]

    def on_resize(self) -> None:
        """Choose how many charts there is room for."""
        if self.scene is not None:
            self.show(self.scene)

    def show_scene(self, scene: Scene) -> None:
        """Show the run: its verdict and its charts, or what is waited for."""
        if scene.run is not None and scene.run.id != self._run_id:
            self._run_id, self._window, self._cursor, self._full = scene.run.id, None, None, False
        height = self.app.size.height
        self.query_one(Banner).show(banner(scene.snapshot, scene.run), 3 if height < 16 else 5 if height < 32 else 6)
        self._views = charts(scene.run, MOST_CHARTS)
        self.query_one("#charts").display = bool(self._views)
        waiting = self.query_one("#waiting", Sheet)
        waiting.display = not self._views
        if self._views:
            self._arrange()
            self._draw()
        else:
            waiting.show(waiting_for(scene.snapshot, scene.run))

    @property
    def _charts(self) -> list[Chart]:
        return [chart for chart in self.query(Chart) if chart.display]

    @property
    def _panel(self) -> Chart | None:
        """The chart that the keys act on: the focused one, else the first."""
        shown = self._charts
        return next((chart for chart in shown if chart.has_focus), shown[0] if shown else None)

    def _arrange(self) -> None:
        """Lay the charts out anew where their number, the size of the screen or the full screen changed."""
        size = self.app.size
        rows_free = size.height - 2 - self.query_one(Banner).rows
        columns, shown = arrangement(len(self._views), size.width, rows_free)
        full = self._panel if self._full else None
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

    def _draw(self) -> None:
        run = self.scene.run if self.scene is not None else None
        times = run.view.series.get("time") if run is not None else None
        for chart in self._charts:
            view = self._views[min(int((chart.id or "-0").rpartition("-")[2]), len(self._views) - 1)]
            first, last = self._window or (view.first_step, view.last_step)
            read = reading(view, self._cursor, times) if self._cursor is not None else None
            chart.show(
                view, Look(first, last, self._cursor, read, self._log.get(view.name), self._smooth.get(view.name))
            )

    def leave(self) -> bool:
        """Out of the full screen, then without the cursor, then the whole run again."""
        if self._full:
            self.action_full()
        elif self.arrived:
            # Somebody came for a step: one step back leads to where they came from.
            return False
        elif self._cursor is not None:
            self._cursor = None
        elif self._window is not None:
            self._window = None
        else:
            return False
        self._draw()
        return True

    def here(self) -> Place | None:
        """The step under the cursor, else the newest one."""
        step = self._cursor if self._cursor is not None else self._last
        return Place(step=step) if step is not None else None

    def arrive(self, place: Place) -> None:
        """Show a step."""
        if place.step is not None:
            self.show_at(place.step)

    def show_at(self, step: float) -> None:
        """Put the cursor on a step, and zoom so that what is around it can be seen."""
        if self._views:
            view = self._views[0]
            found = view.data.nearest_step(step)
            self._move_cursor(found if found is not None else step)

    def on_chart_clicked(self, message: Chart.Clicked) -> None:
        """Put the cursor where the mouse was."""
        look = message.chart.look
        if look is not None and message.chart.view is not None:
            step = look.first_step + message.part * (look.last_step - look.first_step)
            self._move_cursor(message.chart.view.data.nearest_step(step))

    def action_next_panel(self, direction: int) -> None:
        """Focus the next chart, or the one before."""
        shown = self._charts
        if shown and self._panel is not None:
            at = (shown.index(self._panel) + direction) % len(shown)
            shown[at].focus()

    def action_full(self) -> None:
        """One chart on the whole screen, or all of them again."""
        panel = self._panel
        if panel is None:
            return
        panel.focus()
        self._full = not self._full
        self._arrange()
        self._draw()

    def action_axis(self) -> None:
        """Logarithmic or linear."""
        if (panel := self._panel) is not None and panel.view is not None:
            self._log[panel.view.name] = not self._log.get(panel.view.name, panel.view.log)
            self._draw()

    def action_smooth(self) -> None:
        """The smoothed line on or off."""
        if (panel := self._panel) is not None and panel.view is not None:
            self._smooth[panel.view.name] = not self._smooth.get(panel.view.name, panel.view.smooth)
            self._draw()

    def action_zoom(self, factor: float) -> None:
        """Show a part of the steps `factor` times smaller, around the cursor or at the newest step."""
        if not self._views or self._last is None:
            return
        view = self._views[0]
        first, last = self._window or (view.first_step, view.last_step)
        span = (last - first) / factor
        if span >= view.last_step - view.first_step:
            self._window = None
        elif span >= 4 * (2 if view.last_step - view.first_step > 8 else 0.001):
            self._window = self._placed(self._cursor if self._cursor is not None else self._last - span / 2, span)
        self._draw()

    def _placed(self, middle: float, span: float) -> tuple[float, float]:
        view = self._views[0]
        first = max(view.first_step, min(middle - span / 2, view.last_step - span))
        return first, first + span

    @property
    def _last(self) -> float | None:
        run = self.scene.run if self.scene is not None else None
        return run.view.last_step if run is not None else None

    def action_pan(self, direction: int) -> None:
        """Move the window a quarter of its width."""
        if self._window is not None:
            first, last = self._window
            self._window = self._placed((first + last) / 2 + direction * (last - first) / 4, last - first)
            self._draw()

    def action_reset(self) -> None:
        """The whole run."""
        self._window = None
        self._draw()

    def action_cursor(self, direction: int) -> None:
        """Move the cursor one cell, but at least to the next value."""
        panel = self._panel
        if panel is None or panel.view is None or panel.look is None:
            return
        look, data = panel.look, panel.view.data
        if self._cursor is None:
            self._move_cursor(data.nearest_step(look.last_step))
            return
        cell = (look.last_step - look.first_step) / panel.plot_cells
        for k in range(1, panel.plot_cells + 1):
            found = data.nearest_step(self._cursor + direction * k * cell)
            if found is not None and (found - self._cursor) * direction > 0:
                self._move_cursor(found)
                return

    def action_cursor_to(self, end: str) -> None:
        """Cursor to the first or the newest value of the panel."""
        panel = self._panel
        if panel is not None and panel.view is not None:
            view = panel.view
            self._move_cursor(view.data.nearest_step(view.first_step if end == "first" else view.last_step))

    def action_mark(self, direction: int) -> None:
        """Cursor to the next or the previous mark."""
        if not self._views:
            return
        steps = sorted({mark.step for mark in self._views[0].marks})
        here = self._cursor
        beyond = [s for s in steps if here is None or (s - here) * direction > 0]
        if beyond:
            self._move_cursor(beyond[0] if direction > 0 else beyond[-1])

    def _move_cursor(self, step: float | None) -> None:
        self._cursor = step
        if step is not None and self._window is not None and not self._window[0] <= step <= self._window[1]:
            self._window = self._placed(step, self._window[1] - self._window[0])
        self._draw()


def arrangement(count: int, width: int, height: int) -> tuple[int, int]:
    """(columns, charts shown) for `count` charts in `width` by `height` cells; an odd first chart takes a whole row."""
    if width < _NARROW or count == 1:
        return 1, min(count, max(1, height // _ROWS_STACKED))
    columns = 3 if width >= _VERY_WIDE and count >= 5 else 2
    rows = max(1, height // (_ROWS_WIDE if width >= _WIDE else _ROWS_STACKED))
    return columns, min(count, columns * rows, count if width >= _WIDE else max(2, columns * rows - 1))
