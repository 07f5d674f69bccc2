"""What the rooms with charts share: the part of the run that is shown, the cursor, how each series is drawn."""

import math

from gradtop import plot
from gradtop.recollection import Memory
from gradtop.ui.place import Place
from gradtop.ui.scene import Scene
from gradtop.ui.screens.room import Room
from gradtop.ui.viewport import Viewport
from gradtop.ui.widgets.chart import Chart, Look
from gradtop.ui.widgets.legend import Legend
from gradtop.view import STEP, across, copied, offered, reading
from gradtop.view import Chart as ChartView

_NOTCH = 1.5
"""By how much a notch of the wheel zooms."""
_SCROLLED = 0.1
"""Part of the window that a notch moves it sideways."""
_SCALES = ("log", "linear", "symlog")


class ChartedRoom(Room):
    """A room with a Legend and charts `#chart-0`, ... that show `views`; the keys act on the one that has the focus."""

    def __init__(self, glyphs: plot.Glyphs) -> None:
        """`glyphs` says whether to draw in braille or in ASCII."""
        super().__init__()
        self.glyphs = glyphs
        self.cells: tuple[Chart, ...] = ()
        """Its charts, displayed or not, in the order of their ids; `furniture` makes them."""
        self.views: tuple[ChartView, ...] = ()
        """What the charts show, in the order of their ids; charts without one are not displayed."""
        self.full = False
        """One chart has the whole screen."""
        self.run_id: str | None = None
        """Of the run that the charts are of."""
        self._at = Viewport()
        self._scale: dict[str, str] = {}
        self._smooth: dict[str, bool] = {}
        self._pending: Memory = {}

    def fit(self, scene: Scene) -> None:
        """Follow the run as it grows; of another one, show all."""
        if scene.run is not None and scene.run.id != self.run_id:
            self.run_id, self.full = scene.run.id, False
            self._at = Viewport(kind=self._at.kind)
        view = next((view for view in self.views if not view.apart), None)
        if view is None:
            return
        at = self._at
        at.across = across(scene.run, at.kind, at.across, scene.others) if at.kind != STEP else None
        whole = (
            (at.across.first_step, at.across.last_step) if at.across is not None else (view.first_step, view.last_step)
        )
        at.fit(whole, scene.run.view.rows if scene.run is not None else 1)

    @property
    def charts(self) -> list[Chart]:
        """Those that are displayed."""
        return [chart for chart in self.cells if chart.display] if self.views else []

    @property
    def panel(self) -> Chart | None:
        """The chart that the keys act on: the focused one, else the first."""
        shown = self.charts
        return next((chart for chart in shown if chart.has_focus), shown[0] if shown else None)

    def place(self, number: int) -> str:
        """Where a chart of `views` stands among all of the run: `2/9`; empty where it is the only one."""
        return f"{number + 1}/{len(self.views)}" if len(self.views) > 1 else ""

    def draw(self) -> None:
        """Draw what is displayed."""
        run = self.scene.run if self.scene is not None else None
        times = run.view.series.get("time") if run is not None else None
        at = self._at
        for chart in self.charts:
            number = min(index_of(chart), len(self.views) - 1)
            view = self.views[number]
            first, last = at.seen if not view.apart else (view.first_step, view.last_step)
            cursor = at.cursor if not view.apart else None
            beside = at.across.step_beside if at.across is not None else None
            read = reading(view, cursor, times, beside) if cursor is not None else None
            scale = self._scale.get(view.name)
            log = None if scale is None else scale == "log"
            known, selected = (at.across, at.selected) if not view.apart else (None, None)
            smooth, symlog = self._smooth.get(view.name), scale == "symlog"
            chart.show(view, Look(first, last, cursor, read, log, smooth, symlog, known, selected, self.place(number)))
        self.query_one(Legend).leave_out(at.across.missing if at.across is not None else frozenset(), at.kind)
        self.show_state()

    def state(self) -> tuple[str, ...]:
        """What the x axis counts, and that a part of the run is shown."""
        at = self._at
        by = (f"by {at.kind}",) if at.across is not None else ()
        return (*by, "zoomed") if at.window is not None else by

    def memory(self) -> dict[str, str | float | bool | None]:
        """The part of which run is shown, the x axis, and how each chart is drawn."""
        window = self._at.window or (None, None)
        kept: dict[str, str | float | bool | None] = {
            "run": self.run_id,
            "x": self._at.kind,
            "first": window[0],
            "last": window[1],
        }
        scales = {f"scale {name}": scale for name, scale in self._scale.items()}
        return kept | scales | {f"smooth {name}": on for name, on in self._smooth.items()}

    def recall(self, memory: Memory) -> None:
        """Draw charts as they were drawn; the rest waits for the run that it is of."""
        self._pending = memory
        self._at.kind = str(memory.get("x") or STEP)
        for key, value in memory.items():
            what, _, name = key.partition(" ")
            if what == "scale" and value in _SCALES:
                self._scale[name] = str(value)
            elif what == "smooth" and isinstance(value, bool):
                self._smooth[name] = value

    def resume(self) -> Memory:
        """Show what was shown of this run; what else was remembered of it."""
        memory, self._pending = self._pending, {}
        if not memory or memory.get("run") != self.run_id:
            return {}
        ends = [memory.get("first"), memory.get("last")]
        first, last = (float(end) if isinstance(end, float | int) else math.nan for end in ends)
        if first < last:
            self._at.selected = (first, last)
            self._at.select()
        return memory

    def action_full(self) -> None:
        """One chart on the whole screen, or all of them again."""
        raise NotImplementedError

    def leave(self) -> bool:
        """Out of the full screen, then without the cursor, then the whole run again."""
        if self.full:
            self.action_full()
        elif self.arrived:
            # Somebody came for a step: one step back leads to where they came from.
            return False
        elif self._at.cursor is not None:
            self._at.cursor = None
        elif self._at.window is not None:
            self._at.window = None
        else:
            return False
        self.draw()
        return True

    def here(self) -> Place | None:
        """The step under the cursor, else the newest one."""
        step = self._at.cursor if self._at.cursor is not None else self._last
        return Place(step=step) if step is not None else None

    def arrive(self, place: Place) -> None:
        """Show a step."""
        if place.step is not None:
            self.show_at(place.step)

    def show_at(self, step: float) -> None:
        """Put the cursor on a step, and zoom so that what is around it can be seen."""
        if self.views:
            view = next((view for view in self.views if not view.apart), self.views[0])
            found = view.data.nearest_step(step)
            self._at.arrive(found if found is not None else step)
            self.draw()

    def on_chart_clicked(self, message: Chart.Clicked) -> None:
        """Put the cursor where the mouse was."""
        if (view := message.chart.view) is not None and not view.apart:
            self._move_cursor(view.data.nearest_step(self._at.step_at(message.part)))

    def on_chart_double_clicked(self, message: Chart.DoubleClicked) -> None:
        """The whole run again."""
        self._at.cursor = None
        self.action_reset()

    def on_chart_dragged(self, message: Chart.Dragged) -> None:
        """Move the window with the mouse; where all is shown, or with shift, select a part."""
        at, start = self._at, message.start
        if start is None or message.chart.view is None or message.chart.view.apart:
            return
        if at.window is None or message.select or at.selected is not None:
            begin = at.selected[0] if at.selected is not None else at.step_at(start)
            at.selected = (begin, at.step_at(message.part))
        else:
            at.pan(start - message.part)
            message.chart.hold(message.part)
        self.draw()

    def on_chart_dropped(self, message: Chart.Dropped) -> None:
        """Show what was selected."""
        self._at.select()
        self.draw()

    def on_chart_scrolled(self, message: Chart.Scrolled) -> None:
        """Zoom at the pointer, or move sideways."""
        if message.chart.view is not None and not message.chart.view.apart:
            if message.up:
                self._at.zoom(_NOTCH**message.up, self._at.step_at(message.part))
            self._at.pan(message.across * _SCROLLED)
            self.draw()

    def action_axis(self) -> None:
        """Logarithmic, linear, or where there are values of zero and less, logarithmic above and below."""
        if (panel := self.panel) is not None and (view := panel.view) is not None:
            scales = _SCALES if view.signed else _SCALES[:2]
            now = self._scale.get(view.name, "log" if view.log else "linear")
            self._scale[view.name] = scales[(scales.index(now) + 1) % len(scales)] if now in scales else scales[0]
            self.draw()

    def action_smooth(self) -> None:
        """The smoothed line on or off."""
        if (panel := self.panel) is not None and panel.view is not None:
            self._smooth[panel.view.name] = not self._smooth.get(panel.view.name, panel.view.smooth)
            if panel.view.data.span is None:
                self.tell("too few values to smooth")
            self.draw()

    def action_across(self) -> None:
        """The x axis by steps, time or epochs, whichever the run tells of."""
        if self.scene is None or not self.views:
            return
        kinds = offered(self.scene.run)
        if len(kinds) == 1:
            self.tell("this log tells neither times nor epochs")
        now = kinds.index(self._at.kind) if self._at.kind in kinds else 0
        self._at.kind = kinds[(now + 1) % len(kinds)]
        self.fit(self.scene)
        self.draw()

    def action_zoom(self, factor: float) -> None:
        """Show a part of the run `factor` times smaller, around the cursor or at the newest step."""
        if self.views and self._last is not None:
            at = self._at
            around = at.cursor if at.cursor is not None else min(self._last, at.seen[1])
            at.zoom(factor, around)
            self.draw()

    @property
    def _last(self) -> float | None:
        run = self.scene.run if self.scene is not None else None
        return run.view.last_step if run is not None else None

    def action_pan(self, direction: int) -> None:
        """Move the window a quarter of its width."""
        self._at.pan(direction / 4)
        self.draw()

    def action_reset(self) -> None:
        """The whole run."""
        self._at.window = self._at.selected = None
        self.draw()

    def action_cursor(self, cells: int) -> None:
        """Move the cursor some cells, but at least to the next value."""
        panel = self.panel
        if panel is None or panel.view is None or panel.view.apart:
            return
        data, at = panel.view.data, self._at
        if at.cursor is None:
            self._move_cursor(data.nearest_step(at.seen[1]))
            return
        part = at.part_of(at.cursor)
        direction = 1 if cells > 0 else -1
        for k in range(abs(cells), panel.plot_cells + abs(cells)):
            found = data.nearest_step(at.step_at(part + direction * k / panel.plot_cells))
            if found is not None and (found - at.cursor) * direction > 0:
                self._move_cursor(found)
                return

    def action_cursor_to(self, end: str) -> None:
        """Cursor to the first or the newest value of the panel."""
        panel = self.panel
        if panel is not None and (view := panel.view) is not None and not view.apart:
            self._move_cursor(view.data.nearest_step(view.first_step if end == "first" else view.last_step))

    def action_mark(self, direction: int) -> None:
        """Cursor to the next or the previous mark."""
        steps = sorted({mark.step for view in self.views[:1] for mark in view.marks})
        here = self._at.cursor
        beyond = [s for s in steps if here is None or (s - here) * direction > 0]
        if beyond:
            self._move_cursor(beyond[0] if direction > 0 else beyond[-1])

    def _move_cursor(self, step: float | None) -> None:
        if step is not None:
            self._at.reveal(step)
            self.draw()

    def action_copy(self) -> None:
        """Copy the value under the cursor, or the newest one."""
        if (panel := self.panel) is not None and (view := panel.view) is not None:
            cursor = self._at.cursor if not view.apart else None
            if (found := copied(view, cursor)) is not None:
                self.copy(*found)


def index_of(chart: Chart) -> int:
    """The place of a chart in `ChartedRoom.views`."""
    return int((chart.id or "-0").rpartition("-")[2])
