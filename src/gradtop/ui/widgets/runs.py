"""The list of runs. Only the rows on the screen are made."""

from rich.cells import cell_len
from textual import events
from textual.message import Message

from gradtop.ui.cells import apart, fit
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.view import Order, RunRow, RunsView
from gradtop.view.runs import SPARK_CELLS

_GAP = 2
_NAME_CELLS = 16
"""Cells of the name for which other columns are dropped."""
_LEAST_NAME = 12
"""The same for the word of the state."""
_LONG_NAME_CELLS = 28
"""The same for the sparklines, where a name on the screen is that long."""
_SPARKS_RANK = 5
_COLUMNS: tuple[tuple[str, int, int], ...] = (
    ("state", 13, 0),
    ("step", 12, 2),
    ("loss", 9, 1),
    ("", SPARK_CELLS, 5),
    ("grad norm", 9, 3),
    ("", SPARK_CELLS, 6),
    ("verdict", 13, 0),
    ("age", 4, 4),
)
"""(title, cells, rank): the highest rank is dropped first where the name would have no room."""
_SORTED = {
    Order.NEWEST: "age",
    Order.NAME: "name",
    Order.STATE: "state",
    Order.VERDICT: "verdict",
    Order.LOSS: "loss",
    Order.STEPS: "step",
}
"""The column that an order goes by."""
_MARK_CELLS = len("■a ")


class Runs(Canvas, can_focus=True):
    """Rows of runs with one of them selected."""

    class Opened(Message):
        """A run was chosen."""

        def __init__(self, run_id: str) -> None:
            """`run_id` as in the snapshot."""
            super().__init__()
            self.run_id = run_id

    class Marked(Message):
        """A run is to be compared, or not any more."""

        def __init__(self, run_id: str | None) -> None:
            """`run_id` as in the snapshot; None: no run is to be compared."""
            super().__init__()
            self.run_id = run_id

    def __init__(self, *, id: str | None = None) -> None:
        """Start without runs."""
        super().__init__(id=id)
        self._view: RunsView | None = None
        self._top = 0
        self._at = 0
        self._note = self._problem = ""
        self._made: dict[str, tuple[object, RunRow]] = {}
        self.selected: str | None = None

    @property
    def page_rows(self) -> int:
        """Rows of runs inside the frame, below the titles."""
        return max(1, self.size.height - 3)

    def show(self, view: RunsView, problem: str = "") -> None:
        """Show these runs; the selected one stays selected wherever it is now, else its place is."""
        self._view, self._problem = view, problem
        at = view.index(self.selected)
        self._select(at if at is not None else self._at)

    def on_resize(self) -> None:
        """Lay the rows out again."""
        self._select(self._at)

    def on_mouse_scroll_down(self) -> None:
        """The wheel moves the selection."""
        self.move(3)

    def on_mouse_scroll_up(self) -> None:
        """The wheel moves the selection."""
        self.move(-3)

    def on_click(self, event: events.Click) -> None:
        """A click selects, a second one opens."""
        at = self._top + event.y - 2
        if self._view is not None and 2 <= event.y < self.size.height - 1 and at < len(self._view):
            before = self.selected
            self.move(at - self._at)
            if before == self.selected:
                self.open()

    def open(self) -> None:
        """Open the selected run."""
        if self.selected is not None:
            self.post_message(self.Opened(self.selected))

    def tell(self, note: str) -> None:
        """Show a note until the selection moves."""
        self._note = note
        self._select(self._at)

    def mark(self) -> None:
        """Compare the selected run, or do not any more."""
        if self.selected is not None:
            self.post_message(self.Marked(self.selected))

    def move(self, rows: int) -> None:
        """Move the selection, within the list."""
        if rows:
            self._note = ""
        self._select(self._at + rows)

    def _select(self, at: int) -> None:
        if self._view is None:
            return
        n = len(self._view)
        self._at = max(0, min(at, n - 1))
        # Of a list that a filter left empty the selection is kept: the filter is on its way to something else.
        self.selected = self._view.id(self._at) if n else self.selected
        if self.size.height >= 4:
            self._top = max(self._at - self.page_rows + 1, min(self._top, self._at), 0)
            self._top = max(0, min(self._top, n - self.page_rows))
            self._paint(self._view, self._at)

    def _row(self, view: RunsView, i: int) -> RunRow:
        key, known = view.key(i), self._made.get(view.id(i))
        if known is None or known[0] != key:
            known = self._made[view.id(i)] = (key, view.row(i))
        return known[1]

    def _paint(self, view: RunsView, at: int) -> None:
        width = self.size.width
        shown = range(self._top, min(self._top + self.page_rows, len(view)))
        longest = max((cell_len(self._row(view, i).name) for i in shown), default=0)
        lead = 1 + _MARK_CELLS * view.marked
        columns = fitted(width - 3 - lead + _GAP, longest)
        names = apart([self._row(view, i).name for i in shown], columns[0][1])
        rows = [
            box.side((*_lead(row, i == at, lead), *_cells(row, name, columns, i == at)), width, "border")
            for i, name in zip(shown, names, strict=True)
            for row in [self._row(view, i)]
        ]
        rows += [box.side((), width, "border")] * (self.page_rows - len(rows))
        if not len(view):
            empty = "the filter leaves no run" if view.of else "no run yet"
            rows[0] = box.side(((f" {empty}", "quiet"),), width, "border")
        arrows = {_SORTED[view.ranking.order]: view.ranking.arrow}
        titles = "".join(fit(t + arrows.get(t, "") if w > 1 else "", w) + " " * _GAP for t, w in columns).rstrip()
        head = box.side(((" " * lead + titles, "quiet"),), width, "border")
        note: Row = ((said, "watch"),) if (said := self._problem or self._note) else ()
        self.paint([box.top(_title(view, at), width, "border"), head, *rows, box.bottom(width, "border", note)])


