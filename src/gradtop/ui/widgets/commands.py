"""What can be done, as a list to choose from. Only the rows on the screen are made."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.message import Message

from gradtop.ui.cells import fit, shorten
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row

_PLACE_CELLS = 10
_KEY_CELLS = 9


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do."""

    title: str
    """Clean."""
    action: str
    """What the app is told when it is chosen."""
    place: str
    """Where it belongs: a room, `run`, `theme`."""
    key: str = ""
    """Empty: it has none."""
    argument: str | None = None
    """The run or the theme; foreign text, for which an action has no room."""

    def matches(self, words: Sequence[str]) -> bool:
        """All of the words, in small letters, are in what is shown of it."""
        shown = f"{self.place} {self.title} {self.key}".lower()
        return all(word in shown for word in words)


class Commands(Canvas):
    """Rows of commands with one of them selected."""

    class Chosen(Message):
        """A command was clicked."""

    def __init__(self, *, id: str | None = None) -> None:
        """Start without commands."""
        super().__init__(id=id)
        self._commands: Sequence[Command] = ()
        self._of = 0
        self._at = self._top = 0

    @property
    def page_rows(self) -> int:
        """Rows inside the frame."""
        return max(1, self.size.height - 2)

    @property
    def selected(self) -> Command | None:
        """What is chosen by Enter; None where nothing matches."""
        return self._commands[self._at] if self._commands else None

    def show(self, commands: Sequence[Command], of: int) -> None:
        """Show these, of so many; the first one is selected."""
        self._commands, self._of, self._at, self._top = commands, of, 0, 0
        self.move(0)

    def on_resize(self) -> None:
        """Lay the rows out again."""
        self.move(0)

    def on_mouse_scroll_down(self) -> None:
        """The wheel moves the selection."""
        self.move(3)

    def on_mouse_scroll_up(self) -> None:
        """The wheel moves the selection."""
        self.move(-3)

    def on_click(self, event: events.Click) -> None:
        """A click chooses."""
        at = self._top + event.y - 1
        if 1 <= event.y <= self.page_rows and at < len(self._commands):
            self.move(at - self._at)
            self.post_message(self.Chosen())

    def move(self, rows: int) -> None:
        """Move the selection, within the list."""
        self._at = max(0, min(self._at + rows, len(self._commands) - 1))
        if self.size.height < 3 or self.size.width < 8:
            return
        self._top = max(self._at - self.page_rows + 1, min(self._top, self._at), 0)
        shown = self._commands[self._top : self._top + self.page_rows]
        width = self.size.width
        rows_shown = [_cells(command, width - 2, command is self.selected) for command in shown]
        if not shown:
            rows_shown = [((" Nothing has these words in it.", "quiet"),)]
        rows_shown += [()] * (self.page_rows - len(rows_shown))
        title: Row = (("commands", "title"), (f" {len(self._commands):,} of {self._of:,}", "quiet"))
        below = len(self._commands) - self._top - self.page_rows
        more: Row = ((f"{below:,} more ↓", "quiet"),) if below > 0 else ()
        self.paint(
            [
                box.top(title, width, "border"),
                *(box.side(row, width, "border") for row in rows_shown),
                box.bottom(width, "border", more),
            ]
        )


def _cells(command: Command, width: int, selected: bool) -> Row:
    place, key = (_PLACE_CELLS, _KEY_CELLS) if width >= 50 else (0, min(_KEY_CELLS, width // 4))
    room = max(1, width - 4 - place - key)
    title = shorten(command.title, room)
    pieces = [
        (fit(command.place, place) + " " if place else "", "quiet"),
        (title + " " * (room - cell_len(title) + 1), "plain"),
        (fit(command.key, key), "key"),
    ]
    lead = "▸" if selected else " "
    return ((lead, "key"), *((text, "selected" if selected else ink) for text, ink in pieces))
