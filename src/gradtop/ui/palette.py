"""Inks: what a cell of the screen says, and how each theme draws that.

Blue-green, amber and vermilion stay apart for colour-blind eyes, and a word or a mark always says the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from rich.cells import get_character_cell_size
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import BUILTIN_THEMES
from textual.theme import Theme as ToolkitTheme

from gradtop.plot import picture
from gradtop.ui.theme import BARE, BY_NAME, Theme


@dataclass(frozen=True, slots=True)
class Ink:
    """How an ink is drawn, in the colours of any theme."""

    color: str = "plain"
    """A colour of `Theme`."""
    on: str = "ground"
    """What is behind it, another one."""
    bold: bool = False
    bare: str = ""
    """What says it where there are no colours, besides `bold`: `reverse`, `underline` or `dim`."""


TRACE_INKS = tuple(f"trace {n}" for n in picture.TRACES)
"""What view models call further lines of a chart; a picture has the number alone."""

INKS: dict[str, Ink] = {
    "plain": Ink(),
    "quiet": Ink("quiet"),
    "brand": Ink("accent", bold=True),
    "name": Ink("strong", bold=True),
    "title": Ink("strong", bold=True),
    "heading": Ink("accent", bold=True),
    "value": Ink("strong", bold=True),
    "border": Ink("edge", bare="dim"),
    "focus": Ink("accent", bare="bold"),
    "good": Ink("good"),
    "watch": Ink("watch", bare="bold"),
    "act": Ink("act", bare="bold"),
    "unknown": Ink("unknown"),
    "good word": Ink("good", bold=True),
    "watch word": Ink("ground", "watch", bold=True, bare="reverse"),
    "act word": Ink("ground", "act", bold=True, bare="reverse"),
    "unknown word": Ink("unknown", bold=True),
    "key": Ink("accent", bare="bold"),
    "selected": Ink("strong", "chosen", bare="reverse"),
    "found": Ink("strong", "found", bare="underline"),
    "match": Ink("ground", "watch", bare="reverse"),
    "notice": Ink("strong", "chosen", bold=True, bare="reverse"),
    picture.BLANK: Ink(),
    picture.RAW: Ink("raw", bare="dim"),
    picture.SMOOTH: Ink("smooth"),
    picture.AXIS: Ink("edge", bare="dim"),
    picture.LABEL: Ink("label"),
    picture.CURSOR: Ink("strong", "chosen", bare="reverse"),
    picture.ALARM: Ink("act", bold=True),
    picture.ACT: Ink("act", bare="bold"),
    picture.WATCH: Ink("watch"),
    picture.NOTICE: Ink("label"),
    picture.RESUME: Ink("unknown"),
    picture.PLAN: Ink("accent"),
    picture.BAND: Ink("shade", "usual", bare="dim"),
    picture.INSIDE[picture.RAW]: Ink("raw", "usual", bare="dim"),
    picture.INSIDE[picture.SMOOTH]: Ink("smooth", "usual"),
    "heat missing": Ink("edge", bare="dim"),
    "heat zero": Ink("quiet"),
    "heat nonfinite": Ink("ground", "broken", bold=True, bare="reverse"),
}
"""What every ink is; further lines and the ramp of the heatmap are inks besides. Others are a mistake."""


@cache
def styles(name: str) -> Mapping[str, Style]:
    """Ink to style in the theme of that name."""
    theme = BY_NAME[name]
    if theme is BARE:
        return {ink: _bare(INKS.get(ink, Ink())) for ink in [*INKS, *_lines(theme), *_ramp(theme)]}
    inks = {name: _style(getattr(theme, ink.color), getattr(theme, ink.on), ink.bold) for name, ink in INKS.items()}
    return inks | _lines(theme) | _ramp(theme)


def _style(color: str, on: str, bold: bool = False) -> Style:
    return Style(color=color, bgcolor=on, bold=bold or None)


def _bare(ink: Ink) -> Style:
    said = {ink.bare, "bold"} if ink.bold else {ink.bare}
    # A style that is set to False is one more thing to send to the terminal.
    bold, dim, reverse, underline = ((name in said) or None for name in ("bold", "dim", "reverse", "underline"))
    return Style(bold=bold, dim=dim, reverse=reverse, underline=underline)


def _lines(theme: Theme) -> dict[str, Style]:
    named = zip(theme.traces, picture.TRACES, TRACE_INKS, strict=True)
    return {ink: _style(color, theme.ground) for color, *inks in named for ink in inks}


def _ramp(theme: Theme) -> dict[str, Style]:
    """`heat 0` to `heat 23`: the value is behind the cell, and what is written on it can be read."""
    return {f"heat {i}": _style(_readable(color), color) for i, color in enumerate(theme.heat)}


def _readable(color: str) -> str:
    """Black or white, whichever can be read on a colour."""
    red, green, blue = RichColor.parse(color).get_truecolor()
    return "#000000" if 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 > 0.18 * 255**2.2 else "#ffffff"


def toolkit_theme(theme: Theme) -> ToolkitTheme:
    """The theme for what the toolkit draws itself: the ground, and a line to type into."""

    def plain(color: str) -> str:
        return color if color.startswith("#") else f"ansi_{color}"

    few = not theme.ground.startswith("#")
    return ToolkitTheme(
        name=theme.name,
        primary=plain(theme.accent),
        secondary=plain(theme.quiet),
        success=plain(theme.good),
        warning=plain(theme.watch),
        error=plain(theme.act),
        foreground=plain(theme.plain),
        background=plain(theme.ground),
        surface=plain(theme.ground),
        panel=plain(theme.panel),
        dark=theme.dark,
        ansi=few,
        # What the toolkit's own styles ask for where colours are the terminal's.
        variables=dict(BUILTIN_THEMES["ansi-dark"].variables) if few else {},
    )


_PLAIN = str.maketrans(
    {
        "─": "-", "│": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "·": ".", "…": "~", "→": ">", "←": "<",
        "↑": "^", "↓": "v", "●": "*", "○": "o", "◐": "%", "◌": ".", "■": "#", "□": "-", "✕": "X", "▲": "^", "▾": "v",
        "▸": ">", "❚": "|", "━": "=", "▼": "v", "◆": "*", "↻": "@", "░": ",",
        "–": "-", "—": "-", "×": "x", "≥": ">", "≤": "<", "’": "'", "“": '"', "”": '"', "°": "o", "σ": "s",
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


class Colourless(LineFilter):
    """Takes all colours away, as `NO_COLOR` asks for: those of the toolkit too."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments as the terminal draws text."""
        return [s if s.style is None else Segment(s.text, _colourless(s.style), s.control) for s in segments]


@cache
def _colourless(style: Style) -> Style:
    return style.without_color
