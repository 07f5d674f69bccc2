"""The usual range behind the lines of a plot."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache

from gradtop.plot.picture import BAND, BLANK, INSIDE, Columns, Frame, Glyphs
from gradtop.plot.scale import Scale

Band = Sequence[tuple[float, float, float]]
"""(step, low, high) in order."""
Cells = tuple[str, str]
"""The cells of one column, top first, and their inks."""


def shaded(
    columns: Sequence[Cells], data: Columns, scale: Scale, frame: Frame, rows: int, glyphs: Glyphs
) -> list[Cells]:
    """The columns with the range of the frame behind what they show."""
    pixels = scale.pixels(rows * glyphs.dots_y)
    out: list[Cells] = []
    for column, known in zip(columns, _ranges(frame.band, data, len(columns)), strict=True):
        if known is None or known[1] < scale.low or known[0] > scale.high:
            out.append(column)
        else:
            top, bottom = (pixels[value] // glyphs.dots_y for value in (known[1], known[0]))
            out.append(_filled(column, top, bottom, glyphs.band))
    return out


@lru_cache(maxsize=4096)
def _filled(column: Cells, top: int, bottom: int, sign: str) -> Cells:
    """Remembered, as most of a live picture stays as it was."""
    text, inks = column
    start = max(0, top)
    here = slice(start, max(start, bottom + 1))
    within = "".join(BAND if ink == BLANK else INSIDE.get(ink, ink) for ink in inks[here])
    shown = "".join(sign if ink == BAND else char for ink, char in zip(within, text[here], strict=True))
    return text[: here.start] + shown + text[here.stop :], inks[: here.start] + within + inks[here.stop :]


def _ranges(
    band: Sequence[tuple[float, float, float]], data: Columns, cells: int
) -> Iterator[tuple[float, float] | None]:
    """(low, high) in the middle of each cell, between the places where it is known; None elsewhere."""
    steps = [step for step, _, _ in band]
    for x in range(cells):
        step = _middle(data, x, cells)
        after = bisect_right(steps, step)
        if not 0 < after < len(steps):
            yield None
            continue
        (s0, low0, high0), (s1, low1, high1) = band[after - 1], band[after]
        if math.isnan(low0):
            yield None
        elif math.isnan(low1):
            yield low0, high0
        else:
            part = (step - s0) / (s1 - s0)
            yield low0 + (low1 - low0) * part, high0 + (high1 - high0) * part


def _middle(data: Columns, x: int, cells: int) -> float:
    """The step in the middle of a cell."""
    if data.edges:
        return data.edges[int((x + 0.5) * len(data.edges) / cells)]
    return data.first_step + (data.last_step - data.first_step) * (x + 0.5) / cells
