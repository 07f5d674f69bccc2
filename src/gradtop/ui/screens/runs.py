"""All runs that were found: sorted, filtered, marked to be compared."""

from collections.abc import Collection
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from gradtop.clean import clean
from gradtop.recollection import Memory
from gradtop.ui import keys
from gradtop.ui.scene import Scene
from gradtop.ui.screens.filtered import FilteredRoom
from gradtop.ui.widgets.prompt import Prompt
from gradtop.ui.widgets.runs import Runs
from gradtop.view import MOST_MARKED, RUN_FIELDS, Marks, Order, Ranking, RunsView

_FULL = f"{MOST_MARKED} runs are marked, as many as can be told apart: x on one of them takes it back"


class RunsRoom(FilteredRoom):
    """The list of runs; Enter opens one, x marks one to be drawn over the open one."""

    ROOM: ClassVar[str] = "runs"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("runs")]
    AUTO_FOCUS = "#runs"
    FIELDS: ClassVar[Collection[str]] = RUN_FIELDS

    def __init__(self, ascii: bool) -> None:
        """`ascii`: sparklines in ASCII."""
        super().__init__()
        self._ascii = ascii
        self._ranking = Ranking()
        self._marks = Marks()

    def furniture(self) -> list[Widget]:
        """The list and the line to type a filter into."""
        return [Runs(id="runs"), Prompt()]

    @property
    def _list(self) -> Runs:
        return self.query_one(Runs)

    @property
    def filtered(self) -> Widget:
        """The list."""
        return self._list

    def show_scene(self, scene: Scene) -> None:
        """Show the runs as they stand."""
        self._marks = scene.marks
        if self._list.selected is None and scene.run is not None:
            self._list.selected = scene.run.id
        shown = RunsView(
            scene.snapshot,
            scene.stale_s,
            self._ascii,
            ranking=self._ranking,
            found=self.typed.filter,
            marks=scene.marks,
        )
        self._list.show(shown, clean(self.typed.problem, 200))

    def refilter(self) -> None:
        """Show the runs that are meant now."""
        if self.scene is not None:
            self.show_scene(self.scene)

    def action_move(self, rows: int) -> None:
        """Select another run."""
        self.do(lambda: self._list.move(rows))

    def action_page(self, pages: int) -> None:
        """Move by pages."""
        self.do(lambda: self._list.move(pages * self._list.page_rows))

    def action_first(self) -> None:
        """The first run of the list."""
        self.action_move(-(10**9))

    def action_last(self) -> None:
        """The last run of the list."""
        self.action_move(10**9)

    def action_open(self) -> None:
        """Open the selected run."""
        self.do(self._list.open)

    def action_sort(self) -> None:
        """By what comes next."""
        self._ranking = self._ranking.next()
        self.refilter()

    def action_turn(self) -> None:
        """The other way round."""
        self._ranking = self._ranking.turned()
        self.refilter()

    def action_mark(self) -> None:
        """Draw the selected run over the open one, or not any more."""
        self.do(self._mark)

    def _mark(self) -> None:
        if self._marks.full and not self._marks.ink(self._list.selected or ""):
            self._list.tell(_FULL)
        else:
            self._list.mark()

    def action_unmark(self) -> None:
        """Draw no run over the open one."""
        self.post_message(Runs.Marked(None))

    def memory(self) -> dict[str, str | float | bool | None]:
        """Filter, order, and the marked runs."""
        ranking = {"order": self._ranking.order.value, "backwards": self._ranking.backwards}
        return super().memory() | ranking | self._marks.memory()

    def recall(self, memory: Memory) -> None:
        """Filter and order; the app recalls the marks, whether this room is entered or not."""
        super().recall(memory)
        if (order := memory.get("order")) in [*Order]:
            self._ranking = Ranking(Order(str(order)), memory.get("backwards") is True)
