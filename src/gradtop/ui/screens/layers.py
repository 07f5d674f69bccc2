"""All layers over all steps, one of them in full."""

from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget

from gradtop import plot
from gradtop.clean import clean
from gradtop.recollection import Memory
from gradtop.ui import keys
from gradtop.ui.place import Place
from gradtop.ui.scene import Scene
from gradtop.ui.screens.filtered import FilteredRoom
from gradtop.ui.widgets.chart import Chart, Look
from gradtop.ui.widgets.heatmap import Heatmap
from gradtop.ui.widgets.note import Note
from gradtop.ui.widgets.profile import ProfilePanel
from gradtop.ui.widgets.prompt import Prompt
from gradtop.ui.widgets.sheet import Sheet
from gradtop.view.layers import (
    ORDERS,
    LayersLook,
    LayersView,
    Profile,
    folded_further,
    layer_chart,
    layer_entries,
    profile,
    to_blocks,
    unfolded,
    without_layers,
)
from gradtop.view.layers.tree import depth_order

_TALL = 30
"""Rows of the screen from which the curve of the selected layer stands below the heatmap."""
_SIDE_BY_SIDE = 100
"""Columns from which two panels stand beside each other."""
_MOST_FOLDED = 4000
"""Characters of what is remembered of folded modules."""


