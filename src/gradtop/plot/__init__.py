"""Columns to pictures in text. Pure: no toolkit, no I/O, no clock."""

from gradtop.plot.axis import grown_end
from gradtop.plot.bar import scaled
from gradtop.plot.drawing import draw
from gradtop.plot.history import history, outline
from gradtop.plot.margin import column_of
from gradtop.plot.picture import (
    ASCII,
    AXIS,
    BRAILLE,
    GUTTER,
    LETTERS,
    RAW,
    SMOOTH,
    TRACES,
    Columns,
    Frame,
    Glyphs,
    Line,
    Mark,
    Overlay,
    pixel_columns,
)
from gradtop.plot.scale import Scale
from gradtop.plot.spark import sparkline

__all__ = [
    "ASCII",
    "AXIS",
    "BRAILLE",
    "GUTTER",
    "LETTERS",
    "RAW",
    "SMOOTH",
    "TRACES",
    "Columns",
    "Frame",
    "Glyphs",
    "Line",
    "Mark",
    "Overlay",
    "Scale",
    "column_of",
    "draw",
    "grown_end",
    "history",
    "outline",
    "pixel_columns",
    "scaled",
    "sparkline",
]
