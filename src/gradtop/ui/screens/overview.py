"""The first room: the verdict, and the curves behind it."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Grid, Vertical
from textual.widget import Widget

from gradtop import plot
from gradtop.ui import keys
from gradtop.ui.arrangement import Layout, layout
from gradtop.ui.scene import Scene
from gradtop.ui.screens.charted import ChartedRoom, index_of
from gradtop.ui.widgets.banner import Banner
from gradtop.ui.widgets.chart import Chart
from gradtop.ui.widgets.legend import Legend
from gradtop.ui.widgets.sheet import Sheet
from gradtop.ui.widgets.tile import Tile
from gradtop.view import banner, charts, overlaid, waiting_for

MOST_CHARTS = 9


class Overview(ChartedRoom):
    """Banner, charts and tiles of the open run."""

    ROOM: ClassVar[str] = "overview"
    HAS_BANNER: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("overview")]
    AUTO_FOCUS = None

    def __init__(self, glyphs: plot.Glyphs, tiles: Sequence[Tile] = ()) -> None:
        """`glyphs` says whether to draw in braille or in ASCII; `tiles` stand below the charts, in this order."""
        super().__init__(glyphs)
        self._tiles = tuple(tiles)
        self._layout: Layout | None = None

    def furniture(self) -> list[Widget]:
        """The banner, the charts, the tiles, and what stands in their place while there are none."""
        cells = self.cells = tuple(Chart(self.glyphs, id=f"chart-{i}") for i in range(MOST_CHARTS))
        for cell in (*cells, *self._tiles):
            cell.display = False
        charts_and_tiles = (Grid(*cells, id="charts"), Vertical(*self._tiles, id="tiles"))
        return [Banner(id="banner"), *charts_and_tiles, Sheet("waiting", id="waiting"), Legend(id="legend")]

    def on_resize(self) -> None:
        """Choose how many charts there is room for."""
        if self.scene is not None:
            self.show(self.scene)

    def show_scene(self, scene: Scene) -> None:
        """Show the run: its verdict and its charts, or what is waited for."""
        height = self.app.size.height
        self.query_one(Banner).show(banner(scene.snapshot, scene.run), _banner_rows(height))
        others = scene.others
        self.query_one(Legend).show(others)
        self.views = overlaid(charts(scene.run, MOST_CHARTS), scene.run, others)
        self.fit(scene)
        self.query_one("#charts").display = bool(self.views)
        waiting = self.query_one("#waiting", Sheet)
        waiting.display = not self.views
        if self.views:
            self._resume()
            self._arrange()
            self.draw()
        else:
            self.query_one("#tiles").display = False
            waiting.show(waiting_for(scene.snapshot, scene.run))

    @property
    def _number(self) -> int:
        """The place of that chart among all of the run."""
        panel = self.panel
        return min(index_of(panel) if panel is not None else 0, len(self.views) - 1)

    def _arrange(self, number: int | None = None) -> None:
        """Lay the charts out so that one of them is among those shown; nothing moves where nothing has to."""
        scene, size = self.scene, self.app.size
        number = self._number if number is None else number
        wanted = [tile.rows_wanted(scene, size.width) if scene is not None else 0 for tile in self._tiles]
        free = size.height - 2 - self.query_one(Banner).rows - self.query_one(Legend).rows
        planned = layout(len(self.views), size.width, free, wanted, number, full=self.full)
        if planned != self._layout:
            self._layout = planned
            self._lay_out(planned)
        if self.focused is None or not self.focused.display:
            self.query_one(f"#chart-{number}").focus()

    def _lay_out(self, layout: Layout) -> None:
        self.query_one("#charts", Grid).styles.grid_size_columns = layout.columns
        for i, chart in enumerate(self.cells):
            chart.display = layout.first <= i < layout.first + layout.shown
            whole_row = i == layout.first and layout.shown % layout.columns
            chart.styles.column_span = layout.columns if whole_row else 1
        self.query_one("#tiles").styles.height = sum(layout.tiles)
        self.query_one("#tiles").display = any(layout.tiles)
        for tile, rows in zip(self._tiles, layout.tiles, strict=True):
            tile.display, tile.styles.height = rows > 0, rows

    def draw(self) -> None:
        """Draw what is displayed: the charts, then the tiles."""
        super().draw()
        for tile in self._tiles:
            if tile.display and self.scene is not None:
                tile.show(self.scene)

    def memory(self) -> dict[str, str | float | bool | None]:
        """How the charts look, and which one has the focus or the whole screen."""
        name = self.views[self._number].name if self.views else None
        return super().memory() | {"panel": name, "full": self.full}

    def _resume(self) -> None:
        """Show what was shown of this run."""
        memory = self.resume()
        names = [view.name for view in self.views]
        if (name := memory.get("panel")) in names:
            self.full = memory.get("full") is True
            self._arrange(names.index(str(name)))
            self.query_one(f"#chart-{names.index(str(name))}").focus()

    def action_next_panel(self, direction: int) -> None:
        """Focus the next chart, or the one before; those that there is no room for come into sight."""
        if self.views:
            number = (self._number + direction) % len(self.views)
            self._arrange(number)
            self.draw()
            self.query_one(f"#chart-{number}").focus()

    def action_full(self) -> None:
        """One chart on the whole screen, or all of them again."""
        if self.views:
            self.full = not self.full
            number = self._number
            self._arrange(number)
            self.draw()
            self.query_one(f"#chart-{number}").focus()


def _banner_rows(height: int) -> int:
    """The most rows that the banner takes of a screen."""
    return 3 if height < 16 else 7 if height < 32 else 8