def _title(view: RunsView, at: int) -> Row:
    """How many, in which order, and what they were chosen by."""
    place = f" {at + 1:,} of {len(view):,}" if len(view) else " none"
    title: list[tuple[str, str]] = [("runs", "title"), (place, "quiet")]
    title += [(" ─ ", "border"), (f"by {view.ranking.order} {view.ranking.arrow}", "quiet")]
    if view.filter.text:
        title += [(" ─ ", "border"), (f"/{view.filter.text}", "key"), (f" of {view.of:,}", "quiet")]
    return tuple(title)


def fitted(width: int, longest: int = 0) -> list[tuple[str, int]]:
    """(title, cells) of the columns that fit beside names of up to `longest` cells, the name first."""
    columns = list(_COLUMNS)
    while worst := max(rank for _, _, rank in columns):
        wanted = max(_NAME_CELLS, min(longest, _LONG_NAME_CELLS) + _GAP if worst >= _SPARKS_RANK else 0)
        if sum(w + _GAP for _, w, _ in columns) + wanted <= width:
            break
        columns = [column for column in columns if column[2] != worst]
    if width - _GAP - sum(w + _GAP for _, w, _ in columns) < _LEAST_NAME:
        # The sign of a state says it too.
        columns = [(title, 1 if title == "state" else w, rank) for title, w, rank in columns]
    name = max(4, width - _GAP - sum(w + _GAP for _, w, _ in columns))
    return [("name", name), *((title, w) for title, w, _ in columns)]


def _cells(row: RunRow, name: str, columns: list[tuple[str, int]], selected: bool) -> Row:
    sparks = iter((row.loss_spark, row.grad_norm_spark))
    values = {
        "name": (name, "name"),
        "state": (row.state, row.state_ink),
        "step": (row.step, "plain"),
        "loss": (row.loss, "plain"),
        "grad norm": (row.grad_norm, "plain"),
        "verdict": (row.verdict, row.tone),
        "age": (row.age, "quiet"),
    }
    if ("state", 1) in columns:
        values["state"] = (row.state[:1] if row.verdict else " ", row.state_ink)
    cells = [(next(sparks), "r") if title == "" else values[title] for title, _ in columns]
    pieces = [(fit(text, width) + " " * _GAP, ink) for (text, ink), (_, width) in zip(cells, columns, strict=True)]
    pieces[-1] = (pieces[-1][0][:-_GAP] + " ", pieces[-1][1])
    return tuple((text, "selected" if selected else ink) for text, ink in pieces)


def _lead(row: RunRow, selected: bool, width: int) -> Row:
    """Where the selection is, and in which colour a run is compared."""
    mark = f"■{row.letter}" if row.mark else ""
    return ("▸" if selected else " ", "key"), (f"{mark:<{width - 1}}", row.mark or "plain")
