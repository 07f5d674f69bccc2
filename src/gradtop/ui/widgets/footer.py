"""The keys of a room in one line."""

from gradtop.ui import keys
from gradtop.ui.widgets.box import cropped, width_of
from gradtop.ui.widgets.canvas import Canvas, Row


class Footer(Canvas):
    """One line of keys; the last ones before help and quit are dropped where there is no room."""

    def __init__(self, room: str, *, id: str | None = None) -> None:
        """`room` is a key of `keys.ROOMS`."""
        super().__init__(id=id)
        self._room = room

    def on_resize(self) -> None:
        """Fit the keys."""
        self.paint([cropped(fitted(keys.footer(self._room), self.size.width), self.size.width)])


def fitted(pairs: list[tuple[str, str]], width: int) -> Row:
    """(key, label) pairs in one row; help and quit, the last two, stay."""
    *others, help_pair, quit_pair = pairs
    while others and width_of(_row([*others, help_pair, quit_pair])) > width:
        others.pop()
    return _row([*others, help_pair, quit_pair])


def _row(pairs: list[tuple[str, str]]) -> Row:
    return tuple(cell for key, label in pairs for cell in ((f" {key}", "key"), (f" {label} ", "quiet")))
