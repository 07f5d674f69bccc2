"""`loss_divergence`: the level of the loss leaves its best and does not come back."""

import math
from collections.abc import Iterator

from gradtop.detect.case import Case, criterion, finding, lacking, off, opened
from gradtop.detect.loss.spike import MATERIAL
from gradtop.detect.robust import Window, median
from gradtop.detect.signals import Signals
from gradtop.detect.wording import at, back, change, numbers, place, rows, short
from gradtop.finding import Criterion, Finding, Severity

_EARLY_LOSSES = 100
_EARLY_K, _EARLY_N = 3, 5
_BACK_LEVEL = 1.05
_BACK_EARLY = 1.2
_LEAST_ROWS = 5
_LEAST_APART = 8
_APART_SPREADS = 1.0
_LEFT = 0.8
_LINEAR_SPREADS = 6.0
_NOISE_SPREADS = 1.0


class LossDivergence:
    """A level 20 % above the best for a window of rows, or in the first rows three times as high as at the start.

    The level follows slowly where rows are few, so that losses which stay as high one by one, and do not come down
    again, count as well.
    """

    kind = "loss_divergence"
    kinds = (kind,)
    inputs = ("loss",)

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self.cases: list[Case] = []
        self._current: Case | None = None
        self._high = 0
        self._first = (0.0, 0)
        self._apart = 0
        self._first_apart = (0.0, 0)
        self._early = Window(_EARLY_N)
        self._early_first = (0.0, 0)
        self._differences: list[float] = []
        self._log_rise = math.log1p(s.limits.divergence_rise)

    def row(self, s: Signals) -> None:
        """Look at the loss of this row."""
        loss = s.loss
        if not s.fresh_loss or s.other_goals or loss is None or loss == 0.0 or not math.isfinite(loss):
            return
        if s.losses <= _EARLY_LOSSES:
            self._row_early(s, loss)
        level = s.loss_level
        if not level.ready:
            return
        if self._current is not None:
            self._follow(s, self._current, loss)
            return
        if level.linear or level.last > level.best + self._log_rise:
            self._row_apart(s)
        else:
            self._apart = 0
        if (level.linear or level.y > level.best + self._log_rise) and level.y > _limit(s, s.limits.divergence_rise):
            self._row_high(s)
        else:
            self._high = 0

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours."""
        self._high = self._apart = self._early.bits = 0
        if anew:
            self._differences = []

    def _row_high(self, s: Signals) -> None:
        if not self._high:
            self._first = (s.step, s.rows)
        self._high += 1
        if self._high >= s.rows_for(s.limits.divergence_rows, _LEAST_ROWS):
            level = s.loss_level
            self._open(s, self._first, self._high, {"best": level.value(level.best), "early": 0.0})

    def _row_apart(self, s: Signals) -> None:
        """Losses that are high one by one, row after row, and do not come down again."""
        level = s.loss_level
        if level.last <= _limit(s, s.limits.divergence_rise) + _APART_SPREADS * level.best_spread:
            self._apart = 0
            return
        if not self._apart:
            self._first_apart = (s.step, s.rows)
        self._apart += 1
        enough = s.rows_for(s.limits.divergence_apart_rows, _LEAST_APART)
        if self._apart >= enough and _stays_up(s, enough):
            self._open(s, self._first_apart, self._apart, {"best": level.value(level.best), "early": 0.0})

    def _row_early(self, s: Signals, loss: float) -> None:
        tail = s.loss_tail
        if len(tail) >= 2 and tail[-2] > 0 < loss and len(self._differences) < s.limits.burn_in_rows:
            self._differences.append(math.log(tail[-2]) - math.log(loss))
        first = s.first_loss
        if first is None or s.loss_level.linear or first <= 0 or not self._differences:
            return
        # Three times the first losses is nothing for small noisy batches: the largest fall between neighbours, which
        # a divergence does not have, comes on top.
        fall = min(max(0.0, *self._differences), 20.0)
        bound = first * s.limits.early_divergence_factor * math.exp(fall)
        high = loss > bound
        if high and not self._early.bits:
            self._early_first = (s.step, s.rows)
        self._early.push(high)
        if self._current is None and self._early.count >= _EARLY_K and s.losses >= _LEAST_ROWS:
            self._open(s, self._early_first, self._early.count, {"best": first, "early": 1.0})

    def _open(self, s: Signals, first: tuple[float, int], count: int, seen: dict[str, float]) -> None:
        if self._current is not None:
            return
        known = next((c for c in self.cases if c.first_step <= s.step <= c.last_step), None)
        if known is not None:
            self._current = known
            known.extend(s)
            return
        case = opened(s)
        case.first_step, case.first_row = first
        case.count, case.severity, case.seen = count, Severity.INTERVENE, seen
        self.cases = [*self.cases[-7:], case]
        self._current = case

    def _follow(self, s: Signals, case: Case, loss: float) -> None:
        early = case.seen["early"] > 0
        level = s.loss_level
        recent = median(list(s.loss_tail)[-_EARLY_N:])
        over = (
            recent < _BACK_EARLY * case.seen["best"]
            if early
            else level.y < (back := _limit(s, _BACK_LEVEL - 1)) and recent < level.value(back)
        )
        if over:
            case.active, case.back_step, self._current = False, s.step, None
            self._high = self._apart = self._early.bits = 0
            return
        if early or max(level.y, level.last) > _limit(s, s.limits.divergence_rise):
            case.extend(s)

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return lacking(s, "loss") or off(s)

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each divergence."""
        for case in self.cases:
            now = s.loss_level.level if case.seen["early"] == 0 else s.recent_loss()
            yield finding(
                self.kind,
                case,
                _message(s, case, now or 0.0),
                self._criteria(s, case, now or 0.0),
                numbers=numbers(s, case),
                form="early" if case.seen["early"] else "",
                scope="loss",
                evidence={"best": case.seen["best"], "level": now or 0.0},
            )

    def _criteria(self, s: Signals, case: Case, now: float) -> tuple[Criterion, ...]:
        best = case.seen["best"]
        moved = f"{short(now)} now, {short(best)} at best"
        over = f", back {back(s, case)}" if not case.active else ""
        since = f"{rows(case.count)} since {place(s, case.first_step)}{over}"
        where = f"rows {case.first_row:,} to {case.last_row:,} of {s.rows:,}"
        return (
            criterion(self.kind, "persists", case.active, since),
            criterion(self.kind, "loss_flat", case.active, moved),
            criterion(self.kind, "above_level", case.active, moved),
            criterion(self.kind, "after_burn_in", case.active and case.count >= _EARLY_K, where),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """The loss level against its best."""
        level = s.loss_level
        if not level.ready:
            why = f"only {rows(s.losses)} with a loss" if s.losses else "no loss in this log"
            return f"cannot be told: {why}", tuple(criterion(self.kind, id, None, why) for id in _IDS)
        found = (
            f"the loss is around {short(level.value(level.y))}, at best it was around {short(level.value(level.best))}"
        )
        return found, tuple(criterion(self.kind, id, False, found) for id in _IDS)


_IDS = ("persists", "loss_flat", "above_level", "after_burn_in")


def _stays_up(s: Signals, rows: int) -> bool:
    """Its height above the best shrinks little from the older to the newer half: this is no spike on its way back."""
    level = s.loss_level
    best, newest = level.value(level.best), list(s.loss_tail)[-rows:]
    half = len(newest) // 2
    return median(newest[half:]) - best >= _LEFT * (median(newest[:half]) - best)


def _limit(s: Signals, rise: float) -> float:
    """The level, in the stream's form, that is `rise` above the best."""
    level = s.loss_level
    if level.linear:
        start = level.start if level.start is not None else level.best
        unit = max(abs(level.best), abs(start - level.best), level.unit)
        return level.best + (rise + MATERIAL) * unit + _LINEAR_SPREADS * level.best_spread
    best = math.exp(min(level.best, 700.0))
    material = MATERIAL * (s.first_loss or 0.0) if rise >= s.limits.divergence_rise else 0.0
    # The level and its best wander with the noise: that much more for small, noisy batches.
    return math.log((1 + rise) * best + material) + _NOISE_SPREADS * level.best_spread


def _message(s: Signals, case: Case, now: float) -> str:
    best = case.seen["best"]
    since = at(s, case.first_step)
    if case.seen["early"]:
        rise = f"The loss diverges: {short(best)} at the start, {short(now)} now, high since {since}"
    else:
        # A hundredfold is plain to see from the two values.
        up = f", {100 * (now / best - 1):,.0f} % above its best" if best > 0 and now / 100 < best else ""
        rise = f"The loss diverges: {change(best, now)}{up}, since {since}"
    if case.active:
        return f"{rise}."
    return f"A divergence of the loss from {since} on is over: back {back(s, case)}, around {short(now)} now."
