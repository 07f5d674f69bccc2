"""A few lines below the charts of the Overview, about one thing."""

from gradtop.ui.scene import Scene
from gradtop.ui.widgets.canvas import Canvas, Row


class Tile(Canvas):
    """One of them: it says how much room it wants, and is shown where there is that much. Subclasses compose it."""

    scene: Scene | None = None

    def rows_wanted(self, scene: Scene, width: int) -> int:
        """Rows that it asks for, its frame included; 0 where it has nothing to say."""
        return 0

    def composed(self, scene: Scene, width: int, height: int) -> list[Row]:
        """Its rows in the size that it has."""
        return []

    def show(self, scene: Scene) -> None:
        """Show a scene."""
        self.scene = scene
        if self.size.area:
            self.paint(self.composed(scene, self.size.width, self.size.height))

    def on_resize(self) -> None:
        """Fit into the new size."""
        if self.scene is not None:
            self.show(self.scene)
