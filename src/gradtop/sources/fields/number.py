"""One printed token to a number: its value, its unit and how finely it was printed."""

import math
import re
from typing import NamedTuple

NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)"
"""A number as programs print it. Commas belong to it only where they group by thousands."""
NON_FINITE = r"[-+]?(?:nan|NaN|NAN|inf|Inf|INF|infinity|Infinity)"
"""NaN and infinities as Python, C, numpy and JSON print them."""
UNIT = r"%|[A-Za-zµμ][A-Za-zµμ/]*"
"""What may be glued to a number."""
ODD_UNIT = r"%|[munµμ]?s"
"""What may be glued to NaN: `nanms`, but not `nano`."""

SECONDS = {"s": 1.0, "sec": 1.0, "secs": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
SECONDS |= {"m": 60.0, "min": 60.0, "mins": 60.0, "h": 3600.0, "hr": 3600.0}
"""Units of time, in seconds."""
MULTIPLES = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}
"""Suffixes of large counts; `B` is a billion."""

_TOKEN = re.compile(rf"({NUMBER})\s?({UNIT})?\Z")
_ODD = re.compile(rf"({NON_FINITE})({ODD_UNIT})?\Z")
_WRAPPED = re.compile(
    r"(?:np|numpy|torch|jnp)?\.?(?:float\d*|int\d*|bfloat16|tensor|array|Array)\(\s*(.*)\)\Z", re.DOTALL
)
_DURATION = re.compile(r"(?:(\d+) days?, )?(\d+):(\d\d)(?::(\d\d(?:\.\d+)?))?\Z")
_MISSING = frozenset(("", "n/a", "na", "none", "null", "-", "--", "???", "?"))


class Number(NamedTuple):
    """A number as it was printed."""

    value: float
    """As written, before any unit is applied."""
    unit: str = ""
    """Glued to it, e.g. `ms`, `%`, `k`."""
    below: float = 0.0
    """For a zero printed with fixed decimals: half of the last digit, the most that was rounded away; else 0."""


def is_missing(token: str) -> bool:
    """The token says that there is no value: `n/a`, `None`, `-`, empty."""
    return token.strip().lower() in _MISSING


def finite(digits: str, unit: str = "") -> Number:
    """The number of a token that matches `NUMBER`."""
    text = digits.replace(",", "") if "," in digits else digits
    value = float(text)
    return Number(value, unit, 0.0 if value else rounded_away(text))


def rounded_away(zero: str) -> float:
    """The largest value that a fixed-point print shows as this zero; 0 where it is an exact zero.

    `0.0` is what Python writes for an exact zero, so only two and more decimals are taken for a fixed format.
    """
    decimals = len(zero.partition(".")[2])
    return 0.5 * 10.0**-decimals if decimals >= 2 and zero.strip("+-0") == "." else 0.0


def parse(token: str) -> Number | None:
    """The number of one whole token (a quoted value, a cell, a list), or None where it is none.

    Quotes, `tensor(..)`, `np.float64(..)` and brackets are taken off; of a list the first value counts;
    `1:02:03` is a number of seconds.
    """
    text = _bare(token)
    if match := _TOKEN.match(text):
        return finite(match[1], match[2] or "")
    if match := _ODD.match(text):
        return Number(float(match[1]), match[2] or "")
    if match := _DURATION.match(text):
        return Number(_seconds(match), "s")
    return None


def _bare(token: str) -> str:
    """The token without quotes, constructors and brackets around it."""
    text = token.strip()
    for _ in range(4):
        inner = text.strip("'\" ")
        if (match := _WRAPPED.match(inner)) is not None:
            inner = _first(match[1])
        elif inner[:1] in "[(" and inner[-1:] in "])":
            inner = _first(inner[1:-1].lstrip("[("))
        if inner == text:
            break
        text = inner
    return text


def _first(inner: str) -> str:
    """The first of several values: up to a comma that is followed by a space or is no thousands separator."""
    if re.fullmatch(NUMBER, inner):
        return inner
    return inner.strip("[( ").split(",", 1)[0].strip("]) ")


def _seconds(match: re.Match[str]) -> float:
    days, a, b, c = match.groups()
    whole = (float(a) * 60 + float(b)) * 60 + float(c) if c else float(a) * 60 + float(b)
    return whole + 86400.0 * float(days or 0)


def is_whole(value: float) -> bool:
    """A finite value without a fraction."""
    return math.isfinite(value) and value == math.floor(value)
