"""A sentence or two at the bottom of a room."""

from gradtop.ui.cells import wrap
from gradtop.ui.widgets.canvas import Canvas, Row

_MOST_ROWS = 3


class Note(Canvas):
    """As many lines as the text takes; nothing where there is none."""

    _text = ""

    def show(self, text: str) -> None:
        """Show this text."""
        self._text = text
        self.on_resize()

    def on_resize(self) -> None:
        """Wrap again."""
        width = self.app.size.width
        rows: list[Row] = [((f" {line}", "quiet"),) for line in wrap(self._text, max(8, width - 2))[:_MOST_ROWS]]
        self.display = bool(self._text)
        self.styles.height = len(rows)
        self.paint(rows)
