"""`no_learning`: the loss stays where it began, though the learning rate was high enough for long enough."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gradtop.detect.case import Case, criterion, finding, lacking, off, opened
from gradtop.detect.loss.blocks import Blocks, clipped, printed_step
from gradtop.detect.signals import Signals
from gradtop.detect.wording import change, numbers, place, rows, training
from gradtop.finding import Criterion, Finding, Severity

_BACK_FALL = 0.05
_SEEN = 2.0
"""Standard errors that a fall may be larger than it looks."""
_STILL_FALLS = 1.0
"""Standard errors of a fall over the newer half that leave it open."""
_CERTAIN = 3.5
"""Standard errors of a slow fall that is one."""
_RULED_OUT = 0.25
"""Part of the fall that counts as learning below which the fall so far has to lie, as far as the noise can tell."""
_SLOW = 0.22
"""Part of it that is learning where it is certain: a fine-tune near its floor falls by no more."""
_HORIZON = 2000.0
"""Effective steps by which a fall as slow as so far would still not be one that counts."""
_SMALLEST = 5e-4
"""Relative change that is not worth a number."""
_NOISE = 0.04
"""Relative noise of single losses above which a run is past chance level: most likely a fine-tune near its floor."""
_LEAST_BLOCKS = 16
_LATE_ROWS = 3.0
"""Rows that a log may leave out at its start, for being the first of a run."""
_IDS = ("enough_steps", "no_fall", "no_trend", "noise_allows")


@dataclass(frozen=True, slots=True)
class _Trend:
    """Falls relative to the loss, over all rows and over the newer half of the effective steps."""

    fall: float
    error: float
    late: float
    late_error: float
    hidden: float
    """Smallest fall that the noise and the digits of the log let through."""
    counts: float
    """A fall that is one, however slow."""
    bound: float
    """What the fall has to lie below, so that there is none that counts."""

    @property
    def visible(self) -> bool:
        """The noise would not hide a fall that counts."""
        return self.hidden <= self.bound

    @property
    def none(self) -> bool:
        """No fall, and none under way."""
        return self.fall + self.hidden <= self.bound and self.late <= _STILL_FALLS * self.late_error

    @property
    def certain(self) -> bool:
        """It falls, be it slowly."""
        return self.fall > _CERTAIN * self.error and self.fall > self.counts


class NoLearning:
    """No fall of the best level, no slow trend either, and noise that would not hide one."""

    kind = "no_learning"
    kinds = (kind,)
    inputs = ("loss",)

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._case: Case | None = None
        self._begin()

    def _begin(self) -> None:
        self._learned = self._linear = False
        self._blocks = Blocks()
        self._burn: list[float] = []

    def row(self, s: Signals) -> None:
        """Look at the loss of this row."""
        if self._learned or not s.fresh_loss or s.other_goals:
            return
        loss = s.loss
        if loss is None or loss == 0.0 or not math.isfinite(loss):
            return
        level = s.loss_level
        if not level.ready or level.start is None:
            self._burn.append(s.schedule.effective)
            return
        complete = self._take(s)
        if level.best < _fallen(s, _BACK_FALL if self._active else s.limits.no_learning_fall):
            self._learn()
        elif complete:
            self._judge(s)
        if self._case is not None and self._case.active:
            self._case.extend(s)

    @property
    def _active(self) -> bool:
        return self._case is not None and self._case.active

    def resume(self, s: Signals, anew: bool) -> None:
        """A run that starts over has to learn anew."""
        if anew:
            self._begin()
            if self._case is not None:
                self._case.active = False

    def _take(self, s: Signals) -> bool:
        """Add the loss to the blocks; True where one is complete."""
        level = s.loss_level
        if level.linear is not self._linear:
            self._linear, self._blocks = level.linear, Blocks()
        if self._burn:
            self._take_burn(s)
        return self._blocks.see(s.schedule.effective, clipped(level))

    def _take_burn(self, s: Signals) -> None:
        """The losses of the burn-in, now that it is known what an outlier among them is."""
        level = s.loss_level
        early = list(s.loss_tail)[-len(self._burn) - 1 : -1]
        for x, loss in zip(self._burn[-len(early) :], early, strict=False):
            y = loss if level.linear else math.log(loss)
            self._blocks.see(x, min(max(y, level.y - 4 * level.spread), level.y + 4 * level.spread))
        self._burn = []

    def _judge(self, s: Signals) -> None:
        # The first steps often find the frequencies of the labels and no more: a fall counts from later on.
        if s.schedule.effective < s.limits.no_learning_steps or _begins_late(s) or (trend := self._trend(s)) is None:
            return
        if trend.certain:
            self._learn()
        elif not self._active and trend.none and _calm(s):
            self._case = opened(s)
            self._case.severity = Severity.WATCH
            self._case.first_step, self._case.count = s.first_step, s.rows

    def _learn(self) -> None:
        self._learned = True
        if self._case is not None:
            self._case.active = False

    def _trend(self, s: Signals) -> _Trend | None:
        """What the blocks say; None while they are too few."""
        blocks = self._blocks
        if len(blocks) < _LEAST_BLOCKS:
            return None
        whole, late = blocks.fit(), blocks.fit(blocks.since(blocks.ends[-1] / 2))
        if whole is None or late is None:
            return None
        level, unit = s.loss_level, _unit(s)
        least = printed_step(s.loss_tail) / (unit if level.linear else level.value(level.y))
        fall = s.limits.no_learning_fall
        return _Trend(
            fall=-whole.change / unit,
            error=whole.error / unit,
            late=-late.change / unit,
            late_error=late.error / unit,
            hidden=max(_SEEN * whole.error / unit, least / 2),
            counts=_SLOW * fall,
            bound=fall * min(_RULED_OUT, s.schedule.effective / _HORIZON),
        )

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return lacking(s, "loss") or off(s) or self._undecided(s)

    def _undecided(self, s: Signals) -> str:
        if self._learned or self._case is not None or not s.losses:
            return ""
        if _begins_late(s):
            return f"the log begins at {place(s, s.first_step)}: what was learned before is not in it"
        if s.schedule.effective < s.limits.no_learning_steps:
            return f"only {training(s, s.schedule.effective)}, {s.limits.no_learning_steps:,.0f} needed"
        noise = s.loss_level.spread / _unit(s)
        return f"the loss varies by {100 * noise:.1g} % from row to row, which still hides a slow fall"

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
            return tuple(criterion(self.kind, id, None, why) for id in _IDS)
        moved = change(level.value(level.start), level.value(level.best))
        needed = f"{training(s, effective)}, {s.limits.no_learning_steps:,.0f} needed"
        flat = not over and level.best >= _fallen(s, s.limits.no_learning_fall)
        trend = self._trend(s)
        return (
            criterion(self.kind, "enough_steps", effective >= s.limits.no_learning_steps, needed),
            criterion(self.kind, "no_fall", flat, moved),
            criterion(self.kind, "no_trend", None if trend is None else not over and trend.none, _told(trend)),
            criterion(self.kind, "noise_allows", _calm(s) and trend is not None and trend.visible, _hides(trend)),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """How far the loss has fallen."""
        level = s.loss_level
        if level.start is None:
            return f"cannot be told: only {rows(s.losses)} with a loss", self._criteria(s)
        return f"the loss went {change(level.value(level.start), level.value(level.best))} at best", self._criteria(s)


def _begins_late(s: Signals) -> bool:
    """The log is that of a run that goes on, whose loss has fallen long ago."""
    return s.unit_steps and s.first_step > max(s.limits.no_learning_steps, _LATE_ROWS * s.interval)


def _unit(s: Signals) -> float:
    """What a relative change is relative to, in the stream's form: 1 for logarithms."""
    return max(s.loss_level.unit, 1e-300) if s.loss_level.linear else 1.0


def _calm(s: Signals) -> bool:
    """Single losses vary as little as at chance level."""
    return s.loss_level.spread <= _NOISE * _unit(s)


def _told(trend: _Trend | None) -> str:
    if trend is None:
        return "no trend yet"
    give = f", give or take {100 * _SEEN * trend.error:.1f} %" if trend.error >= _SMALLEST else ""
    if abs(trend.fall) < _SMALLEST:
        return f"no change over all rows{give}"
    return f"a {'fall' if trend.fall > 0 else 'rise'} of {100 * abs(trend.fall):.1f} % over all rows{give}"


def _hides(trend: _Trend | None) -> str:
    if trend is None:
        return "no trend yet"
    return (
        f"a fall of {100 * trend.hidden:.1g} % would stand out" if trend.hidden >= _SMALLEST else "any would stand out"
    )


def _fallen(s: Signals, part: float) -> float:
    """The level, in the stream's form, that is `part` below the first."""
    level = s.loss_level
    start = level.start if level.start is not None else 0.0
    return start - part * max(abs(start), level.unit) if level.linear else start + math.log(1 - part)
