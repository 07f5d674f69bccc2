"""Which runs are drawn over the open one, and which are not and why."""

from collections.abc import Sequence

from rich.cells import cell_len

from gradtop.ui.cells import apart
from gradtop.ui.widgets.box import cropped
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.view import Other

_LEAD, _LEAD_BY_STEP = " compared with", " compared by step with"
"""The x axis may count time: it is that of the open run."""
_LEAST_NAME = 6
"""Cells of a name below which what is said of a run goes instead."""


class Legend(Canvas):
    """One line; none where no run is marked."""

    _others: Sequence[Other] = ()
    _by_step = False

    def go_by(self, steps: bool) -> None:
        """Say that runs are drawn by their steps although the x axis counts something else."""
        if steps != self._by_step:
            self._by_step = steps
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
        self.paint([named(self._others, self.app.size.width, self._by_step)] if self._others else [])


def named(others: Sequence[Other], width: int, by_step: bool = False) -> Row:
    """Letter, name and what is said of each run, in its colour, names made apart in the room there is."""
    lead = "" if width < 60 else _LEAD_BY_STEP if by_step else _LEAD
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
