"""Pixel columns to rows of braille (or ASCII) characters, with axes and marks."""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from operator import add

from gradtop.plot.axis import step_labels
from gradtop.plot.band import Cells, shaded
from gradtop.plot.bar import Known, bars, smooth_bars
from gradtop.plot.margin import cell_of, marks_row, with_gutter, x_axis
from gradtop.plot.picture import (
    BAND,
    BLANK,
    BRAILLE,
    CURSOR,
    GUTTER,
    LETTERS,
    RAW,
    SMOOTH,
    TRACES,
    Columns,
    Frame,
    Glyphs,
    Line,
    Overlay,
)
from gradtop.plot.scale import Scale

_Bars = tuple[list[int], str]
"""A line as bits per pixel column, and its ink."""


def draw(
    data: Columns,
    width: int,
    height: int,
    frame: Frame,
    glyphs: Glyphs = BRAILLE,
    others: Sequence[Overlay] = (),
    smooth: Sequence[float] = (),
) -> list[Line]:
    """`height` rows of `width` cells: the plot, a row of marks where there are any, and the x axis.

    Args:
        data: as many columns as `pixel_columns(width, glyphs)` says.
        width: at least GUTTER + 2.
        height: at least 2.
        frame: axis, marks and cursor.
        glyphs: BRAILLE or ASCII.
        others: further lines, under that of `data`; one axis holds all of them.
        smooth: the smoothed values of the columns of `data`, drawn over it; none: there are none.
    """
    below = [x for x, low in enumerate(data.low) if low < 0] if frame.ratio else []
    data = Known(data, below) if below else data
    lows, highs = _extremes(data, others)
    scale = Scale.around(lows, highs, frame.log, frame.symlog)
    marks = marks_row(data, width - GUTTER, frame, scale, below, glyphs, others)
    rows = max(1, height - (2 if marks else 1))
    height_px = rows * glyphs.dots_y
    layers = [*_own_bars(data, scale, height_px, smooth), *(_other_bars(o, scale, height_px) for o in others)]
    cells = _cells(data, scale, rows, width - GUTTER, frame, glyphs, layers, len(others))
    known = not all(map(math.isnan, lows))
    ticks = dict(scale.ticks(rows, GUTTER - 1, glyphs.dots_y)) if known else {}
    squeezed = frozenset(scale.squeezed(rows, glyphs.dots_y))
    lines = [
        with_gutter(
            line, ticks.get(y, ""), glyphs.squeezed if y in squeezed else glyphs.tick if y in ticks else glyphs.axis
        )
        for y, line in enumerate(cells)
    ]
    if marks:
        lines.append(with_gutter(marks, "", glyphs.axis))
    labels = frame.labels
    if labels is None:
        labels = step_labels(data.first_step, data.last_step, width - GUTTER)
    return [*lines[: height - 1], x_axis(labels, width, glyphs, frame.counts)]


def _extremes(data: Columns, others: Sequence[Overlay]) -> tuple[Sequence[float], Sequence[float]]:
    """The least and the greatest values of all lines, column by column."""
    if not others:
        return data.low, data.high
    drawn = [data, *(other.data for other in others)]
    return list(chain.from_iterable(d.low for d in drawn)), list(chain.from_iterable(d.high for d in drawn))


def _cells(
    data: Columns,
    scale: Scale,
    rows: int,
    width: int,
    frame: Frame,
    glyphs: Glyphs,
    layers: Sequence[_Bars],
    others: int,
) -> list[Line]:
    """The rows of the plot; the last `others` layers are named where they end."""
    step = glyphs.dots_x
    inks = "".join(ink for _, ink in layers)
    pairs = (pair for found, _ in layers for pair in (found[::step], found[step - 1 :: step]))
    columns = [_column(bits, inks, rows, glyphs) for bits in zip(*pairs, strict=True)]
    if frame.band:
        columns = shaded(columns, data, scale, frame, rows, glyphs)
    for found, ink in reversed(layers[len(layers) - others :]):
        _name(columns, LETTERS[TRACES.index(ink)], ink, found, glyphs)
    for x in _selected(frame, data, width):
        columns[x] = _lit(columns[x], " ")
    if (cursor := cell_of(frame.cursor, data, width)) is not None:
        columns[cursor] = _lit(columns[cursor], glyphs.cursor)
    texts, drawn = (map("".join, zip(*part, strict=True)) for part in zip(*columns, strict=True))
    return [Line(text, ink) for text, ink in zip(texts, drawn, strict=True)]


