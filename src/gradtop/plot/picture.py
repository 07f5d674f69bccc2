"""What a picture is made of: inks, characters, the data and what is drawn beside it.

A picture is rows of text with one *ink* per cell: a letter that says what the cell shows. Colours are for the widget.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gradtop.plot.axis import Labels

BLANK, RAW, SMOOTH, AXIS, LABEL, CURSOR = " ", "r", "s", "a", "l", "c"
"""Inks of the plot area. Where nothing is smoothed, the raw line is the one to read and takes the smooth one's ink."""
ALARM, ACT, WATCH, NOTICE, RESUME, PLAN = "x", "i", "w", "n", "u", "p"
"""Inks of the marks: non-finite values, findings by severity, the start of a session, what was planned."""
BAND = "b"
"""Ink of the usual range, where nothing else is drawn."""
INSIDE = {RAW: "R", SMOOTH: "S"}
"""Inks of the lines where the usual range is behind them."""
TRACES = "123456"
"""Inks of further lines in one picture."""
LETTERS = "abcdef"
"""What tells them apart without colour: it stands at the end of a line, and is the line in ASCII."""
GUTTER = 8
"""Cells left of the plot: labels of at most 7 characters and the axis."""


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
    def edges(self) -> Sequence[float]:
        """The step at the left edge of each column; empty where all are equally wide."""
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
    """The axis where parts with rare values only are squeezed together."""
    line: str
    """The horizontal axis."""
    cursor: str
    nonfinite: str
    finding: str
    below: str
    """A value that a log axis cannot show: zero or negative."""
    resume: str
    plan: str
    """The planned end of the warm-up or of the run."""
    band: str


def _braille(bits: int) -> str:
    # Unicode numbers the dots 1-2-3-7 down the left column and 4-5-6-8 down the right one.
    order = (0x01, 0x02, 0x04, 0x40, 0x08, 0x10, 0x20, 0x80)
    return chr(0x2800 + sum(dot for i, dot in enumerate(order) if bits >> i & 1)) if bits else " "


_DOTS = tuple(_braille(bits) for bits in range(256))
BRAILLE = Glyphs(2, 4, _DOTS, _DOTS, "┤", "│", "┊", "─", "│", "✕", "▲", "▾", "↻", "◆", "░")
"""Two by four dots a cell."""
ASCII = Glyphs(1, 2, (" ", "'", ".", ":"), (" ", '"', "_", "="), "+", "|", ":", "-", "|", "X", "^", "v", "@", "*", ",")
"""One by two dots a cell, for terminals without UTF-8."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on the x axis that matters."""

    step: float
    ink: str
    """`ACT`, `WATCH`, `NOTICE`, `RESUME` or `PLAN`."""


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
    band: Sequence[tuple[float, float, float]] = ()
    """The usual range as (step, low, high), NaN where it is not known from there on; the scale is not made for it."""
    selected: tuple[float, float] | None = None
    """Steps that are being selected."""
    labels: Labels | None = None
    """(cell, text) along the x axis; None: the steps."""
    symlog: bool = False
    """The y axis is logarithmic above and below zero, and shows zero."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A further line in a picture, under the one that the picture is of."""

    data: Columns
    """As many columns between the same steps."""
    ink: str
    """One of `TRACES`."""


def pixel_columns(width: int, glyphs: Glyphs = BRAILLE) -> int:
    """Pixel columns of a plot that is `width` cells wide with its gutter; at least 1."""
    return max(1, (width - GUTTER) * glyphs.dots_x)
