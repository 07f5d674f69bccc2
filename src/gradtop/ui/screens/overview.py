"""The first room: the verdict, and the curves behind it."""

import math
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Grid, Vertical
from textual.widget import Widget

from gradtop import plot
from gradtop.recollection import Memory
from gradtop.ui import keys
from gradtop.ui.arrangement import Layout, layout
from gradtop.ui.scene import Scene
from gradtop.ui.screens.room import Room
from gradtop.ui.viewport import Viewport
from gradtop.ui.widgets.banner import Banner
from gradtop.ui.widgets.chart import Chart, Look
from gradtop.ui.widgets.sheet import Sheet
from gradtop.ui.widgets.tile import Tile
from gradtop.view import STEP, across, banner, charts, copied, offered, reading, waiting_for
from gradtop.view import Chart as ChartView

MOST_CHARTS = 9
_NOTCH = 1.5
"""By how much a notch of the wheel zooms."""
_SCROLLED = 0.1
"""Part of the window that a notch moves it sideways."""
_SCALES = ("log", "linear", "symlog")


class Overview(Room):
    """Banner, charts and tiles of the open run."""

    ROOM: ClassVar[str] = "overview"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("overview")]
    AUTO_FOCUS = None

    def __init__(self, glyphs: plot.Glyphs, tiles: Sequence[Tile] = ()) -> None:
        """`glyphs` says whether to draw in braille or in ASCII; `tiles` stand below the charts, in this order."""
        super().__init__()
        self._glyphs, self._tiles = glyphs, tuple(tiles)
        self._views: tuple[ChartView, ...] = ()
        self._run_id: str | None = None
        self._layout: Layout | None = None
        self._full = False
        self._at = Viewport()
        self._scale: dict[str, str] = {}
        self._smooth: dict[str, bool] = {}
        self._pending: Memory = {}

    def furniture(self) -> list[Widget]:
        """The banner, the charts, the tiles, and what stands in their place while there are none."""
        cells = [Chart(self._glyphs, id=f"chart-{i}") for i in range(MOST_CHARTS)]
        for cell in (*cells, *self._tiles):
            cell.display = False
        charts_and_tiles = (Grid(*cells, id="charts"), Vertical(*self._tiles, id="tiles"))
        return [Banner(id="banner"), *charts_and_tiles, Sheet("waiting", id="waiting")]

    def on_resize(self) -> None:
        """Choose how many charts there is room for."""
        if self.scene is not None:
            self.show(self.scene)

    def show_scene(self, scene: Scene) -> None:
        """Show the run: its verdict and its charts, or what is waited for."""
        if scene.run is not None and scene.run.id != self._run_id:
            self._run_id, self._full = scene.run.id, False
            self._at = Viewport(kind=self._at.kind)
        height = self.app.size.height
        self.query_one(Banner).show(banner(scene.snapshot, scene.run), 3 if height < 16 else 5 if height < 32 else 6)
        self._views = charts(scene.run, MOST_CHARTS)
        self.query_one("#charts").display = bool(self._views)
        waiting = self.query_one("#waiting", Sheet)
        waiting.display = not self._views
        if self._views:
            self._fit(scene)
            self._resume()
            self._arrange()
            self._draw()
        else:
            self.query_one("#tiles").display = False
            waiting.show(waiting_for(scene.snapshot, scene.run))

    def _fit(self, scene: Scene) -> None:
        """Follow the run as it grows."""
        view = next((view for view in self._views if not view.apart), self._views[0])
        at = self._at
        at.across = across(scene.run, at.kind, at.across) if at.kind != STEP else None
        last = at.across.last_step if at.across is not None else view.last_step
        at.fit((view.first_step, last), scene.run.view.rows if scene.run is not None else 1)

    @property
    def _charts(self) -> list[Chart]:
        return [chart for chart in self.query(Chart) if chart.display]

    @property
    def _panel(self) -> Chart | None:
        """The chart that the keys act on: the focused one, else the first."""
        shown = self._charts
        return next((chart for chart in shown if chart.has_focus), shown[0] if shown else None)

    @property
    def _number(self) -> int:
        """The place of that chart among all of the run."""
        panel = self._panel
        return min(_index(panel) if panel is not None else 0, len(self._views) - 1)

    def _arrange(self, number: int | None = None) -> None:
        """Lay the charts out so that one of them is among those shown; nothing moves where nothing has to."""
        scene, size = self.scene, self.app.size
        number = self._number if number is None else number
        wanted = [tile.rows_wanted(scene, size.width) if scene is not None else 0 for tile in self._tiles]
        free = size.height - 2 - self.query_one(Banner).rows
        planned = layout(len(self._views), size.width, free, wanted, number, full=self._full)
        if planned != self._layout:
            self._layout = planned
            self._lay_out(planned)
        if self.focused is None or not self.focused.display:
            self.query_one(f"#chart-{number}").focus()

    def _lay_out(self, layout: Layout) -> None:
        self.query_one("#charts", Grid).styles.grid_size_columns = layout.columns
        for i, chart in enumerate(self.query(Chart)):
            chart.display = layout.first <= i < layout.first + layout.shown
            whole_row = i == layout.first and layout.shown % layout.columns
            chart.styles.column_span = layout.columns if whole_row else 1
        self.query_one("#tiles").styles.height = sum(layout.tiles)
        self.query_one("#tiles").display = any(layout.tiles)
        for tile, rows in zip(self._tiles, layout.tiles, strict=True):
            tile.display, tile.styles.height = rows > 0, rows

    def _draw(self) -> None:
        run = self.scene.run if self.scene is not None else None
        times = run.view.series.get("time") if run is not None else None
        at = self._at
        for chart in self._charts:
            number = min(_index(chart), len(self._views) - 1)
            view = self._views[number]
            first, last = at.seen if not view.apart else (view.first_step, view.last_step)
            cursor = at.cursor if not view.apart else None
            read = reading(view, cursor, times) if cursor is not None else None
            scale = self._scale.get(view.name)
            log = None if scale is None else scale == "log"
            place = f"{number + 1}/{len(self._views)}" if len(self._views) > 1 else ""
            known, selected = (at.across, at.selected) if not view.apart else (None, None)
            smooth, symlog = self._smooth.get(view.name), scale == "symlog"
            chart.show(view, Look(first, last, cursor, read, log, smooth, symlog, known, selected, place))
        for tile in self._tiles:
            if tile.display and self.scene is not None:
                tile.show(self.scene)
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
            "run": self._run_id,
            "x": self._at.kind,
            "first": window[0],
            "last": window[1],
            "panel": self._views[self._number].name if self._views else None,
            "full": self._full,
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

    def _resume(self) -> None:
        """Show what was shown of this run."""
        memory, self._pending = self._pending, {}
        if not memory or memory.get("run") != self._run_id:
            return
        ends = [memory.get("first"), memory.get("last")]
        first, last = (float(end) if isinstance(end, float | int) else math.nan for end in ends)
        if first < last:
            self._at.selected = (first, last)
            self._at.select()
        names = [view.name for view in self._views]
        if (name := memory.get("panel")) in names:
            self._full = memory.get("full") is True
            self._arrange(names.index(str(name)))
            self.query_one(f"#chart-{names.index(str(name))}").focus()

    def leave(self) -> bool:
        """Out of the full screen, then without the cursor, then the whole run again."""
        if self._full:
            self.action_full()
        elif self._at.cursor is not None:
            self._at.cursor = None
        elif self._at.window is not None:
            self._at.window = None
        else:
            return False
        self._draw()
        return True

    def show_at(self, step: float) -> None:
        """Put the cursor on a step, and zoom so that what is around it can be seen."""
        if self._views:
            view = next((view for view in self._views if not view.apart), self._views[0])
            found = view.data.nearest_step(step)
            self._at.arrive(found if found is not None else step)
            self._draw()

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
        self._draw()

    def on_chart_dropped(self, message: Chart.Dropped) -> None:
        """Show what was selected."""
        self._at.select()
        self._draw()

    def on_chart_scrolled(self, message: Chart.Scrolled) -> None:
        """Zoom at the pointer, or move sideways."""
        if message.chart.view is not None and not message.chart.view.apart:
            if message.up:
                self._at.zoom(_NOTCH**message.up, self._at.step_at(message.part))
            self._at.pan(message.across * _SCROLLED)
            self._draw()

    def action_next_panel(self, direction: int) -> None:
        """Focus the next chart, or the one before; those that there is no room for come into sight."""
        if self._views:
            number = (self._number + direction) % len(self._views)
            self._arrange(number)
            self._draw()
            self.query_one(f"#chart-{number}").focus()

    def action_full(self) -> None:
        """One chart on the whole screen, or all of them again."""
        if self._views:
            self._full = not self._full
            number = self._number
            self._arrange(number)
            self._draw()
            self.query_one(f"#chart-{number}").focus()

    def action_axis(self) -> None:
        """Logarithmic, linear, or where there are values of zero and less, logarithmic above and below."""
        if (panel := self._panel) is not None and (view := panel.view) is not None:
            scales = _SCALES if view.signed else _SCALES[:2]
            now = self._scale.get(view.name, "log" if view.log else "linear")
            self._scale[view.name] = scales[(scales.index(now) + 1) % len(scales)] if now in scales else scales[0]
            self._draw()

    def action_smooth(self) -> None:
        """The smoothed line on or off."""
        if (panel := self._panel) is not None and panel.view is not None:
            self._smooth[panel.view.name] = not self._smooth.get(panel.view.name, panel.view.smooth)
            self._draw()

    def action_across(self) -> None:
        """The x axis by steps, time or epochs, whichever the run tells of."""
        if self.scene is None or not self._views:
            return
        kinds = offered(self.scene.run)
        if len(kinds) == 1:
            self.tell("this log tells neither times nor epochs")
        now = kinds.index(self._at.kind) if self._at.kind in kinds else 0
        self._at.kind = kinds[(now + 1) % len(kinds)]
        self._fit(self.scene)
        self._draw()

    def action_zoom(self, factor: float) -> None:
        """Show a part of the run `factor` times smaller, around the cursor or at the newest step."""
        if self._views and self._last is not None:
            at = self._at
            around = at.cursor if at.cursor is not None else min(self._last, at.seen[1])
            at.zoom(factor, around)
            self._draw()

    @property
    def _last(self) -> float | None:
        run = self.scene.run if self.scene is not None else None
        return run.view.last_step if run is not None else None

    def action_pan(self, direction: int) -> None:
        """Move the window a quarter of its width."""
        self._at.pan(direction / 4)
        self._draw()

    def action_reset(self) -> None:
        """The whole run."""
        self._at.window = self._at.selected = None
        self._draw()

    def action_cursor(self, cells: int) -> None:
        """Move the cursor some cells, but at least to the next value."""
        panel = self._panel
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
        panel = self._panel
        if panel is not None and (view := panel.view) is not None and not view.apart:
            self._move_cursor(view.data.nearest_step(view.first_step if end == "first" else view.last_step))

    def action_mark(self, direction: int) -> None:
        """Cursor to the next or the previous mark."""
        steps = sorted({mark.step for view in self._views[:1] for mark in view.marks})
        here = self._at.cursor
        beyond = [s for s in steps if here is None or (s - here) * direction > 0]
        if beyond:
            self._move_cursor(beyond[0] if direction > 0 else beyond[-1])

    def _move_cursor(self, step: float | None) -> None:
        if step is not None:
            self._at.reveal(step)
            self._draw()

    def action_copy(self) -> None:
        """Copy the value under the cursor, or the newest one."""
        if (panel := self._panel) is not None and (view := panel.view) is not None:
            cursor = self._at.cursor if not view.apart else None
            if (found := copied(view, cursor)) is not None:
                self.copy(*found)


def _index(chart: Chart) -> int:
    return int((chart.id or "-0").rpartition("-")[2])
