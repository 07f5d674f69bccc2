"""Round numbers for axes, and labels that say exactly where they stand."""

import math
import sys
from collections.abc import Sequence

ROUND = (1.0, 2.0, 5.0)
FINE = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
"""Ends of a log axis: fine enough not to waste half of a short one."""


def nice_step(span: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below `span`."""
    return round_up(span) if span > 0 else 1.0


def round_up(value: float, marks: Sequence[float] = ROUND) -> float:
    """The least round number that is not below a positive value."""
    power = math.floor(math.log10(value))
    for n in (power, power + 1):
        for m in marks:
            found = float(f"{m}e{n}")
            if math.isfinite(found) and found >= value * (1 - 1e-9):
                return found
    return value


def round_down(value: float) -> float:
    """The greatest fine round number that is not above a positive value."""
    power = math.floor(math.log10(value))
    below = (float(f"{m}e{n}") for n in (power - 1, power) for m in FINE)
    return max((found for found in below if 0 < found <= min(value * (1 + 1e-9), sys.float_info.max)), default=value)


def tick_label(value: float, step: float, width: int) -> str:
    """The value in at most `width` characters, right to a hundredth of `step`; empty where that cannot be."""
    small = 0 < abs(value) < (0.01 if step < 1e-3 else 1e-3)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if 0 < step < math.inf else 0
    fixed = [f"{value:.{n}f}" if value else "0" for n in range(decimals, decimals + 3)] if decimals < 12 else []
    powers = [_power(f"{value:.{digits}e}") for digits in range(4)]
    for text in (*powers, *fixed) if small or abs(value) >= 1e5 else (*fixed, *powers):
        if len(text) <= width and abs(float(text) - value) <= step / 100:
            return text
    return ""


def _power(text: str) -> str:
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}"
