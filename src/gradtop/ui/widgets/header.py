"""The line on top: parts are dropped by rank until it fits."""

from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len

from gradtop.ui.cells import shorten
from gradtop.ui.widgets.box import cropped
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.view import Part

_GAP = "   "
_NAME_CELLS = 16
"""Cells of the run's name for which other parts are dropped."""
_LEAST_NAME_CELLS = 8
"""The same where the verdict would be dropped."""


class Header(Canvas):
    """One line: which run, how it stands, how far it is."""

    _parts: Sequence[Part] = ()

    def show(self, parts: Sequence[Part]) -> None:
        """Show as many parts as fit."""
        self._parts = parts
        self.paint([cropped(fitted(parts, self.size.width), self.size.width)])

    def on_resize(self) -> None:
        """Fit the parts again."""
        self.show(self._parts)


def fitted(parts: Sequence[Part], width: int) -> Row:
    """The parts in at most `width` cells: the highest ranks are dropped first, then the name is shortened."""
    kept, name = list(parts), _NAME_CELLS
    while kept and _cells(kept, name) > width and (worst := max(part.rank for part in kept)) > 0:
        if worst == 1 and name == _NAME_CELLS:
            # Before the verdict goes, all else is said in short.
            kept, name = [replace(part, text=part.short or part.text) for part in kept], _LEAST_NAME_CELLS
            continue
        kept = [part for part in kept if part.rank != worst]
    named = next((part for part in kept if part.ink == "name"), None)
    room = max(4, width - _cells([part for part in kept if part is not named]) - len(_GAP))
    row: list[tuple[str, str]] = []
    for part in kept:
        row += [(_GAP if row else " ", "plain"), (shorten(part.text, room) if part is named else part.text, part.ink)]
    return tuple(row)


def _cells(parts: Sequence[Part], name: int = _NAME_CELLS) -> int:
    cells = (min(cell_len(p.text), name) if p.ink == "name" else cell_len(p.text) for p in parts)
    return 1 + sum(cells) + len(_GAP) * max(0, len(parts) - 1)
