"""One line above a grid: what is in it, and what it was chosen by."""

from gradtop.ui.cells import shorten, width_of
from gradtop.ui.widgets.box import cropped
from gradtop.ui.widgets.canvas import Canvas, Row

_LEAST_CELLS = 12
"""Of a filter: with less room it is not said."""


class Caption(Canvas):
    """The title of a room whose frame is the screen."""

    _shown: tuple[str, str, str, str, str] = ("", "", "", "", "")

    def show(self, title: str, place: str, filter_text: str, of: str, problem: str) -> None:
        """Say what is shown (`1–9 of 15`), the filter with what it was chosen `of`, and what is wrong with it."""
        self._shown = title, place, filter_text, of, problem
        self.on_resize()

    def on_resize(self) -> None:
        """Fit the parts."""
        self.paint([fitted(*self._shown, self.app.size.width)])


def fitted(title: str, place: str, filter_text: str, of: str, problem: str, width: int) -> Row:
    """The parts in exactly `width` cells; the filter is shortened first."""
    row: list[tuple[str, str]] = [(f" {title}", "title"), (f" {place}", "quiet")]
    if filter_text:
        left = width - width_of(row) - len(of) - len(" ─ / ") - 1
        row += [(" ─ ", "border"), (f"/{shorten(filter_text, max(_LEAST_CELLS, left))}", "key"), (f" {of}", "quiet")]
    if problem:
        row += [(" ─ ", "border"), (problem, "watch")]
    return cropped(tuple(row), width)
