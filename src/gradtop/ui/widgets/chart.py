"""One series, drawn by `gradtop.plot`."""

import math
import re
from dataclasses import dataclass

from textual import events
from textual.message import Message

from gradtop import plot, units
from gradtop.ui.cells import shorten
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.view import Chart as ChartView
from gradtop.view import Reading

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
        self._shown, self.view, self.look = key, view, look
        self.paint(self._drawn(view, look))

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
        log = view.log if look.log is None else look.log
        smooth = view.smooth if look.smooth is None else look.smooth
        inner = width - 2
        if height < 4 or inner < plot.GUTTER + 4:
            return [box.top(self._title(view, look, log, math.nan), width, ink)] if height and width > 6 else []
        columns = plot.pixel_columns(inner, self._glyphs)
        data = view.data.envelope(columns, look.first_step, look.last_step)
        frame = plot.Frame(log=log, smooth=smooth, marks=view.marks, cursor=look.cursor)
        *lines, axis = plot.draw(data, inner, height - 1, frame, self._glyphs)
        trend = self._trend(data, look, log) if smooth else math.nan
        return [
            box.top(self._title(view, look, log, trend), width, ink),
            *((("│", ink), *runs(line), ("│", ink)) for line in lines),
            (("╰", ink), *runs(axis, {plot.AXIS: ink}), ("╯", ink)),
        ]

    def _trend(self, data: plot.Columns, look: Look, log: bool) -> float:
        """The smoothed value under the cursor."""
        if look.cursor is None or look.last_step <= look.first_step:
            return math.nan
        smooth = plot.smoothed(data.mean, plot.Scale.around(data.low, data.high, log))
        at = int((look.cursor - look.first_step) / (look.last_step - look.first_step) * len(smooth))
        return smooth[min(at, len(smooth) - 1)] if at >= 0 else math.nan

    def _title(self, view: ChartView, look: Look, log: bool, trend: float) -> Row:
        room = self.size.width - 6
        label = shorten(view.label, max(6, room - 12))
        line: list[tuple[str, str]] = [(label + " ", "plain")]
        if look.reading is not None and look.cursor is not None:
            line += [(look.reading.value or "no value", "value"), (f" at {look.reading.step}", "focus")]
            tail = [f"smooth {units.number(trend)}"] if trend == trend else []
            tail += [look.reading.time] if look.reading.time else []
        else:
            line.append((view.value, "value" if view.ended else "act"))
            tail = (["log"] if log else []) + ([view.note] if view.note else [])
        for text in tail:
            if box.width_of(line) + len(text) + 3 <= room:
                line += [(" ─ ", "border"), (text, "quiet")]
        return tuple(line)


def runs(line: plot.Line, inks: dict[str, str] | None = None) -> Row:
    """A line of a picture as pieces of one ink each; `inks` gives some of them another name."""
    names = inks or {}
    return tuple((line.text[run.start() : run.end()], names.get(run[1], run[1])) for run in _RUN.finditer(line.inks))
