"""`clip_saturation`: nearly every step is clipped, to a small part of its gradient."""

import math
from collections.abc import Iterator

from gradtop.detect.case import Case, criterion, finding, lacking, opened
from gradtop.detect.loss.flat import Flat, loss_flat
from gradtop.detect.robust import Window
from gradtop.detect.signals import Signals
from gradtop.detect.wording import at, back, fold, numbers, rows, short
from gradtop.finding import Criterion, Finding, Severity

_KIND = "clip_saturation"
_LEAST_ROWS = 20
_VERY_FAR = 100.0
"""Multiple of the clip value above which clipping leaves hardly a step; Adam's steps do not depend on it."""
_LOOK_EVERY = 20
"""Rows between two looks at whether the run learns."""
_WITHIN = 1e-3
"""Part of the clip value by which a norm has to exceed it: one that equals it was logged after clipping."""
_IDS = ("clipped", "far_above", "learning_impaired", "after_burn_in")


class ClipSaturation:
    """A notice; worth watching when the loss has not fallen since the start."""

    kind = _KIND
    kinds = (kind,)
    inputs = ("grad_norm",)

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._window = Window(s.limits.clip_rows)
        self._case: Case | None = None
        self._flat = Flat(None, "not looked at yet")

    def resume(self, s: Signals, anew: bool) -> None:
        """The rows of the session before say nothing of this one."""
        self._window = Window(self._window.n)

    def row(self, s: Signals) -> None:
        """Look at the grad norm of this row."""
        clip = s.facts.train.clip_norm
        if not clip or not s.fresh_grad or s.grad is None or s.in_warmup:
            return
        clipped = s.grad > clip * (1 + _WITHIN)
        if clipped or self._window.bits:
            self._window.push(clipped)
        if clipped or self._case is not None:
            self._judge(s, clip)

    def _judge(self, s: Signals, clip: float) -> None:
        n = self._window.n = s.rows_for(s.limits.clip_rows, _LEAST_ROWS)
        level = s.grad_level
        often = self._window.count >= s.limits.clip_often * n
        if often and level.ready and level.y > math.log(clip * s.limits.clip_factor):
            self._hit(s)
        elif self._case is not None and self._case.active:
            self._case.misses += 1
            if self._case.misses >= s.limits.clear_rows:
                self._case.active, self._case.back_step = False, s.step

    def _hit(self, s: Signals) -> None:
        case = self._case
        if case is None or not case.active:
            case = self._case = opened(s)
        else:
            case.extend(s)
        if case.count % _LOOK_EVERY == 1:
            self._flat = _never_fell(s, self._needed(s))
            case.raise_to(Severity.WATCH if self._flat.met else Severity.NOTICE, s.step)

    @staticmethod
    def _needed(s: Signals) -> float:
        """Effective steps before a loss that did not fall means anything: far fewer where steps are cut to nothing."""
        clip, optimizer = s.facts.train.clip_norm or 0.0, (s.facts.train.optimizer or "").lower()
        cut = clip > 0.0 and s.grad_level.y > math.log(clip) + math.log(_VERY_FAR) and "adam" not in optimizer
        return s.limits.flat_steps if cut else s.limits.no_learning_steps

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return lacking(s, "grad_norm") or ("" if s.facts.train.clip_norm else "the clip value of this run is not known")

    def findings(self, s: Signals) -> Iterator[Finding]:
        """At most one."""
        case, clip = self._case, s.facts.train.clip_norm
        level = s.grad_level.level
        if case is None or not clip or not level:
            return
        known = numbers(s, case)
        evidence: dict[str, float | str] = {"clip_norm": clip, "grad_norm": level}
        if s.schedule.lr:
            evidence["effective_lr"] = s.schedule.lr * min(1.0, clip / level)
        known |= (
            {"usual_grad": short(level), "effective_lr": short(s.schedule.lr * clip / level)} if s.schedule.lr else {}
        )
        yield finding(
            self.kind,
            case,
            self._message(s, case, clip, level),
            self._criteria(s, case, clip, level),
            numbers=known,
            evidence=evidence,
        )

    def _message(self, s: Signals, case: Case, clip: float, level: float) -> str:
        since = at(s, case.first_step)
        if not case.active:
            return (
                f"Nearly every step was clipped from {since} on; over {back(s, case)}, grad norm around {short(level)}."
            )
        what = f"Clipped in {self._window.count} of the last {rows(self._window.n)}, at {short(clip)} with a grad norm "
        what += f"around {short(level)}: every gradient is scaled down {fold(level / clip)}"
        if case.severity is Severity.NOTICE:
            return f"{what}. The run learns all the same." if self._learns(s) else f"{what}."
        return f"{what}, and the loss has not fallen since the start ({self._flat.evidence})."

    def _learns(self, s: Signals) -> bool:
        """The loss has fallen since the start, and has not risen since by what counts as a divergence."""
        level = s.loss_level
        rise = s.limits.divergence_rise
        return self._flat.met is False and level.y - level.best <= (
            rise * level.unit if level.linear else math.log1p(rise)
        )

    def _criteria(self, s: Signals, case: Case, clip: float, level: float) -> tuple[Criterion, ...]:
        share = f"{self._window.count} of the last {rows(min(self._window.n, self._window.seen))}"
        where = f"the warm-up of {s.schedule.warmup} is not over" if s.in_warmup else f"since {at(s, case.first_step)}"
        far = f"{short(level)}, {fold(level / clip)} the clip value"
        return (
            criterion(self.kind, "clipped", case.active, share),
            criterion(self.kind, "far_above", case.active, far),
            criterion(self.kind, "learning_impaired", self._flat.met if case.active else False, self._flat.evidence),
            criterion(self.kind, "after_burn_in", case.active and not s.in_warmup, where),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """How many of the last rows were clipped."""
        blind = self.blind(s, self.kind)
        share = f"{self._window.count} of the last {rows(max(1, min(self._window.n, self._window.seen)))} were clipped"
        told = f"cannot be told: {blind}" if blind else share
        return told, tuple(criterion(self.kind, id, None if blind else False, blind or share) for id in _IDS)


def _never_fell(s: Signals, needed: float) -> Flat:
    """The loss is flat now, and where it began, after `needed` effective steps."""
    level, start = s.loss_level, s.loss_level.start
    if start is None or s.other_goals:
        return Flat(None, "no loss in this log" if start is None else "the loss of this run need not fall")
    fall = s.limits.no_learning_fall
    if level.best < (start - fall * max(abs(start), level.unit) if level.linear else start + math.log(1 - fall)):
        return Flat(False, f"it fell {short(level.value(start))} → {short(level.value(level.best))} at best")
    if s.schedule.effective < needed:
        return Flat(None, "too few steps to tell whether the loss falls")
    return loss_flat(s, 0, 0.0)
