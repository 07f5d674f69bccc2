"""`loss_plateau`: no fall of the loss over the newest third of the run, at a learning rate that is still high."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gradtop.detect.case import MAX_CASES, Case, criterion, finding, lacking, off, opened
from gradtop.detect.loss.blocks import Blocks, clipped, printed_step
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, change, numbers, place, short
from gradtop.finding import Criterion, Finding, Severity
from gradtop.units import count, percent

_SEEN = 2.5
"""Standard errors that a fall may be larger than it looks."""
_RULED_OUT = 0.005
"""Fall over the stretch that has to be ruled out; healthy runs fall by 1 to 2 % in it."""
_FALLEN = 0.03
_FALLEN_FAR, _SOLVED = 0.1, 0.9
"""Falls since the start below which a run may be a fine-tune at its floor, and above which it is all but solved."""
_OTHER_ROWS = 30.0
"""Rows that stand for `plateau_steps` where the log counts epochs, tokens or samples."""
_LONGER = 0.6
"""Part of the run that has to be flat where the losses are too noisy to tell of the newest third."""
_FAR_ABOVE = 0.3
"""Distance to the best level, relative, from which a loss that stays is no plateau."""
_GROWS = 1.1
_LEAST_BEFORE, _LEAST_BLOCKS = 3, 8
_WANDERS = 0.36
"""Four standard deviations of the level, in spreads of single losses: sqrt(ALPHA / 2) of one each."""
_IDS = ("enough_steps", "persists", "noise_allows", "lr_high", "val_flat")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What the newest part of the run says; changes are relative."""

    first: int
    """The place of its first block."""
    mean: float
    """The loss in it, in the stream's form."""
    fall: float
    hidden: float
    """Smallest fall that the noise and the digits of the log let through."""

    @property
    def visible(self) -> bool:
        """A fall of a healthy run would be seen."""
        return self.hidden <= _RULED_OUT

    def flat(self, least: float) -> bool:
        """It falls by less than `least`, and there is no room for much more."""
        return self.fall <= least and self.fall + self.hidden <= _RULED_OUT


