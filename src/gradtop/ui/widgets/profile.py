"""The newest row over depth as bars, from the input of the model on the left to its output."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gradtop.plot.picture import CURSOR
from gradtop.plot.shade import HEAT, Palette, ink
from gradtop.ui.scene import Scene
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.ui.widgets.tile import Tile

if TYPE_CHECKING:  # the first picture does not wait for it, and most runs have no layers
    from gradtop.view.layers import Profile

_CODES = {"missing": HEAT, "zero": HEAT + 1, "nonfinite": HEAT + 2}
_GUTTER = 8
"""Cells of the labels beside the bars, and one blank."""


def bars(view: "Profile", width: int, rows: int, palette: Palette, chosen: int | None = None) -> list[Row]:
    """The bars in `rows` lines, top first; `chosen` is the bar of the selected layer. Wide ones where there is room."""
    each = max(1, min(4, width // max(1, len(view.bars))))
    lines: list[Row] = []
    steps = len(palette.bars) - 1
    for y in reversed(range(rows)):
        cells: list[tuple[str, str]] = []
        for i, bar in enumerate(view.bars[: width // each]):
            code = _CODES.get(bar.kind)
            filled = max(0, min(steps, round((bar.part * rows - y) * steps)))
            mark = CURSOR if i == chosen else "s"
            if code is not None:
                sign = palette.glyph(code) if y == 0 or bar.kind == "nonfinite" else " "
                cells.append((sign * each, ink(code) if sign.strip() else mark if i == chosen else "plain"))
            else:
                # A value at the lower end is not nothing.
                filled = max(filled, 1) if y == 0 else filled
                cells.append((palette.bars[filled] * each, mark if filled or i == chosen else "plain"))
        lines.append(tuple(cells))
    return lines


class ProfileTile(Tile):
    """Of the Overview: how the newest gradients go over depth, and how many layers are dead."""

    def __init__(self, ascii: bool, *, id: str | None = None) -> None:
        """`ascii`: draw with ASCII characters only."""
        super().__init__(id=id)
        self._ascii = ascii
        self._scene: Scene | None = None

    def rows_wanted(self, scene: Scene, width: int) -> int:
        """Two lines of bars in a frame, of a run that has layers."""
        return 4 if scene.run is not None and scene.run.view.layers and width >= 40 else 0

    def show(self, scene: Scene) -> None:
        """Show the newest row."""
        self._scene = scene
        self._draw()

    def on_resize(self) -> None:
        """Draw in the new size."""
        self._draw()

    def _draw(self) -> None:
        width, rows = self.size.width, self.size.height - 2
        if self._scene is None or not self.rows_wanted(self._scene, width):
            self.paint([])
            return
        from gradtop.ui.widgets.heatmap import shading
        from gradtop.view.layers import profile

        view = profile(self._scene.run, width - 2 - _GUTTER)
        if view is None or rows < 1 or width < 24:
            self.paint([])
            return
        self.paint(framed(view, width, rows, shading(self.app.theme, self._ascii), "border", "2 shows all of them"))


class ProfilePanel(Canvas):
    """The same in the Layers room, of the family that is looked at, with the selected layer marked."""

    def __init__(self, ascii: bool, *, id: str | None = None) -> None:
        """`ascii`: draw with ASCII characters only."""
        super().__init__(id=id)
        self._ascii = ascii
        self._made: Callable[[int], Profile | None] = lambda columns: None
        self._place = 0

    def show(self, made: "Callable[[int], Profile | None]", place: int) -> None:
        """`made` says what to show in so many columns; `place` is that of the selected layer over depth."""
        self._made, self._place = made, place
        self._draw()

    def on_resize(self) -> None:
        """Draw in the new size."""
        self._draw()

    def _restyle(self) -> None:
        super()._restyle()
        self._draw()

    def _draw(self) -> None:
        width, rows = self.size.width, self.size.height - 2
        view = self._made(width - 2 - _GUTTER)
        if view is None or rows < 1 or width < 24:
            self.paint([])
            return
        from gradtop.ui.widgets.heatmap import shading

        chosen = self._place // view.each
        self.paint(framed(view, width, rows, shading(self.app.theme, self._ascii), "border", "", chosen))


def framed(
    view: "Profile", width: int, rows: int, palette: Palette, edge: str, hint: str = "", chosen: int | None = None
) -> list[Row]:
    """The bars with their ends beside them and what they are around them."""
    lines = bars(view, width - 2 - _GUTTER, rows, palette, chosen)
    labels = [view.high, *[""] * (rows - 2), view.low] if rows > 1 else [view.high]
    dead = f", {view.dead:,} dead"
    title: Row = (
        ("layers: ", "title"),
        (f"{view.layers:,}", "value"),
        (dead, "watch" if view.dead else "quiet"),
        (" ─ depth →", "quiet"),
    )
    each = f", least of {view.each} a bar" if view.each > 1 else ""
    foot: Row = ((f"{view.label}, {view.counts} {view.step}{each}", "quiet"),)
    if hint and box.width_of(foot) + len(hint) + 4 <= width - 6:
        foot = (*foot, (f" · {hint}", "quiet"))
    body = [
        box.side(((f"{label:>{_GUTTER - 1}} ", "l"), *line), width, edge)
        for label, line in zip(labels, lines, strict=True)
    ]
    return [box.top(title, width, edge), *body, box.bottom(width, edge, foot)]
