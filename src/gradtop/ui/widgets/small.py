"""What stands on a screen that is too small for anything else."""

from gradtop.ui.cells import fit
from gradtop.ui.widgets.canvas import Canvas

LEAST_COLUMNS, LEAST_ROWS = 24, 6
"""Of a screen on which a room can be read."""
_SAID = (f"gradtop needs {LEAST_COLUMNS}x{LEAST_ROWS}", f"{LEAST_COLUMNS}x{LEAST_ROWS} needed", "too small", "small")


class Small(Canvas):
    """One line that says so, in as many words as there is room for."""

    def on_resize(self) -> None:
        """Fit the words."""
        width = self.size.width
        said = next((text for text in _SAID if len(text) <= width), _SAID[-1])
        self.paint([((fit(said, width), "watch"),)] if width else [])


def too_small(width: int, height: int) -> bool:
    """Nothing can be read on a screen of this size."""
    return width < LEAST_COLUMNS or height < LEAST_ROWS