class LossPlateau:
    """Stale for at least 35 % of all steps: the time to the next small fall of a healthy loss grows with the steps."""

    kind = "loss_plateau"
    kinds = (kind,)
    inputs = ("loss", "val_loss")

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self.cases: list[Case] = []
        self._current: Case | None = None
        self._begin()

    def _begin(self) -> None:
        self._blocks = Blocks()
        self._linear = False
        self._last = -math.inf
        self._over_below = -math.inf
        self._flat_at = math.inf
        self._val: tuple[float, float] | None = None
        self._val_best: tuple[float, float] | None = None

    def row(self, s: Signals) -> None:
        """Look at the loss of this row."""
        if s.values and (val := s.values.get("val_loss")) is not None:
            self._see_val(s.step, val)
        level, loss = s.loss_level, s.loss
        if not s.fresh_loss or not level.ready or s.other_goals:
            return
        if loss is None or loss == 0.0 or loss - loss != 0.0:
            return
        if s.step < self._last:
            self._blocks.back_to(s.step)
            self._flat_at = math.inf
        self._last = s.step
        if level.linear is not self._linear:
            self._linear, self._blocks = level.linear, Blocks()
        complete = self._blocks.see(s.step, clipped(level))
        if self._current is not None:
            self._follow(s, self._current, complete)
        elif complete:
            self._judge(s)

    def resume(self, s: Signals, anew: bool) -> None:
        """A run that starts over has no plateau yet."""
        if anew:
            self._close(None)
            self._begin()

    def _see_val(self, step: float, val: float) -> None:
        if not math.isfinite(val):
            return
        self._val = (step, val)
        if self._val_best is None or val < self._val_best[1]:
            self._val_best = (step, val)

    def _judge(self, s: Signals) -> None:
        least = s.limits.plateau_fall
        stretch = self._stretch(s, s.limits.plateau_part)
        if stretch is not None and not stretch.flat(least) and stretch.fall <= least and not stretch.visible:
            # Where noise hides what the newest part does, a longer one may tell.
            stretch = self._stretch(s, _LONGER)
        flat = stretch is not None and stretch.flat(least) and _fallen(s) >= _FALLEN and not _thrown_back(s, stretch)
        if stretch is None or not flat or not _lr_high(s) or s.solved:
            self._flat_at = math.inf
            return
        # One look of many is wrong at times: it has to be flat while the run goes on by a tenth.
        end = self._blocks.ends[-1]
        self._flat_at = min(self._flat_at, end)
        if end < _GROWS * self._flat_at:
            return
        case = opened(s)
        case.first_step = self._since(s, stretch)
        case.count = sum(end >= case.first_step for end in self._blocks.ends) * self._blocks.width
        case.seen = {"loss": s.loss_level.value(stretch.mean)}
        self.cases = [*self.cases[1 - MAX_CASES :], case]
        self._current = case
        level = s.loss_level
        best = min(level.y, stretch.mean)
        self._over_below = best - s.limits.plateau_fall * _unit(s) - _WANDERS * level.spread
        self._weigh(s, case)

    def _weigh(self, s: Signals, case: Case) -> None:
        """Worth watching where nothing else explains it: it learned before, at a rate that is known to be high."""
        known = s.schedule.lr is not None and _FALLEN_FAR <= _fallen(s) <= _SOLVED
        if known and case.severity is Severity.NOTICE and not self._val_improves(case):
            case.raise_to(Severity.WATCH, s.step)

    def _follow(self, s: Signals, case: Case, complete: bool) -> None:
        if s.loss_level.y < self._over_below or (complete and (s.solved or not _lr_high(s))):
            self._close(s.step)
            return
        case.extend(s)
        if complete:
            self._weigh(s, case)

    def _close(self, step: float | None) -> None:
        if self._current is not None:
            self._current.active, self._current.back_step, self._current = False, step, None
        self._flat_at = math.inf

    def _stretch(self, s: Signals, part: float) -> _Stretch | None:
        """The newest `part` of the run, which has to be flat; None where the run is too short for it."""
        blocks, needed = self._blocks, _needed(s)
        if not blocks or s.schedule.effective < needed:
            return None
        seen = s.step - s.first_step
        least = needed if s.unit_steps else needed * seen / max(s.rows - 1, 1)
        first = blocks.since(blocks.ends[-1] - max(least, part * max(s.step, seen)))
        if first < _LEAST_BEFORE or len(blocks) - first < _LEAST_BLOCKS or (fit := blocks.fit(first)) is None:
            return None
        level, unit = s.loss_level, _unit(s)
        mean = sum(blocks.y[first:]) / (len(blocks) - first)
        fall, hidden = -fit.change / unit, _SEEN * fit.error / unit
        if hidden <= _RULED_OUT:
            hidden = max(hidden, printed_step(s.loss_tail) / (unit if level.linear else level.value(mean)) / 2)
        return _Stretch(first, mean, fall, hidden)

    def _since(self, s: Signals, stretch: _Stretch) -> float:
        """Where it began: as far back as the blocks are like those of the stretch."""
        blocks, first = self._blocks, stretch.first
        highest = max(blocks.y[first:])
        while first and blocks.y[first - 1] <= highest:
            first -= 1
        return blocks.ends[max(first - 1, 0)]

    def _val_improves(self, case: Case) -> bool | None:
        """The best validation loss came well after it began; None without evaluations since."""
        if self._val is None or self._val_best is None or self._val[0] <= case.first_step:
            return None
        return self._val_best[0] > (case.first_step + case.last_step) / 2

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        if why := lacking(s, "loss") or off(s):
            return why
        if s.schedule.effective < _needed(s):
            return f"only {count(math.floor(s.schedule.effective))} full steps: too short a run for a plateau"
        stretch = self._stretch(s, s.limits.plateau_part)
        if stretch is not None and not stretch.visible:
            return f"the noise hides a fall below {100 * stretch.hidden:.1g} % over the newest third of the run"
        return ""

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each plateau."""
        for case in self.cases:
            val = self._told_val(s)
            known = {"val_loss": val} if val else {}
            yield finding(
                self.kind,
                case,
                self._message(s, case),
                self._criteria(s, case),
                numbers=numbers(s, case) | known,
                scope="loss",
                evidence={"loss": case.seen["loss"], "steps": case.last_step - case.first_step},
                caveats=() if s.schedule.lr is not None else ("No learning rate in this log: it may be at its end.",),
            )

    def _message(self, s: Signals, case: Case) -> str:
        where, loss = place(s, case.first_step), short(case.seen["loss"])
        if not case.active:
            return f"A plateau of the loss around {loss} since {where} is over: it ended {back(s, case)}."
        lr = s.schedule.lr
        rate = f", at {percent(lr / s.schedule.peak)} of the peak learning rate" if lr else ""
        span = count(round(case.last_step - case.first_step))
        return f"The loss has stayed around {loss} since {where}: no fall in {span} {s.counts}s{rate}."

    def _told_val(self, s: Signals) -> str:
        """`2.41, at best 2.38 at step 900`; empty without evaluations."""
        if self._val is None or self._val_best is None:
            return ""
        best = f", at best {short(self._val_best[1])}" if self._val_best[1] < self._val[1] else ", its best"
        return f"{short(self._val[1])}{best} at {place(s, self._val_best[0])}"

    def _criteria(self, s: Signals, case: Case | None) -> tuple[Criterion, ...]:
        stretch, lr, active = self._stretch(s, s.limits.plateau_part), s.schedule.lr, case is not None and case.active
        done = f"{count(math.floor(s.schedule.effective))} full steps, {count(_needed(s))} needed"
        part = (
            f"a fall of {100 * stretch.fall:.2g} % over the newest part" if stretch is not None else "too short a run"
        )
        noise = f"a fall of {100 * stretch.hidden:.1g} % would stand out" if stretch is not None else "too short a run"
        rate = (
            f"{short(lr)} now, {short(s.schedule.peak)} at most" if lr is not None else "no learning rate in this log"
        )
        improves = self._val_improves(case) if case is not None else None
        val = self._told_val(s) or "no validation loss in this log"
        return (
            criterion(self.kind, "enough_steps", s.schedule.effective >= _needed(s), done),
            criterion(self.kind, "persists", active, part),
            criterion(self.kind, "noise_allows", None if stretch is None else stretch.visible, noise),
            criterion(self.kind, "lr_high", None if lr is None else _lr_high(s), rate),
            criterion(self.kind, "val_flat", None if improves is None else not improves, val),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """How far the loss has fallen over the newest part of the run."""
        level = s.loss_level
        if level.start is None or not level.ready:
            why = f"only {count(s.losses)} losses" if s.losses else "no loss in this log"
            return f"cannot be told: {why}", tuple(criterion(self.kind, id, None, why) for id in _IDS)
        found = f"the loss went {change(level.value(level.start), level.value(level.best))} at best"
        return found, self._criteria(s, self._current)


def _needed(s: Signals) -> float:
    """Steps, or rows where the log does not count steps, below which nothing is said."""
    return s.limits.plateau_steps if s.unit_steps else _OTHER_ROWS


def _lr_high(s: Signals) -> bool:
    """The learning rate is not decayed yet, as far as is known."""
    lr = s.schedule.lr
    return not s.in_warmup and (lr is None or lr > s.limits.plateau_lr * s.schedule.peak)


def _unit(s: Signals) -> float:
    """What a relative change is relative to, in the stream's form: 1 for logarithms."""
    level = s.loss_level
    return max(level.unit, abs((level.start or 0.0) - level.best), 1e-300) if level.linear else 1.0


def _thrown_back(s: Signals, stretch: _Stretch) -> bool:
    """The loss is so far above its best that it diverged, wherever it stays now."""
    return stretch.mean > s.loss_level.best + _FAR_ABOVE * _unit(s)


def _fallen(s: Signals) -> float:
    """The part of the first losses by which the best level lies below them."""
    level, first = s.loss_level, s.first_loss
    if level.start is None or first is None or not math.isfinite(level.best):
        return 0.0
    if level.linear or first <= 0.0:
        return (level.start - level.best) / _unit(s)
    return -math.expm1(level.best - max(math.log(first), level.start))
