"""Columns to pictures in text. Pure: no toolkit, no I/O, no clock."""

from gradtop.plot.axis import Scale, grown_end
from gradtop.plot.picture import (
    ASCII,
    AXIS,
    BRAILLE,
    GUTTER,
    Columns,
    Frame,
    Glyphs,
    Line,
    Mark,
    draw,
    pixel_columns,
    smoothed,
    sparkline,
)

__all__ = [
    "ASCII",
    "AXIS",
    "BRAILLE",
    "GUTTER",
    "Columns",
    "Frame",
    "Glyphs",
    "Line",
    "Mark",
    "Scale",
    "draw",
    "grown_end",
    "pixel_columns",
    "smoothed",
    "sparkline",
]
