"""The rooms of the app, each made when it is first entered: the first picture waits for one of them only."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gradtop import plot
from gradtop.ui.background import Background
from gradtop.ui.screens.room import Room

if TYPE_CHECKING:
    from gradtop.ui.screens.findings import Acknowledge, Mute
    from gradtop.ui.screens.log import Pages

Makers = Mapping[str, Room | Callable[[], Room]]
"""Rooms by name, or what makes them, imports included."""


class Rooms:
    """Rooms by name."""

    def __init__(self, makers: Makers, furnish: Callable[[str, Room], object]) -> None:
        """Make each with its maker; `furnish` is told of it before it is shown."""
        self._makers, self._furnish = dict(makers), furnish
        self._made: dict[str, Room] = {}

    def __contains__(self, name: object) -> bool:
        """There is such a room, made or not."""
        return name in self._makers

    def __getitem__(self, name: str) -> Room:
        """The room."""
        if name not in self._made:
            maker = self._makers[name]
            room = maker if isinstance(maker, Room) else maker()
            self._furnish(name, room)
            self._made[name] = room
        return self._made[name]

    def items(self) -> Iterable[tuple[str, Room]]:
        """Those that were made."""
        return self._made.items()


def prefetch() -> None:
    """Import what the rooms are made of, so that the first key that leads to one finds it there. In any thread."""
    for name in ("commands", "findings", "layers", "log", "metrics", "runs", "sheets"):
        import_module(f"gradtop.ui.screens.{name}")


def makers(
    overview: Room,
    glyphs: plot.Glyphs,
    acknowledge: "Acknowledge",
    mute: "Mute",
    pages: "Callable[[Path, int | None], Pages] | None",
    background: Callable[[Callable[[], object]], object] | None,
) -> Makers:
    """All rooms; the arguments are those of the app."""

    def layers() -> Room:
        from gradtop.ui.screens.layers import LayersRoom

        return LayersRoom(glyphs)

    def metrics() -> Room:
        from gradtop.ui.screens.metrics import MetricsRoom

        return MetricsRoom(glyphs)

    def findings() -> Room:
        from gradtop.ui.screens.findings import FindingsRoom

        return FindingsRoom(acknowledge, mute, glyphs)

    def system() -> Room:
        from gradtop.ui.screens.system import SystemRoom

        return SystemRoom(glyphs is plot.ASCII)

    def log() -> Room:
        from gradtop.sources.peek import Peeks
        from gradtop.ui.screens.log import LogRoom

        return LogRoom(pages or Peeks(), background or Background())

    def runs() -> Room:
        from gradtop.ui.screens.runs import RunsRoom

        return RunsRoom(glyphs is plot.ASCII)

    def checklist() -> Room:
        from gradtop.ui.screens.sheets import ChecklistRoom

        return ChecklistRoom()

    def help() -> Room:
        from gradtop.ui.screens.sheets import HelpRoom

        return HelpRoom(glyphs)

    return {
        "overview": overview,
        "layers": layers,
        "metrics": metrics,
        "findings": findings,
        "system": system,
        "log": log,
        "runs": runs,
        "checklist": checklist,
        "help": help,
    }
