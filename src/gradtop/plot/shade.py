"""Shades of a heatmap: what a cell's code means, and the character that it is shown by."""

from dataclasses import dataclass

HEAT = 24
"""Codes 0 to 23 are shades, the least value first."""
MISSING, ZERO, NONFINITE, BLANK = HEAT, HEAT + 1, HEAT + 2, HEAT + 3
"""Codes of cells without a value of this layer, with nothing but exact zeros, with NaN or infinity, without rows."""
BARS = " ▁▂▃▄▅▆▇█"
"""A cell filled from below, by eighths."""


@dataclass(frozen=True, slots=True)
class Shades:
    """What the shades stand for."""

    low: float
    """Lower end of the least shade: a decimal logarithm where `log`."""
    high: float
    log: bool = True


@dataclass(frozen=True, slots=True)
class Palette:
    """The characters of all codes, of the cursor, and of bars by eighths."""

    ramp: str
    """Of the shades, from the least on, in equal parts."""
    missing: str
    zero: str
    nonfinite: str
    cursor: str
    bars: str

    def glyph(self, code: int) -> str:
        """The character of a code."""
        if code < HEAT:
            return self.ramp[code * len(self.ramp) // HEAT]
        return (self.missing, self.zero, self.nonfinite, " ")[code - HEAT]


def ink(code: int) -> str:
    """The ink of a code."""
    return f"heat {code}" if code < HEAT else ("heat missing", "heat zero", "heat nonfinite", "plain")[code - HEAT]


SOLID = Palette(" ", "·", "0", "✕", "◆", BARS)
"""For terminals with many colours: the colour behind a cell says it."""
SOLID_ASCII = Palette(" ", ".", "0", "X", "+", " _.-~=+*#")
DENSE = Palette("░▒▓█", "·", "0", "✕", "◆", BARS)
"""Without colours the density says it."""
DENSE_ASCII = Palette(":-=+*#%@", ".", "0", "X", "<", " _.-~=+*#")
"""The same in ASCII; and where there are few colours, with them."""