def _own_bars(data: Columns, scale: Scale, height: int, smooth: Sequence[float]) -> list[_Bars]:
    """The line that the picture is of, the smoothed one first, as it hides what is under it."""
    lost = list(map(add, data.nan, data.inf))
    raw = bars(data, scale, height, lost)
    if not smooth:
        return [(raw, SMOOTH)]
    return [(smooth_bars(data, smooth, scale, height, lost), SMOOTH), (raw, RAW)]


def _other_bars(other: Overlay, scale: Scale, height: int) -> _Bars:
    lost = list(map(add, other.data.nan, other.data.inf))
    if other.smooth:
        return smooth_bars(other.data, other.smooth, scale, height, lost), other.ink
    return bars(other.data, scale, height, lost), other.ink


@lru_cache(maxsize=8192)
def _column(bits: tuple[int, ...], inks: str, rows: int, glyphs: Glyphs) -> Cells:
    """One column of cells: `bits` are the left and the right bar of each ink, and a line hides those after it.

    Remembered, as most of a live picture stays as it was.
    """
    text, drawn = "", ""
    for y in range(rows):
        for i, ink in enumerate(inks):
            dots = _dots(bits[2 * i], bits[2 * i + 1], y, glyphs)
            if dots:
                text, drawn = text + _characters(ink, inks, glyphs)[dots], drawn + ink
                break
        else:
            text, drawn = text + " ", drawn + BLANK
    return text, drawn


def _characters(ink: str, inks: str, glyphs: Glyphs) -> Sequence[str]:
    if ink in TRACES:
        return glyphs.raw if glyphs.dots_x == 2 else LETTERS[TRACES.index(ink)] * len(glyphs.raw)
    return glyphs.smooth if ink == SMOOTH and RAW in inks else glyphs.raw


def _dots(left: int, right: int, y: int, glyphs: Glyphs) -> int:
    """The dots of the cell at row `y` as an index of `Glyphs.raw`."""
    mask, shift = (1 << glyphs.dots_y) - 1, y * glyphs.dots_y
    both = left >> shift & mask
    return both | (right >> shift & mask) << glyphs.dots_y if glyphs.dots_x == 2 else both


def _name(columns: list[Cells], letter: str, ink: str, found: Sequence[int], glyphs: Glyphs) -> None:
    """Write the letter of a line behind its end, or on it where something else is there."""
    end = next((x for x in reversed(range(len(found))) if found[x]), None)
    if end is None:
        return
    y = ((found[end] & -found[end]).bit_length() - 1) // glyphs.dots_y
    at = end // glyphs.dots_x
    behind = [at + 1] if at + 1 < len(columns) and columns[at + 1][1][y] in BLANK + BAND else []
    x = next((x for x in (*behind, *range(at, -1, -1)) if columns[x][0][y] not in LETTERS), at)
    text, inks = columns[x]
    columns[x] = text[:y] + letter + text[y + 1 :], inks[:y] + ink + inks[y + 1 :]


def _selected(frame: Frame, data: Columns, width: int) -> range:
    """The cells of the steps that are being selected."""
    if frame.selected is None:
        return range(0)
    ends = (max(data.first_step, min(step, data.last_step)) for step in frame.selected)
    first, last = sorted(cell_of(step, data, width) or 0 for step in ends)
    return range(first, last + 1)


def _lit(column: Cells, blank: str) -> Cells:
    """A column that stands out, `blank` where nothing is drawn; nothing is hidden."""
    text = "".join(blank if ink in (BLANK, BAND) else char for char, ink in zip(*column, strict=True))
    return text, CURSOR * len(text)
