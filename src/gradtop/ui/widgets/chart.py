"""One series, drawn by `gradtop.plot`."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.message import Message

from gradtop import plot
from gradtop.ui.cells import shorten
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Canvas, Row
from gradtop.view import Across, Reading, Trace
from gradtop.view import Chart as ChartView
from gradtop.view.charts import Sampled

MOST_COVERED = 64
"""New values looked at one by one before the chart is drawn anew."""
_NUMBERED = 40
"""Cells of a chart from which on its title has room for its number."""
_LEAST_NAME, _LEAST_VALUED = 4, 8
"""Cells below which the name of a further line says nothing; and from which on there is room for its value."""
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
    symlog: bool = False
    """Logarithmic above and below zero; goes before `log`."""
    across: Across | None = None
    """What the x axis counts; None: steps."""
    selected: tuple[float, float] | None = None
    """Steps that are being selected."""
    place: str = ""
    """Which of the charts it is, for the title: `2/9`."""


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

    class Pointed(Message):
        """The mouse did something at a place in the chart."""

        def __init__(self, chart: "Chart", part: float, start: float | None = None, *, select: bool = False) -> None:
            """`part` is the place across the plot, 0 to 1; `start` is where a drag began that goes on there."""
            super().__init__()
            self.chart = chart
            self.part = part
            self.start = start
            self.select = select

    class Clicked(Pointed):
        """A place was clicked."""

    class DoubleClicked(Pointed):
        """A place was clicked twice."""

    class Dragged(Pointed):
        """The mouse moves while its button is down; `select`: with a modifier key that asks for a selection."""

    class Dropped(Pointed):
        """The button of a drag was let go."""

    class Scrolled(Message):
        """The wheel was turned at a place in the chart."""

        def __init__(self, chart: "Chart", part: float, up: int, across: int) -> None:
            """`up` and `across` are notches: of zoom, and to the right."""
            super().__init__()
            self.chart = chart
            self.part = part
            self.up = up
            self.across = across

    def __init__(self, glyphs: plot.Glyphs, *, id: str | None = None) -> None:
        """`glyphs` says whether to draw in braille or in ASCII."""
        super().__init__(id=id)
        self._glyphs = glyphs
        self._shown: object = None
        self._place: object = None
        self._newest: _Newest | None = None
        self._pieces: dict[plot.Line, Row] = {}
        self._down: float | None = None
        self._moved = False
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
            self.paint([self._top(view, look), *self._rows[1:]])
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
        """Show that the keys act here. The toolkit handles the event after this."""
        self.call_later(self.redraw)

    def on_blur(self) -> None:
        """Show that the keys act elsewhere."""
        self.call_later(self.redraw)

    def _part(self, event: events.MouseEvent) -> float:
        """The place of the mouse across the plot, 0 to 1."""
        return min(1.0, max(0.0, (event.x - 1 - plot.GUTTER + 0.5) / self.plot_cells))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A drag may begin here."""
        if event.button == 1:
            self._down = self._part(event)
            self._moved = False
            self.capture_mouse()

    def hold(self, part: float) -> None:
        """The drag goes on from this place: what was under the mouse has moved with it."""
        self._down = part

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """A drag goes on."""
        part = self._part(event)
        if self._down is not None and (self._moved or part != self._down):
            self._moved = True
            self.post_message(self.Dragged(self, part, self._down, select=event.shift or event.ctrl))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """A drag or a click is over."""
        self.release_mouse()
        down, self._down = self._down, None
        if down is not None and self._moved:
            self.post_message(self.Dropped(self, self._part(event), down))

    def on_click(self, event: events.Click) -> None:
        """Tell the room which step was meant."""
        if not self._moved:
            said = self.DoubleClicked if event.chain == 2 else self.Clicked
            self.post_message(said(self, self._part(event)))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """In, at the pointer."""
        self._scrolled(event, 1, 0)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Out, at the pointer."""
        self._scrolled(event, -1, 0)

    def on_mouse_scroll_left(self, event: events.MouseScrollLeft) -> None:
        """Back."""
        self._scrolled(event, 0, -1)

    def on_mouse_scroll_right(self, event: events.MouseScrollRight) -> None:
        """On."""
        self._scrolled(event, 0, 1)

    def _scrolled(self, event: events.MouseEvent, up: int, across: int) -> None:
        # It is about the chart alone: the screen does not scroll.
        event.stop()
        self.post_message(self.Scrolled(self, self._part(event), up, across))

    def _drawn(self, view: ChartView, look: Look) -> list[Row]:
        width, height = self.size.width, self.size.height
        ink = "focus" if self.has_focus else "border"
        log = _log(view, look)
        inner = width - 2
        if height < 4 or inner < plot.GUTTER + 4:
            return [self._top(view, look)] if height and width > 6 else []
        columns = plot.pixel_columns(inner, self._glyphs)
        data, smooth, others = self._sampled(view, look, columns)
        self._newest = _Newest.of(data)
        data = plot.scaled(data, view.unit.factor)
        frame = self._frame(view, look, log)
        *lines, axis = plot.draw(data, inner, height - 1, frame, self._glyphs, others, _in_unit(view, smooth))
        # Most lines of a live picture are those of the picture before.
        self._pieces = {line: self._pieces.get(line) or runs(line) for line in lines}
        return [
            self._top(view, look),
            *((("│", ink), *self._pieces[line], ("│", ink)) for line in lines),
            (("╰", ink), *runs(axis, {plot.AXIS: ink}), ("╯", ink)),
        ]

    def _sampled(
        self, view: ChartView, look: Look, columns: int
    ) -> tuple[plot.Columns, Sequence[float], list[plot.Overlay]]:
        """The series as pixel columns, its smoothed line, and the further lines, all as they are in the log."""
        window, edges = (look.first_step, look.last_step), None
        if look.across is not None:
            edges = look.across.edges(*window, columns)
        data = view.data.envelope(columns, *window, edges)
        smooth = _smooth(view, look, view.data, columns, window, edges)
        return data, smooth, [self._overlay(trace, view, look, columns) for trace, _ in _traces(view, look)]

    def _overlay(self, trace: Trace, view: ChartView, look: Look, columns: int) -> plot.Overlay:
        """A further line: a run has its own steps at the places of the axis."""
        window, edges = (look.first_step, look.last_step), None
        if look.across is not None:
            *edges, last = look.across.edges_beside(trace.ink, *window, columns)
            window = edges[0], last
        data = plot.scaled(trace.data.envelope(columns, *window, edges), view.unit.factor)
        smooth = _smooth(view, look, trace.data, columns, window, edges)
        return plot.Overlay(data, trace.ink[-1], _in_unit(view, smooth))

    def _frame(self, view: ChartView, look: Look, log: bool) -> plot.Frame:
        across, counts = look.across, view.counts
        labels = across.labels(look.first_step, look.last_step, self.plot_cells) if across is not None else None
        return plot.Frame(
            log,
            view.marks,
            look.cursor,
            view.ratio,
            across.kind if across is not None else counts,
            band=_scaled_band(view),
            labels=labels,
            selected=look.selected,
            symlog=look.symlog,
        )

    def _top(self, view: ChartView, look: Look) -> Row:
        ink = "focus" if self.has_focus else "border"
        width = self.size.width
        place: Row = ((f" {look.place} ", "quiet"),) if look.place and width >= _NUMBERED else ()
        return box.top(self._title(view, look, width - 6 - box.width_of(place)), width, ink, place)

    def _title(self, view: ChartView, look: Look, room: int) -> Row:
        label = shorten(view.label, max(6, room - 12))
        line: list[tuple[str, str]] = [(label + " ", "plain")]
        if look.reading is not None and look.cursor is not None:
            line += [(look.reading.value or "no value", "value"), (f" at {look.reading.step}", "focus")]
            tail = [text for text in (_average(view, look), look.reading.time) if text]
        else:
            line.append((view.value, "value" if view.ended else "act"))
            scale = "symlog" if look.symlog else "log" if _log(view, look) else ""
            drawn = ", ".join(filter(None, (scale, _average(view, look))))
            tail = [text for text in (drawn, view.note) if text]
        # Lines without a name say nothing; what else there is to say comes where there is room left.
        traces = _traces(view, look)
        names = legend([trace for trace, _ in traces], room - box.width_of(line), [value for _, value in traces])
        room -= box.width_of(names)
        for text in tail:
            if box.width_of(line) + len(text) + 3 <= room:
                line += [(" ─ ", "border"), (text, "quiet")]
        return (*line, *names)


def _drawn_alike(view: ChartView) -> tuple[object, ...]:
    """What two pictures have in common where only values of the series itself were added."""
    return view.name, view.unit, view.log, view.smooth, view.marks, view.others


def _log(view: ChartView, look: Look) -> bool:
    return not look.symlog and (view.log if look.log is None else look.log)


def _smoothed(view: ChartView, look: Look) -> bool:
    return view.smooth if look.smooth is None else look.smooth


def _smooth(
    view: ChartView,
    look: Look,
    data: Sampled,
    columns: int,
    window: tuple[float, float],
    edges: Sequence[float] | None,
) -> Sequence[float]:
    """The smoothed line of a series, averaged on the axis that it is drawn on; none where it is switched off."""
    if not _smoothed(view, look):
        return ()
    return data.smooth(columns, *window, edges, log=_log(view, look), part=view.ratio)


def _average(view: ChartView, look: Look) -> str:
    """Over how many rows the line is smoothed, and the smoothed value under the cursor; empty where it is not."""
    if not _smoothed(view, look):
        return ""
    if look.cursor is None or look.reading is None:
        return f"EMA {view.data.span}" if view.data.span is not None else ""
    found = view.data.smooth_at(look.cursor, log=_log(view, look), part=view.ratio)
    # A line that is drawn past a NaN is no value of it.
    return f"EMA {found[1]}: {view.unit.text(found[0])}" if found is not None and look.reading.finite else ""


def _in_unit(view: ChartView, values: Sequence[float]) -> Sequence[float]:
    factor = view.unit.factor
    return values if factor == 1.0 else [value * factor for value in values]


def _traces(view: ChartView, look: Look) -> list[tuple[Trace, str]]:
    """The further lines that have a place on the x axis, and the value of each under the cursor, or the newest."""
    newest = [view.shown(next(iter(trace.data.tail(1)), None)) for trace in view.others]
    values = look.reading.others if look.reading is not None else newest
    left_out = look.across.missing if look.across is not None else frozenset()
    found = [pair for pair in zip(view.others, values, strict=True) if pair[0].ink not in left_out]
    return found[: len(plot.TRACES)]


def _scaled_band(view: ChartView) -> Sequence[tuple[float, float, float]]:
    factor = view.unit.factor
    return view.band if factor == 1.0 else tuple((step, low * factor, high * factor) for step, low, high in view.band)


def legend(traces: Sequence[Trace], room: int, values: Sequence[str] = ()) -> Row:
    """Letter, name and value of each further line in `room` cells: values are dropped, then names are shortened."""
    shown = traces[: len(plot.TRACES)]
    if not shown:
        return ()
    each = room // len(shown) - len(" ─ a ")
    names = [shorten(trace.label, each) if each >= _LEAST_NAME else "" for trace in shown]
    valued = [(trace.label, value, each - len(value) - 1) for trace, value in zip(shown, values, strict=False)]
    if valued and all(left >= min(cell_len(name), _LEAST_VALUED) for name, _, left in valued):
        names = [f"{shorten(name, left)} {value}".rstrip() for name, value, left in valued]
    row: list[tuple[str, str]] = []
    for trace, name in zip(shown, names, strict=True):
        piece = f"{plot.LETTERS[plot.TRACES.index(trace.ink[-1])]} {name}".rstrip()
        if box.width_of(row) + cell_len(piece) + 3 <= room:
            row += [(" ─ ", "border"), (piece, trace.ink)]
    return tuple(row)


def runs(line: plot.Line, inks: dict[str, str] | None = None) -> Row:
    """A line of a picture as pieces of one ink each; `inks` gives some of them another name."""
    names = inks or {}
    return tuple((line.text[run.start() : run.end()], names.get(run[1], run[1])) for run in _RUN.finditer(line.inks))
