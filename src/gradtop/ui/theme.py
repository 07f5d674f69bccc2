"""The colours of every theme, by what they say. Nothing else in gradtop names a colour.

Text has a contrast of 4.5 to what is behind it, lines one of 3 (WCAG 2.2), also where a terminal has 256 colours only.
The ramps of the heatmap are even steps of lightness: viridis, cividis and inferno (CC0), resampled in OKLab.
"""

from dataclasses import dataclass, replace

from gradtop.config import COLOUR_BLIND, DARK, HIGH_CONTRAST, LIGHT

HEAT_STEPS = 24
"""Colours of a ramp: few, so that a terminal gets few changes of colour."""

_VIRIDIS = """
#440154 #461362 #482170 #472e7b #443c82 #3e4989 #3a568b #35628d #2f6e8e #2b798e #25858e #23908c
#209b8a #26a585 #2fb07e #3db976 #53c26c #66ca5e #7fd251 #9ad843 #b2dd2e #cce129 #e5e427 #fde725
"""
_CIVIDIS = """
#00224e #05295b #0d3068 #193870 #29406e #37476d #434f6d #4f576d #5a606e #656871 #707173 #7b7a75
#868377 #918c77 #9c9576 #a79e73 #b3a670 #beaf6b #c9b866 #d4c15f #dfca57 #e9d44f #f4de45 #fee838
"""
_INFERNO = """
#1b0c41 #2a0d4e #390e5c #480c69 #59146c #6a196d #7c1e6c #8c2568 #9d2a63 #ad315c #bc3a54 #cb4249
#d74e40 #e25c35 #ed6a25 #f27c1f #f78d16 #fb9e0b #fbaf22 #f9c131 #f7d240 #f9e167 #fbf087 #fcffa4
"""
_SIXTEEN = " ".join(f"{name} " * 4 for name in ("blue", "cyan", "green", "yellow", "bright_yellow", "bright_white"))


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours as rich names them."""

    name: str
    dark: bool
    ground: str
    """Behind everything."""
    panel: str
    """Behind a line to type into."""
    plain: str
    quiet: str
    """Text that is there when it is looked for."""
    strong: str
    accent: str
    """Keys, headings, and the frame that keys act on."""
    edge: str
    """Frames and axes: they say nothing by themselves."""
    good: str
    watch: str
    act: str
    unknown: str
    raw: str
    """The line of the raw values where a smoothed one is drawn over it."""
    smooth: str
    label: str
    """Beside and below a chart."""
    usual: str
    """Behind a chart where its values usually are."""
    chosen: str
    """Behind the selected row."""
    found: str
    """Behind the line that a search led to."""
    traces: tuple[str, ...]
    """Further lines of a chart."""
    heat: tuple[str, ...]
    """From the least value to the greatest."""
    broken: str
    """Behind a cell of the heatmap that is not finite."""
    few: bool = False
    """Colours alone do not tell values apart: a heatmap draws characters as well."""

    @property
    def shade(self) -> str:
        """The sign for where values usually are: not seen where that has a colour behind it."""
        return self.edge if self.few else self.usual


THEMES = (
    Theme(
        DARK, True, ground="#10141a", panel="#1a212b", plain="#c9d1d9", quiet="#7d8896", strong="#ffffff",
        accent="#6cb6ff", edge="#4a5563", good="#56c2a6", watch="#e6b450", act="#f2705a", unknown="#a99bd6",
        raw="#4f7aa8", smooth="#d6ecff", label="#8b98a9", usual="#222a35", chosen="#1f3350", found="#3a3320",
        traces=("#e78c00", "#61e6ea", "#c25da0", "#43adec", "#fbe14b", "#ffb083"),
        heat=tuple(_VIRIDIS.split()), broken="#f2705a",
    ),
    Theme(
        LIGHT, False, ground="#ffffff", panel="#eef1f4", plain="#24292f", quiet="#5b6570", strong="#000000",
        accent="#0550ae", edge="#b4bcc6", good="#006e8f", watch="#a06a00", act="#a50e24", unknown="#5e4aa5",
        raw="#4a6f9c", smooth="#0b3a66", label="#57606a", usual="#e6eaf0", chosen="#d6e6fb", found="#fbf0cf",
        traces=("#573300", "#008c8b", "#8c005a", "#005b99", "#745700", "#da671a"),
        heat=tuple(reversed(_VIRIDIS.split())), broken="#c4122c",
    ),
    Theme(
        COLOUR_BLIND, True, ground="#0e1116", panel="#1a212b", plain="#d0d7de", quiet="#8b96a4", strong="#ffffff",
        accent="#7cc4ff", edge="#4d5866", good="#56b4e9", watch="#f0e442", act="#ff7a1a", unknown="#bfc5cd",
        raw="#5b86b5", smooth="#e8f3ff", label="#98a4b3", usual="#262d36", chosen="#1c3a5e", found="#3d3a16",
        traces=("#ef9500", "#19ffff", "#8d6387", "#00aade", "#eadf64", "#cc601e"),
        heat=tuple(_CIVIDIS.split()), broken="#ff7a1a",
    ),
    Theme(
        HIGH_CONTRAST, True, ground="#000000", panel="#1c1c1c", plain="#ffffff", quiet="#d0d0d0", strong="#ffffff",
        accent="#7fd4ff", edge="#9a9a9a", good="#4dffb8", watch="#ffd75f", act="#ff8f7f", unknown="#d7b8ff",
        raw="#8fb8e8", smooth="#ffffff", label="#e0e0e0", usual="#303030", chosen="#0047ab", found="#5a4500",
        traces=("#ffba68", "#9bfff1", "#d789b2", "#15b5ff", "#ffec00", "#ff7731"),
        heat=tuple(_INFERNO.split()), broken="#00d7ff",
    ),
)  # fmt: skip
"""Those to choose from, in the order of the key."""

SIXTEEN = Theme(
    "16 colours", True, ground="black", panel="black", plain="white", quiet="white", strong="bright_white",
    accent="bright_cyan", edge="bright_black", good="bright_green", watch="bright_yellow", act="bright_red",
    unknown="bright_magenta", raw="cyan", smooth="bright_white", label="white", usual="black",
    chosen="blue", found="blue",
    traces=("bright_yellow", "bright_green", "bright_magenta", "bright_cyan", "bright_red", "green"),
    heat=tuple(_SIXTEEN.split()), broken="bright_red", few=True,
)  # fmt: skip
"""What a terminal gets that has no more: colours that it has, as it shows them."""

BARE = replace(SIXTEEN, name="no colour", ground="default", panel="default", plain="default", usual="default")
"""Without colours bold, reversed and underlined text and the characters say it all."""

BY_NAME = {theme.name: theme for theme in (*THEMES, SIXTEEN, BARE)}
