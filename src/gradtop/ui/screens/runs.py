"""All runs that were found."""

from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from gradtop.ui import keys
from gradtop.ui.scene import Scene
from gradtop.ui.screens.room import Room
from gradtop.ui.widgets.prompt import Prompt
from gradtop.ui.widgets.runs import Runs
from gradtop.view import RunsView


class RunsRoom(Room):
    """The list of runs; Enter opens one."""

    ROOM: ClassVar[str] = "runs"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("runs")]
    AUTO_FOCUS = "#runs"

    def __init__(self, ascii: bool) -> None:
        """`ascii`: sparklines in ASCII."""
        super().__init__()
        self._ascii = ascii
        self._query = ""

    def furniture(self) -> list[Widget]:
        """The list and the search prompt."""
        return [Runs(id="runs"), Prompt()]

    @property
    def _list(self) -> Runs:
        return self.query_one(Runs)

    def show_scene(self, scene: Scene) -> None:
        """Show the runs as they stand."""
        if self._list.selected is None and scene.run is not None:
            self._list.selected = scene.run.id
        self._list.show(RunsView(scene.snapshot, scene.stale_s, self._ascii))

    def action_move(self, rows: int) -> None:
        """Select another run."""
        self._list.move(rows)

    def action_page(self, pages: int) -> None:
        """Move by pages."""
        self._list.move(pages * self._list.page_rows)

    def action_first(self) -> None:
        """The newest run."""
        self._list.move(-(10**9))

    def action_last(self) -> None:
        """The oldest run."""
        self._list.move(10**9)

    def action_open(self) -> None:
        """Open the selected run."""
        self._list.open()

    def action_search(self) -> None:
        """Type a part of a name."""
        self.query_one(Prompt).open()

    def on_input_submitted(self, message: Prompt.Submitted) -> None:
        """Go to the next run with this name."""
        self.query_one(Prompt).close(self._list)
        self._query = message.value
        self.action_next_match(1)

    def on_prompt_closed(self) -> None:
        """Back to the list."""
        self.query_one(Prompt).close(self._list)

    def action_next_match(self, direction: int) -> None:
        """The next run with the searched name, or the one before."""
        if self._query:
            self._list.find(self._query, direction)
