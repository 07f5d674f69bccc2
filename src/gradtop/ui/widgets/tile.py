"""A few lines below the charts of the Overview, about one thing."""

from gradtop.ui.scene import Scene
from gradtop.ui.widgets.canvas import Canvas


class Tile(Canvas):
    """One of them: it says how much room it wants, and is shown where there is that much."""

    def rows_wanted(self, scene: Scene, width: int) -> int:
        """Rows that it asks for, its frame included; 0 where it has nothing to say."""
        return 0

    def show(self, scene: Scene) -> None:
        """Show the scene in the size that it has; called again when that changes."""
