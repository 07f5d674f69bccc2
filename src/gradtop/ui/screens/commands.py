"""Everything that can be done, by name: keys of the room below, runs, themes."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget

from gradtop.clean import clean
from gradtop.snapshot import RunSnapshot
from gradtop.ui import keys
from gradtop.ui.screens.room import Room
from gradtop.ui.widgets.commands import Command, Commands
from gradtop.ui.widgets.prompt import Prompt


class CommandsRoom(Room):
    """A line to type into, and what has the words in it; made anew each time it is opened."""

    ROOM: ClassVar[str] = "commands"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("commands")]
    AUTO_FOCUS = None

    class Closed(Message):
        """The user chose something, or nothing."""

        def __init__(self, command: Command | None) -> None:
            """What was chosen."""
            super().__init__()
            self.command = command

    def __init__(self, commands: Sequence[Command]) -> None:
        """All that there is to choose from, the most needed first."""
        super().__init__()
        self._commands = commands

    def hints(self) -> keys.Hints:
        """Other keys are letters here."""
        return keys.Hints((), "", (("↓", "next"), ("↑", "previous")), (("enter", "do it"), ("esc", "close")))

    def furniture(self) -> list[Widget]:
        """The list, and the line."""
        return [Commands(id="commands"), Prompt()]

    def on_mount(self) -> None:
        """Type at once."""
        self.query_one(Prompt).open()
        self._list.show(self._commands, len(self._commands))

    @property
    def _list(self) -> Commands:
        return self.query_one(Commands)

    def on_input_changed(self, message: Prompt.Changed) -> None:
        """Show what has these words in it, what begins with them first."""
        typed = message.value.lower().strip()
        found = [command for command in self._commands if command.matches(typed.split())]
        found.sort(key=lambda command: not command.title.lower().startswith(typed))
        self._list.show(found, len(self._commands))

    def on_input_submitted(self) -> None:
        """Do what is selected; without a match, stay."""
        if (command := self._list.selected) is not None:
            self.post_message(self.Closed(command))

    def on_commands_chosen(self) -> None:
        """Do what was clicked."""
        self.on_input_submitted()

    def on_prompt_closed(self) -> None:
        """Do nothing."""
        self.post_message(self.Closed(None))

    def action_move(self, rows: int) -> None:
        """Select another command."""
        self._list.move(rows)

    def action_page(self, pages: int) -> None:
        """Move by pages."""
        self._list.move(pages * self._list.page_rows)


def commands_of(table: keys.Table, room: str, themes: Sequence[str], runs: Sequence[RunSnapshot]) -> list[Command]:
    """What keys do in a room, its own first, then what they do everywhere; themes, and runs to open."""
    places = (room, "everywhere") if room != "everywhere" else ("everywhere",)
    return [
        *(
            Command(key.help, key.action, keys.ROOMS[place].lower(), key.shown)
            for place in places
            for key in table
            if key.room == place
        ),
        *(Command(f"theme: {theme}", "theme", "everywhere", argument=theme) for theme in themes),
        *(Command(f"open {clean(run.name, 300)}", "run", "run", argument=run.id) for run in runs),
    ]
