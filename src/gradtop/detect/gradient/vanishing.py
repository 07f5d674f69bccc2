"""`gradient_vanishing`: the grad norm falls far below this run's own range, and whether that matters."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from gradtop.detect.case import Case, Episodes, lacking
from gradtop.detect.gradient import words
from gradtop.detect.loss.flat import Flat, loss_flat
from gradtop.detect.robust import Window, median
from gradtop.detect.signals import Signals
from gradtop.finding import Criterion, Finding, Severity

_FAST = 1 / 16
"""Weight of a new value in the fast level of log10 grad norm."""
_CLEAR_DECADES = 0.5
_SURPRISE_Z = 4.0
_EARLY_ROWS = 50
_LEAST_ROWS = 5
_LEAST_REFERENCE = 20
_GRADUAL_ROWS = 50
_LEARNED_LOSS = 0.1
"""Part of the usual loss below which a batch counts as learned."""
_APART = 2.0
_FLAT_EVERY = 5
"""Rows between two looks at the trend of the loss while the gradient is low."""


class _Early(NamedTuple):
    """One of the first rows."""

    step: float
    row: int
    most: float
    """The grad norm, or what it is at most."""
    nth: int
    bound: float
    """The same where it was printed as zero, else 0."""


class GradientVanishing:
    """Single readings are notices; a low grad norm that stays is judged by what the loss does."""

    kind = "gradient_vanishing"
    kinds = (kind,)
    inputs = ("loss", "grad_norm")

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self.episodes = Episodes(s.limits)
        self.reference: float | None = None
        """The usual grad norm, log10."""
        self.window = Window(s.limits.vanish_rows)
        self.low_rows = 0
        """Low rows after burn-in and warm-up."""
        self._between_rows = 0
        self._tail = 0.0
        """The grad norm below which a reading is in the tail, where a reference exists."""
        self.late_rows = 0
        """Rows after burn-in and warm-up."""
        self.flat: Flat | None = None
        """What the loss did since the current case began, at the last look."""
        self.faded = False
        """The current low level came slowly, with the loss at its floor."""
        self._set_floor(s)
        self._start(s)

    def _start(self, s: Signals) -> None:
        self._rows = 0
        self._fast: float | None = None
        self._collected: list[float] = []
        self._high_row = 0
        self._early: list[_Early] = []
        self._decline: list[tuple[float, float]] = []
        self._decline_case: Case | None = None

    def _set_floor(self, s: Signals) -> None:
        """The absolute limits: the user's own, and Adam's epsilon where optimizer and size are known."""
        self._facts = s.facts
        user = s.limits.grad_floor
        self._absolute = math.nextafter(user, 0.0) if user is not None and user > 0 else -1.0
        params, optimizer = s.facts.model.trained, (s.facts.train.optimizer or "").lower()
        if params and "adam" in optimizer:
            self._absolute = max(self._absolute, s.limits.adam_epsilon * math.sqrt(params))

    def resume(self, s: Signals, anew: bool) -> None:
        """The usual range stays, windows begin anew; a run that starts over has to find its range again."""
        self.window = Window(self.window.n)
        self._fast = None
        self._decline, self._early = [], []
        if anew:
            self.reference = None
            self.low_rows = self.late_rows = self._between_rows = 0
            self._start(s)

    def row(self, s: Signals) -> None:
        """Look at the grad norm of this row."""
        if not s.fresh_grad:
            if s.fresh_loss:
                self._late_loss(s)
            return
        if s.facts is not self._facts:
            self._set_floor(s)
        grad = s.grad
        if grad is None or grad - grad != 0.0 or (grad == 0.0 and s.loss == 0.0):
            return
        printed = grad == 0.0 and s.grad_bound > 0.0
        low = self._is_low(s, s.grad_bound if printed else grad) and not self._learned_batch(s)
        self._rows += 1
        if low or not printed:  # a printed zero that is not known to be low says nothing
            self._observe(s, grad, low)
        if not low and grad > 0.0 and self.reference is None:
            self._collect(s, grad)
        if self._rows <= _EARLY_ROWS:
            self._look_back(s, grad if grad > 0.0 else s.grad_bound)
        elif self._decline_case is not None:
            self._follow_decline(s, grad)

    def _learned_batch(self, s: Signals) -> bool:
        """This row's loss is as small as its gradient: a batch that is learned already, no fault of the gradient."""
        level = s.loss_level
        if self.episodes.current is not None or s.loss is None or not level.ready or level.linear:
            return False
        return 0.0 < s.loss < _LEARNED_LOSS * level.value(level.y)

    def _is_low(self, s: Signals, most: float) -> bool:
        """The grad norm, at most `most`, is far below what is usual."""
        if most <= self._absolute:
            return True
        if self.reference is not None:
            if self._below_reference(s, most, self.reference - s.limits.vanish_decades):
                return True
        elif self._rows >= _LEAST_ROWS - 1 and (usual := self._usual_so_far(s)) is not None:
            return most <= usual * s.limits.vanish_factor and self._stands_out(s)
        ratio = s.update_ratio
        if ratio is None:
            return False
        lr = s.schedule.lr
        still = lr is not None and lr > 0.0 and ratio <= s.limits.update_ratio_floor
        return still and not s.in_warmup

    def _below_reference(self, s: Signals, most: float, bound: float) -> bool:
        """A single reading stands out of the noise and is below `bound` (log10), or the fast level is."""
        if most <= 0.0:
            return True
        y = math.log10(most)
        fast = self._fast = y if self._fast is None else self._fast + _FAST * (y - self._fast)
        if fast > bound + s.limits.vanish_decades - _CLEAR_DECADES:
            self._high_row = s.rows
        if fast <= bound:
            return y <= bound + _CLEAR_DECADES
        return y <= bound and self._stands_out(s)

    def _stands_out(self, s: Signals) -> bool:
        """It is no tail of a very noisy grad norm; the rows of an open case need not prove it again."""
        z = s.grad_level.z
        return z is None or z < -_SURPRISE_Z or self.episodes.current is not None

    def _usual_so_far(self, s: Signals) -> float | None:
        """The level before a reference exists; while a case is open, not less than at its first row."""
        level = s.grad_level.level
        case = self.episodes.current
        return max(level, case.seen.get("usual", 0.0)) if level is not None and case is not None else level

    def usual(self, s: Signals) -> float | None:
        """The grad norm that counts as usual by now."""
        return 10.0**self.reference if self.reference is not None else self._usual_so_far(s)

    def _observe(self, s: Signals, grad: float, low: bool) -> None:
        window = self.window
        settled = s.rows >= s.limits.burn_in_rows and not s.in_warmup
        self.late_rows += settled
        if not low:
            if settled and self._between(s, grad):
                self._between_rows += 1
            if window.bits or self.episodes.near:
                window.push(False)
                if self._decline_case is None:
                    self.episodes.miss(s)
            return
        window.n = s.rows_for(s.limits.vanish_rows, _LEAST_ROWS)
        window.push(True)
        self.low_rows += settled
        new = self.episodes.hit(s)
        case = self.episodes.current
        if case is None:
            return
        if new and not case.recurring:
            self._begin(s, case, grad)
        case.seen["low"] = min(grad, case.seen.get("low", grad))
        if new and settled and self.episodes.recurs(s) and self._apart():
            case = self.episodes.gather()
            case.raise_to(Severity.WATCH, s.step)
        if settled:
            self._judge(s, case)

    def _between(self, s: Signals, grad: float) -> bool:
        """Below the usual range, and not far below."""
        if self.reference is not None:
            return 0 < grad < self._tail
        usual = self._usual_so_far(s)
        return usual is not None and 0 < grad < usual * 10.0 ** (-s.limits.vanish_decades / 2)

    def _apart(self) -> bool:
        """Low readings stand apart; with as many between them and the usual ones they are the tail of the noise."""
        return self.low_rows > _APART * self._between_rows

    def _begin(self, s: Signals, case: Case, grad: float) -> None:
        usual = self.usual(s)
        case.seen = {"grad": grad, "low": grad, "usual": usual if usual is not None else grad}
        case.seen |= {"bound": s.grad_bound, "losses": float(s.losses_before), "effective": s.schedule.effective}
        if s.update_ratio is not None and s.update_ratio <= s.limits.update_ratio_floor:
            case.seen["update_ratio"] = s.update_ratio
        before = s.loss_before()
        if before is not None:
            case.seen["loss"] = before
        self.flat = None
        learned = (
            not s.loss_level.linear and s.loss_level.ready and s.loss_level.best < (s.loss_level.start or 0.0) - 0.1
        )
        at_floor = s.loss_level.y <= s.loss_level.best + 0.01
        self.faded = learned and at_floor and self._high_row > 0 and s.rows - self._high_row > _GRADUAL_ROWS

    def _judge(self, s: Signals, case: Case) -> None:
        """How severe the current case is, after burn-in and warm-up."""
        if not self.persists(s) or self._decline_case is case:
            return
        if s.converged or s.suspect or self.faded:
            case.raise_to(Severity.NOTICE, s.step)
            return
        every = 10 * _FLAT_EVERY if case.severity is Severity.INTERVENE else 1 if s.interval > 1 else _FLAT_EVERY
        if self.flat is None or self._rows % every == 0:
            acute = case.severity is Severity.INTERVENE
            self.flat = loss_flat(s, int(case.seen["losses"]), case.seen["effective"], was_flat=acute)
        flat = self.flat.met
        case.raise_to(Severity.INTERVENE if flat else Severity.WATCH, s.step)

    def persists(self, s: Signals) -> bool:
        """Low in nearly all rows of the window, the newest among them."""
        window = self.window
        return bool(window.bits & 1) and window.count >= math.ceil(s.limits.vanish_share * window.n)

    def _collect(self, s: Signals, grad: float) -> None:
        """Take part in the usual grad norm: rows after warm-up and burn-in."""
        if self._rows <= s.rows_for(s.limits.reference_burn_in_rows, _LEAST_REFERENCE) or s.in_warmup:
            return
        self._collected.append(grad)
        if len(self._collected) >= s.rows_for(s.limits.reference_rows, _LEAST_REFERENCE):
            self.reference = math.log10(median(self._collected))
            self._tail = 10.0 ** (self.reference - s.limits.vanish_decades / 2)
            self._high_row = s.rows
            self._collected = []

    def _late_loss(self, s: Signals) -> None:
        """The loss of a step came after its grad norm: both zero is an empty batch, no gradient that vanished."""
        case = self.episodes.current
        if s.loss == 0.0 and s.grad == 0.0 and case is not None and case.last_row == s.rows:
            self.window.bits &= ~1
            if case.count == 1:
                self.episodes.drop(case)
            else:
                case.count -= 1
        elif self._decline and self._rows <= _EARLY_ROWS:
            self._look_at_decline(s)

    def _look_back(self, s: Signals, grad: float) -> None:
        """In the first rows: what was low before there was anything to compare it with, and a steady fall."""
        self._early.append(_Early(s.step, s.rows, grad, self._rows, s.grad_bound))
        if self._decline and not (0 < grad < self._decline[-1][1] or 0 < s.grad_bound == self._decline[-1][1]):
            self._decline = []
        self._decline.append((s.step, grad))
        if self._decline_case is not None:
            self._follow_decline(s, grad)
        elif len(self._decline) >= s.limits.decline_rows:
            self._look_at_decline(s)
        if self._rows >= _LEAST_ROWS and self.reference is None and self._decline_case is None:
            self._look_at_first(s)

    def _look_at_first(self, s: Signals) -> None:
        usual = median([early.most for early in self._early[-_LEAST_ROWS:]])
        bound = usual * s.limits.vanish_factor
        known = {row for case in self.episodes.cases for row in range(case.first_row, case.last_row + 1)}
        # A row is judged when five are known; before that, and for a low stretch from the first row on, only now.
        low = [e for e in self._early if e.most <= bound and e.row not in known]
        first = [e for i, e in enumerate(low, 1) if e.nth < _LEAST_ROWS or e.nth == i]
        if not first or first[-1].row == s.rows:
            return
        start, end = first[0], first[-1]
        case = Case(start.step, end.step, s.step, start.row, end.row, s.session, count=len(first), active=False)
        case.back_step = next((early.step for early in self._early if early.row > case.last_row), s.step)
        least = min(first, key=lambda early: early.most)
        case.seen = _read(least.most, least.bound) | {"usual": usual, "effective": 0.0}
        before = len(s.loss_tail) - (s.rows - case.first_row)
        case.seen["losses"] = float(max(0, s.losses - (s.rows - case.first_row)))
        if s.loss_tail and 0 <= before <= len(s.loss_tail):
            case.seen["loss"] = s.loss_tail[max(0, before - 1)]
        self.episodes.add(case)

    def _look_at_decline(self, s: Signals) -> None:
        """A fall by decades over the first rows with a flat loss: worth watching, too early for more."""
        n = len(self._decline)
        if self._decline_case is not None or n < s.limits.decline_rows:
            return
        first, last = self._decline[0][1], self._decline[-1][1]
        if last <= 0 or math.log10(first / last) < s.limits.decline_decades - 1e-9:
            return
        losses = list(s.loss_tail)[-n:]
        if len(losses) >= 3 and losses[0] - losses[-1] >= 0.01 * abs(losses[0]):
            return
        self.episodes.hit(s)
        case = self.episodes.current
        if case is None:
            return
        case.first_step, case.count = self._decline[0][0], n
        case.raise_to(Severity.WATCH, s.step)
        case.seen = _read(last, s.grad_bound) | {"usual": first, "effective": 0.0, "decline": float(n)}
        case.seen["losses"] = float(s.losses - len(losses))
        if losses:
            case.seen["loss"] = losses[0]
        self._decline_case = case

    def _follow_decline(self, s: Signals, grad: float) -> None:
        case = self._decline_case
        if case is None:
            return
        now, before = s.recent_loss(), case.seen.get("loss")
        learning = now is not None and before is not None and before - now > 0.03 * abs(before)
        if grad > 0.1 * case.seen["usual"] or learning:
            case.back_step = s.step
            self.episodes.close()
            self._decline_case = None
            return
        case.extend(s)
        case.seen["low"] = min(case.seen["low"], grad)

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return lacking(s, "grad_norm")

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each episode."""
        # Always 0 while the loss falls: the reading is wrong, and nothing vanished.
        cases = (case for case in self.episodes.cases if case.seen["usual"] or not s.suspect)
        return (words.described(self, s, case) for case in cases)

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """The grad norm at `step` against the usual range."""
        return words.answer(self, s, step)


def _read(most: float, bound: float) -> dict[str, float]:
    """A reading of at most `most`; one that was printed as zero is kept as zero, with its bound."""
    low = 0.0 if bound else most
    return {"grad": low, "low": low, "bound": bound}
