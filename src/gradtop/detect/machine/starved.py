"""`gpu_starved`: steps that wait for data, or GPUs that are idle much of the time."""

import math
from collections import deque
from collections.abc import Iterator

from gradtop.detect.case import MAX_CASES, Case, criterion, finding, opened
from gradtop.detect.machine.device import Devices
from gradtop.detect.robust import Window, median
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, numbers, place, rows, span
from gradtop.device import UTILIZATION
from gradtop.finding import Criterion, Finding, Severity
from gradtop.units import percent

_MOST = 0.8
"""Part of the rows of the window that have to wait for data."""
_NEARLY_ALL = 0.95
"""Part of the readings of the window with a low utilisation: their 95th percentile is low."""
_LEAST_ROWS = 10
_WEIGHED_ROWS = 10
"""Rows after which the newest part is taken again."""


class _Waiting:
    """A part of the time that is lost, row by row."""

    __slots__ = (
        "_least", "_limit", "_lost", "_settling", "_slower", "_usual", "_window", "began", "case", "cases",
    )  # fmt: skip

    def __init__(self, limit: float, least: float, slower: float, s: Signals) -> None:
        """No row seen yet; a row counts from `limit` on, and the part `least` of a window has to.

        What makes a step `slower` times as long as it was is worth watching.
        """
        self._limit, self._least, self._slower = limit, least, slower
        self.cases: list[Case] = []
        self.began: bool | None = None
        """It was not so when the run began; None before the first full window."""
        self._usual = 1.0
        """The part that was lost in the first full window."""
        self.begin(s)

    def begin(self, s: Signals) -> None:
        """A session begins: the first rows fill buffers."""
        self._settling = float(s.limits.burn_in_rows)
        self._window = Window(s.limits.starved_rows)
        self._lost: deque[tuple[float, float]] = deque(maxlen=s.limits.starved_rows)
        for case in self.cases:
            case.active = False
        self.case: Case | None = None

    def see(self, s: Signals, lost: float) -> None:
        """Take a row's part in, 0 to 1."""
        if self._settling > 0.0:
            self._settling -= s.interval
            return
        high = lost > self._limit
        self._lost.append((s.step, lost))
        self._window.push(high)
        if not high and self.case is None and self.began is not None:
            return
        n = s.rows_for(s.limits.starved_rows, _LEAST_ROWS)
        if self._window.seen < n:
            return
        if self.case is not None:
            self._follow(s, self.case, high, n)
            return
        holds = high and (self._window.bits & ((1 << n) - 1)).bit_count() >= self._least * n
        if self.began is None:
            self.began = not holds
            self._usual = self._median(n)
        if holds:
            self._open(s, n)

    def _open(self, s: Signals, n: int) -> None:
        self.case = case = opened(s)
        newest = list(self._lost)[-n:]
        first = next(i for i, (_, lost) in enumerate(newest) if lost > self._limit)
        case.first_step, case.first_row, case.count = newest[first][0], s.rows - n + 1 + first, n - first
        self.cases = [*self.cases[1 - MAX_CASES :], case]
        self._weigh(s, case, n)

    def _follow(self, s: Signals, case: Case, high: bool, n: int) -> None:
        if high:
            case.extend(s)
            if self._window.seen % _WEIGHED_ROWS == 0:
                self._weigh(s, case, n)
            return
        case.back_step = s.step if case.back_step is None else case.back_step
        case.misses += 1
        if case.misses >= s.limits.clear_rows:
            case.active, self.case = False, None

    def _weigh(self, s: Signals, case: Case, n: int) -> None:
        """How much it is by now: worth watching where it is large and was not so from the start."""
        lost = case.seen["lost"] = self._median(n)
        if self.began and self.large(s, lost) and case.severity is Severity.NOTICE:
            case.raise_to(Severity.WATCH, s.step)

    def large(self, s: Signals, lost: float) -> bool:
        """It is much of the time, or makes the run as slow as is worth watching."""
        # An infinite factor is for what says nothing of the time of a step.
        slower = self._slower < math.inf and 1.0 - self._usual >= self._slower * (1.0 - lost)
        return slower or lost >= s.limits.starved_watch

    def _median(self, n: int) -> float:
        return median([lost for _, lost in self._lost][-n:])


