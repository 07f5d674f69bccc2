"""How fast a run goes: by the times in its rows, by what it prints of them, or by how its rows come in."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from gradtop.run import RunView
from gradtop.series import SeriesView

GAPS_KEPT = 256
"""Arrival gaps kept for the run's own rhythm."""
RATE_ROWS = 50
"""Rows over which the speed is taken."""
LEAST_SEEN = 3
"""Arrivals from which a speed is taken: the first one may hold what was written long before."""
LEAST_SEEN_S = 3.0
"""Seconds that these arrivals cover at least; what comes in faster was copied and not computed."""
REPLAYED_S = 36 * 3600.0
"""A newest row that is older belongs to a run of the past, as in a copy; time zones explain at most 26 hours."""
_ELAPSED = ("elapsed_time", "bar_elapsed_s", "time_s", "elapsed_s", "elapsed", "time_elapsed", "time/time_elapsed")
"""Names of the seconds since the start, or since the start of an epoch."""
_LONGEST_S = 1e9
"""Seconds between two rows that no training takes: one of the two is no time."""
_RISING = 0.9
"""Part of the rows of such a series that have to rise: what goes up and down is a duration."""


@dataclass(slots=True)
class Rhythm:
    """When new rows arrived while we watched, in monotonic seconds."""

    last: float | None = None
    gaps: deque[float] = field(default_factory=lambda: deque(maxlen=GAPS_KEPT))

    count: int = 0
    """How often new rows came in."""
    _seen: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=RATE_ROWS))

    def arrived(self, at: float) -> None:
        """New rows came in at `at`."""
        self.count += 1
        if self.last is not None:
            self.gaps.append(at - self.last)
        self.last = at

    def reached(self, step: float | None) -> None:
        """The run stands at `step` since the last arrival."""
        if self.last is None or step is None or (self._seen and step == self._seen[-1][1]):
            return
        if self._seen and step < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((self.last, step))

    @property
    def speed(self) -> float | None:
        """Steps per second as rows came in; None before there is enough of it."""
        if len(self._seen) < LEAST_SEEN:
            return None
        (start, first), (stop, last) = self._seen[0], self._seen[-1]
        return (last - first) / (stop - start) if stop - start >= LEAST_SEEN_S else None


def speed(view: RunView) -> float | None:
    """What the run counts by, per second over the newest rows; None where its rows do not tell.

    The times of the rows come first, then the seconds since a start, then the step times that the log gives.
    """
    if (dated := _counted(view, "time")) is not None and (rate := _by_clock(dated, least=0.0)) is not None:
        return rate
    for name in _ELAPSED:
        if (elapsed := _counted(view, name)) is not None and (rate := _by_clock(elapsed, least=_RISING)) is not None:
            return rate
    durations = _counted(view, "step_time_s") if view.x_kind == "step" else None
    return _by_step_times(durations.tail(RATE_ROWS)) if durations is not None else None


def replayed(view: RunView, now: float) -> bool:
    """The newest row is dated so long before `now` (Unix seconds) that the log is of a run of the past."""
    times = view.series.get("time")
    return times is not None and len(times) > 0 and now - times.tail(1)[0] > REPLAYED_S


def _counted(view: RunView, name: str) -> SeriesView | None:
    series = view.series.get(name)
    return series if series is not None and series.x_kind == view.x_kind else None


def _by_clock(clock: SeriesView, least: float) -> float | None:
    """Steps per second of a series of seconds; a restart of the clock or of the steps takes no part."""
    seconds = clock.tail(RATE_ROWS)
    steps = [float(step) for step in clock.steps[len(clock) - len(seconds) :]]
    moves = [(t1 - t0, s1 - s0) for (t0, t1), (s0, s1) in zip(pairwise(seconds), pairwise(steps), strict=True)]
    going = [(t, s) for t, s in moves if 0 <= t < _LONGEST_S and s >= 0]
    spent, done = sum(t for t, _ in going), sum(s for _, s in going)
    return done / spent if spent > 0 and done > 0 and len(going) >= least * len(moves) else None


def _by_step_times(durations: Sequence[float]) -> float | None:
    newest = sorted(duration for duration in durations if duration > 0)
    return 1 / newest[len(newest) // 2] if newest else None
