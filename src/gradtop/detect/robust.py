"""Streaming statistics that one bad reading cannot poison: levels, windows of k in n, trends."""

import math
from collections.abc import Sequence
from itertools import pairwise

ALPHA = 1 / 64
"""Weight of a new value in a level."""
CLIP = 3.0
"""Spreads by which a value may move a level at most."""
CONSISTENT = 1.2533
"""Mean absolute deviation to standard deviation of a normal distribution: sqrt(pi / 2)."""
DIFFERENCES = 0.8862
"""Mean absolute difference of neighbours to standard deviation: sqrt(pi) / 2."""
LEAST_SPREAD = 0.01
"""What the spread of a logarithm is at least."""
_LARGEST_LOG = 709.78
"""Logarithm of about the largest float."""


def median(values: Sequence[float]) -> float:
    """The middle value of at least one; of an even number, the mean of the two in the middle."""
    ranked = sorted(values)
    half = len(ranked) // 2
    if len(ranked) % 2:
        return ranked[half]
    middle = (ranked[half - 1] + ranked[half]) / 2
    return middle if math.isfinite(middle) else ranked[half - 1] / 2 + ranked[half] / 2


class Level:
    """The level and the spread of a stream: a Huberised moving average of its logarithm.

    It starts as the median of a burn-in; then a value moves it by at most three spreads, so that a spike counts little.
    Zeros are left out. A stream with negative values is followed in its linear form instead, from the first of them on.
    """

    __slots__ = (
        "_burn",
        "_burn_in",
        "_lag",
        "_mean",
        "best",
        "best_spread",
        "last",
        "linear",
        "n",
        "ready",
        "spread",
        "start",
        "unit",
        "y",
        "z",
    )

    def __init__(self, burn_in: int) -> None:
        """No value seen yet; `burn_in` values make the first level."""
        self._burn_in = burn_in
        self._burn: list[float] = []
        self._lag = 0.0
        self._mean = 0.0
        self.n = 0
        """Values taken, zeros left out."""
        self.linear = False
        """`y` is the value itself, not its logarithm."""
        self.ready = False
        """The burn-in is over."""
        self.y = 0.0
        """The level, in the stream's form."""
        self.spread = 0.0
        self.last = 0.0
        """The newest value, in the stream's form."""
        self.z: float | None = None
        """Spreads by which the newest value was above the level; None in burn-in."""
        self.best = math.inf
        """The lowest level since the burn-in, in the stream's form."""
        self.best_spread = 0.0
        """The spread when it was reached: what the noise is while all is well."""
        self.start: float | None = None
        """The level of the first burn-in, in the stream's form."""
        self.unit = 1.0
        """What a relative change is relative to in the linear form."""

    def see(self, x: float) -> None:
        """Take a finite value in."""
        if x > 0.0 and not self.linear:
            y = math.log(x)
        elif x == 0.0:
            self.z = None
            return
        else:
            if not self.linear:
                self._turn_linear()
            y = x
        self.last = y
        self.n += 1
        if not self.ready:
            self._burn.append(x)
            if len(self._burn) >= self._burn_in:
                self._settle()
            return
        spread = self.spread
        off = y - self.y
        self.z = off / spread
        limit = CLIP * spread
        if off > limit:
            off = limit
        elif off < -limit:
            off = -limit
        # A moving average lags behind a falling stream: the level is what it should be by now.
        lag = self._lag
        self._mean += ALPHA * (lag + off)
        self._lag = lag + ALPHA * off
        self.y = self._mean + self._lag
        spread += ALPHA * (CONSISTENT * (off if off >= 0 else -off) - spread)
        least = LEAST_SPREAD * self.unit if self.linear else LEAST_SPREAD
        self.spread = spread if spread > least else least
        # Where a fall ends the level overshoots; a best level is one that a value has reached.
        if y <= self.y < self.best:
            self.best, self.best_spread = self.y, self.spread

    def _least(self) -> float:
        return LEAST_SPREAD * self.unit if self.linear else LEAST_SPREAD

    def _turn_linear(self) -> None:
        self.linear = True
        self.unit = (
            abs(median(self._burn)) if self._burn else math.exp(min(self.y, _LARGEST_LOG)) if self.ready else 0.0
        )
        self.best, self._lag = math.inf, 0.0
        self.start = math.exp(self.start) if self.start is not None else None
        self.ready = False

    def _settle(self) -> None:
        form = self._burn if self.linear else [math.log(x) for x in self._burn]
        self.y = self._mean = median(form)
        steps = [abs(b - a) for a, b in pairwise(form)]
        if self.linear:
            self.unit = max(self.unit, abs(self.y), sum(steps) / len(steps), 1e-300)
        # Smoothed losses differ little from their neighbours: what they leave beside a straight line counts too.
        beside = trend_of(form)[2] * math.sqrt(len(form) / 12)
        self.spread = max(DIFFERENCES * sum(steps) / len(steps), beside, self._least())
        if self.y < self.best:
            self.best, self.best_spread = self.y, self.spread
        self.start = self.y if self.start is None else self.start
        self.ready, self._burn = True, []

    def restart(self, best: float | None = None) -> None:
        """Begin a new burn-in; the best level becomes `best`, the start stays."""
        self.ready, self.z, self._burn, self._lag = False, None, [], 0.0
        if best is not None:
            self.best = best

    def value(self, y: float) -> float:
        """A number of the stream's form as a value of the stream."""
        return y if self.linear else math.exp(min(y, _LARGEST_LOG))

    @property
    def level(self) -> float | None:
        """The level as a value of the stream; in the burn-in the median so far, None before the first value."""
        if self.ready:
            return self.value(self.y)
        return median(self._burn) if self._burn else None

    @property
    def usual(self) -> tuple[float, float] | None:
        """Two spreads below and above the level, as values; None in the burn-in."""
        if not self.ready:
            return None
        return self.value(self.y - 2 * self.spread), self.value(self.y + 2 * self.spread)


