"""What the rooms with charts share: one window, one cursor, and how the user looks at each series."""

from gradtop import plot
from gradtop.ui.screens.room import Room
from gradtop.ui.widgets.chart import Chart, Look
from gradtop.view import Chart as ChartView
from gradtop.view import reading


class ChartedRoom(Room):
    """A room with charts `#chart-0`, `#chart-1`, ... which show `views`; the keys act on the one that has the focus."""

    def __init__(self, glyphs: plot.Glyphs) -> None:
        """`glyphs` says whether to draw in braille or in ASCII."""
        super().__init__()
        self.glyphs = glyphs
        self.views: tuple[ChartView, ...] = ()
        """What the charts show, in the order of their ids; charts without one are not displayed."""
        self.full = False
        """One chart has the whole screen."""
        self._window: tuple[float, float] | None = None
        self._cursor: float | None = None
        self._log: dict[str, bool] = {}
        self._smooth: dict[str, bool] = {}

    def forget(self) -> None:
        """Look at another run: at all of it."""
        self._window, self._cursor, self.full = None, None, False

    def lay_out(self) -> None:
        """Display as many charts as there is room for; called when one is to be shown in full, or not any more."""
        raise NotImplementedError

    @property
    def charts(self) -> list[Chart]:
        """Those that are displayed."""
        return [chart for chart in self.query(Chart) if chart.display] if self.views else []

    @property
    def panel(self) -> Chart | None:
        """The chart that the keys act on: the focused one, else the first."""
        shown = self.charts
        return next((chart for chart in shown if chart.has_focus), shown[0] if shown else None)

    def draw(self) -> None:
        """Draw what is displayed."""
        run = self.scene.run if self.scene is not None else None
        times = run.view.series.get("time") if run is not None else None
        for chart in self.charts:
            view = self.views[min(int((chart.id or "-0").rpartition("-")[2]), len(self.views) - 1)]
            first, last = self._window or (view.first_step, view.last_step)
            read = reading(view, self._cursor, times) if self._cursor is not None else None
            chart.show(
                view, Look(first, last, self._cursor, read, self._log.get(view.name), self._smooth.get(view.name))
            )

    def leave(self) -> bool:
        """Out of the full screen, then without the cursor, then the whole run again."""
        if self.full:
            self.action_full()
        elif self._cursor is not None:
            self._cursor = None
        elif self._window is not None:
            self._window = None
        else:
            return False
        self.draw()
        return True

    def on_chart_clicked(self, message: Chart.Clicked) -> None:
        """Put the cursor where the mouse was."""
        look = message.chart.look
        if look is not None and message.chart.view is not None:
            step = look.first_step + message.part * (look.last_step - look.first_step)
            self._move_cursor(message.chart.view.data.nearest_step(step))

    def action_next_panel(self, direction: int) -> None:
        """Focus the next chart, or the one before."""
        shown = self.charts
        if shown and self.panel is not None:
            at = (shown.index(self.panel) + direction) % len(shown)
            shown[at].focus()

    def action_full(self) -> None:
        """One chart on the whole screen, or all of them again."""
        panel = self.panel
        if panel is None:
            return
        panel.focus()
        self.full = not self.full
        self.lay_out()
        self.draw()

    def action_axis(self) -> None:
        """Logarithmic or linear."""
        if (panel := self.panel) is not None and panel.view is not None:
            self._log[panel.view.name] = not self._log.get(panel.view.name, panel.view.log)
            self.draw()

    def action_smooth(self) -> None:
        """The smoothed line on or off."""
        if (panel := self.panel) is not None and panel.view is not None:
            self._smooth[panel.view.name] = not self._smooth.get(panel.view.name, panel.view.smooth)
            self.draw()

    def action_zoom(self, factor: float) -> None:
        """Show a part of the steps `factor` times smaller, around the cursor or at the newest step."""
        if not self.views or self._last is None:
            return
        view = self.views[0]
        first, last = self._window or (view.first_step, view.last_step)
        span = (last - first) / factor
        if span >= view.last_step - view.first_step:
            self._window = None
        elif span >= 4 * (2 if view.last_step - view.first_step > 8 else 0.001):
            self._window = self._placed(self._cursor if self._cursor is not None else self._last - span / 2, span)
        self.draw()

    def _placed(self, middle: float, span: float) -> tuple[float, float]:
        view = self.views[0]
        first = max(view.first_step, min(middle - span / 2, view.last_step - span))
        return first, first + span

    @property
    def _last(self) -> float | None:
        run = self.scene.run if self.scene is not None else None
        return run.view.last_step if run is not None else None

    def action_pan(self, direction: int) -> None:
        """Move the window a quarter of its width."""
        if self._window is not None and self.views:
            first, last = self._window
            self._window = self._placed((first + last) / 2 + direction * (last - first) / 4, last - first)
            self.draw()

    def action_reset(self) -> None:
        """The whole run."""
        self._window = None
        self.draw()

    def action_cursor(self, direction: int) -> None:
        """Move the cursor one cell, but at least to the next value."""
        panel = self.panel
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
        panel = self.panel
        if panel is not None and panel.view is not None:
            view = panel.view
            self._move_cursor(view.data.nearest_step(view.first_step if end == "first" else view.last_step))

    def action_mark(self, direction: int) -> None:
        """Cursor to the next or the previous mark."""
        if not self.views:
            return
        steps = sorted({mark.step for mark in self.views[0].marks})
        here = self._cursor
        beyond = [s for s in steps if here is None or (s - here) * direction > 0]
        if beyond:
            self._move_cursor(beyond[0] if direction > 0 else beyond[-1])

    def _move_cursor(self, step: float | None) -> None:
        self._cursor = step
        if (
            step is not None
            and self.views
            and self._window is not None
            and not self._window[0] <= step <= self._window[1]
        ):
            self._window = self._placed(step, self._window[1] - self._window[0])
        self.draw()
