"""All findings of a run, one of them in full; what its user says of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Grid
from textual.widget import Widget

from gradtop import plot
from gradtop.clean import clean
from gradtop.finding import Finding, Severity, Standing
from gradtop.recollection import Memory
from gradtop.snapshot import RunSnapshot
from gradtop.ui import keys
from gradtop.ui.place import Place
from gradtop.ui.scene import Scene
from gradtop.ui.screens.room import Room
from gradtop.ui.widgets.findings import Findings
from gradtop.ui.widgets.note import Note
from gradtop.ui.widgets.sheet import Sheet
from gradtop.ui.widgets.window import FindingWindow
from gradtop.view import NEWEST, WORST, FindingsView, finding_title
from gradtop.view.findings import BLIND

_SIDE_BY_SIDE = 100
"""Columns of the screen from which the finding stands beside the list."""
_PICTURE_BESIDE, _PICTURE_HEIGHT = 72, 22
"""Columns and rows from which there is room for a picture of the finding."""
_LIST_CELLS = 54
"""Columns of the list at least, where the finding stands beside it."""

Acknowledge = Callable[[str, str, Severity | None], object]
"""Told the run, the id and the severity of a finding that the user knows; None takes it back."""
Mute = Callable[[str, str, bool], object]
"""Told a run and a kind of findings that are not to count in its directory, or (False) are to count again."""


class FindingsRoom(Room):
    """The list, the selected finding with a picture of it, and a line on what was done."""

    ROOM: ClassVar[str] = "findings"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("findings")]
    AUTO_FOCUS = "#findings"

    def __init__(self, acknowledge: Acknowledge, mute: Mute, glyphs: plot.Glyphs) -> None:
        """Both are called at once, so that nothing is lost when the next key leaves the app."""
        super().__init__()
        self._known, self._muted, self._glyphs = acknowledge, mute, glyphs
        self._view = FindingsView(None)
        self._shown: tuple[str | None, str | None] = None, None
        self._did = ""
        self._chosen = False
        """The user has moved in the list of this run."""
        self._early: list[Callable[[], object]] = []
        self._unfolded: frozenset[str] = frozenset()
        self._order = WORST

    def furniture(self) -> list[Widget]:
        """The list, the picture, the finding, and the line below them."""
        found = Findings(id="findings")
        picture = FindingWindow(self._glyphs, id="window")
        return [Grid(found, picture, Sheet("finding", id="sheet"), id="both"), Note(id="note")]

    @property
    def _list(self) -> Findings:
        return self.query_one(Findings)

    def on_resize(self) -> None:
        """Beside each other where there is room, else one above the other."""
        if self.scene is not None:
            self._arrange()

    def show_scene(self, scene: Scene) -> None:
        """Show the findings as they stand."""
        self._look(scene)
        other = scene.run is not None and scene.run.id != self._shown[0]
        self._chosen = self._chosen and not other
        # What turns up while nobody has chosen is what the room was entered for.
        if scene.run is not None and (other or (self._list.selected in (None, BLIND) and not self._chosen)):
            primary = scene.run.judgement.primary
            self._list.selected = primary.id if primary is not None else None
        self._list.show(self._view)
        self._arrange()
        self._describe()
        while self._early:
            self._early.pop(0)()

    def _look(self, scene: Scene) -> None:
        self._view = FindingsView(scene.run, scene.snapshot.settings, self._unfolded, self._order)

    def _arrange(self) -> None:
        width, height = self.app.size
        found, picture, sheet = self._list, self.query_one(FindingWindow), self.query_one(Sheet)
        layout = laid_out(width, height, len(self._view.rows), drawn=bool(self._view.counts))
        grid = self.query_one("#both", Grid).styles
        grid.grid_size_columns, grid.grid_size_rows = len(layout.columns), len(layout.rows)
        grid.grid_columns, grid.grid_rows = " ".join(layout.columns), " ".join(layout.rows)
        found.styles.row_span = 2 if layout.beside and layout.picture else 1
        sheet.styles.column_span = 1 if layout.beside else len(layout.columns)
        picture.display = layout.picture

    def _describe(self) -> None:
        run = self.scene.run if self.scene is not None else None
        shown = run.id if run is not None else None, self._list.selected
        self._did = self._did if shown == self._shown else ""
        self.query_one(Sheet).show(self._view.entries(self._list.selected), anew=shown != self._shown)
        self.query_one(FindingWindow).show(self._view.window(self._list.selected))
        self._shown = shown
        kept = clean(run.attention.kept, 300) if run is not None else ""
        paused = "The screen is paused: space shows it." if self._did and self.scene and self.scene.paused else ""
        self.query_one(Note).show(" ".join(filter(None, (self._did, kept, paused))))

    def on_screen_suspend(self) -> None:
        """Forget what is shown: by the time the room is entered again another run may be open."""
        self.scene = None
        self._early.clear()

    def on_findings_moved(self) -> None:
        """Another finding in full."""
        self._chosen = True
        if self.scene is not None:
            self._describe()

    def _do(self, work: Callable[[], object]) -> None:
        """Act on what is shown; keys that were typed ahead wait until something is."""
        if self.scene is None:
            self._early.append(work)
        else:
            work()

    def action_move(self, rows: int) -> None:
        """Select another finding."""
        self._do(lambda: self._list.move(rows))

    def action_first(self) -> None:
        """The first row."""
        self.action_move(-(10**9))

    def action_last(self) -> None:
        """The last row."""
        self.action_move(10**9)

    def action_page(self, pages: int) -> None:
        """Scroll the finding."""
        sheet = self.query_one(Sheet)
        self._do(lambda: sheet.scroll_rows(pages * max(1, sheet.page_rows - 1)))

    @property
    def chosen(self) -> str | None:
        """The selected finding; of several in one row the newest."""
        finding = self._view.subject(self._list.selected) if self.scene is not None else None
        return finding.id if finding is not None else None

    def here(self) -> Place | None:
        """The selected finding, and where it began."""
        finding = self._view.finding(self.chosen)
        if finding is None:
            return None
        line = finding.evidence.get("line")
        layer = finding.scope.removeprefix("layer:")
        return Place(
            step=finding.first_step,
            line=int(line) if isinstance(line, float) else None,
            layer=layer if layer != finding.scope else None,
            finding=finding.id,
        )

    def action_open(self) -> None:
        """See the finding in the charts; of several that are listed as one row, unfold or fold them."""
        self._do(self._open)

    def _open(self) -> None:
        selected = self._list.selected
        if selected is None or not self._view.counts_several(selected):
            self.action_jump("overview")
            return
        self._unfolded ^= {selected}
        self._again()

    def action_order(self) -> None:
        """The worst or the newest first."""
        self._order = NEWEST if self._order == WORST else WORST
        self._do(self._again)

    def _again(self) -> None:
        if self.scene is not None:
            self._look(self.scene)
            self._list.show(self._view)
            self._arrange()
            self._describe()

    def action_copy(self) -> None:
        """The selected finding as text to the clipboard of the terminal."""
        self._do(self._copy)

    def _copy(self) -> None:
        if (subject := self._view.subject(self._list.selected)) is not None:
            self.copy(self._view.text(self._list.selected), finding_title(subject))

    def memory(self) -> dict[str, str | float | bool | None]:
        """The order of the list."""
        return {"order": self._order}

    def recall(self, memory: Memory) -> None:
        """Take the order up again."""
        order = memory.get("order")
        self._order = order if isinstance(order, str) and order in (WORST, NEWEST) else WORST

    def action_acknowledge(self) -> None:
        """The selected finding is known; or it is not any more."""
        self._do(self._acknowledge)

    def action_mute(self) -> None:
        """The kind of the selected finding does not count; or it does again."""
        self._do(self._mute)

    def _selected(self) -> tuple[RunSnapshot, Finding] | None:
        run = self.scene.run if self.scene is not None else None
        finding = self._view.finding(self._list.selected)
        return (run, finding) if run is not None and finding is not None else None

    def _acknowledge(self) -> None:
        if (selected := self._selected()) is None:
            return
        run, finding = selected
        if finding.standing is Standing.MUTED:
            self._tell(f"{finding_title(finding)} is muted: m takes that back.")
            return
        upto = finding.severity if finding.standing is Standing.OPEN else None
        self._known(run.id, finding.id, upto)
        self._tell(f"{finding_title(finding)} {_acknowledged(finding)}")

    def _mute(self) -> None:
        if (selected := self._selected()) is None:
            return
        run, finding = selected
        name = finding_title(finding)
        if finding.kind in run.attention.everywhere:
            self._tell(f"{name} is muted in the settings: that is changed there.")
            return
        on = finding.kind not in run.attention.muted
        self._muted(run.id, finding.kind, on)
        told = "is muted: such findings are listed and do not count in this directory." if on else "counts again."
        self._tell(f"{name} {told}")

    def _tell(self, done: str) -> None:
        self._did = done
        self._describe()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the list, the picture and the text stand."""

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    beside: bool
    """The text stands beside the list, as opposed to below it."""
    picture: bool
    """There is room for the picture."""