class LayersRoom(FilteredRoom):
    """The heatmap; below it, or in its place, the selected layer."""

    ROOM: ClassVar[str] = "layers"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("layers")]
    AUTO_FOCUS = "#heatmap"

    def __init__(self, glyphs: plot.Glyphs) -> None:
        """`glyphs` are those of the charts."""
        super().__init__()
        self._glyphs, self._ascii = glyphs, glyphs is plot.ASCII
        self._look = LayersLook()
        self._view = LayersView(None, self._look)
        self._full = False
        self._run_id: str | None = None
        self._asked: str | None = None

    def furniture(self) -> list[Widget]:
        """The heatmap, what is below it, what is there where a run has no layers, and the line for a filter."""
        below = Container(
            Chart(self._glyphs, id="curve"),
            ProfilePanel(self._ascii, id="profile"),
            Sheet("layer", id="layer"),
            id="below",
        )
        return [Heatmap(self._ascii, id="heatmap"), below, Sheet("layers", id="sheet"), Note(id="note"), Prompt()]

    @property
    def _map(self) -> Heatmap:
        return self.query_one(Heatmap)

    @property
    def filtered(self) -> Widget:
        """The heatmap."""
        return self._map

    def on_resize(self) -> None:
        """As many panels as there is room for."""
        super().on_resize()
        if self.scene is not None:
            self._arrange()
            self.call_after_refresh(self._draw_below)

    def show_scene(self, scene: Scene) -> None:
        """Show the layers as they stand."""
        if scene.run is not None and scene.run.id != self._run_id:
            self._run_id, self._full = scene.run.id, False
            self._look = replace(self._look, window=None)
            self._map.step = None
        self._show()

    def _show(self) -> None:
        run = self.scene.run if self.scene is not None else None
        self._look = replace(self._look, found=self.typed.filter)
        self._view = LayersView(run, self._look)
        if self._asked is not None and self._view.grid is not None:
            self._find(self._asked)
            self._asked = None
        self._arrange()
        if not self._view.families:
            self.query_one("#sheet", Sheet).show(without_layers(run))
            return
        self._map.show(self._view)
        self._draw_below()
        self.query_one(Note).show(clean(self.typed.problem, 200))

    def _arrange(self) -> None:
        """Which panels are there, and beside or below each other."""
        size, some = self.app.size, bool(self._view.families)
        below, tall = self.query_one("#below"), size.height >= _TALL
        beside = size.width >= _SIDE_BY_SIDE
        self._map.display = some and not self._full
        self.query_one("#sheet").display = not some
        below.display = some and (self._full or tall)
        below.styles.layout = "horizontal" if beside else "vertical"
        below.styles.height = "1fr" if self._full else max(8, size.height // 4)
        self.query_one("#layer").display = self._full
        self.query_one("#profile").display = not self._full and beside
        for name, width in (("#curve", "3fr"), ("#profile", "2fr"), ("#layer", "2fr")):
            self.query_one(name).styles.width = width if beside else "100%"
            self.query_one(name).styles.height = "100%" if beside else "1fr"
        if some and not self._full and self.focused is None:
            self._map.focus()

    def _draw_below(self) -> None:
        """The curve, the profile and the numbers of the selected layer."""
        key, view = self._map.selected or "", self._view
        if self.query_one("#below").display is False or view.grid is None:
            return
        if (chart := layer_chart(view, key)) is not None:
            first, last = view.window
            self.query_one("#curve", Chart).show(chart, Look(first, last, self._map.step))
        panel = self.query_one(ProfilePanel)
        if panel.display and view.family is not None:
            panel.show(partial(_profile_of, view), self._depth(key))
        if self._full:
            self.query_one("#layer", Sheet).show(layer_entries(view, key))

    def _depth(self, key: str) -> int:
        """The place of a line over depth."""
        row = next((row for row in self._view.rows if row.key == key), None)
        if row is None or self._view.grid is None:
            return 0
        return depth_order(self._view.grid.names).index(row.members[0])

    def refilter(self) -> None:
        """Show the layers that are meant now."""
        if self.scene is not None:
            self._show()

    def on_heatmap_moved(self) -> None:
        """Another layer below."""
        self._draw_below()

    def on_heatmap_chosen(self) -> None:
        """The layer in full."""
        self.action_full()

    def arrive(self, place: Place) -> None:
        """Show the layer that a finding is about."""
        if place.layer is not None:
            self.show_layer(place.layer)

    def show_layer(self, name: str) -> None:
        """Select a layer, whatever is folded or filtered: at once, or as soon as the room is shown."""
        self._asked = name
        if self.scene is not None and self.is_current:
            self._show()

    def _find(self, name: str) -> None:
        names = self._view.grid.names if self._view.grid is not None else ()
        found = next((own for own in names if name in (own, clean(own))), None)
        if found is None:
            return
        if not self._look.found.admits(found):
            self.typed = type(self.typed)()
        folded = frozenset(module for module in self._look.folded if not found.startswith((f"{module}.", f"{module}/")))
        self._look = replace(self._look, folded=folded, found=self.typed.filter)
        self._view = LayersView(self._view.run, self._look)
        self._map.selected = found

    def leave(self) -> bool:
        """Out of the layer, then the whole run, the newest step, then without the filter."""
        if self._full:
            self.action_full()
        elif self._look.window is not None:
            self.action_reset()
        else:
            return super().leave()
        return True

    def action_move(self, rows: int) -> None:
        """Another layer."""
        self._map.move(rows)

    def action_step(self, cells: int) -> None:
        """Another step."""
        self._map.step_by(cells)

    def action_page(self, pages: int) -> None:
        """Layers by pages; of a layer in full, the rest of its numbers."""
        if self._full:
            sheet = self.query_one("#layer", Sheet)
            sheet.scroll_rows(pages * max(1, sheet.page_rows - 1))
        else:
            self._map.move(pages * self._map.page_rows)

    def action_full(self) -> None:
        """One layer in full, or all of them again."""
        if not self._view.rows:
            return
        self._full = not self._full
        self._arrange()
        self.call_after_refresh(self._draw_below)
        if not self._full:
            self._map.focus()

    def action_family(self, by: int) -> None:
        """The next measure that the run has."""
        names = [family.name for family in self._view.families]
        if names and self._view.family is not None:
            at = (names.index(self._view.family.name) + by) % len(names)
            self._look = replace(self._look, family=names[at])
            self._show()

    def action_order(self) -> None:
        """The next order."""
        at = (ORDERS.index(self._look.order) + 1) % len(ORDERS)
        self._look = replace(self._look, order=ORDERS[at])
        self._show()

    def action_fold(self) -> None:
        """The module around the selected line becomes one line."""
        self._refold(*folded_further(self._view.rows, self._look.folded, self._map.selected or ""))

    def action_unfold(self) -> None:
        """The selected module is opened."""
        names = self._view.grid.names if self._view.grid is not None else ()
        self._refold(*unfolded(names, self._look.folded, self._map.selected or ""))

    def action_fold_all(self) -> None:
        """Every block becomes one line."""
        if self._view.grid is not None:
            blocks, at = to_blocks(self._view.grid.names), self._map.selected or ""
            self._refold(blocks, next((block for block in blocks if at.startswith((f"{block}.", f"{block}/"))), at))

    def action_unfold_all(self) -> None:
        """Every layer has a line."""
        row = next((row for row in self._view.rows if row.key == self._map.selected), None)
        if row is not None and self._view.grid is not None:
            self._refold(frozenset(), self._view.grid.names[row.members[0]])

    def _refold(self, folded: frozenset[str], selected: str) -> None:
        self._look, self._map.selected = replace(self._look, folded=folded), selected
        self._show()

    def action_zoom(self, factor: float) -> None:
        """A part of the steps `factor` times smaller, around the cursor; no narrower than a row a cell."""
        first, last = self._view.extent
        start, stop = self._view.window
        span = (stop - start) / factor
        grid, heat = self._view.grid, self._map
        if grid is None or last <= first:
            return
        middle = heat.step if heat.step is not None else grid.last_step or last
        least = (last - first) / max(1, grid.row_count) * 4
        if span >= last - first:
            self._look = replace(self._look, window=None)
        elif span >= least:
            start = max(first, min(middle - span / 2, last - span))
            heat.step = min(max(middle, start), start + span)
            self._look = replace(self._look, window=(start, start + span))
        self._show()

    def action_reset(self) -> None:
        """The whole run, and the newest step."""
        self._look, self._map.step = replace(self._look, window=None), None
        self._show()

    def memory(self) -> dict[str, str | float | bool | None]:
        """The measure, the order, what is folded, the filter."""
        look = self._look
        folded = "\n".join(sorted(look.folded))
        kept = folded if len(folded) <= _MOST_FOLDED else ""
        return super().memory() | {"family": look.family, "order": look.order, "folded": kept}

    def recall(self, memory: Memory) -> None:
        """As it was left."""
        super().recall(memory)
        family, order, folded = (memory.get(name) for name in ("family", "order", "folded"))
        if isinstance(family, str):
            self._look = replace(self._look, family=family)
        if order in ORDERS:
            self._look = replace(self._look, order=str(order))
        if isinstance(folded, str) and folded:
            self._look = replace(self._look, folded=frozenset(folded[:_MOST_FOLDED].split("\n")))


def _profile_of(view: LayersView, columns: int) -> Profile | None:
    return profile(view.run, columns, view.family.name if view.family is not None else "")
