"""How long the step of a row took, by the best of what the log says of it."""

import math

from gradtop.detect.signals import Signals

INPUTS = ("step_time_s", "tokens_per_s", "samples_per_s", "time", "tokens", "samples")
"""What it is told by."""
MEASURES = ("step_time_s", "tokens_per_s", "samples_per_s", "time")
"""What `Pace.by` can be."""
TIMED = ("step_time_s", "time")
"""Those that give the time of a step, not that of a token or sample."""
_RATES = ("tokens_per_s", "samples_per_s")
_TOTALS = ("tokens", "samples")
_GRAINS = 10.0
"""Units of a coarse clock that a measurement takes at least, so that rounding is a tenth at most."""


class Pace:
    """The time of a step: as it is logged, by tokens or samples per second, or else by the times of the rows."""

    __slots__ = ("_adds_up", "_at", "_grain", "_since", "_total", "_unit", "_work", "by", "per_unit")

    def __init__(self) -> None:
        """No row seen yet."""
        self.by = ""
        """What tells it: `step_time_s`, `tokens_per_s`, `samples_per_s` or `time`; empty before anything does."""
        self.per_unit = 0.0
        """Seconds per token or sample in the newest row, where they are known beside the time of a step; else 0."""
        self._at = 0
        self._unit = self._work = ""
        self.resume()

    def resume(self) -> None:
        """Rows of two sessions are not neighbours."""
        self._since: tuple[float, float] | None = None
        self._total: tuple[float, float] | None = None
        self._grain, self._adds_up = 60.0, True

    def row(self, s: Signals) -> float:
        """Seconds per step of the newest row (per token or sample where only these are logged); 0 where unknown."""
        if s.rows == self._at:
            return 0.0
        seconds = s.values.get("step_time_s", 0.0)
        if 0.0 < seconds < math.inf:
            self._at, self.by = s.rows, "step_time_s"
            self.per_unit = (self._by_rate(s) or self._by_work(s, seconds)) if len(s.values) > 1 else 0.0
            return seconds
        if self.by == "step_time_s":
            return 0.0
        if seconds := self._by_rate(s):
            self._at, self.by = s.rows, self._unit
            return seconds
        return self._by_clock(s) if self.by in ("", "time") else 0.0

    def _by_rate(self, s: Signals) -> float:
        """Seconds per token or sample, always of the name that was there first; 0 where the row does not have it."""
        if self._unit:
            rate = s.values.get(self._unit, 0.0)
            return 1.0 / rate if 1e-300 < rate < math.inf else 0.0
        for name in _RATES:
            rate = s.values.get(name, 0.0)
            if 1e-300 < rate < math.inf:
                self._unit = name
                return 1.0 / rate
        return 0.0

    def _by_work(self, s: Signals, seconds: float) -> float:
        """Seconds per token or sample, from totals that only grow; 0 where the log does not count them."""
        for name in (self._work,) if self._work else _TOTALS:
            total = s.values.get(name)
            if total is not None and self._adds_up:
                self._work, before, self._total = name, self._total, (s.step, total)
                if before is None:
                    return 0.0
                steps, done = s.step - before[0], total - before[1]
                self._adds_up = done >= 0.0
                per_unit = seconds * (steps / done) if 0.0 < done < math.inf and steps > 0.0 else 0.0
                return per_unit if per_unit < math.inf else 0.0
        return 0.0

    def _by_clock(self, s: Signals) -> float:
        """Seconds per step since an earlier row: the one before, or a longer time ago where the clock is coarse."""
        now, since = s.values.get("time", 0.0), self._since
        if not 0.0 < now < math.inf:
            return 0.0
        self.by = "time"
        if self._grain and now % self._grain:
            self._grain = 0.0 if now % 1.0 else 1.0
        if since is None or now < since[1]:
            self._since = s.step, now
            return 0.0
        steps, spent = s.step - since[0], now - since[1]
        if steps <= 0.0 or spent <= _GRAINS * self._grain:
            return 0.0
        self._since = s.step, now
        seconds = spent / steps
        return seconds if seconds < math.inf else 0.0
