"""`lr_zero`: the learning rate is 0 while the run goes on, so that nothing is learned any more."""

import math
from collections.abc import Iterator

from gradtop.detect.case import Case, criterion, finding, lacking, opened
from gradtop.detect.loss.impact import Before, before
from gradtop.detect.robust import trend_of
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, change, numbers, place, rows, short
from gradtop.finding import Criterion, Finding, Severity
from gradtop.units import count

_KIND = "lr_zero"
_SMOOTH = 0.05
"""Part of the peak from which a schedule may step down to 0 and still have ended by design."""
_COARSE = 0.2
"""The same for a rate of one digit, which may be a rounded print of a schedule that goes on."""
_PRINTED = 0.01
"""Part of the peak that a printed zero may stand for before it says too little."""
_END_PART = 0.02
"""Part of the run, at its end, in which a schedule may be at 0 by design."""
_PRINT_PART = 0.96
"""The longest such part is this times the root of the last rate over the peak: 1.5 times what a cosine needs that is
printed with so few digits."""
_FALL = -0.03
_FALL_SPREADS = 3.0
_NEVER_EVERY = 20
_NEVER_NOISE = 0.04
_NEVER_SIGNIFICANT = 2.5
_NEVER_HIDDEN = 0.4
_IDS = ("zero", "rows_go_on", "before_end", "loss_flat")


