"""What the app itself remembers of the last time: the room, the run and the colours."""

from collections.abc import Iterable

from gradtop.recollection import Memory, Recollection
from gradtop.snapshot import Snapshot
from gradtop.ui.screens.room import Room
from gradtop.ui.theme import THEMES

_PAGES = ("help", "checklist")
"""What is read in between: the checklist of a finding that may be over says nothing of how the run stands."""


class Habit:
    """How the screen was left, and how it is left."""

    def __init__(self, recollection: Recollection, usual_theme: str) -> None:
        """`usual_theme` is that of the settings."""
        self.rooms = recollection.rooms
        """What each room remembers."""
        self._left = recollection.app
        self._usual_theme = usual_theme

    @property
    def theme(self) -> str:
        """The colours that were chosen last, unless the settings say something new since."""
        chosen = self._left.get("theme")
        known = any(chosen == theme.name for theme in THEMES)
        return str(chosen) if known and self._left.get("instead_of") == self._usual_theme else self._usual_theme

    @property
    def room(self) -> str:
        """The room that was on the screen; pages over a room are not gone back to."""
        left = str(self._left.get("room"))
        return left if left not in _PAGES else ""

    def run(self, snapshot: Snapshot, opened: str | None) -> str | None:
        """The run to open now that all are found: once, unless the user opened one or a newer one came."""
        if snapshot.searching or not self._left:
            return None
        left, self._left = self._left, {}
        same = bool(snapshot.runs) and left.get("newest") == snapshot.runs[0].id and opened is None
        return str(left["run"]) if same and isinstance(left.get("run"), str) else None

    def left(
        self, snapshot: Snapshot, opened: str | None, room: str, rooms: Iterable[tuple[str, Room]], theme: str
    ) -> Recollection:
        """How it is left. A room that was not shown wants to be told what it was not told this time."""
        app: Memory = dict(self._left)
        if snapshot.runs and not snapshot.searching:
            app = {"run": opened, "newest": snapshot.runs[0].id}
        if any(theme == known.name for known in THEMES):
            app = {**app, "theme": theme, "instead_of": self._usual_theme}
        shown = {name: room.memory() for name, room in rooms if room.is_mounted}
        return Recollection({**app, "room": room}, {**self.rooms, **shown})
