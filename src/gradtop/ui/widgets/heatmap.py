"""Layers down, steps across: a heatmap that is walked by keys."""

from itertools import groupby

from rich.cells import cell_len
from textual import events
from textual.message import Message

from gradtop.plot.axis import step_labels
from gradtop.plot.picture import CURSOR
from gradtop.plot.shade import BLANK, DENSE, DENSE_ASCII, HEAT, SOLID, SOLID_ASCII, Palette, ink
from gradtop.ui.cells import apart, fit, shorten
from gradtop.ui.theme import BARE, BY_NAME
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.view.layers import LayersView, Reading

_MOST_NAME, _LEAST_NAME = 44, 8
"""Cells of names."""
_NAME_PART = 0.34
"""Part of the width that names may take."""
_AROUND = 4
"""Rows that are no layers: the frame, the axis, what the cell says."""
_LEGEND = 8
"""Cells of the ramp in the legend."""


def shading(theme: str, ascii: bool) -> Palette:
    """How cells are drawn in a theme: by colour, or by characters where colours do not tell them apart."""
    found = BY_NAME.get(theme)
    if found is None or not found.few:
        return SOLID_ASCII if ascii else SOLID
    return DENSE if found is BARE and not ascii else DENSE_ASCII


class Heatmap(Canvas, can_focus=True):
    """The lines that fit, one of them selected, and a cursor on one of its cells."""

    class Moved(Message):
        """Another cell is under the cursor."""

    class Chosen(Message):
        """The selected line was clicked again."""

    def __init__(self, ascii: bool, *, id: str | None = None) -> None:
        """`ascii`: draw with ASCII characters only."""
        super().__init__(id=id)
        self._ascii = ascii
        self._view: LayersView | None = None
        self._top = 0
        self._at = 0
        self._codes: tuple[object, list[bytes]] = None, []
        self._pieces: dict[tuple[bytes, Palette], Row] = {}
        self._widest: tuple[object, int] = None, 0
        self.selected: str | None = None
        """The line by its key; it stays selected wherever it is."""
        self.step: float | None = None
        """The step under the cursor; None: the newest."""

    @property
    def page_rows(self) -> int:
        """Lines inside the frame."""
        return max(1, self.size.height - _AROUND)

    @property
    def columns(self) -> int:
        """Cells of a line."""
        return max(1, self.size.width - 4 - self._name_cells)

    @property
    def _name_cells(self) -> int:
        view = self._view
        if view is None:
            return _LEAST_NAME
        if self._widest[0] is not view.rows:
            labels = (
                cell_len(view.name(i)) + len(view.note(i)) + 4 * view.rows[i].folded for i in range(len(view.rows))
            )
            self._widest = view.rows, max(labels, default=0)
        most = min(_MOST_NAME, int(self.size.width * _NAME_PART))
        return max(_LEAST_NAME, min(self._widest[1] + 1, most))

    @property
    def column(self) -> int:
        """The cell under the cursor; of the newest step where it was not moved."""
        if self._view is None:
            return 0
        first, last = self._view.window
        step = self.step
        if step is None:
            newest = self._view.grid.last_step if self._view.grid is not None else None
            step = min(last, newest if newest is not None else last)
        span = last - first
        return max(0, min(self.columns - 1, int((step - first) / span * self.columns))) if span > 0 else 0

    @property
    def reading(self) -> Reading | None:
        """What is under the cursor."""
        view = self._view
        return view.reading(self._at, self.columns, self.column) if view is not None and view.rows else None

    def show(self, view: LayersView) -> None:
        """Show these layers."""
        self._view = view
        keys = [row.key for row in view.rows]
        found = keys.index(self.selected) if self.selected in keys else min(self._at, max(0, len(keys) - 1))
        self._go(found)

    def on_resize(self) -> None:
        """Lay it out again."""
        self._go(self._at)

    def on_focus(self) -> None:
        """Show that the keys act here."""
        self._draw()

    def on_blur(self) -> None:
        """Show that the keys act elsewhere."""
        self._draw()

    def _restyle(self) -> None:
        super()._restyle()
        # Another theme may say with characters what this one says with colours.
        self._draw()

    def move(self, rows: int) -> None:
        """Select another line, within the list."""
        self._go(self._at + rows)
        self.post_message(self.Moved())

    def step_by(self, cells: int) -> None:
        """Move the cursor along its line, to where there are rows."""
        if self._view is None or not self._view.rows:
            return
        line = self._line(self._at)
        way, at = (1 if cells > 0 else -1), self.column
        goal = max(0, min(self.columns - 1, at + cells))
        while 0 <= goal + way < self.columns and line[goal] == BLANK:
            goal += way
        if line[goal] == BLANK:
            return
        first, last = self._view.window
        newest = goal >= max((i for i, code in enumerate(line) if code != BLANK), default=0)
        self.step = (
            None if newest and self._view.look.window is None else first + (goal + 0.5) * (last - first) / self.columns
        )
        self._draw()
        self.post_message(self.Moved())

    def on_mouse_scroll_down(self) -> None:
        """The wheel moves the selection."""
        self.move(3)

    def on_mouse_scroll_up(self) -> None:
        """The wheel moves the selection."""
        self.move(-3)

    def on_click(self, event: events.Click) -> None:
        """A click puts the cursor there; on the selected cell it opens the layer."""
        view, at = self._view, self._top + event.y - 1
        if view is None or not 1 <= event.y <= self.page_rows or at >= len(view.rows):
            return
        cell = event.x - 3 - self._name_cells
        if at == self._at and (cell < 0 or cell == self.column):
            self.post_message(self.Chosen())
            return
        self._go(at)
        if 0 <= cell < self.columns:
            first, last = view.window
            self.step = first + (cell + 0.5) * (last - first) / self.columns
            self._draw()
        self.post_message(self.Moved())

    def _go(self, at: int) -> None:
        if self._view is None:
            return
        n = len(self._view.rows)
        self._at = max(0, min(at, n - 1))
        self.selected = self._view.rows[self._at].key if n else None
        self._top = max(self._at - self.page_rows + 1, min(self._top, self._at), 0)
        self._top = max(0, min(self._top, n - self.page_rows))
        self._draw()

    def _lines(self) -> list[bytes]:
        """The codes of what is on the screen."""
        view = self._view
        if view is None:
            return []
        stop = min(self._top + self.page_rows, len(view.rows))
        key = (view, self._top, stop, self.columns)
        if self._codes[0] != key:
            self._codes = key, view.codes(self._top, stop, self.columns)
        return self._codes[1]

    def _line(self, i: int) -> bytes:
        lines = self._lines()
        return lines[i - self._top] if 0 <= i - self._top < len(lines) else b""

    def _draw(self) -> None:
        view, width, height = self._view, self.size.width, self.size.height
        if view is None or width < 16 or height < 5:
            self.paint([])
            return
        edge = "focus" if self.has_focus else "border"
        palette = shading(self.app.theme, self._ascii)
        shown = range(self._top, min(self._top + self.page_rows, len(view.rows)))
        names = self._names(view, shown)
        rows = [
            self._row(view, i, name, line, palette, edge)
            for i, name, line in zip(shown, names, self._lines(), strict=True)
        ]
        kept = {piece[0]: 0 for piece in ((line, palette) for line in self._lines())}
        self._pieces = {key: row for key, row in self._pieces.items() if key[0] in kept}
        if not view.rows:
            rows = [box.side(((" no layer has this in its name", "watch"),), width, edge)]
        rows += [box.side((), width, edge)] * (self.page_rows - len(rows))
        self.paint(
            [
                box.top(self._title(view), width, edge),
                *rows,
                box.side(self._axis(view), width, edge),
                box.side(self._said(), width, edge),
                box.bottom(width, edge, self._legend(view, palette)),
            ]
        )

    def _names(self, view: LayersView, shown: range) -> list[str]:
        notes = [f" ▸ {view.note(i)}" if view.rows[i].folded else "" for i in shown]
        rooms = [max(4, self._name_cells - len(note)) for note in notes]
        least = min(rooms, default=4)
        names = apart([view.name(i) for i in shown], least)
        return [
            (view.name(i) if cell_len(view.name(i)) <= room else name) + note
            for i, name, room, note in zip(shown, names, rooms, notes, strict=True)
        ]

    def _row(self, view: LayersView, i: int, name: str, line: bytes, palette: Palette, edge: str) -> Row:
        chosen = i == self._at
        lead: Row = (("▸" if chosen else "!" if view.flagged(i) else " ", "key" if chosen else "watch"),)
        label: Row = ((fit(name, self._name_cells), "selected" if chosen else "watch" if view.flagged(i) else "plain"),)
        key = (line, palette)
        cells = self._pieces.get(key)
        if cells is None:
            cells = self._pieces[key] = _pieces(line, palette)
        if chosen:
            at = self.column
            cells = (*_pieces(line[:at], palette), (palette.cursor, CURSOR), *_pieces(line[at + 1 :], palette))
        return (("│", edge), *lead, *label, (" ", "plain"), *cells, ("│", edge))

    def _title(self, view: LayersView) -> Row:
        n, last = len(view.rows), min(self._top + self.page_rows, len(view.rows))
        label = view.family.label if view.family is not None else "layers"
        count = f"{self._top + 1:,}–{last:,} of {n:,}" if n else f"0 of {view.total:,}"
        parts: list[tuple[str, str]] = [("2 ", "key"), (f"{label} ", "title"), (count, "quiet")]
        if n != view.total:
            parts.append((f" ({view.total:,} layers)", "quiet"))
        parts.append((f" · {view.look.order}", "quiet"))
        if view.look.found.text:
            parts.append((f" · /{shorten(view.look.found.text, 24)}", "focus"))
        if any(row.folded for row in view.rows):
            parts.append((" · modules: highest of their layers", "quiet"))
        if view.look.window is not None:
            parts.append((" · zoomed", "focus"))
        return tuple(parts)

    def _axis(self, view: LayersView) -> Row:
        first, last = view.window
        text = [" "] * self.columns
        for at, label in step_labels(first, last, self.columns):
            text[at : at + len(label)] = label
        word = view.grid.x_kind if view.grid is not None else "step"
        return ((fit(f" {word}", self._name_cells + 2), "quiet"), ("".join(text)[: self.columns], "l"))

    def _said(self) -> Row:
        read = self.reading
        if read is None:
            return ()
        room = self.size.width - 8 - cell_len(read.step) - cell_len(read.value)
        name = shorten(read.name, max(8, room))
        return (
            (" ", "plain"),
            (name, "name"),
            ("  ", "plain"),
            (read.step, "quiet"),
            ("  ", "plain"),
            (read.value, read.ink),
        )

    def _legend(self, view: LayersView, palette: Palette) -> Row:
        low, high = view.ends
        codes = [k * (HEAT - 1) // (_LEGEND - 1) for k in range(_LEGEND)]
        bound = ("≤", "≥") if view.scale.log else ("", "")
        ramp = (
            (f"{bound[0]}{low} ", "quiet"),
            *((palette.glyph(code), ink(code)) for code in codes),
            (f" {bound[1]}{high}", "quiet"),
        )
        lacking = view.family.lacking if view.family is not None else "no value"
        signs: list[Row] = [((f"  {palette.missing}", ink(HEAT)), (f" {lacking}", "quiet"))]
        signs += [((f"  {palette.zero}", ink(HEAT + 1)), (" exactly 0", "quiet"))] if view.scale.log else []
        signs += [(("  ", "plain"), (palette.nonfinite, ink(HEAT + 2)), (" NaN/Inf", "quiet"))]
        scale: Row = (("  log10, highest in a cell", "quiet"),) if view.scale.log else ()
        row: Row = ramp
        for more in (*signs, scale):
            if more and box.width_of((*row, *more)) <= self.size.width - 6:
                row = (*row, *more)
        return row


def _pieces(line: bytes, palette: Palette) -> Row:
    """Codes as text, neighbours with the same code together."""
    return tuple((palette.glyph(code) * len(list(run)), ink(code)) for code, run in groupby(line))
