"""`gpu_throttled`: the driver slows a GPU down, and steps take longer for it."""

import math
from collections import deque
from collections.abc import Iterator
from functools import reduce
from operator import or_

from gradtop.detect.case import MAX_CASES, Case, criterion, finding, opened
from gradtop.detect.machine.device import Devices
from gradtop.detect.machine.pace import INPUTS, Pace
from gradtop.detect.robust import Window, median
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, numbers, place, rows, span
from gradtop.device import THROTTLE_REASONS
from gradtop.finding import Criterion, Finding, Severity
from gradtop.throttle import FORCED, THROTTLED, said
from gradtop.units import percent

_USUAL_ROWS = 100
"""Rows without throttling, or at a power limit alone, whose median is what a step takes so."""
_LEAST_USUAL = 10
"""Such rows from which it is known."""
_LEAST_ROWS = 6
_LARGEST = 2.0**53
"""The largest mask that a number holds exactly."""


class GpuThrottled:
    """Steps that take 10 % longer while a GPU is throttled, in 20 of 30 rows."""

    kind = "gpu_throttled"
    kinds = (kind,)
    inputs = (*INPUTS, f"gpu*/{THROTTLE_REASONS}")

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._devices = Devices(THROTTLE_REASONS)
        self._pace = Pace()
        self._read: dict[str, float] = {}
        """Device → its newest mask."""
        self._reasons = 0
        """What slows any device down."""
        self._cases: list[Case] = []
        self._said: dict[int, tuple[str, str]] = {}
        """First row of a case → which devices, and for what reasons."""
        self._begin(s)

    def _begin(self, s: Signals) -> None:
        self._settling = float(s.limits.burn_in_rows)
        self._free: deque[float] = deque(maxlen=_USUAL_ROWS)
        self._mild: deque[float] = deque(maxlen=_USUAL_ROWS)
        """Step times under a power limit alone, which many healthy runs are at all the time."""
        self._usual = math.nan
        self._slow: deque[tuple[float, float]] = deque(maxlen=s.limits.throttled_window)
        self._window = Window(s.limits.throttled_window)
        self._case: Case | None = None

    def resume(self, s: Signals, anew: bool) -> None:
        """A session may run on other hardware."""
        for case in self._cases:
            case.active = False
        self._read.clear()
        self._reasons = 0
        self._pace.resume()
        self._begin(s)

    def row(self, s: Signals) -> None:
        """Look at the reasons that the driver gives, and at the time of this row's step."""
        names = self._devices.look(s)
        if not names:
            return
        values = s.values
        for name in names:
            mask = values.get(name, -1.0)
            if 0.0 <= mask < _LARGEST and mask != self._read.get(name):
                self._read[name] = mask
                self._reasons = reduce(or_, (int(read) & THROTTLED for read in self._read.values()))
        seconds = self._pace.row(s)
        if seconds <= 0.0:
            return
        if self._settling > 0.0:
            self._settling -= s.interval
            return
        self._look(s, seconds)

    def _look(self, s: Signals, seconds: float) -> None:
        if self._case is None:
            self._learn(seconds)
        hit = self._reasons != 0 and self._hit(s, seconds)
        if not hit and self._case is None and not self._window.bits:
            return
        window = s.rows_for(s.limits.throttled_window, _LEAST_ROWS)
        self._window.n = window
        self._window.push(hit)
        if hit:
            self._slow.append((s.step, seconds))
        if self._case is not None:
            self._follow(s, self._case, hit)
        elif hit and self._window.count * s.limits.throttled_window >= s.limits.throttled_rows * window:
            self._open(s)

    def _learn(self, seconds: float) -> None:
        """What a step takes without throttling, or under a power limit where there is more than that now."""
        forced, known = self._reasons & FORCED != 0, len(self._free) >= _LEAST_USUAL
        if not self._reasons:
            self._free.append(seconds)
        elif not forced:
            self._mild.append(seconds)
        if not self._reasons or not (forced or known):
            self._usual = math.nan
        elif self._usual != self._usual:
            base = self._free if known else self._mild
            self._usual = median(base) if len(base) >= _LEAST_USUAL else math.nan

    def _hit(self, s: Signals, seconds: float) -> bool:
        """This row is slow and throttled; without a time to compare with, throttled by force."""
        if self._usual == self._usual:
            return seconds >= (1.0 + s.limits.throttled_rise) * self._usual
        return self._reasons & FORCED != 0

    def _open(self, s: Signals) -> None:
        self._case = case = opened(s)
        case.count = self._window.count
        case.first_step = self._slow[-min(case.count, len(self._slow))][0]
        case.severity = Severity.WATCH if self._usual == self._usual else Severity.NOTICE
        self._said[case.first_row] = self._who()
        self._cases = [*self._cases[1 - MAX_CASES :], case]
        self._said = {known.first_row: self._said[known.first_row] for known in self._cases}
        self._weigh(case)

    def _weigh(self, case: Case) -> None:
        case.seen["longer"] = median([seconds for _, seconds in self._slow]) / self._usual - 1.0

    def _who(self) -> tuple[str, str]:
        """`GPU 3`, or `GPU 0 and 3 more`, and why: those that are forced to, where some are."""
        worst = FORCED if self._reasons & FORCED else THROTTLED
        slow = [name.partition("/")[0].replace("gpu", "GPU ") for name, mask in self._read.items() if int(mask) & worst]
        return slow[0] + (f" and {len(slow) - 1} more" if len(slow) > 1 else ""), said(self._reasons)

    def _follow(self, s: Signals, case: Case, hit: bool) -> None:
        if hit:
            case.extend(s)
            self._weigh(case)
            return
        case.back_step = s.step if case.back_step is None else case.back_step
        case.misses += 1
        if case.misses >= s.limits.clear_rows:
            case.active, self._case = False, None

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        if not self._devices.look(s):
            return "no throttle reasons of a GPU in this log"
        return "" if self._pace.by else "no step time, no tokens per second and no times of rows in this log"

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each stretch."""
        for case in self._cases:
            device, reasons = self._said[case.first_row]
            longer = case.seen["longer"]
            yield finding(
                self.kind,
                case,
                _message(s, case, device, reasons),
                self._criteria(s, case, device, reasons),
                numbers=numbers(s, case) | {"device": device, "reasons": reasons},
                evidence={"device": device, "reasons": reasons} | ({"longer": longer} if longer == longer else {}),
            )

    def _criteria(self, s: Signals, case: Case, device: str, reasons: str) -> tuple[Criterion, ...]:
        longer = case.seen["longer"]
        known = longer == longer
        over = f", back {back(s, case)}" if not case.active else ""
        slower = f"{percent(longer)} longer{over}" if known else "no row without throttling to compare with"
        return (
            criterion(self.kind, "throttled", case.active, f"{device}: {reasons}{over}"),
            criterion(self.kind, "slower", case.active if known else None, slower),
            criterion(self.kind, "persists", case.active, f"{rows(case.count)}{over}"),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """No throttling that makes steps longer."""
        blind = self.blind(s, self.kind)
        why = blind or "no rows that are slower while a GPU is throttled"
        return why, tuple(criterion(self.kind, id, None if blind else False, why) for id in _IDS)


_IDS = ("throttled", "slower", "persists")


def _message(s: Signals, case: Case, device: str, reasons: str) -> str:
    longer = case.seen["longer"]
    several = device.endswith(" more")
    cost = f"each {s.counts} takes {percent(longer)} longer" if longer == longer else ""
    if case.active:
        slow = f"; {cost}" if cost else ", from the start: what it costs cannot be told"
        return f"{device} {'are' if several else 'is'} throttled by {reasons} since {place(s, case.first_step)}{slow}."
    return f"{device} {'were' if several else 'was'} throttled by {reasons} in {span(s, case)}; that is over."
