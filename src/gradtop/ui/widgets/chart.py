"""One series, drawn by `gradtop.plot`."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.message import Message

from gradtop import plot, units
from gradtop.ui.cells import shorten
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.view import Chart as ChartView
from gradtop.view import Reading, Trace

MOST_COVERED = 64
"""New values looked at one by one before the chart is drawn anew."""
_LEAST_NAME = 4
"""Cells below which the name of a further line says nothing."""
_RUN = re.compile(r"(.)\1*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Look:
    """How the user looks at a chart."""

    first_step: float
    last_step: float
    cursor: float | None = None
    reading: Reading | None = None
    log: bool | None = None
    """None: as the view says."""
    smooth: bool | None = None


@dataclass(frozen=True, slots=True)
class _Newest:
    """The pixel column of the newest value in a drawn picture."""

    stop_step: float
    """Its right edge."""
    low: float
    high: float

    @classmethod
    def of(cls, data: plot.Columns) -> "_Newest":
        """The last column that holds anything; one that covers nothing where none does."""
        at = next((x for x in reversed(range(len(data.low))) if data.low[x] == data.low[x]), None)
        if at is None:
            return cls(data.first_step, math.nan, math.nan)
        width = (data.last_step - data.first_step) / len(data.low)
        return cls(data.first_step + (at + 1) * width, data.low[at], data.high[at])

    def covers(self, values: Sequence[float], newest_step: float | None) -> bool:
        """Values added up to this step lie in what the column shows already: drawn again, it would be the same."""
        inside = newest_step is not None and newest_step < self.stop_step
        return inside and all(self.low <= value <= self.high for value in values)


class Chart(Canvas, can_focus=True):
    """A frame with the name and the newest value on top, the curve inside and the steps along the lower edge."""

    class Clicked(Message):
        """A place in the chart was clicked."""

        def __init__(self, chart: "Chart", part: float) -> None:
            """`part` is the place across the plot, 0 to 1."""
            super().__init__()
            self.chart = chart
            self.part = part

    def __init__(self, glyphs: plot.Glyphs, *, id: str | None = None) -> None:
        """`glyphs` says whether to draw in braille or in ASCII."""
        super().__init__(id=id)
        self._glyphs = glyphs
        self._shown: object = None
        self._place: object = None
        self._newest: _Newest | None = None
        self._pieces: dict[plot.Line, Row] = {}
        self.view: ChartView | None = None
        self.look: Look | None = None

    @property
    def plot_cells(self) -> int:
        """Cells across the plot."""
        return max(1, self.size.width - 2 - plot.GUTTER)

    def show(self, view: ChartView, look: Look) -> None:
        """Draw, unless the same picture is on the screen already."""
        key = (view, look, self.size, self.has_focus)
        if key == self._shown:
            return
        before, place = self.view, (look, self.size, self.has_focus)
        covered = before is not None and place == self._place and self._covered(before, view, look)
        self._shown, self._place, self.view, self.look = key, place, view, look
        if covered:
            self.paint([self._top(view, look, math.nan), *self._rows[1:]])
        else:
            self._newest = None
            self.paint(self._drawn(view, look))

    def _covered(self, before: ChartView, view: ChartView, look: Look) -> bool:
        """Only the title changes: what came since does not leave the pixel column that is drawn last."""
        same = _drawn_alike(before) == _drawn_alike(view)
        added = view.rows - before.rows
        if self._newest is None or not same or look.cursor is not None or not 0 < added <= MOST_COVERED:
            return False
        return self._newest.covers(view.data.tail(added), view.data.nearest_step(look.last_step))

    def redraw(self) -> None:
        """Draw what is shown again: the size or the focus is another."""
        if self.view is not None and self.look is not None:
            self.show(self.view, self.look)

    def on_resize(self) -> None:
        """Draw in the new size."""
        self.redraw()

    def on_focus(self) -> None:
        """Show that the keys act here."""
        self.redraw()

    def on_blur(self) -> None:
        """Show that the keys act elsewhere."""
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """Tell the room which step was meant."""
        part = (event.x - 1 - plot.GUTTER + 0.5) / self.plot_cells
        if 0 <= part <= 1:
            self.post_message(self.Clicked(self, part))

    def _drawn(self, view: ChartView, look: Look) -> list[Row]:
        width, height = self.size.width, self.size.height
        ink = "focus" if self.has_focus else "border"
        log = _log(view, look)
        smooth = view.smooth if look.smooth is None else look.smooth
        inner = width - 2
        if height < 4 or inner < plot.GUTTER + 4:
            return [self._top(view, look, math.nan)] if height and width > 6 else []
        columns = plot.pixel_columns(inner, self._glyphs)
        data = view.data.envelope(columns, look.first_step, look.last_step)
        self._newest = _Newest.of(data)
        frame = plot.Frame(log, smooth, view.marks, look.cursor, view.ratio, view.counts)
        others = [
            plot.Overlay(trace.data.envelope(columns, look.first_step, look.last_step), trace.ink[-1])
            for trace in view.others[: len(plot.TRACES)]
        ]
        *lines, axis = plot.draw(data, inner, height - 1, frame, self._glyphs, others)
        trend = self._trend(data, look, log) if smooth else math.nan
        # Most lines of a live picture are those of the picture before.
        self._pieces = {line: self._pieces.get(line) or runs(line) for line in lines}
        return [
            self._top(view, look, trend),
            *((("│", ink), *self._pieces[line], ("│", ink)) for line in lines),
            (("╰", ink), *runs(axis, {plot.AXIS: ink}), ("╯", ink)),
        ]

    def _trend(self, data: plot.Columns, look: Look, log: bool) -> float:
        """The smoothed value under the cursor."""
        if look.cursor is None or look.last_step <= look.first_step:
            return math.nan
        smooth = plot.smoothed(data.mean, plot.Scale.around(data.low, data.high, log))
        at = int((look.cursor - look.first_step) / (look.last_step - look.first_step) * len(smooth))
        return smooth[min(at, len(smooth) - 1)] if at >= 0 else math.nan

    def _top(self, view: ChartView, look: Look, trend: float) -> Row:
        ink = "focus" if self.has_focus else "border"
        return box.top(self._title(view, look, trend), self.size.width, ink)

    def _title(self, view: ChartView, look: Look, trend: float) -> Row:
        room = self.size.width - 6
        label = shorten(view.label, max(6, room - 12))
        line: list[tuple[str, str]] = [(label + " ", "plain")]
        if look.reading is not None and look.cursor is not None:
            line += [(look.reading.value or "no value", "value"), (f" at {look.reading.step}", "focus")]
            tail = [f"smooth {units.number(trend)}"] if trend == trend else []
            tail += [look.reading.time] if look.reading.time else []
        else:
            line.append((view.value, "value" if view.ended else "act"))
            tail = (["log"] if _log(view, look) else []) + ([view.note] if view.note else [])
        for text in tail:
            if box.width_of(line) + len(text) + 3 <= room:
                line += [(" ─ ", "border"), (text, "quiet")]
        return (*line, *legend(view.others, room - box.width_of(line)))


def _drawn_alike(view: ChartView) -> tuple[object, ...]:
    """What two pictures have in common where only values of the series itself were added."""
    return view.name, view.log, view.smooth, view.marks, view.others


def _log(view: ChartView, look: Look) -> bool:
    return view.log if look.log is None else look.log


def legend(traces: Sequence[Trace], room: int) -> Row:
    """Letter and name of each further line, names shortened to share `room` cells; letters alone where it is short."""
    shown = traces[: len(plot.TRACES)]
    if not shown:
        return ()
    each = room // len(shown) - len(" ─ a ")
    names = [shorten(trace.label, each) if each >= _LEAST_NAME else "" for trace in shown]
    row: list[tuple[str, str]] = []
    for letter, trace, name in zip(plot.LETTERS, shown, names, strict=False):
        piece = f"{letter} {name}".rstrip()
        if box.width_of(row) + cell_len(piece) + 3 <= room:
            row += [(" ─ ", "border"), (piece, trace.ink)]
    return tuple(row)


def runs(line: plot.Line, inks: dict[str, str] | None = None) -> Row:
    """A line of a picture as pieces of one ink each; `inks` gives some of them another name."""
    names = inks or {}
    return tuple((line.text[run.start() : run.end()], names.get(run[1], run[1])) for run in _RUN.finditer(line.inks))
