"""`lr_jump`: the learning rate rises at once, or is another one after a resume, and what the loss makes of it."""

from collections import deque
from collections.abc import Iterator

from gradtop.detect.case import Case, criterion, finding, lacking, opened
from gradtop.detect.loss.impact import Before, before
from gradtop.detect.robust import Window
from gradtop.detect.schedule import MIN_RISES
from gradtop.detect.signals import Signals
from gradtop.detect.wording import change, fold, numbers, place, rows, short
from gradtop.finding import Criterion, Finding, Severity
from gradtop.units import count

_KIND = "lr_jump"
_SHOWN = 5
_BY_DESIGN = 1.05
"""Multiple of the peak up to which a rise is a return to a rate of before: a restart of the schedule."""
_PLATEAU_ROWS = 20
_LOW = 0.05
"""Rows at one rate, and part of the peak that it is at least, from which no schedule rises at once."""
_KEPT_APART = 1.1
"""Factor between two learning rates that are kept to compare a resume with."""
_KEPT_MOST = 512
_MOST_CASES = 8
_TROUBLE, _TROUBLE_OF = 2, 3
_LEAST = 0.05
"""Rise of the loss over that before the jump, as a part, that is worth watching."""
_LEAST_ROWS = 5
_IDS = ("jumped", "above_peak", "trouble", "loss_high")


