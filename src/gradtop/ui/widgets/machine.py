"""The machine in one line of the Overview."""

from collections.abc import Sequence

from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.ui.widgets.facts import joined
from gradtop.view import Part

HINT: Row = (("5", "key"), (" System", "quiet"))


class MachineLine(Canvas):
    """A frame of two rows with everything in its upper edge, or one row where there is no room for more."""

    _parts: Sequence[Part] = ()

    def show(self, parts: Sequence[Part]) -> None:
        """Show as many parts as fit: the highest ranks are left out first."""
        self._parts = parts
        width = self.size.width
        if width >= 8 and parts:
            edge = box.top(fitted(parts, width - 6), width, "border")
            self.paint([edge, box.bottom(width, "border", HINT)] if self.size.height > 1 else [edge])

    def on_resize(self) -> None:
        """Fit the parts again."""
        self.show(self._parts)


def fitted(parts: Sequence[Part], width: int) -> Row:
    """The parts in at most `width` cells with lines between them."""
    lead, kept = ((parts[0].text, parts[0].ink),), list(parts[1:])
    while box.width_of(joined(lead, kept)) > width and (worst := max((p.rank for p in kept), default=0)) > 0:
        kept = [part for part in kept if part.rank != worst]
    return joined(lead, kept)
