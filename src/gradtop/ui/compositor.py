"""Repaints that begin at the first changed cell.

Textual 8 repaints a changed region from the left edge of its widget on. For a chart whose newest column changes that is
the whole width of the chart, row by row. This cuts the left part off as well.
"""

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor
from textual.screen import Screen


class CellUpdate(ChopsUpdate):
    """A partial update that writes the changed spans and nothing else."""

    def render_segments(self, console: Console) -> str:
        """The spans as terminal sequences."""
        out: list[str] = []
        for y, x1, x2 in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(x, x1), min(end, x2)
                if strip is not None and left < right:
                    out.append(Control.move_to(left, y).segment.text)
                    out.append(strip.crop(left - x, right - x).render(console))
        return "".join(out)


class CellCompositor(Compositor):
    """A compositor whose partial updates are `CellUpdate`s."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """What changed since the last update; None where nothing did."""
        update = super().render_partial_update()
        return None if update is None else CellUpdate(update.chops, update.spans, update.chop_ends)


class CellScreen(Screen[None]):
    """A screen that repaints changed cells only."""

    def __init__(self) -> None:
        """Take the place of the screen's compositor before anything is laid out."""
        super().__init__()
        self._compositor = CellCompositor()
