"""All findings of a run, one of them in full; what its user says of them."""

from collections.abc import Callable
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget

from gradtop.clean import clean
from gradtop.finding import Finding, Severity, Standing
from gradtop.snapshot import RunSnapshot
from gradtop.ui import keys
from gradtop.ui.scene import Scene
from gradtop.ui.screens.room import Room
from gradtop.ui.widgets.findings import Findings
from gradtop.ui.widgets.note import Note
from gradtop.ui.widgets.sheet import Sheet
from gradtop.view import FindingsView, finding_title

_SIDE_BY_SIDE = 100
"""Columns of the screen from which the finding stands beside the list."""

Acknowledge = Callable[[str, str, Severity | None], object]
"""Told the run, the id and the severity of a finding that the user knows; None takes it back."""
Mute = Callable[[str, str, bool], object]
"""Told a run and a kind of findings that are not to count in its directory, or (False) are to count again."""


class FindingsRoom(Room):
    """The list, the selected finding, and a line on what was done."""

    ROOM: ClassVar[str] = "findings"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("findings")]
    AUTO_FOCUS = "#findings"

    def __init__(self, acknowledge: Acknowledge, mute: Mute) -> None:
        """Both are called at once, so that nothing is lost when the next key leaves the app."""
        super().__init__()
        self._known, self._muted = acknowledge, mute
        self._view = FindingsView(None)
        self._shown: tuple[str | None, str | None] = None, None
        self._did = ""
        self._early: list[Callable[[], object]] = []

    def furniture(self) -> list[Widget]:
        """The list, the finding, and the line below them."""
        return [Container(Findings(id="findings"), Sheet("finding", id="sheet"), id="both"), Note(id="note")]

    @property
    def _list(self) -> Findings:
        return self.query_one(Findings)

    def on_resize(self) -> None:
        """Beside each other where there is room, else one above the other."""
        if self.scene is not None:
            self._arrange()

    def show_scene(self, scene: Scene) -> None:
        """Show the findings as they stand."""
        self._view = FindingsView(scene.run)
        if scene.run is not None and scene.run.id != self._shown[0]:
            primary = scene.run.judgement.primary
            self._list.selected = primary.id if primary is not None else None
        self._list.show(self._view)
        self._arrange()
        self._describe()
        while self._early:
            self._early.pop(0)()

    def _arrange(self) -> None:
        size, both, found = self.app.size, self.query_one("#both"), self._list
        beside = size.width >= _SIDE_BY_SIDE
        both.styles.layout = "horizontal" if beside else "vertical"
        found.styles.width = max(56, size.width * 2 // 5) if beside else "100%"
        found.styles.height = "100%" if beside else min(max(1, len(self._view.rows)) + 2, max(5, size.height // 3))

    def _describe(self) -> None:
        run = self.scene.run if self.scene is not None else None
        shown = run.id if run is not None else None, self._list.selected
        self._did = self._did if shown == self._shown else ""
        self.query_one(Sheet).show(self._view.entries(self._list.selected), anew=shown != self._shown)
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


def _acknowledged(finding: Finding) -> str:
    """What is told when the key is pressed."""
    if finding.standing is Standing.ACKNOWLEDGED:
        return "is not acknowledged any more."
    if finding.severity is Severity.INTERVENE:
        return "is acknowledged and does not count any more."
    return f"is acknowledged, and counts again if it gets worse than {finding.severity.word}."
