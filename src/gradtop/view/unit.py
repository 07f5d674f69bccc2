"""The unit that values of a metric are shown in, by the end of its name."""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtop import units

if TYPE_CHECKING:
    from gradtop.series import SeriesView


@dataclass(frozen=True, slots=True)
class Unit:
    """How the values of one metric are written."""

    factor: float = 1.0
    """What a value of the log is multiplied by to be in this unit."""
    word: str = ""
    """Stands behind a value; empty where the name tells of no unit."""
    whole: bool = False
    """All values are whole numbers: they have no digits behind the point."""
    chosen: bool = False
    """Somebody chose the values, as a learning rate: zeros at their end say nothing."""

    def text(self, value: float) -> str:
        """A value of the log in this unit: `12.40 GiB`, `4.980 ms`, `38.20 %`, `800`, `3.214`, `NaN`."""
        if not math.isfinite(value):
            return units.number(value)
        shown = value * self.factor
        whole = self.whole and abs(shown) < 1e9
        text = units.count(shown) if whole else units.setting(shown) if self.chosen else units.number(shown)
        return f"{text} {self.word}".rstrip()


PLAIN = Unit()
"""Values as they are in the log."""

_BYTES = re.compile(r"(?:^|[^a-z])bytes\)?$", re.IGNORECASE)
_SECONDS = re.compile(
    r"(?:(?:tim(?:e|ing)|elapsed|duration|latency|wait(?:ed|ing)?)_s|(?<!_per)(?:_secs?|_seconds)"
    r"|\((?:s|secs?|seconds)\)|^(?:time/)?(?:time_)?elapsed(?:_time)?)$",
    re.IGNORECASE,
)
"""An `_s` alone may be the loss of a student."""
_MILLISECONDS = re.compile(r"(?:_ms|_msecs?|_milliseconds|\(ms\))$", re.IGNORECASE)
_PER_CENT = re.compile(r"(?:_pct|_percent|_percentage|\(%\))$", re.IGNORECASE)
_PART = re.compile(r"(?:(?:^|[^a-z])[mh]fu|[_ ](?:fraction|frac|ratio))$", re.IGNORECASE)
_NO_PART = frozenset(("update_ratio",))
"""Ratios that are read as powers of ten."""
_SIZES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
_SPANS = ((7200.0, 1 / 3600, "h"), (120.0, 1 / 60, "min"), (1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs"))
"""(seconds from which on, factor, unit)."""
_TYPICAL_ROWS = 25


def unit_of(name: str, series: "SeriesView", chosen: bool = False) -> Unit:
    """The unit of a metric with values; its size is that of the largest bytes, and of usual seconds."""
    stats = series.stats
    if _BYTES.search(name):
        most = max(abs(stats.low), abs(stats.high)) if stats.low <= stats.high else 0.0
        size, word = next((s for s in _SIZES if most >= s[0]), _SIZES[-1])
        return Unit(1 / size, word)
    if _SECONDS.search(name):
        return _span(_typical(series))
    if _MILLISECONDS.search(name):
        return Unit(1.0, "ms")
    if _PER_CENT.search(name):
        return Unit(1.0, "%")
    if _PART.search(name) and name not in _NO_PART and stats.high <= 1.0:
        return Unit(100.0, "%")
    ends = (stats.first, stats.last, stats.low, stats.high)
    return Unit(whole=all(map(float.is_integer, ends)), chosen=chosen)


def _typical(series: "SeriesView") -> float:
    """The median of the newest values, sign apart; 1 where none is finite."""
    sizes = sorted(abs(value) for value in series.tail(_TYPICAL_ROWS) if math.isfinite(value))
    return sizes[len(sizes) // 2] if sizes else 1.0


def _span(seconds: float) -> Unit:
    return next(Unit(factor, word) for least, factor, word in _SPANS if seconds >= least) if seconds else Unit(1.0, "s")