def laid_out(width: int, height: int, rows: int, drawn: bool) -> Layout:
    """The places for a screen of `width` by `height` cells and a list of some rows; `drawn`: there is a finding.

    On a wide screen the picture stands over the text, on a narrow one beside the list.
    """
    if width >= _SIDE_BY_SIDE:
        columns = f"{max(_LIST_CELLS, width * 2 // 5)}", "1fr"
        picture = drawn and height >= _PICTURE_HEIGHT
        return Layout(columns, (f"{max(8, min(14, height // 3))}", "1fr") if picture else ("1fr",), True, picture)
    tall = max(5, height // 3)
    if drawn and width >= _PICTURE_BESIDE and height >= _PICTURE_HEIGHT:
        # Two thirds of the width are enough for a row of the list without its steps.
        return Layout((f"{width * 11 // 20}", "1fr"), (f"{max(tall, 8)}", "1fr"), False, True)
    return Layout(("1fr",), (f"{min(max(1, rows) + 2, tall)}", "1fr"), False, False)


def _acknowledged(finding: Finding) -> str:
    """What is told when the key is pressed."""
    if finding.standing is Standing.ACKNOWLEDGED:
        return "is not acknowledged any more."
    if finding.severity is Severity.INTERVENE:
        return "is acknowledged and does not count any more."
    return f"is acknowledged, and counts again if it gets worse than {finding.severity.word}."
