"""`nonfinite`: NaN and Inf in the loss or the grad norm, and the zeros that trainers put in their place."""

import math
from collections.abc import Iterator

from gradtop.detect.case import Case, Episodes, criterion, finding
from gradtop.detect.robust import Window
from gradtop.detect.signals import Signals
from gradtop.detect.wording import at, numbers, rows, short
from gradtop.finding import Criterion, Finding, Severity
from gradtop.units import count, number

_LEAST_ROWS = 2
_SKIPPED_ROWS = 20
"""Skipped steps in a row that no search for a loss scale explains."""
_KINDS = ("loss", "hidden", "zeros", "norm")


class NonFinite:
    """One finding for each stretch of bad rows, named after the first of them."""

    kind = "nonfinite"

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        limits = s.limits
        self._episodes = Episodes(limits)
        self._bad = Window(limits.nonfinite_window)
        self._norm = Window(limits.nonfinite_window)
        self._skips = 0
        self._zeros = 0
        self._zero_row = 0
        self._first_zero = (0.0, 0)
        self._row = 0
        self._watched = False

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours."""
        self._bad.bits = self._norm.bits = 0
        self._skips = self._zeros = 0

    def row(self, s: Signals) -> None:
        """Look at the loss and the grad norm of this step, as far as they are known."""
        loss, grad = s.loss, s.grad
        fine = (loss is None or (loss - loss == 0.0 and loss != 0.0)) and (grad is None or grad - grad == 0.0)
        if fine and not self._watched:
            return
        if loss or grad:
            self._zeros, s.dead = 0, False
        if not (s.fresh_loss or s.fresh_grad):
            return
        reason = None if fine else self._reason(s, loss, grad)
        if reason is not None:
            self._hit(s, reason)
        elif self._watched and self._row != s.rows:
            self._fine(s)

    def _fine(self, s: Signals) -> None:
        self._row = s.rows
        self._bad.push(False)
        self._norm.push(False)
        self._skips = 0
        self._episodes.miss(s)
        self._watched = bool(self._zeros or self._bad.bits or self._norm.bits or self._episodes.near)

    def _reason(self, s: Signals, loss: float | None, grad: float | None) -> str | None:
        """What is wrong with this row, or None."""
        if loss is not None and loss - loss != 0.0:
            return "loss"
        if grad is not None and grad - grad != 0.0:
            return "hidden" if loss == 0.0 else "norm"
        if loss == 0.0 and grad == 0.0 and not s.other_goals:
            return self._zero(s)
        return None

    def _zero(self, s: Signals) -> str | None:
        """Both exactly zero, row after row, though the loss was not near zero before."""
        self._watched = True
        if self._zero_row != s.rows:
            self._zero_row = s.rows
            self._zeros += 1
        level, first = s.loss_level.level, s.first_loss
        if self._zeros == 1:
            self._first_zero = (s.step, s.rows)
        solved = s.converged or (level is not None and first is not None and level < 0.05 * first)
        s.dead = self._zeros >= s.limits.zero_rows and not solved
        return "zeros" if s.dead else None

    def _hit(self, s: Signals, reason: str) -> None:
        again = self._row == s.rows
        self._row, self._watched = s.rows, True
        skipped = (s.skipped or s.scale_dropped) and reason != "zeros"
        hard = not skipped and reason != "norm"
        for window, held in ((self._bad, hard), (self._norm, not skipped)):
            window.push(held) if not again else window.mark() if held else None
        self._skips = self._skips + (not again) if skipped else 0
        new = self._episodes.hit(s)
        case = self._episodes.current
        if case is None:
            return
        if new and not case.recurring:
            self._begin(s, case, reason)
        case.seen["skips"] = case.seen.get("skips", 0.0) + (skipped and not again)
        case.seen["reason"] = min(case.seen["reason"], float(_KINDS.index(reason)))
        if new and not skipped and not self._tolerated(s, reason) and self._episodes.recurs(s):
            case = self._episodes.gather()
            case.raise_to(Severity.WATCH, s.step)
        self._judge(s, case, reason, skipped)

    def _begin(self, s: Signals, case: Case, reason: str) -> None:
        value = s.loss if reason in ("loss", "zeros") else s.grad
        case.seen = {"reason": float(_KINDS.index(reason)), "value": value if value is not None else math.nan}
        if s.line is not None:
            case.seen["line"] = float(s.line)
        if reason == "zeros":
            case.count = self._zeros
            case.first_step, case.first_row = self._first_zero

    def _judge(self, s: Signals, case: Case, reason: str, skipped: bool) -> None:
        limits = s.limits
        enough = s.rows_for(limits.nonfinite_rows, _LEAST_ROWS)
        lost = self._bad.count >= enough or reason == "zeros" or self._skips >= _SKIPPED_ROWS
        if lost or (reason == "norm" and self._norm.count > limits.nonfinite_norm_rows):
            case.raise_to(Severity.INTERVENE, s.step)
        elif reason == "norm" and not skipped and not self._tolerated(s, reason) and case.severity is Severity.NOTICE:
            case.raise_to(Severity.WATCH, s.step)

    @staticmethod
    def _tolerated(s: Signals, reason: str) -> bool:
        """An early grad norm beside a finite loss: the loss scale is still being searched."""
        early = s.step - s.first_step if s.unit_steps else s.rows
        return reason == "norm" and early < s.limits.nonfinite_early_steps

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each stretch."""
        for case in self._episodes.cases:
            reason = _KINDS[int(case.seen["reason"])]
            evidence: dict[str, float | str] = {"value": number(case.seen["value"]), "rows": float(case.count)}
            if "line" in case.seen:
                evidence["line"] = case.seen["line"]
            yield finding(
                self.kind,
                case,
                _message(s, case, reason),
                self._criteria(s, case, reason),
                numbers=numbers(s, case),
                scope={"loss": "loss", "norm": "grad_norm"}.get(reason, "total"),
                evidence=evidence,
            )

    def _criteria(self, s: Signals, case: Case, reason: str) -> tuple[Criterion, ...]:
        window = self._norm if reason == "norm" else self._bad
        persists = case.active and case.severity is Severity.INTERVENE
        back = f", finite again at step {count(case.back_step)}" if case.back_step is not None else ""
        share = (
            f"{window.count} of the last {min(window.n, s.rows)} rows" if case.active else f"{rows(case.count)}{back}"
        )
        skips = int(case.seen["skips"])
        affected = None if reason == "norm" and case.active and s.losses == 0 else reason != "norm"
        return (
            criterion(self.kind, "persists", persists, share),
            criterion(
                self.kind, "not_skipped", skips < case.count, f"{skips} of {rows(case.count)} were skipped steps"
            ),
            criterion(self.kind, "loss_affected", affected, _loss_now(s, reason)),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """Loss and grad norm at `step`."""
        known = s.reading(step)
        parts = [
            f"{name} {short(v)}" for name, v in zip(("loss", "grad norm"), known or (), strict=False) if v is not None
        ]
        if not parts:
            why = f"nothing logged at step {count(step)} among the last rows"
            return f"cannot be told: {why}", tuple(criterion(self.kind, id, None, why) for id in _IDS)
        found = " and ".join(parts)
        return f"{found} there", tuple(
            criterion(self.kind, id, None if id == "not_skipped" else False, found) for id in _IDS
        )


_IDS = ("persists", "not_skipped", "loss_affected")


def _loss_now(s: Signals, reason: str) -> str:
    if reason == "norm":
        now = s.recent_loss(1)
        return f"the loss is finite: {short(now)}" if now is not None else "no loss in this log"
    return {
        "loss": "the loss is not finite",
        "hidden": "loss 0 beside a non-finite grad norm",
        "zeros": "loss and grad norm are 0",
    }[reason]


def _message(s: Signals, case: Case, reason: str) -> str:
    first = at(s, case.first_step)
    value = number(case.seen["value"])
    what = {
        "loss": f"Loss {value} at {first}",
        "hidden": f"Grad norm {value} beside a loss of 0 at {first}: the trainer hides a NaN loss",
        "norm": f"Grad norm {value} beside a finite loss at {first}",
        "zeros": f"Loss and grad norm read exactly 0 from {first} on: a NaN that the trainer hides, or a dead "
        "loss scale",
    }[reason]
    skipped = " (skipped step)" if case.seen["skips"] >= case.count else ""
    if case.recurring:
        return f"{what}, and {case.episodes - 1:,} times more until step {count(case.last_step)}: it recurs."
    if not case.active:
        back = f"finite again at step {count(case.back_step)}" if case.back_step is not None else "finite again"
        return f"{what}{skipped}, {rows(case.count)}; {back}."
    if case.severity is Severity.INTERVENE:
        lost = "no update can be trusted" if reason == "norm" else "the weights are most likely lost"
        return f"{what}{skipped}, {rows(case.count)} so far: it stays, and {lost}."
    return f"{what}{skipped}: {rows(case.count)} so far."
