"""What stands around a plot: labels left of it, marks under it, and the x axis."""

from bisect import bisect_right
from collections.abc import Sequence

from gradtop.plot.axis import Labels
from gradtop.plot.picture import (
    ACT,
    ALARM,
    AXIS,
    BLANK,
    BRAILLE,
    GUTTER,
    LABEL,
    NOTICE,
    PLAN,
    RESUME,
    WATCH,
    Columns,
    Frame,
    Glyphs,
    Line,
    Overlay,
)
from gradtop.plot.scale import Scale


def with_gutter(line: Line, label: str, axis: str) -> Line:
    """A row of the plot behind its label and the y axis."""
    return Line(f"{label:>{GUTTER - 1}}{axis}{line.text}", _GUTTER_INKS + line.inks)


_GUTTER_INKS = LABEL * (GUTTER - 1) + AXIS


def column_of(step: float | None, data: Columns) -> int | None:
    """The pixel column in which a step lies; None outside."""
    if step is None or not data.first_step <= step <= data.last_step:
        return None
    if data.edges:
        return max(0, bisect_right(data.edges, step) - 1)
    span, columns = data.last_step - data.first_step, len(data.low)
    return min(columns - 1, int((step - data.first_step) / span * columns)) if span > 0 else 0


def cell_of(step: float | None, data: Columns, width: int) -> int | None:
    """The cell of a plot `width` cells wide in which a step lies; None outside."""
    column = column_of(step, data)
    return column * width // len(data.low) if column is not None else None


def marks_row(
    data: Columns,
    width: int,
    frame: Frame,
    scale: Scale,
    below: Sequence[int],
    glyphs: Glyphs,
    others: Sequence[Overlay] = (),
) -> Line | None:
    """What happened where, lesser things first so that the worst stays visible; None where nothing did."""
    cells: dict[int, tuple[str, str]] = {}
    for mark in sorted(frame.marks, key=lambda m: (PLAN + RESUME + NOTICE + WATCH + ACT).index(m.ink)):
        if (at := cell_of(mark.step, data, width)) is not None:
            cells[at] = ({RESUME: glyphs.resume, PLAN: glyphs.plan}.get(mark.ink, glyphs.finding), mark.ink)
    for x in [x for x, low in enumerate(data.low) if low <= 0] if scale.log else below:
        cells[x // glyphs.dots_x] = (glyphs.below, WATCH)
    for ink, columns in (*((other.ink, other.data) for other in reversed(others)), (ALARM, data)):
        for x, (nan, inf) in enumerate(zip(columns.nan, columns.inf, strict=True)):
            if nan or inf:
                cells[x // glyphs.dots_x] = (glyphs.nonfinite, ink)
    if not cells:
        return None
    row = [cells.get(x, (" ", BLANK)) for x in range(width)]
    return Line("".join(text for text, _ in row), "".join(ink for _, ink in row))


def x_axis(labels: Labels, width: int, glyphs: Glyphs = BRAILLE, counts: str = "") -> Line:
    """The x axis: labels at their cells of the plot, and what it `counts` in the gutter."""
    text = [glyphs.line] * width
    inks = [AXIS] * width
    for start, word in ((0, counts[: GUTTER - 1]), *((GUTTER + at, label) for at, label in labels)):
        text[start : start + len(word)] = word
        inks[start : start + len(word)] = LABEL * len(word)
    return Line("".join(text), "".join(inks))
