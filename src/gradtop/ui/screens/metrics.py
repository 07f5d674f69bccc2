"""Every metric of the run, in pages of small charts."""

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.containers import Grid
from textual.widget import Widget

from gradtop import plot
from gradtop.clean import clean
from gradtop.recollection import Memory
from gradtop.ui import keys
from gradtop.ui.scene import Scene
from gradtop.ui.screens.charted import ChartedRoom, index_of
from gradtop.ui.screens.filtered import FilteredRoom
from gradtop.ui.widgets.caption import Caption
from gradtop.ui.widgets.chart import Chart
from gradtop.ui.widgets.legend import Legend
from gradtop.ui.widgets.prompt import Prompt
from gradtop.ui.widgets.sheet import Sheet
from gradtop.view import Entry, MetricsView, waiting_for

MOST_CHARTS = 30
"""Charts on the screen at a time."""
DENSITIES = ((96, 20), (56, 13), (38, 10), (30, 7), (22, 5))
"""(columns, lines) that a chart has at least, from few large ones to many small ones."""
_USUAL = 2


class MetricsRoom(FilteredRoom, ChartedRoom):
    """A grid of charts, a page at a time; the one with the focus can have the whole screen."""

    ROOM: ClassVar[str] = "metrics"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("metrics")]
    AUTO_FOCUS = None

    def __init__(self, glyphs: plot.Glyphs) -> None:
        """`glyphs` says whether to draw in braille or in ASCII."""
        super().__init__(glyphs)
        self._shown = MetricsView(None)
        self._density = _USUAL
        self._grid = (1, 1)
        self._number = 0
        self._name: str | None = None
        self._layout: object = None

    def furniture(self) -> list[Widget]:
        """The line on top, the charts or what is said in their place, the compared runs, the line for a filter."""
        cells = self.cells = tuple(Chart(self.glyphs, id=f"chart-{i}") for i in range(MOST_CHARTS))
        for cell in cells:
            cell.display = False
        charts = Grid(*cells, id="charts")
        return [Caption(id="caption"), charts, Sheet("metrics", id="waiting"), Legend(id="legend"), Prompt()]

    @property
    def filtered(self) -> Widget | None:
        """The chart that has the focus, or had it."""
        return self._cell if len(self._shown) else None

    @property
    def _page(self) -> int:
        """Charts on a page."""
        return self._grid[0] * self._grid[1]

    @property
    def _first(self) -> int:
        """The place of the first chart of the page."""
        return self._number // self._page * self._page

    @property
    def _cell(self) -> Chart:
        """The widget of the chart that the keys act on."""
        return self.query_one(f"#chart-{self._number - self._first}", Chart)

    def on_resize(self) -> None:
        """Choose how many charts there is room for."""
        if self.scene is not None:
            self.show(self.scene)

    def show_scene(self, scene: Scene) -> None:
        """Show the run's metrics, those that the filter admits."""
        others = scene.others
        self.query_one(Legend).show(others)
        self._shown = MetricsView(scene.run, self.typed.filter, others)
        at = self._shown.index(self._name)
        self._number = max(0, min(self._number if at is None else at, len(self._shown) - 1))
        self._show_page()

    def refilter(self) -> None:
        """Show the metrics that are meant now; the full screen is left where its chart is not one of them."""
        if self.scene is not None:
            self.full = self.full and not isinstance(self.focused, Prompt)
            self.show_scene(self.scene)

    def _show_page(self) -> None:
        size, count = self.app.size, len(self._shown)
        free = size.height - 3 - self.query_one(Legend).rows - self.query_one(Prompt).display
        self._grid = grid(count, size.width, free, self._density)
        self.views = self._shown.charts(self._first, self._page)
        if self.scene is not None:
            self.fit(self.scene)
        if self.views and self.resume().get("full") is True:
            self.full = True
        self._caption(count)
        self.query_one("#charts").display = bool(self.views)
        waiting = self.query_one("#waiting", Sheet)
        waiting.display = not self.views
        if self.views:
            self._lay_out()
            self.draw()
        elif self.scene is not None:
            left_out = [Entry(f"The filter leaves none of {self._shown.of:,} metrics.", "plain")]
            waiting.show(left_out if self._shown.of else waiting_for(self.scene.snapshot, self.scene.run))

    def _caption(self, count: int) -> None:
        one, last = self._first + 1, min(self._first + self._page, count)
        span = f"{self._number + 1:,}" if self.full else f"{one:,}" if one == last else f"{one:,}–{last:,}"
        place = f"{span} of {count:,}" if count else "none"
        text, problem = clean(self.typed.filter.text), clean(self.typed.problem, 200)
        self.query_one(Caption).show("metrics", place, text, f"of {self._shown.of:,}", problem)

    def _lay_out(self) -> None:
        """Display the charts of the page, or the one that is shown in full."""
        self._layout = self._laid_out()
        if not isinstance(self.focused, Prompt) and self.focused is not self._cell:
            self.set_focus(self._cell)

    def _laid_out(self) -> object:
        full = self._cell if self.full else None
        layout = (self._grid, len(self.views), full)
        if layout != self._layout:
            columns, rows = (1, 1) if full else self._grid
            charts = self.query_one("#charts", Grid)
            charts.styles.grid_size_columns, charts.styles.grid_size_rows = columns, rows
            for i, chart in enumerate(self.cells):
                chart.display = chart is full if full else i < len(self.views)
        return layout

    def place(self, number: int) -> str:
        """The line on top says it: titles of small charts have better things to say."""
        return ""

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A click or the end of a filter gave a chart the focus: the keys act on it."""
        if isinstance(event.widget, Chart) and event.widget.display:
            self._number = self._first + index_of(event.widget)
            self._name = self._shown.name(self._number) if self._number < len(self._shown) else self._name

    def _go(self, at: int) -> None:
        """The chart at a place gets the focus, and its page is shown."""
        if len(self._shown):
            self._number = max(0, min(at, len(self._shown) - 1))
            self._name = self._shown.name(self._number)
            self._show_page()

    def action_next_panel(self, direction: int) -> None:
        """The next chart, or the one before; on another page if need be."""
        self.do(lambda: self._next(direction))

    def _next(self, direction: int) -> None:
        count = len(self._shown)
        self._go((self._number + direction) % count if count else 0)

    def action_walk(self, direction: str) -> None:
        """The chart beside this one; in the full screen, sideways moves the cursor."""
        self.do(lambda: self._walk(direction))

    def _walk(self, direction: str) -> None:
        by = 1 if direction in ("right", "down") else -1
        if direction in ("right", "left"):
            self.action_cursor(by) if self.full else self._go(self._number + by)
        elif self.full:
            self.action_next_panel(by)
        elif 0 <= self._number + by * self._grid[0] < len(self._shown):
            self._go(self._number + by * self._grid[0])

    def action_page(self, pages: int) -> None:
        """The next page, or the one before; the focus stays at its place."""
        self.do(lambda: self._turn(pages))

    def _turn(self, pages: int) -> None:
        if 0 <= self._first + pages * self._page < len(self._shown):
            self._go(self._number + pages * self._page)

    def action_first(self) -> None:
        """The first chart."""
        self.do(lambda: self._go(0))

    def action_last(self) -> None:
        """The last chart."""
        self.do(lambda: self._go(len(self._shown) - 1))

    def action_density(self, change: int) -> None:
        """More and smaller charts, or fewer and larger ones."""
        self._density = max(0, min(self._density + change, len(DENSITIES) - 1))
        self._go(self._number)

    def action_full(self) -> None:
        """One chart on the whole screen, or all of them again."""
        self.do(self._switch)

    def _switch(self) -> None:
        if self.views:
            self.full = not self.full
            self._show_page()

    def memory(self) -> dict[str, str | float | bool | None]:
        """The filter, how large the charts are, and which one has the focus."""
        return super().memory() | {"density": self._density, "metric": self._name, "full": self.full}

    def recall(self, memory: Memory) -> None:
        """Look as the room was left."""
        super().recall(memory)
        density, name = memory.get("density"), memory.get("metric")
        if density in range(len(DENSITIES)):
            self._density = int(density or 0)
        self._name = name if isinstance(name, str) else None


def grid(count: int, width: int, height: int, density: int) -> tuple[int, int]:
    """(columns, rows) of a page with room for `count` charts, or for as many as fit in `width` by `height` cells."""
    least_width, least_height = DENSITIES[density]
    columns = max(1, min(width // least_width, count, MOST_CHARTS))
    rows = max(1, min(height // least_height, count, MOST_CHARTS // columns))
    if count > columns * rows:
        return columns, rows
    # Where all have room, they are as wide as can be: a curve over many steps needs width before height.
    columns = max(1, -(-count // rows))
    return columns, max(1, -(-count // columns))
