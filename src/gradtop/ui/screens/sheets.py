"""Pages to read: the checklist of a finding and the help."""

from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from gradtop import plot
from gradtop.config import THEMES
from gradtop.settings import NAME
from gradtop.ui import keys
from gradtop.ui.place import Place
from gradtop.ui.scene import Scene
from gradtop.ui.screens.room import Room
from gradtop.ui.widgets.sheet import Sheet
from gradtop.view import Entry, checklist


class SheetRoom(Room):
    """A room with one sheet to scroll."""

    ROOM: ClassVar[str] = "sheet"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("sheet")]
    TITLE_TEXT: ClassVar[str] = ""

    def furniture(self) -> list[Widget]:
        """The sheet."""
        return [Sheet(self.TITLE_TEXT, id="sheet")]

    @property
    def _sheet(self) -> Sheet:
        return self.query_one(Sheet)

    def action_move(self, rows: int) -> None:
        """Scroll by lines."""
        self._sheet.scroll_rows(rows)

    def action_page(self, pages: int) -> None:
        """Scroll by pages."""
        self._sheet.scroll_rows(pages * max(1, self._sheet.page_rows - 1))

    def action_first(self) -> None:
        """To the top."""
        self._sheet.scroll_rows(-(10**9))

    def action_last(self) -> None:
        """To the end."""
        self._sheet.scroll_rows(10**9)


class ChecklistRoom(SheetRoom):
    """A finding of the run in full: the one that a jump is about, else the primary one."""

    TITLE_TEXT = "checklist"
    _chosen: str | None = None

    def show_scene(self, scene: Scene) -> None:
        """Show the finding as it stands now."""
        self._sheet.show(checklist(scene.run, scene.snapshot.settings, self._chosen if self.arrived else None))

    def arrive(self, place: Place) -> None:
        """Show the finding that was selected."""
        self._chosen = place.finding
        if self.scene is not None:
            self.show_scene(self.scene)
            self.action_first()


class HelpRoom(SheetRoom):
    """All keys and signs."""

    TITLE_TEXT = "help"

    def __init__(self, glyphs: plot.Glyphs) -> None:
        """`glyphs` are those of the charts."""
        super().__init__()
        self._glyphs = glyphs
        self._about: str | None = None

    def on_screen_suspend(self) -> None:
        """Begin at the top the next time."""
        self._about = None

    def show_scene(self, scene: Scene) -> None:
        """Show the table of keys."""
        before, self._about = self._about, self.before
        self._sheet.show(help_entries(self._glyphs, self.table, self.before), anew=before != self.before)


def help_entries(
    glyphs: plot.Glyphs = plot.BRAILLE, table: keys.Table = keys.TABLE, room: str = "everywhere"
) -> list[Entry]:
    """The table of keys, place by place, that of `room` first; and the signs of the charts."""
    entries: list[Entry] = []
    for title, rows in sorted(keys.rooms(table), key=lambda place: place[0] != keys.ROOMS.get(room)):
        entries.append(Entry(title, "heading"))
        entries += [Entry(key.help, "plain", 12, f"{key.shown:<9}") for key in rows]
    entries.append(Entry("Signs in a chart", "heading"))
    entries += [Entry(meaning, "plain", 12, f"{sign:<9}") for sign, meaning in signs(glyphs)]
    entries.append(Entry("Other keys and colours", "heading"))
    entries += [Entry(line, "plain", 2) for line in _SETTINGS]
    return entries


_SETTINGS = (
    f"In {NAME}, in the log directory or above it, or in ~/.config/gradtop: [keys] binds keys anew, such as "
    '"overview.zoom" = "f"; the README has all names. [app] theme = "light" chooses the colours.',
    f"Themes: {', '.join(THEMES)}. With NO_COLOR set there are no colours at all.",
)


def signs(glyphs: plot.Glyphs) -> tuple[tuple[str, str], ...]:
    """What the marks under a chart and beside it mean."""
    return (
        (glyphs.finding, "a finding began here; amber: worth watching, red: act, grey: a notice"),
        (glyphs.nonfinite, "NaN or infinity"),
        (glyphs.below, "zero or negative, which a log axis cannot show"),
        (glyphs.resume, "a new session: the training was resumed"),
        (glyphs.plan, "the warm-up ends or the run is planned to end here"),
        (glyphs.band, "the usual range of this run: two standard deviations around its level, as the rules see it"),
        (glyphs.squeezed, "a part of the axis with a few rare values far away: it is squeezed together"),
    )
