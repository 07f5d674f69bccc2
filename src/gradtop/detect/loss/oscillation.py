"""`oscillation`: the loss swings up and down from one row to the next."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from gradtop.detect.case import Case, Episodes, criterion, finding, lacking, off
from gradtop.detect.robust import median
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, numbers, place, rows, short
from gradtop.finding import Criterion, Finding, Severity
from gradtop.units import percent

_TURNS = 0.8
"""Part of the rows that turn: below it the correlation cannot be that low. Of noise 0.67 turn, of a swing 0.9."""
_EVERY = 5
"""Rows from one measurement to the next while they turn."""
_EVERY_LATER = 16
"""The same in an episode."""
_HELD = 3
"""Measurements in a row: over 10 rows."""
_MISS = 3
"""Turns that a row without one weighs as much as: noise has two for each."""
_ROUNDING = 1e-12
_IDS = ("persists", "swings", "large", "loss_flat")


class Oscillation:
    """Neighbouring losses beside their straight line have opposite signs over 64 rows: the swing of a step too large.

    Whether rows turn is counted in the bits of a number; only where most do is the correlation worked out.
    """

    kind = "oscillation"
    kinds = (kind,)
    inputs = ("loss",)

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._n = s.limits.oscillation_rows
        self._mask = (1 << (self._n - 2)) - 1
        self._turns = round(_TURNS * (self._n - 2))
        self._episodes = Episodes(s.limits)
        self._by_design = False
        """It has swung from its first rows on, and fell: most likely two kinds of batches in turn."""
        self._forget()

    def _forget(self) -> None:
        self._rows = 0
        self._before = 0.0
        self._fell = False
        self._bits = self._wait = self._held = 0
        self._swing = (0.0, 0.0)
        """Correlation and size, as they were measured last."""

    def row(self, s: Signals) -> None:
        """Look at the loss of this row."""
        loss = s.loss
        if not s.fresh_loss or loss is None or loss == 0.0 or loss - loss != 0.0:
            return
        fell, self._before = loss < self._before, loss
        self._bits = ((self._bits << 1) | (fell is not self._fell)) & self._mask
        self._fell = fell
        self._rows += 1
        if self._wait:
            self._wait -= 1
            self._go_on(s)
        elif self._bits.bit_count() >= self._turns or self._held:
            self._measure(s)
        elif self._episodes.current is not None:
            self._episodes.miss(s)

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours."""
        self._forget()
        if anew:
            self._episodes.close()
            self._by_design = False

    def _go_on(self, s: Signals) -> None:
        """A row between two measurements."""
        if self._episodes.current is not None:
            if self._held:
                self._episodes.hit(s)
            else:
                self._episodes.miss(s)

    def _measure(self, s: Signals) -> None:
        self._wait = (_EVERY if self._episodes.current is None else _EVERY_LATER) - 1
        holds = self._rows >= self._n and not s.other_goals and self._swings(s)
        self._held = self._held + 1 if holds else 0
        if self._held >= _HELD and self._episodes.current is None and not s.solved:
            self._open(s)
        else:
            self._go_on(s)

    def _swings(self, s: Signals) -> bool:
        tail, level, limits = self._tail(s), s.loss_level, s.limits
        correlation, size = swing(tail)
        unit = max(level.unit, 1e-300) if level.linear else median(tail)
        self._swing = correlation, size / unit if unit > 0.0 else 0.0
        return correlation < limits.oscillation_correlation and self._swing[1] > limits.oscillation_size

    def _tail(self, s: Signals) -> list[float]:
        return list(s.loss_tail)[-min(self._n, self._rows) :] if self._rows else []

    def _open(self, s: Signals) -> None:
        fresh = self._episodes.hit(s)
        case = self._episodes.current
        if case is None or not fresh:
            return
        turning = self._turning()
        steps = [step for step, loss, _ in s.readings if loss is not None][1 - turning :]
        case.first_step, case.count = min(steps[0], s.step), turning
        ranked = sorted(self._tail(s)[-turning:])
        low, high = median(ranked[: turning // 2]), median(ranked[turning // 2 :])
        case.seen = {"low": low, "high": high, "size": self._swing[1], "correlation": self._swing[0]}
        from_start = s.losses <= self._n + _HELD * _EVERY and turning == self._n
        self._by_design = self._by_design or (from_start and self._flat(s)[0] is False)
        if not self._by_design:
            case.raise_to(Severity.WATCH, s.step)

    def _turning(self) -> int:
        """The newest rows that turn more often than noise does."""
        most = score = turning = 0
        for age in range(self._n - 2):
            score += 1 if self._bits >> age & 1 else -_MISS
            if score > most:
                most, turning = score, age + 1
        return turning + 2

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        if why := lacking(s, "loss") or off(s):
            return why
        if s.interval > 1.0 and s.unit_steps:
            return f"one row every {s.interval:,.0f} steps: a swing from step to step cannot be seen"
        return f"only {rows(self._rows)} of {self._n}" if self._rows < self._n else ""

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each stretch of rows."""
        for case in self._episodes.cases:
            yield finding(
                self.kind,
                case,
                _message(s, case),
                self._criteria(s, case),
                numbers=numbers(s, case),
                scope="loss",
                evidence={"correlation": case.seen["correlation"], "size": case.seen["size"]},
            )

    def _criteria(self, s: Signals, case: Case | None) -> tuple[Criterion, ...]:
        limits, active = s.limits, case is not None and case.active
        correlation, size = (case.seen["correlation"], case.seen["size"]) if case is not None else self._swing
        if self._rows < self._n and case is None:
            why = f"only {rows(self._rows)} with a loss" if self._rows else "no loss in this log"
            return tuple(criterion(self.kind, id, None, why) for id in _IDS)
        found = rows(case.count) if case is not None else "no such rows now"
        over = f", over {back(s, case)}" if case is not None and not active else ""
        apart = f"correlation {correlation:.2f}, below {limits.oscillation_correlation:g} needed"
        return (
            criterion(self.kind, "persists", active, f"{found}{over}"),
            criterion(self.kind, "swings", correlation < limits.oscillation_correlation, apart),
            criterion(self.kind, "large", size > limits.oscillation_size, f"{percent(size)} around its course"),
            criterion(self.kind, "loss_flat", *self._flat(s)),
        )

    def _flat(self, s: Signals) -> tuple[bool | None, str]:
        """The losses of these rows do not fall, whatever their swing."""
        tail, half = self._tail(s), self._n // 2
        if len(tail) < 2 * half:
            return None, f"only {rows(len(tail))} since a session began"
        first, second = (sum(value / half for value in part) for part in (tail[:half], tail[-half:]))
        return second >= first, f"{short(first)}, then {short(second)} in the last {rows(self._n)}"

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """Whether neighbouring losses swing."""
        if self._rows < self._n:
            return f"cannot be told: only {rows(self._rows)} with a loss", self._criteria(s, None)
        self._swings(s)
        return f"neighbouring losses have a correlation of {self._swing[0]:.2f}", self._criteria(s, None)


def swing(values: Sequence[float]) -> tuple[float, float]:
    """(correlation of neighbours, root mean square) beside a straight line; 0 without spread.

    Of the pairs that begin at even and at odd places the weaker correlation counts: where a small data set makes two
    batches, these mirror each other within an epoch, but not across it.
    """
    n = len(values)
    mean, middle = sum(value / n for value in values), (n - 1) / 2
    scale = max(abs(value - mean) for value in values)
    if not _ROUNDING * abs(mean) < scale < math.inf:
        return 0.0, 0.0
    off = [(value - mean) / scale for value in values]
    slope = sum((i - middle) * value for i, value in enumerate(off)) * 12 / (n * (n * n - 1))
    off = [value - slope * (i - middle) for i, value in enumerate(off)]
    total = sum(value * value for value in off)
    if not total > _ROUNDING:
        return 0.0, 0.0
    products = [a * b for a, b in pairwise(off)]
    weaker = max(sum(products[::2]), sum(products[1::2])) * 2 / total
    return max(weaker, -1.0), math.sqrt(total / n) * scale


def _message(s: Signals, case: Case) -> str:
    first, low, high = place(s, case.first_step), short(case.seen["low"]), short(case.seen["high"])
    if not case.active:
        return f"The loss swung between {low} and {high} from row to row from {first} on; it ended {back(s, case)}."
    return f"The loss swings between {low} and {high} from row to row since {first}, for {rows(case.count)}."
