"""Colours: one style per ink.

Blue-green, amber and vermilion stay apart for colour-blind eyes, and a word or a mark always says the same.
"""

from rich.cells import get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import Theme

from gradtop.plot import picture

GROUND = "#10141a"
"""Behind everything."""

THEME = Theme(
    name="gradtop",
    primary="#6cb6ff",
    secondary="#8b98a9",
    success="#56c2a6",
    warning="#e6b450",
    error="#f2705a",
    foreground="#c9d1d9",
    background=GROUND,
    surface=GROUND,
    panel="#1a212b",
    dark=True,
)


def _style(color: str, *, bold: bool = False, on: str = GROUND) -> Style:
    return Style(color=color, bgcolor=on, bold=bold or None)


_TRACES = ("#e69f00", "#56c2a6", "#cc79a7", "#8fd3f4", "#e0d86a", "#c77b4a")
"""Further lines of a chart: hues that stay apart for colour-blind eyes, and from the line on top of them."""
TRACE_INKS = tuple(f"trace {n}" for n in picture.TRACES)
"""What view models call them; a picture has the number alone."""

STYLES: dict[str, Style] = {
    "plain": _style("#c9d1d9"),
    "quiet": _style("#7d8896"),
    "brand": _style("#6cb6ff", bold=True),
    "name": _style("#ffffff", bold=True),
    "title": _style("#ffffff", bold=True),
    "heading": _style("#6cb6ff", bold=True),
    "value": _style("#ffffff", bold=True),
    "border": _style("#3d4753"),
    "focus": _style("#6cb6ff"),
    "good": _style("#56c2a6"),
    "watch": _style("#e6b450"),
    "act": _style("#f2705a"),
    "unknown": _style("#a99bd6"),
    "good word": _style("#56c2a6", bold=True),
    "watch word": _style(GROUND, bold=True, on="#e6b450"),
    "act word": _style(GROUND, bold=True, on="#f2705a"),
    "unknown word": _style("#a99bd6", bold=True),
    "key": _style("#6cb6ff"),
    "selected": _style("#ffffff", on="#1f3350"),
    "found": _style("#ffffff", on="#3a3320"),
    "match": _style(GROUND, on="#e6b450"),
    picture.BLANK: _style("#c9d1d9"),
    picture.RAW: _style("#4f7aa8"),
    picture.SMOOTH: _style("#d6ecff"),
    picture.AXIS: _style("#3d4753"),
    picture.LABEL: _style("#8b98a9"),
    picture.CURSOR: _style("#ffffff", on="#1f3350"),
    picture.ALARM: _style("#f2705a", bold=True),
    picture.ACT: _style("#f2705a"),
    picture.WATCH: _style("#e6b450"),
    picture.NOTICE: _style("#8b98a9"),
    picture.RESUME: _style("#a99bd6"),
    **{ink: _style(color) for color, *inks in zip(_TRACES, picture.TRACES, TRACE_INKS, strict=True) for ink in inks},
}
"""Ink to style. An ink that is not here is a mistake."""

_PLAIN = str.maketrans(
    {
        "─": "-", "│": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "·": ".", "…": "~", "→": ">", "←": "<",
        "↑": "^", "↓": "v", "●": "*", "○": "o", "◐": "%", "◌": ".", "■": "#", "✕": "X", "▲": "^", "▾": "v",
        "❚": "|", "–": "-", "—": "-", "×": "x", "≥": ">", "≤": "<", "’": "'", "“": '"', "”": '"', "°": "o",
        "━": "=", "▸": ">",
    }
)  # fmt: skip


class AsciiOnly(LineFilter):
    """The last filter before the terminal with `--ascii`: our signs get a likeness, anything else a question mark."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments in ASCII, as wide as before."""
        return [s if s.control or s.text.isascii() else Segment(ascii_text(s.text), s.style) for s in segments]


def ascii_text(text: str) -> str:
    """The text in ASCII characters, with as many cells."""
    return "".join(ch if ch.isascii() else "?" * get_character_cell_size(ch) for ch in text.translate(_PLAIN))
