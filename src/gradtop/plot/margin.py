"""What stands around a plot: labels left of it, marks under it, and the x axis."""

from collections.abc import Sequence

from gradtop.plot.axis import Scale, step_labels
from gradtop.plot.picture import (
    ACT,
    ALARM,
    AXIS,
    BLANK,
    BRAILLE,
    GUTTER,
    LABEL,
    NOTICE,
    RESUME,
    WATCH,
    Columns,
    Frame,
    Glyphs,
    Line,
    Overlay,
)


def with_gutter(line: Line, label: str, axis: str) -> Line:
    """A row of the plot behind its label and the y axis."""
    return Line(f"{label:>{GUTTER - 1}}{axis}{line.text}", _GUTTER_INKS + line.inks)


_GUTTER_INKS = LABEL * (GUTTER - 1) + AXIS


def cell_of(step: float | None, data: Columns, width: int) -> int | None:
    """The cell in which a step lies; None outside."""
    if step is None or not data.first_step <= step <= data.last_step:
        return None
    span = data.last_step - data.first_step
    return min(width - 1, int((step - data.first_step) / span * width)) if span > 0 else 0


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
    for mark in sorted(frame.marks, key=lambda m: (RESUME + NOTICE + WATCH + ACT).index(m.ink)):
        if (at := cell_of(mark.step, data, width)) is not None:
            cells[at] = (glyphs.resume if mark.ink == RESUME else glyphs.finding, mark.ink)
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
