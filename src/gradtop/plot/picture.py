"""Pixel columns to rows of braille (or ASCII) characters, with axes and marks.

A picture is rows of text with one *ink* per cell: a letter that says what the cell shows. Colours are for the widget.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import add
from typing import Protocol

from gradtop.plot.axis import Scale, step_labels

BLANK, RAW, SMOOTH, AXIS, LABEL, CURSOR = " ", "r", "s", "a", "l", "c"
"""Inks of the plot area. Where nothing is smoothed, the raw line is the one to read and takes the smooth one's ink."""
ALARM, ACT, WATCH, NOTICE, RESUME = "x", "i", "w", "n", "u"
"""Inks of the marks: non-finite values, findings by severity, the start of a session."""
GUTTER = 8
"""Cells left of the plot: labels of at most 7 characters and the axis."""

LEAST_SMOOTHED = 40
"""Columns with values below which a smoothed line would be drawn from too little."""


class Columns(Protocol):
    """A series as pixel columns between two steps; an empty column holds NaN. All sequences have one length."""

    @property
    def first_step(self) -> float:
        """The step at the left edge."""
        ...

    @property
    def last_step(self) -> float:
        """The step at the right edge."""
        ...

    @property
    def low(self) -> Sequence[float]:
        """Least finite value per column."""
        ...

    @property
    def high(self) -> Sequence[float]:
        """Greatest finite value per column."""
        ...

    @property
    def mean(self) -> Sequence[float]:
        """Mean of the finite values per column."""
        ...

    @property
    def last(self) -> Sequence[float]:
        """Last finite value per column."""
        ...

    @property
    def nan(self) -> Sequence[int]:
        """NaN values per column."""
        ...

    @property
    def inf(self) -> Sequence[int]:
        """Infinite values per column."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Glyphs:
    """The characters of a picture: braille and lines, or plain ASCII."""

    dots_x: int
    """Pixel columns per cell."""
    dots_y: int
    """Pixel rows per cell."""
    raw: Sequence[str]
    """Character by the dots set: left column in the low bits, top first, then the right column."""
    smooth: Sequence[str]
    tick: str
    axis: str
    squeezed: str
    """The axis where decades with rare values only are squeezed together."""
    line: str
    """The horizontal axis."""
    cursor: str
    nonfinite: str
    finding: str
    below: str
    """A value that a log axis cannot show: zero or negative."""
    resume: str


def _braille(bits: int) -> str:
    # Unicode numbers the dots 1-2-3-7 down the left column and 4-5-6-8 down the right one.
    order = (0x01, 0x02, 0x04, 0x40, 0x08, 0x10, 0x20, 0x80)
    return chr(0x2800 + sum(dot for i, dot in enumerate(order) if bits >> i & 1)) if bits else " "


_DOTS = tuple(_braille(bits) for bits in range(256))
BRAILLE = Glyphs(2, 4, _DOTS, _DOTS, "┤", "│", "┊", "─", "│", "✕", "▲", "▾", "↻")
"""Two by four dots a cell."""
ASCII = Glyphs(1, 2, (" ", "'", ".", ":"), (" ", '"', "_", "="), "+", "|", ":", "-", "|", "X", "^", "v", "@")
"""One by two dots a cell, for terminals without UTF-8."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on the x axis that matters."""

    step: float
    ink: str
    """`ACT`, `WATCH`, `NOTICE` or `RESUME`."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a picture: as many inks as characters."""

    text: str
    inks: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What is drawn beside the data."""

    log: bool = False
    smooth: bool = False
    marks: tuple[Mark, ...] = ()
    cursor: float | None = None
    """The step under the cursor."""
    ratio: bool = False
    """Values below zero are none: they are marked, and take no part in the scale."""
    counts: str = ""
    """What the x axis counts, written before it; empty: not said."""


class _Known:
    """Pixel columns without the values below zero of some of them."""

    def __init__(self, data: Columns, below: Sequence[int]) -> None:
        self.first_step, self.last_step = data.first_step, data.last_step
        self.nan, self.inf, self.high = data.nan, data.inf, list(data.high)
        self.low, self.mean, self.last = list(data.low), list(data.mean), list(data.last)
        for x in below:
            # Of a column with both, the highest value is the one that is known to be left.
            left = self.high[x] if self.high[x] >= 0 else math.nan
            self.low[x] = self.high[x] = self.mean[x] = self.last[x] = left


def pixel_columns(width: int, glyphs: Glyphs = BRAILLE) -> int:
    """Pixel columns of a plot that is `width` cells wide with its gutter; at least 1."""
    return max(1, (width - GUTTER) * glyphs.dots_x)


def draw(data: Columns, width: int, height: int, frame: Frame, glyphs: Glyphs = BRAILLE) -> list[Line]:
    """`height` rows of `width` cells: the plot, a row of marks where there are any, and the x axis.

    Args:
        data: as many columns as `pixel_columns(width, glyphs)` says.
        width: at least GUTTER + 2.
        height: at least 2.
        frame: axis, smoothing, marks and cursor.
        glyphs: BRAILLE or ASCII.
    """
    below = [x for x, low in enumerate(data.low) if low < 0] if frame.ratio else []
    data = _Known(data, below) if below else data
    scale = Scale.around(data.low, data.high, frame.log)
    marks = _marks_row(data, width - GUTTER, frame, scale, below, glyphs)
    rows = max(1, height - (2 if marks else 1))
    cells = _cells(data, scale, rows, width - GUTTER, frame, glyphs)
    known = not all(map(math.isnan, data.low))
    ticks = dict(scale.ticks(rows, GUTTER - 1, glyphs.dots_y)) if known else {}
    squeezed = frozenset(scale.squeezed(rows, glyphs.dots_y))
    lines = [
        _with_gutter(
            line, ticks.get(y, ""), glyphs.squeezed if y in squeezed else glyphs.tick if y in ticks else glyphs.axis
        )
        for y, line in enumerate(cells)
    ]
    if marks:
        lines.append(_with_gutter(marks, "", glyphs.axis))
    return [*lines[: height - 1], x_axis(data.first_step, data.last_step, width, glyphs, frame.counts)]


def _with_gutter(line: Line, label: str, axis: str) -> Line:
    return Line(f"{label:>{GUTTER - 1}}{axis}{line.text}", _GUTTER_INKS + line.inks)


_GUTTER_INKS = LABEL * (GUTTER - 1) + AXIS


def _cells(data: Columns, scale: Scale, rows: int, width: int, frame: Frame, glyphs: Glyphs) -> list[Line]:
    height = rows * glyphs.dots_y
    lost = list(map(add, data.nan, data.inf))
    raw = _bars(data, scale, height, lost)
    smoothing = frame.smooth and len(data.mean) - sum(map(math.isnan, data.mean)) >= LEAST_SMOOTHED
    smooth = _smooth_bars(data, scale, height, lost) if smoothing else [0] * len(raw)
    ink, step = RAW if smoothing else SMOOTH, glyphs.dots_x
    pixels = zip(raw[::step], raw[step - 1 :: step], smooth[::step], smooth[step - 1 :: step], strict=True)
    columns = [_column(*bars, ink, rows, glyphs) for bars in pixels]
    if (cursor := _cell_of(frame.cursor, data, width)) is not None:
        columns[cursor] = _lit(columns[cursor], glyphs)
    texts, inks = (map("".join, zip(*part, strict=True)) for part in zip(*columns, strict=True))
    return [Line(text, ink) for text, ink in zip(texts, inks, strict=True)]


@lru_cache(maxsize=8192)
def _column(
    left: int, right: int, smooth_left: int, smooth_right: int, ink: str, rows: int, glyphs: Glyphs
) -> tuple[str, str]:
    """The cells of one column, top first, and their inks; the smoothed line hides what is under it.

    Each argument has a bit per pixel. Remembered, as most of a live picture stays as it was.
    """
    text, inks = "", ""
    for y in range(rows):
        for bars, characters, this in (
            ((smooth_left, smooth_right), glyphs.smooth, SMOOTH),
            ((left, right), glyphs.raw, ink),
        ):
            dots = _dots(*bars, y, glyphs)
            if dots:
                text, inks = text + characters[dots], inks + this
                break
        else:
            text, inks = text + " ", inks + BLANK
    return text, inks


def _dots(left: int, right: int, y: int, glyphs: Glyphs) -> int:
    """The dots of the cell at row `y` as an index of `Glyphs.raw`."""
    mask, shift = (1 << glyphs.dots_y) - 1, y * glyphs.dots_y
    both = left >> shift & mask
    return both | (right >> shift & mask) << glyphs.dots_y if glyphs.dots_x == 2 else both


def _lit(column: tuple[str, str], glyphs: Glyphs) -> tuple[str, str]:
    """The cursor on a column; it hides nothing."""
    text = "".join(glyphs.cursor if ink == BLANK else char for char, ink in zip(*column, strict=True))
    return text, CURSOR * len(text)


def _bars(data: Columns, scale: Scale, height: int, lost: Sequence[int]) -> list[int]:
    """Each pixel column from its minimum to its maximum as bits (pixel 0 is the top), joined to the column before it.

    Where a value was lost to NaN or infinity nothing is joined, before or after.
    """
    bars = [0] * len(data.low)
    row, broken = scale.pixels(height), any(lost)
    x0, y0 = -1, 0
    for x, (low, high) in enumerate(zip(data.low, data.high, strict=True)):
        if low != low:
            continue
        top, bottom = row[high], row[low]
        bars[x] |= (1 << bottom + 1) - (1 << top)
        if x0 >= 0 and not (broken and any(lost[x0 : x + 1])) and not (x == x0 + 1 and top - 1 <= y0 <= bottom + 1):
            _join(bars, x0, y0, x, min(max(y0, top), bottom))
        x0, y0 = x, row[data.last[x]]
    return bars


def _join(bars: list[int], x0: int, y0: int, x1: int, y1: int) -> None:
    """Set a line between two pixels, without gaps; its first pixel is there already."""
    y = y0
    for x in range(x0 + 1, x1 + 1):
        goal = round(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
        low, high = (y + 1, goal) if goal > y else (goal, y - 1) if goal < y else (y, y)
        bars[x] |= (1 << high + 1) - (1 << low)
        y = goal


def smoothed(means: Sequence[float], scale: Scale) -> list[float]:
    """Exponential moving average over the column means, NaN where a column is empty.

    With fewer rows than columns a mean is the row itself, so this is then an average over rows. The average is taken
    on the axis: on a log axis of logarithms, so that a spike of decades does not lift the line for long. Its span is a
    fortieth of the columns, at least 5; a start is weighted as if nothing came before it.
    """
    keep = 1 - 2 / (max(5, len(means) // 40) + 1)
    total = weight = 0.0
    levels: list[float] = []
    for level in (math.log10(mean) if mean > 0 else math.nan for mean in means) if scale.log else means:
        if level == level:
            total, weight = total * keep + level * (1 - keep), weight * keep + 1 - keep
            levels.append(total / weight)
        else:
            levels.append(math.nan)
    return [10.0**level for level in levels] if scale.log else levels


def _smooth_bars(data: Columns, scale: Scale, height: int, lost: Sequence[int]) -> list[int]:
    bars = [0] * len(data.mean)
    row, broken = scale.pixels(height), any(lost)
    x0, y0 = -1, 0
    for x, value in enumerate(smoothed(data.mean, scale)):
        if value != value:
            continue
        y = row[value]
        bars[x] |= 1 << y
        if x0 >= 0 and not (broken and any(lost[x0 : x + 1])) and (x > x0 + 1 or y != y0):
            _join(bars, x0, y0, x, y)
        x0, y0 = x, y
    return bars


def _cell_of(step: float | None, data: Columns, width: int) -> int | None:
    """The cell in which a step lies; None outside."""
    if step is None or not data.first_step <= step <= data.last_step:
        return None
    span = data.last_step - data.first_step
    return min(width - 1, int((step - data.first_step) / span * width)) if span > 0 else 0


def _marks_row(
    data: Columns, width: int, frame: Frame, scale: Scale, below: Sequence[int], glyphs: Glyphs
) -> Line | None:
    """What happened where, lesser things first so that the worst stays visible; None where nothing did."""
    cells: dict[int, tuple[str, str]] = {}
    for mark in sorted(frame.marks, key=lambda m: (RESUME + NOTICE + WATCH + ACT).index(m.ink)):
        if (at := _cell_of(mark.step, data, width)) is not None:
            cells[at] = (glyphs.resume if mark.ink == RESUME else glyphs.finding, mark.ink)
    for x in [x for x, low in enumerate(data.low) if low <= 0] if scale.log else below:
        cells[x // glyphs.dots_x] = (glyphs.below, WATCH)
    for x, (nan, inf) in enumerate(zip(data.nan, data.inf, strict=True)):
        if nan or inf:
            cells[x // glyphs.dots_x] = (glyphs.nonfinite, ALARM)
    if not cells:
        return None
    row = [cells.get(x, (" ", BLANK)) for x in range(width)]
    return Line("".join(text for text, _ in row), "".join(ink for _, ink in row))


def x_axis(first: float, last: float, width: int, glyphs: Glyphs = BRAILLE, counts: str = "") -> Line:
    """The x axis: step numbers at round steps, each centred under its own column, the right edge always named.

    What it `counts` stands in the gutter.
    """
    text = [glyphs.line] * width
    inks = [AXIS] * width
    word = counts[: GUTTER - 1]
    text[: len(word)] = word
    inks[: len(word)] = LABEL * len(word)
    for at, label in step_labels(first, last, width - GUTTER):
        start = GUTTER + at
        text[start : start + len(label)] = label
        inks[start : start + len(label)] = LABEL * len(label)
    return Line("".join(text), "".join(inks))


SPARKS = "▁▂▃▄▅▆▇█"
ASCII_SPARKS = "_.-~=+*#"


def sparkline(data: Columns, ascii_only: bool = False) -> str:
    """The means of all columns as bars: a space where a column is empty, ✕ (X) where it was not finite."""
    sparks = ASCII_SPARKS if ascii_only else SPARKS
    seen = [mean for mean in data.mean if mean == mean]
    low, high = min(seen, default=0.0), max(seen, default=0.0)
    out: list[str] = []
    for mean, nan, inf in zip(data.mean, data.nan, data.inf, strict=True):
        if nan or inf:
            out.append((ASCII if ascii_only else BRAILLE).nonfinite)
        elif mean != mean:
            out.append(" ")
        else:
            part = (mean / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.0
            out.append(sparks[min(len(sparks) - 1, int(part * len(sparks)))])
    return "".join(out)
