"""`nonfinite`: NaN and Inf in the loss or the grad norm, and the zeros that trainers put in their place."""

import math
from collections.abc import Iterator

from gradtop.detect.case import Case, Episodes, criterion, finding
from gradtop.detect.robust import Window
from gradtop.detect.signals import Signals
from gradtop.detect.wording import at, back, numbers, place, rows, short
from gradtop.finding import Criterion, Finding, Severity
from gradtop.units import number

_LEAST_ROWS = 2
_SKIPPED_ROWS = 20
"""Skipped steps in a row that no search for a loss scale explains."""
_KINDS = ("loss", "hidden", "zeros", "norm", "blank")


class NonFinite:
    """One finding for each stretch of bad rows, named after the first of them."""

    kind = "nonfinite"
    kinds = (kind,)
    inputs = ("loss", "grad_norm")

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
        if loss == 0.0 and not s.other_goals and (grad == 0.0 or (grad is None and not s.grad_level.n)):
            return self._zero(s)
        return None

    def _zero(self, s: Signals) -> str | None:
        """Both exactly zero, row after row, though the loss was not near zero before."""
        self._watched = True
        if self._zero_row != s.rows:
            self._zero_row = s.rows
            self._zeros += 1
        if self._zeros == 1:
            self._first_zero = (s.step, s.rows)
        enough = self._zeros >= s.limits.zero_rows
        if s.grad is None and not s.losses:
            return "blank" if enough else None
        s.dead = enough and not s.solved
        return "zeros" if s.dead else None

    def _hit(self, s: Signals, reason: str) -> None:
        again = self._row == s.rows
        self._row, self._watched = s.rows, True
        skipped = (s.skipped or s.scale_dropped) and reason not in ("zeros", "blank")
        hard = not skipped and reason not in ("norm", "blank")
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
        value = s.grad if reason in ("hidden", "norm") else s.loss
        case.seen = {"reason": float(_KINDS.index(reason)), "value": value if value is not None else math.nan}
        if s.line is not None:
            case.seen["line"] = float(s.line)
        if reason in ("zeros", "blank"):
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

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        either = not s.names.isdisjoint(self.inputs)
        return "" if either else "neither loss nor grad norm in this log"

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each stretch."""
        for case in self._episodes.cases:
            reason = _KINDS[int(case.seen["reason"])]
            evidence: dict[str, float | str] = {"value": number(case.seen["value"]), "rows": float(case.count)}
            if skips := case.seen.get("skips"):
                evidence["skipped"] = skips
            if "line" in case.seen:
                evidence["line"] = case.seen["line"]
            yield finding(
                self.kind,
                case,
                _message(s, case, reason),
                self._criteria(s, case, reason),
                numbers=numbers(s, case),
                form="recurs" if case.recurring else reason,
                scope={"loss": "loss", "norm": "grad_norm"}.get(reason, "total"),
                evidence=evidence,
            )

    def _criteria(self, s: Signals, case: Case, reason: str) -> tuple[Criterion, ...]:
        window = self._norm if reason == "norm" else self._bad
        persists = case.active and case.severity is Severity.INTERVENE
        over = f", {_fine_again(s, case)}"
        share = f"{window.count} of the last {min(window.n, s.rows)} rows"
        if reason in ("zeros", "blank") or not window.count:
            share = rows(case.count)
        if self._skips >= _SKIPPED_ROWS:
            share = f"{rows(self._skips)} in a row, all of them skipped steps"
        now = case.active and not case.recurring
        skips = int(case.seen["skips"])
        affected: bool | None = reason != "norm" and now
        if case.active and not s.losses and reason in ("norm", "blank"):
            affected = None
        skipped = f"{skips} of {rows(case.count)} were skipped steps" if skips else "no skipped step in the log"
        return (
            criterion(self.kind, "persists", persists, share if case.active else f"{rows(case.count)}{over}"),
            criterion(self.kind, "not_skipped", skips < case.count, skipped),
            criterion(self.kind, "loss_affected", affected, _loss_now(s, reason if now else "norm")),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """Loss and grad norm at `step`."""
        known = s.reading(step)
        parts = [
            f"{name} {short(v)}" for name, v in zip(("loss", "grad norm"), known or (), strict=False) if v is not None
        ]
        if not parts:
            why = f"nothing logged at {place(s, step)} among the last rows"
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
        "hidden": "the loss is printed as 0 beside it",
        "zeros": "the loss is printed as 0",
        "blank": "the loss has never been anything but 0",
    }[reason]


def _fine_again(s: Signals, case: Case) -> str:
    return f"finite again {back(s, case)}"


def _message(s: Signals, case: Case, reason: str) -> str:
    first, value = at(s, case.first_step), number(case.seen["value"])
    both = "Loss" if s.grad is None else "Loss and grad norm"
    what = {
        "loss": f"Loss {value} at {first}",
        "hidden": f"Grad norm {value} beside a loss of 0 at {first}: the trainer hides a NaN loss",
        "norm": f"Grad norm {value} beside a finite loss at {first}",
        "zeros": f"{both} exactly 0 from {first} on: most likely a NaN that the trainer hides, or steps that are all "
        "skipped",
        "blank": f"Loss exactly 0 from {first} on: solved from the start, or a NaN that the trainer hides",
    }[reason]
    if case.recurring:
        return f"{what}, and {case.episodes - 1:,} times more until {place(s, case.last_step)}: it recurs."
    return f"{what}{_skipped(case)}; {_standing(s, case, reason)}."


def _skipped(case: Case) -> str:
    skips = int(case.seen["skips"])
    if not skips:
        return ""
    return " (a skipped step)" if case.count == 1 else f" ({skips} of {rows(case.count)} were skipped steps)"


def _standing(s: Signals, case: Case, reason: str) -> str:
    """Where it went from there."""
    if not case.active:
        return f"{rows(case.count)}, {_fine_again(s, case)}"
    so_far = f"{rows(case.count)} so far"
    if case.severity is not Severity.INTERVENE:
        return so_far
    lost = {
        "norm": "no update can be trusted",
        "zeros": "nothing is being learned",
    }.get(reason, "the weights are most likely lost")
    return f"{so_far}, and {lost}"