class LearningRateZero:
    """Worth watching after some rows; a notice where the loss falls all the same: then it is a print."""

    kind = _KIND
    kinds = (kind,)
    inputs = ("lr",)

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._case: Case | None = None
        self._cases: list[Case] = []
        self._begin()

    def _begin(self) -> None:
        self._last = 0.0
        self._row = -1
        self._zeros = 0
        self._from = (0.0, 0)
        self._part = 0.0
        self._before: Before | None = None

    def resume(self, s: Signals, anew: bool) -> None:
        """A run that starts over has another schedule; rows of two sessions are counted together."""
        if anew:
            self._close(s)
            self._begin()

    def row(self, s: Signals) -> None:
        """Look at the learning rate of this row."""
        schedule = s.schedule
        lr = schedule.lr
        if lr is None or s.rows == self._row:
            return
        self._row = s.rows
        if lr > s.limits.lr_zero_factor * schedule.peak:
            self._last = lr
            if self._zeros:
                self._close(s)
        elif schedule.peak > 0.0:
            self._row_zero(s)
        elif not s.in_warmup:
            self._row_never(s)

    def _close(self, s: Signals) -> None:
        self._zeros = 0
        if self._case is not None:
            self._case.active, self._case.back_step = False, s.step
            self._case = None

    def _row_zero(self, s: Signals) -> None:
        """It was above 0 before."""
        if not self._zeros:
            self._from = (s.step, s.rows)
            self._part = self._last / s.schedule.peak
            self._before = before(s)
        self._zeros += 1
        case = self._case
        if case is not None:
            case.extend(s)
            self._judge(s, case)
        elif self._zeros >= s.limits.lr_zero_rows and s.step > self._from[0] and not self._ended(s):
            self._open(s)

    def _open(self, s: Signals) -> None:
        case = self._case = opened(s)
        case.first_step, case.first_row = self._from
        case.count = self._zeros
        case.seen = {"last": self._last, "peak": s.schedule.peak}
        self._cases = [*self._cases[-7:], case]
        self._judge(s, case)

    def _judge(self, s: Signals, case: Case) -> None:
        printed = s.lr_bound > _PRINTED * s.schedule.peak or (_one_digit(self._last) and self._part <= _COARSE)
        case.raise_to(Severity.NOTICE if printed or self._falls(s) else Severity.WATCH, s.step)

    def _falls(self, s: Signals) -> bool:
        """The loss falls clearly since the rate is 0, which it cannot do."""
        known = self._before
        rise = known.rise(s) if known is not None and self._zeros >= s.limits.lr_zero_rows else None
        return known is not None and rise is not None and rise < min(_FALL, -_FALL_SPREADS * known.spread)

    def _ended(self, s: Signals) -> bool:
        """The schedule ended by design: at the planned end, or smoothly and not long ago."""
        part = self._end_part()
        planned = s.facts.train.planned(s.counts)
        if planned and s.step <= planned * (1 + _END_PART):
            return self._from[0] >= planned * (1 - part)
        return self._smooth() and s.step - self._from[0] < part * (s.step - s.first_step)

    def _smooth(self) -> bool:
        return self._part <= (_COARSE if _one_digit(self._last) else _SMOOTH)

    def _end_part(self) -> float:
        return _END_PART + (_PRINT_PART * math.sqrt(self._part) if self._smooth() else 0.0)

    def _row_never(self, s: Signals) -> None:
        """It was never above 0: printed so, unless the loss shows that nothing is learned."""
        self._zeros += 1
        case = self._case
        if case is not None:
            case.extend(s)
        if self._zeros % _NEVER_EVERY or not s.loss_level.ready or s.other_goals:
            return
        learns = _has_fallen(s)
        stands = not learns and s.step - s.first_step >= s.limits.no_learning_steps and _stands_still(s)
        if case is None:
            if not (learns or stands):
                return
            self._from = (s.first_step, 1)
            case = self._case = opened(s)
            case.first_step, case.first_row = self._from
            case.count, case.seen = self._zeros, {"last": 0.0, "peak": 0.0}
            self._cases = [*self._cases[-7:], case]
        if learns or stands:
            case.raise_to(Severity.WATCH if stands else Severity.NOTICE, s.step)

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return lacking(s, "lr")

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each time that it was 0."""
        for case in self._cases:
            known = numbers(s, case)
            if (planned := s.facts.train.planned(s.counts)) is not None:
                known["planned"] = f"{count(planned)} {s.counts}s"
            yield finding(
                self.kind,
                case,
                self._message(s, case),
                self._criteria(s, case),
                numbers=known,
                scope="lr",
                form="printed" if case.severity is Severity.NOTICE else "",
                evidence={"last_lr": case.seen["last"], "peak_lr": case.seen["peak"]},
                caveats=("A rate that is printed with few digits reads 0 as well.",) if s.schedule.lr == 0.0 else (),
            )

    def _message(self, s: Signals, case: Case) -> str:
        since = place(s, case.first_step)
        if not case.active:
            until = f"until {place(s, case.last_step)}, {rows(case.count)}"
            return f"The learning rate was 0 from {since} {until}; it is above 0 again {back(s, case)}."
        if not case.seen["peak"]:
            level = s.loss_level
            moved = change(level.value(level.start or 0.0), level.value(level.best))
            if case.severity is Severity.NOTICE:
                return f"The learning rate reads 0 in every row, yet the loss fell ({moved}): it has too few digits."
            return (
                f"The learning rate is 0 since {since}, in all {rows(case.count)}, and the loss stands still ({moved})."
            )
        what = (
            f"The learning rate is 0 since {since}, {rows(case.count)} so far; it was {short(case.seen['last'])} before"
        )
        if case.severity is Severity.NOTICE:
            return f"{what}. {self._why_only_a_notice(s)}"
        planned = s.facts.train.planned(s.counts)
        if planned and s.step <= planned:
            return f"{what}. The run is planned to go on until {place(s, planned)}, but learns nothing any more."
        over = "The schedule is over and the run goes on" if self._smooth() else "The run goes on"
        return f"{what}. {over}: nothing is learned any more."

    def _why_only_a_notice(self, s: Signals) -> str:
        if self._falls(s) and self._before is not None:
            return f"The loss falls all the same ({self._before.told(s)}): it is printed with too few digits."
        return "It may be above 0 and printed with too few digits."

    def _criteria(self, s: Signals, case: Case) -> tuple[Criterion, ...]:
        now = short(s.schedule.lr or 0.0)
        if case.severity is Severity.NOTICE and case.active:
            zero: bool | None = None
        else:
            zero = case.active
        planned = s.facts.train.planned(s.counts)
        goes_on = f"{rows(case.count)} until {place(s, case.last_step)}"
        end = f"planned for {place(s, planned)}" if planned else "no planned end is known"
        before_end = None if not planned else case.active and s.step <= planned
        loss = self._before.told(s) if self._before is not None else "no loss to compare with"
        flat = None if self._before is None else not self._falls(s)
        if not case.seen["peak"] and s.loss_level.ready:
            flat, loss = not _has_fallen(s), f"{short(s.loss_level.level or 0.0)} now"
        return (
            criterion(self.kind, "zero", zero, f"{now} now, at most {short(s.schedule.peak)} so far"),
            criterion(self.kind, "rows_go_on", case.active, goes_on),
            criterion(self.kind, "before_end", before_end, end),
            criterion(self.kind, "loss_flat", flat if case.active else False, loss),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """The newest learning rate."""
        lr = s.schedule.lr
        if lr is None:
            why = "no learning rate in this log"
            return f"cannot be told: {why}", tuple(criterion(self.kind, id, None, why) for id in _IDS)
        found = f"the learning rate is {short(lr)} now"
        return found, tuple(criterion(self.kind, id, False, found) for id in _IDS)


def _one_digit(lr: float) -> bool:
    """A rate such as 1e-6 or 0.0003: the last place of a print, or a round number."""
    return lr > 0.0 and float(f"{lr:.0e}") == lr


def _has_fallen(s: Signals) -> bool:
    level, fall = s.loss_level, s.limits.no_learning_fall
    if level.start is None:
        return False
    least = level.start - fall * max(abs(level.start), level.unit) if level.linear else level.start + math.log(1 - fall)
    return level.best < least


def _stands_still(s: Signals) -> bool:
    """The newest losses do not fall, and their noise would not hide it."""
    tail = s.loss_tail
    if len(tail) < 2 * s.limits.burn_in_rows:
        return False
    mean, moved, error = trend_of(list(tail))
    unit = max(abs(mean), s.loss_level.unit) if s.loss_level.linear else abs(mean)
    visible = error * math.sqrt(len(tail) / 12) <= _NEVER_NOISE * unit
    hidden = _NEVER_SIGNIFICANT * error - moved
    return visible and hidden <= _NEVER_HIDDEN * s.limits.no_learning_fall * unit
