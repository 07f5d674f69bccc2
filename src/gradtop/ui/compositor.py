"""Repaints that begin at the first changed cell.

Textual 8 repaints a changed region from the left edge of its widget on. For a chart whose newest column changes that is
the whole width of the chart, row by row. This cuts the left part off as well.
"""

from collections.abc import Iterable

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip


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
    """A compositor whose partial updates are `CellUpdate`s, made of the rows of widgets that changed."""

    _changed: tuple[Region, ...] = ()
    """While a partial update is made: what it is about."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """What changed since the last update; None where nothing did."""
        self._changed = tuple(self._dirty_regions)
        update = super().render_partial_update()
        self._changed = ()
        return None if update is None else CellUpdate(update.chops, update.spans, update.chop_ends)

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        """Widgets from front to back: (where it is, what of that is seen, its rows).

        Textual asks all widgets for all rows between the first change and the last one, which costs most of an update.
        """
        if not self._changed:
            yield from super()._get_renders(crop)
            return
        for widget, (region, clip) in self.visible_widgets.items():
            seen = region.intersection(clip)
            rows = [part for part in (seen.intersection(changed) for changed in self._changed) if part]
            if rows:
                top, bottom = min(part.y for part in rows), max(part.bottom for part in rows)
                part = Region(seen.x, top, seen.width, bottom - top)
                yield part, part, widget.render_lines(part.translate(-region.offset))


class CellScreen(Screen[None]):
    """A screen that repaints changed cells only."""

    def __init__(self) -> None:
        """Take the place of the screen's compositor before anything is laid out."""
        super().__init__()
        self._compositor = CellCompositor()