class GpuStarved:
    """The part of the step time that goes into data, or the utilisation of the busiest GPU."""

    kind = "gpu_starved"
    kinds = (kind,)
    inputs = ("data_time_s", f"gpu*/{UTILIZATION}")

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._devices = Devices(UTILIZATION)
        self._data = _Waiting(s.limits.starved_share, _MOST, s.limits.throughput_watch, s)
        self._idle = _Waiting(1.0 - s.limits.busy_share, _NEARLY_ALL, math.inf, s)
        self._seen = 0
        self._sample = (0, 0.0)

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours."""
        self._data.begin(s)
        self._idle.begin(s)

    def row(self, s: Signals) -> None:
        """Look at this row's time for data, or at its readings of the GPUs."""
        values = s.values
        data, step = values.get("data_time_s", math.nan), values.get("step_time_s", math.nan)
        if data >= 0.0 < step and s.rows != self._seen and data + step < math.inf:
            self._seen = s.rows
            # Some logs count the time for data apart from that of the step.
            self._data.see(s, data / step if data <= step else data / (data + step))
        if names := self._devices.look(s):
            busiest = max([values[name] for name in names if 0.0 <= values.get(name, math.nan) <= 1.0], default=-1.0)
            if busiest >= 0.0 and (s.rows, busiest) != self._sample:
                self._sample = s.rows, busiest
                self._idle.see(s, 1.0 - busiest)

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        if not self._seen and not self._sample[0]:
            return "no time for data beside the step time and no utilisation of a GPU in this log"
        if self._data.began is None and self._idle.began is None:
            return (
                f"{rows(s.rows)} are too few: it takes {s.rows_for(s.limits.starved_rows, _LEAST_ROWS)} after the first"
            )
        return ""

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each stretch; idle GPUs are told of only where the time for data does not explain them."""
        explained = self._data.case is not None
        found = [(case, self._data, "data_time_s") for case in self._data.cases]
        found += [(case, self._idle, "gpu") for case in self._idle.cases if not (explained and case.active)]
        for case, waiting, scope in found:
            lost = case.seen["lost"]
            share = {"share": percent(lost)} if scope == "data_time_s" else {}
            yield finding(
                self.kind,
                case,
                _message(s, case, scope),
                self._criteria(s, case, waiting),
                numbers=numbers(s, case) | share,
                scope=scope,
                evidence={"share" if share else "idle": round(lost, 4)},
            )

    def _criteria(self, s: Signals, case: Case, waiting: _Waiting) -> tuple[Criterion, ...]:
        lost = case.seen["lost"]
        over = f", back {back(s, case)}" if not case.active else ""
        began = f"since {place(s, case.first_step)}" if waiting.began else "from the first rows on"
        return (
            criterion(self.kind, "persists", case.active, f"{rows(case.count)}{over}"),
            criterion(self.kind, "large", case.active and waiting.large(s, lost), percent(lost)),
            criterion(self.kind, "began", case.active and bool(waiting.began), f"{began}{over}"),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """It does not wait for long."""
        blind = self.blind(s, self.kind)
        why = blind or f"less than {percent(s.limits.starved_share)} of the time is lost in most rows"
        return why, tuple(criterion(self.kind, id, None if blind else False, why) for id in _IDS)


_IDS = ("persists", "large", "began")


def _message(s: Signals, case: Case, scope: str) -> str:
    lost = percent(case.seen["lost"])
    told = f"{lost} of each {s.counts} is spent on waiting for data" if scope == "data_time_s" else (
        f"The busiest GPU is idle {lost} of the time"
    )  # fmt: skip
    if case.active:
        return f"{told}, since {place(s, case.first_step)}."
    return f"{told.replace(' is ', ' was ')} in {span(s, case)}; that is over."
