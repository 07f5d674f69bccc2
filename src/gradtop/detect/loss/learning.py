"""`no_learning`: the loss stays where it began, though the learning rate was high enough for long enough."""

import math
from collections.abc import Iterator

from gradtop.detect.case import Case, criterion, finding, lacking, off, opened
from gradtop.detect.robust import Trend
from gradtop.detect.signals import Signals
from gradtop.detect.wording import change, numbers, place, rows, training
from gradtop.finding import Criterion, Finding, Severity

_BACK_FALL = 0.05
_SIGNIFICANT = 2.5
"""Standard errors by which a fall has to stand out."""
_CERTAIN = 4.0
"""Standard errors of a slow fall that end the finding."""
_TREND_EVERY = 20
_RULED_OUT = 0.4
"""Part of the fall that counts as learning which the noise may still hide."""
_SMALLEST = 5e-4
"""Relative change that is not worth a number."""
_NOISE = 0.04
"""Relative noise of single losses above which a run is past chance level: most likely a fine-tune near its floor."""


class NoLearning:
    """No fall of the best level, no slow trend either, and noise that would not hide one."""

    kind = "no_learning"
    kinds = (kind,)
    inputs = ("loss",)

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._trend = Trend()
        self._case: Case | None = None
        self._learned = False

    def row(self, s: Signals) -> None:
        """Look at the loss of this row."""
        if self._learned or not s.fresh_loss or s.other_goals:
            return
        loss = s.loss
        if loss is None or loss == 0.0 or not math.isfinite(loss):
            return
        self._trend.see(loss)
        level = s.loss_level
        if not level.ready or level.start is None:
            return
        if self._case is not None and self._case.active:
            self._follow(s, self._case)
        elif level.best < _fallen(s, s.limits.no_learning_fall):
            self._learned = True
        elif s.schedule.effective >= s.limits.no_learning_steps and self._flat(s):
            self._case = opened(s)
            self._case.severity = Severity.WATCH
            self._case.first_step, self._case.count = s.first_step, s.rows

    def resume(self, s: Signals, anew: bool) -> None:
        """A run that starts over has to learn anew."""
        if anew:
            self._trend, self._learned = Trend(), False
            if self._case is not None:
                self._case.active = False

    def _follow(self, s: Signals, case: Case) -> None:
        slowly = False
        if self._trend.n % _TREND_EVERY == 0:
            _, fall, error, _ = self._numbers(s)
            slowly = fall > _CERTAIN * error
        if slowly or s.loss_level.best < _fallen(s, _BACK_FALL):
            case.active, self._learned = False, True
        else:
            case.extend(s)

    def _flat(self, s: Signals) -> bool:
        _, fall, error, visible = self._numbers(s)
        return self._trend.n >= 2 * s.limits.burn_in_rows and visible and fall <= _SIGNIFICANT * error

    def _numbers(self, s: Signals) -> tuple[float, float, float, bool]:
        """(unit, fall of the trend, its standard error, most of the fall that counts as learning can be ruled out)."""
        mean, change, error = self._trend.fit()
        unit = max(abs(mean), s.loss_level.unit) if s.loss_level.linear else abs(mean)
        noise = error * math.sqrt(self._trend.n / 12)
        hidden = _SIGNIFICANT * error - change
        visible = noise <= _NOISE * unit and hidden <= _RULED_OUT * s.limits.no_learning_fall * unit
        return unit, -change, error, visible

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return lacking(s, "loss") or off(s)

    def findings(self, s: Signals) -> Iterator[Finding]:
        """At most one."""
        case, level = self._case, s.loss_level
        if case is None or level.start is None:
            return
        start, best = level.value(level.start), level.value(level.best)
        message = (
            f"The loss is where it began: {change(start, best)} at best, after {training(s, s.schedule.effective)}."
            if case.active
            else f"The loss was flat until {place(s, case.last_step)}, then it fell: {change(start, best)} at best."
        )
        yield finding(
            self.kind,
            case,
            message,
            self._criteria(s, over=not case.active),
            numbers=numbers(s, case),
            scope="loss",
            evidence={"start": start, "best": best, "effective_steps": s.schedule.effective},
        )

    def _criteria(self, s: Signals, over: bool = False) -> tuple[Criterion, ...]:
        level, effective = s.loss_level, s.schedule.effective
        if level.start is None:
            why = f"only {rows(s.losses)} with a loss" if s.losses else "no loss in this log"
            return tuple(
                criterion(self.kind, id, None, why) for id in ("enough_steps", "no_fall", "no_trend", "noise_allows")
            )
        unit, fall, error, visible = self._numbers(s)
        moved = change(level.value(level.start), level.value(level.best))
        relative = error / unit if unit else 0.0
        trend = f"{_moved(fall / unit if unit else 0.0)} over all rows"
        trend += f", give or take {100 * relative:.1f} %" if relative >= _SMALLEST else ""
        noise = f"a fall of {100 * _SIGNIFICANT * relative:.1g} %" if relative >= _SMALLEST else "any fall"
        return (
            criterion(
                self.kind,
                "enough_steps",
                effective >= s.limits.no_learning_steps,
                f"{training(s, s.schedule.effective)}, {s.limits.no_learning_steps:,.0f} needed",
            ),
            criterion(self.kind, "no_fall", not over and level.best >= _fallen(s, s.limits.no_learning_fall), moved),
            criterion(self.kind, "no_trend", None if not visible else fall <= _SIGNIFICANT * error, trend),
            criterion(self.kind, "noise_allows", visible, f"{noise} would stand out"),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """How far the loss has fallen."""
        level = s.loss_level
        if level.start is None:
            return f"cannot be told: only {rows(s.losses)} with a loss", self._criteria(s)
        return f"the loss went {change(level.value(level.start), level.value(level.best))} at best", self._criteria(s)


def _moved(fall: float) -> str:
    if not math.isfinite(fall):
        return "no trend yet"
    if abs(fall) < _SMALLEST:
        return "no change"
    return f"a {'fall' if fall > 0 else 'rise'} of {100 * abs(fall):.1f} %"


def _fallen(s: Signals, part: float) -> float:
    """The level, in the stream's form, that is `part` below the first."""
    level = s.loss_level
    start = level.start if level.start is not None else 0.0
    return start - part * max(abs(start), level.unit) if level.linear else start + math.log(1 - part)
