"""The machine in two lines of the Overview."""

from collections.abc import Sequence

from gradtop.ui.scene import Scene
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Row
from gradtop.ui.widgets.tile import Tile
from gradtop.view import Part

_ROWS = 2


class MachineTile(Tile):
    """The GPUs of the run, its process and the host: a frame of two rows with everything in its edges."""

    def __init__(self, ascii: bool, *, id: str | None = None) -> None:
        """`ascii`: histories in ASCII."""
        super().__init__(id=id)
        self._ascii = ascii
        self._scene: Scene | None = None

    def rows_wanted(self, scene: Scene, width: int) -> int:
        """Two rows where something is known that concerns the run."""
        return _ROWS if self._lines(scene) else 0

    def show(self, scene: Scene) -> None:
        """Show as many parts as fit: the highest ranks are left out first."""
        self._scene, width = scene, self.size.width
        lines = self._lines(scene)
        if width >= 8 and lines:
            first, beside = (fitted(parts, width - 6) for parts in lines)
            self.paint([box.top(first, width, "border"), box.bottom(width, "border", beside)])

    def _lines(self, scene: Scene) -> tuple[tuple[Part, ...], ...]:
        """What there is to say; nothing before there is a sample."""
        if scene.run is None or (scene.snapshot.machine is None and scene.run.machine is None):
            return ()
        # The first picture does not wait for it.
        from gradtop.view.system import machine_lines

        stale_s = 0.0 if scene.paused else scene.stale_s
        return machine_lines(scene.snapshot, scene.run, stale_s, self._ascii)

    def on_resize(self) -> None:
        """Fit the parts again."""
        if self._scene is not None:
            self.show(self._scene)


def joined(lead: Row, parts: Sequence[Part]) -> Row:
    """The parts behind a lead, with lines between them."""
    return (*lead, *(cell for part in parts for cell in ((" ─ ", "border"), (part.text, part.ink))))


def fitted(parts: Sequence[Part], width: int) -> Row:
    """The parts in at most `width` cells with lines between them."""
    lead: Row = tuple((part.text, part.ink) for part in parts[:1])
    kept = list(parts[1:])
    while box.width_of(joined(lead, kept)) > width and (worst := max((p.rank for p in kept), default=0)) > 0:
        kept = [part for part in kept if part.rank != worst]
    return joined(lead, kept)