class Window:
    """The last `n` yes-or-no observations; `n` may change."""

    __slots__ = ("bits", "n", "seen")

    def __init__(self, n: int) -> None:
        """No observation yet; `n` is the length of the window."""
        self.n = n
        self.bits = 0
        self.seen = 0

    def push(self, held: bool) -> None:
        """Take an observation in."""
        self.bits = ((self.bits << 1) | held) & ((1 << self.n) - 1)
        self.seen += 1

    def mark(self) -> None:
        """The newest observation holds after all."""
        self.bits |= 1

    @property
    def count(self) -> int:
        """Observations in the window that hold."""
        return self.bits.bit_count()


class Trend:
    """A straight line through a stream against the number of the observation, from running sums."""

    __slots__ = ("_sxy", "_sy", "_syy", "_zero", "n")

    def __init__(self) -> None:
        """No value seen yet."""
        self.n = 0
        self._zero = 0.0
        self._sy = self._syy = self._sxy = 0.0

    def see(self, y: float) -> None:
        """Take a value in."""
        if not self.n:
            self._zero = y
        y -= self._zero
        self._sy += y
        self._syy += y * y
        self._sxy += self.n * y
        self.n += 1

    def fit(self) -> tuple[float, float, float]:
        """(mean, change over the whole stretch, standard error of that change); NaN for fewer than three values."""
        n = self.n
        if n < 3:
            return math.nan, math.nan, math.nan
        sx = n * (n - 1) / 2
        sxx = (n - 1) * n * (2 * n - 1) / 6 - sx * sx / n
        slope = (self._sxy - sx * self._sy / n) / sxx
        left = max(0.0, self._syy - self._sy * self._sy / n - slope * slope * sxx)
        return self._zero + self._sy / n, slope * (n - 1), math.sqrt(left / (n - 2) / sxx) * (n - 1)


def trend_of(values: Sequence[float]) -> tuple[float, float, float]:
    """`Trend.fit` of some values."""
    trend = Trend()
    for value in values:
        trend.see(value)
    return trend.fit()