class LearningRateJump:
    """A notice; worth watching when loss or grad norm leave their usual range soon after, or higher after a resume."""

    kind = _KIND
    kinds = (kind,)
    inputs = ("lr",)

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._factor = s.limits.lr_jump_factor
        self._cases: list[Case] = []
        self._case: Case | None = None
        self._begin()

    def _begin(self) -> None:
        self._shown: deque[float] = deque(maxlen=_SHOWN)
        self._rates = ""
        self._last: float | None = None
        self._slope = 0.0
        self._step, self._changed = 0.0, 0
        self._peak = 0.0
        self._kept: list[tuple[float, float]] = []
        self._kept_low, self._kept_high = 1.0, 0.0
        self._resumed = False
        self._row = -1
        self._before: Before | None = None
        self._trouble = Window(_TROUBLE_OF)

    def resume(self, s: Signals, anew: bool) -> None:
        """The first rate of a session is compared with what it was at that step."""
        if anew:
            self._close(s)
            self._begin()
        self._resumed = self._last is not None

    def row(self, s: Signals) -> None:
        """Look at the learning rate of this row, and after a jump at what follows."""
        lr = s.schedule.lr
        if lr is None or s.rows == self._row:
            return
        self._row = s.rows
        self._shown.append(lr)
        last = self._last
        if lr != last or self._resumed:
            self._look(s, lr, last)
        self._step = s.step
        if self._case is not None:
            self._follow(s, self._case)

    def _look(self, s: Signals, lr: float, last: float | None) -> None:
        """Another rate, or the first of a session."""
        if self._resumed:
            self._resumed = False
            self._look_at_resume(s, lr)
        elif last and lr > self._factor * last and not self._by_design(s, lr, last):
            self._open(s, last, lr, resumed=False)
        steps = s.step - self._step
        self._slope = (lr - last) / steps if steps > 0 and last is not None else 0.0
        self._last, self._changed = lr, s.rows
        if lr > self._peak:
            self._peak = lr
        if not self._kept_low < lr < self._kept_high:
            self._keep(s.step, lr)

    def _keep(self, step: float, lr: float) -> None:
        self._kept_low, self._kept_high = lr / _KEPT_APART, lr * _KEPT_APART
        self._kept.append((step, lr))
        if len(self._kept) > _KEPT_MOST:
            del self._kept[1::2]

    def _by_design(self, s: Signals, lr: float, last: float) -> bool:
        """A ramp, the peak that the run declared, or another cycle of a schedule that came down smoothly."""
        if lr <= _BY_DESIGN * self._peak:
            stood = s.rows - self._changed > _PLATEAU_ROWS
            return not stood or last < _LOW * self._peak
        if lr <= _BY_DESIGN * (s.facts.train.lr_max or 0.0):
            return True
        ramp = s.schedule.rising or s.in_warmup
        expected = last + max(0.0, self._slope) * max(0.0, s.step - self._step)
        return ramp and (s.schedule.rises < MIN_RISES or lr <= self._factor * expected)

    def _look_at_resume(self, s: Signals, lr: float) -> None:
        """The rate that this step had in the session before, or the newest one where it is a later step."""
        beyond = s.step > self._step
        expected = self._last if beyond else self._at(s.step)
        while self._kept and self._kept[-1][0] > s.step:
            self._kept.pop()
        self._kept_low, self._kept_high = 1.0, 0.0
        if not expected or not lr or (beyond and s.schedule.rising):
            return
        if lr > self._factor * expected or lr * self._factor < expected:
            self._open(s, expected, lr, resumed=True)

    def _at(self, step: float) -> float | None:
        """The rate at an earlier step, to about 10 %."""
        return next((lr for at, lr in reversed(self._kept) if at <= step), None)

    def _open(self, s: Signals, last: float, lr: float, *, resumed: bool) -> None:
        self._close(s)
        case = self._case = opened(s)
        case.seen = {"from": last, "to": lr, "peak": self._peak, "resumed": float(resumed)}
        self._cases = [*self._cases[1 - _MOST_CASES :], case]
        self._before = before(s)
        self._trouble = Window(_TROUBLE_OF)
        self._rates = ", ".join(short(rate) for rate in self._shown)
        if self._lost(case, lr):
            case.raise_to(Severity.WATCH, s.step)

    def _lost(self, case: Case, lr: float | None) -> bool:
        """The rate is still one that a resume made far higher: no schedule goes on like this."""
        return bool(case.seen["resumed"]) and lr is not None and lr > self._factor * case.seen["from"]

    def _follow(self, s: Signals, case: Case) -> None:
        """What loss and grad norm do in the steps after a jump."""
        hurt = self._suffers(s)
        lost = self._lost(case, s.schedule.lr)
        if "trouble" not in case.seen:
            self._wait(s, case, hurt, lost)
            return
        if not hurt and not lost and not self._leaves(s):
            case.misses += 1
            case.back_step = s.step if case.back_step is None else case.back_step
            if case.misses >= s.limits.clear_rows:
                self._close(s)
            return
        case.extend(s)

    def _wait(self, s: Signals, case: Case, hurt: bool, lost: bool) -> None:
        self._trouble.push(self._leaves(s))
        since = s.rows - case.first_row
        if self._trouble.count >= _TROUBLE or (hurt and since >= _LEAST_ROWS):
            case.seen["trouble"] = s.step
            case.raise_to(Severity.WATCH, s.step)
            case.extend(s)
        elif lost:
            if since:
                case.extend(s)
        elif since >= _LEAST_ROWS and (s.step - case.first_step if s.unit_steps else since) > s.limits.lr_jump_steps:
            self._close(s)

    def _suffers(self, s: Signals) -> bool:
        """The loss is higher than before the jump."""
        known = self._before
        return known is not None and (bool(known.hurt(s)) or known.lifted(s, _LEAST))

    @staticmethod
    def _leaves(s: Signals) -> bool:
        """Loss or grad norm are far above their usual range at this row."""
        loss, grad = s.loss_level.z, s.grad_level.z
        return bool(
            (s.loss is not None and loss is not None and loss > s.limits.spike_z and not s.other_goals)
            or (s.grad is not None and grad is not None and grad > s.limits.explode_z and not s.suspect)
        )

    def _close(self, s: Signals) -> None:
        if self._case is not None:
            self._case.active = False
            self._case.back_step = s.step if self._case.back_step is None else self._case.back_step
            self._case = None

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return lacking(s, "lr")

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each of the newest jumps."""
        for case in self._cases:
            evidence: dict[str, float | str] = {"lr_before": case.seen["from"], "lr": case.seen["to"]}
            if case is self._cases[-1]:
                evidence["last_rates"] = self._rates
            known = numbers(s, case) | {"lr_before": short(case.seen["from"]), "lr_after": short(case.seen["to"])}
            yield finding(
                self.kind,
                case,
                self._message(s, case),
                self._criteria(s, case),
                numbers=known,
                form="resume" if case.seen["resumed"] else "",
                scope="lr",
                evidence=evidence,
            )

    def _message(self, s: Signals, case: Case) -> str:
        old, new = case.seen["from"], case.seen["to"]
        at = place(s, case.first_step)
        if case.seen["resumed"]:
            far = f"{fold(new / old)} higher" if new > old else f"{fold(old / new)} lower"
            what = f"The schedule was not restored at the resume at {at}: learning rate {change(old, new)}, {far}"
        else:
            what = f"The learning rate jumped {change(old, new)} at {at}, {fold(new / old)}"
        if "trouble" not in case.seen:
            follows = (
                "Nothing has followed so far." if case.active else "Loss and grad norm stayed in their usual range."
            )
            return f"{what}. {follows}"
        after = count(case.seen["trouble"] - case.first_step)
        soon = f"; loss or grad norm left their usual range within {after} {s.counts}s"
        if not case.active:
            return f"{what}{soon}. It is over since {place(s, case.back_step or case.last_step)}."
        loss = f" (loss {self._before.told(s)})" if self._before is not None else ""
        return f"{what}{soon}{loss}."

    def _criteria(self, s: Signals, case: Case) -> tuple[Criterion, ...]:
        old, new, peak = case.seen["from"], case.seen["to"], case.seen["peak"]
        trouble = "trouble" in case.seen
        within = f"within {count(case.seen['trouble'] - case.first_step)} {s.counts}s" if trouble else "nothing so far"
        now = self._before if case.active else None
        loss = now.told(s) if now is not None else "over" if not case.active else "no loss to compare with"
        high = now.hurt(s) if now is not None else None if case.active else False
        return (
            criterion(self.kind, "jumped", True, f"{change(old, new)}, {rows(1)} apart"),
            criterion(self.kind, "above_peak", new > peak, f"{short(new)}, at most {short(peak)} before"),
            criterion(self.kind, "trouble", trouble and case.active, within),
            criterion(self.kind, "loss_high", high, loss),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """The newest learning rates."""
        if not self._shown:
            why = "no learning rate in this log"
            return f"cannot be told: {why}", tuple(criterion(self.kind, id, None, why) for id in _IDS)
        found = f"the last learning rates are {', '.join(short(lr) for lr in self._shown)}"
        return found, tuple(criterion(self.kind, id, False, found) for id in _IDS)
