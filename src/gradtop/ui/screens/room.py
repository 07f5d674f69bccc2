"""What all rooms share: the header on top, the keys at the bottom, and how they are told what to show."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget

from gradtop.clean import clean
from gradtop.recollection import Memory
from gradtop.ui import keys
from gradtop.ui.compositor import CellScreen
from gradtop.ui.place import Jumped, Place
from gradtop.ui.scene import Scene
from gradtop.ui.widgets.footer import Footer
from gradtop.ui.widgets.header import Header
from gradtop.ui.widgets.small import Small, too_small
from gradtop.view import header


class Room(CellScreen):
    """A screen that shows a scene. The app calls `show` whenever there is a new one."""

    ROOM: ClassVar[str] = "everywhere"
    """Its keys: a key of `keys.ROOMS`."""
    BINDINGS: ClassVar[list[BindingType]] = []
    HAS_BANNER: ClassVar[bool] = False
    """It shows the verdict by itself; in the others the header does."""

    class Entered(Message):
        """The room is on the screen and wants to be told what to show."""

    scene: Scene | None = None
    _ahead: tuple[Callable[[], object], ...] = ()
    arrived = False
    """A jump led here: one step back leads to where it began."""
    before = ""
    """`ROOM` of the one that was left for it."""
    table: keys.Table = keys.TABLE
    """All keys, as the user bound them; the app says so."""
    recalled: Memory = {}  # noqa: RUF012  # read only
    """What the room remembered when gradtop was left; the app says so before the room is first shown."""

    def compose(self) -> ComposeResult:
        """Header, the room's own widgets, footer."""
        yield Header(id="header")
        yield from self.furniture()
        yield Footer(self.hints(), id="footer")
        yield Small(id="small")

    def hints(self) -> keys.Hints:
        """What the footer says."""
        return keys.hints(self.ROOM, self.table)

    def furniture(self) -> list[Widget]:
        """The room's own widgets, from top to bottom."""
        return []

    def on_mount(self) -> None:
        """Look as it was left. The widgets are there, and no scene was shown."""
        self.recall(self.recalled)

    def on_resize(self) -> None:
        """Show the room, or that it would not fit."""
        self.set_class(too_small(self.app.size.width, self.app.size.height), "-small")

    def on_screen_resume(self) -> None:
        """Ask for the scene."""
        self.post_message(self.Entered())

    @property
    def standing(self) -> bool:
        """Its widgets are there; while the app starts and ends, messages and timers may find them missing."""
        return self.is_mounted and self.query_one_optional("#header", Header) is not None

    def show(self, scene: Scene) -> None:
        """Show a scene."""
        self.scene = scene
        self.show_header(scene)
        self.show_scene(scene)
        self.show_state()
        ahead, self._ahead = self._ahead, ()
        for work in ahead:
            work()

    def do(self, work: Callable[[], object]) -> None:
        """Act on what is shown; keys that were typed ahead wait until something is."""
        if self.scene is None:
            self._ahead = (*self._ahead, work)
        else:
            work()

    def show_state(self) -> None:
        """Show the settings that are not as usual; a room calls it after a key that changed one."""
        self.query_one(Footer).show(self.state())

    def state(self) -> tuple[str, ...]:
        """Settings of the room that are not as usual, the most telling first: a word or two each, clean."""
        return ()

    def tell(self, done: str) -> None:
        """Say for a moment what was done; clean."""
        self.query_one(Footer).tell(done)

    def copy(self, text: str, what: str) -> None:
        """Copy a text to the clipboard of the terminal (OSC 52), and say what; both are cleaned here."""
        self.app.copy_to_clipboard("\n".join(clean(line) for line in text.split("\n")))
        self.tell(f"copied: {clean(what, 200)}")

    def show_header(self, scene: Scene) -> None:
        """Show how the run stands; called once a second too, because ages change by themselves."""
        parts = header(scene.snapshot, scene.run, scene.age_s, scene.paused, not self.HAS_BANNER)
        self.query_one(Header).show(parts)

    def show_scene(self, scene: Scene) -> None:
        """Show the rest."""

    def leave(self) -> bool:
        """Step back inside the room; False where there is nowhere to step back to."""
        return False

    @property
    def chosen(self) -> str | None:
        """The id of the finding that is selected in this room; None where it has none to select."""
        return None

    def here(self) -> Place | None:
        """What a jump from this room is about; None where there is nothing to jump from."""
        return None

    def arrive(self, place: Place) -> None:
        """Show what a jump is about; the scene is on the screen already."""

    def action_jump(self, room: str) -> None:
        """See what is selected here in another room."""
        if (place := self.here()) is not None:
            self.post_message(Jumped(room, place))

    def memory(self) -> dict[str, str | float | bool | None]:
        """What to look like the next time: asked for when gradtop is left, of rooms that were shown."""
        return {}

    def recall(self, memory: Memory) -> None:
        """Look as `memory` says: called once, before the first scene. Entries that make no sense are passed over."""
