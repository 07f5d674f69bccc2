"""Which runs are drawn over the open one, and which are not and why."""

from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len

from gradtop.ui.cells import apart
from gradtop.ui.widgets.box import cropped
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.view import Other

_LEAD = " compared with"
_LEAST_NAME = 6
"""Cells of a name below which what is said of a run goes instead."""


class Legend(Canvas):
    """One line; none where no run is marked."""

    _others: Sequence[Other] = ()
    _missing: frozenset[str] = frozenset()
    _kind = ""

    def leave_out(self, missing: frozenset[str], kind: str) -> None:
        """Say that runs with these inks are not drawn: they do not tell of the `kind` that the x axis counts."""
        if (missing, kind) != (self._missing, self._kind):
            self._missing, self._kind = missing, kind
            self.on_resize()

    def show(self, others: Sequence[Other]) -> None:
        """Name these runs."""
        self._others = others
        self.display = bool(others)
        self.on_resize()

    @property
    def rows(self) -> int:
        """Its height."""
        return 1 if self._others else 0

    def on_resize(self) -> None:
        """Fit the names."""
        others = [self._said(other) for other in self._others]
        self.paint([named(others, self.app.size.width)] if others else [])

    def _said(self, other: Other) -> Other:
        return replace(other, run=None, said=f"tells no {self._kind}s") if other.ink in self._missing else other


def named(others: Sequence[Other], width: int) -> Row:
    """Letter, name and what is said of each run, in its colour, names made apart in the room there is."""
    lead = "" if width < 60 else _LEAD
    each = (width - len(lead)) // max(1, len(others)) - len("  ■a ")
    said = [f" {other.said}" if other.said and each - cell_len(other.said) > _LEAST_NAME else "" for other in others]
    room = each - max(map(cell_len, said), default=0)
    names = apart([other.label for other in others], max(1, room))
    row: list[tuple[str, str]] = [(lead, "quiet")]
    for other, name, words in zip(others, names, said, strict=True):
        drawn = other.run is not None
        row += [("  ", "plain"), (f"■{other.letter} " if drawn else f"□{other.letter} ", other.ink)]
        row += [(name, "plain" if drawn else "quiet"), (words, "watch")]
    return cropped(tuple(row), width)
