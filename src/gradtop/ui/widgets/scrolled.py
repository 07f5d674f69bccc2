"""Rows in a frame, of which a window is on the screen."""

from gradtop.ui.widgets.canvas import Canvas


class Scrolled(Canvas):
    """A frame whose rows move by keys and by the wheel; subclasses lay them out."""

    @property
    def page_rows(self) -> int:
        """Rows inside the frame."""
        return max(1, self.size.height - 2)

    def scroll_rows(self, rows: int) -> None:
        """Move by some rows, within what there is, and show what is there now."""
        raise NotImplementedError

    def on_resize(self) -> None:
        """Lay the rows out again."""
        self.scroll_rows(0)

    def on_mouse_scroll_down(self) -> None:
        """The wheel moves three rows."""
        self.scroll_rows(3)

    def on_mouse_scroll_up(self) -> None:
        """The wheel moves three rows."""
        self.scroll_rows(-3)
