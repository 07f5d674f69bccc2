"""`measurement_suspect`: the logged grad norm cannot be that of the gradient that trains the model."""

import math
from collections.abc import Iterator

from gradtop.detect.case import Case, criterion, finding, lacking, opened
from gradtop.detect.robust import Window
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, change, numbers, rows, short, span
from gradtop.finding import Criterion, Finding, Severity

_LARGEST_MODEL = 1e12
"""Parameters assumed where the number is not known: more than any model has, so that the bound is safe."""
_MATERIAL = 0.05
"""Part of the first loss that has to be gained before it can contradict the grad norm."""
_MOMENTUM = 10.0
_CLIP_ROWS = 100
_CLIP_WITHIN = 1e-3
_BLIND_ROWS = 5
_BLIND_SHARE = 0.5
_BOUND_DONE = 10.0
_LATER = 10
"""Times as many rows that a norm has to be constant which varied before."""
_REASONS = ("contradiction", "still", "constant", "clipped", "printed")


class MeasurementSuspect:
    """Contradictions with the loss are worth watching; what is only printed or logged badly is a notice."""

    kind = "measurement_suspect"
    kinds = (kind,)
    inputs = ("loss", "grad_norm")

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._case: Case | None = None
        self._start(s)

    def _start(self, s: Signals) -> None:
        self._bound = 0.0
        self._from: float | None = None
        self._step: float | None = None
        self._against = Window(s.limits.suspect_rows)
        self._still = Window(s.limits.suspect_rows)
        self._rows = self._clipped = self._blind = 0
        self._same, self._last, self._loss_then = 0, math.nan, math.nan
        self._printed = 0.0
        self._settled = False
        s.suspect = False

    def resume(self, s: Signals, anew: bool) -> None:
        """The sum over the steps goes on; a run that starts over is measured anew."""
        self._step = None
        if anew:
            self._start(s)

    def row(self, s: Signals) -> None:
        """Look at the grad norm of this row."""
        grad = s.grad
        if not s.fresh_grad or grad is None or grad - grad != 0.0:
            return
        self._rows += 1
        if grad == 0.0 and s.grad_bound > 0.0:
            if s.loss != 0.0:
                self._row_printed(s)
        elif self._blind and self._blind < _BLIND_SHARE * self._rows:
            self._over(s, "printed")
        if not self._settled:
            self._row_bound(s, grad)
        if grad == self._last:
            self._row_same(s, grad)
        elif self._same:
            self._same = 0
            self._over(s, "constant", "still")
        self._last = grad
        clip = s.facts.train.clip_norm
        if clip and abs(grad - clip) <= _CLIP_WITHIN * clip:
            self._clipped += 1
        if self._clipped and self._rows >= _CLIP_ROWS:
            if self._clipped >= s.limits.clip_share * self._rows:
                self._hit(s, "clipped", Severity.NOTICE)
            else:
                self._over(s, "clipped")

    def _row_printed(self, s: Signals) -> None:
        """Printed as zero, where nothing proves that it is small for this run."""
        level = s.grad_level.level
        if s.grad_bound and level is not None and s.grad_level.n >= 5 and s.grad_bound <= 0.01 * level:
            return
        self._blind += 1
        self._printed = s.grad_bound
        if self._blind >= _BLIND_ROWS and self._blind >= _BLIND_SHARE * self._rows:
            self._hit(s, "printed", Severity.NOTICE)

    def _row_bound(self, s: Signals, grad: float) -> None:
        """Add this row to the first-order bound of the loss drop, and compare."""
        bound = self._update_bound(s, grad)
        if bound is None or (grad == 0.0 and s.grad_bound > 0.0):
            self._settled = True
            return
        steps = (s.step - self._step if self._step is not None else 1.0) if s.unit_steps else 1.0
        self._bound += grad * bound * max(steps, 1.0)
        self._step = s.step
        level, first = s.loss_level, s.first_loss
        if not level.ready or first is None or level.linear:
            return
        if self._bound * s.limits.suspect_factor > _BOUND_DONE * first:
            self._settled = True
            return
        if self._from is None:
            self._from = level.value(level.y)
        drop = self._from - level.value(level.y)
        self._against.push(drop > s.limits.suspect_factor * self._bound and drop > _MATERIAL * first)
        if self._against.count >= s.limits.suspect_rows:
            s.suspect = True
            self._hit(s, "contradiction", Severity.WATCH)
            self._seen({"from": self._from, "to": s.recent_loss() or 0.0, "bound": self._bound})
        elif not self._against.count and s.suspect:
            self._over(s, "contradiction")

    @staticmethod
    def _update_bound(s: Signals, grad: float) -> float | None:
        """The most that one update can have changed the weights; None where nothing says."""
        if grad == 0.0:
            return 0.0
        if s.update_ratio is not None and s.param_norm is not None:
            return s.update_ratio * s.param_norm
        peak = s.schedule.peak  # not the rate of this step, which may be printed as 0
        if peak <= 0.0:
            return None
        params = s.facts.model.trained or _LARGEST_MODEL
        return peak * max(math.sqrt(params), _MOMENTUM * grad)

    def _row_same(self, s: Signals, grad: float) -> None:
        loss = s.recent_loss(1)
        if not self._same and loss is not None:
            self._loss_then = loss
        self._same += 1
        moved = loss is not None and loss != self._loss_then
        if grad == 0.0 and not s.grad_bound:
            self._still.push(bool(s.update_ratio) and s.loss != 0.0)
            if self._still.count >= s.limits.suspect_rows:
                s.suspect = True
                self._hit(s, "still", Severity.WATCH)
        elif grad > 0.0 and moved and self._same >= self._constant_rows(s):
            self._hit(s, "constant", Severity.NOTICE)
            self._seen({"grad": grad})

    def _constant_rows(self, s: Signals) -> int:
        always = self._same >= self._rows - 1
        return s.limits.constant_rows * (1 if always else _LATER)

    def _hit(self, s: Signals, reason: str, severity: Severity) -> None:
        case = self._case
        if case is None:
            case = self._case = opened(s)
            case.first_step, case.count = s.first_step, 0
            case.seen = {"reason": float(_REASONS.index(reason))}
        case.extend(s)
        case.seen["reason"] = float(min(int(case.seen["reason"]), _REASONS.index(reason)))
        case.count = max(case.count, 1)
        if severity > case.severity:
            case.raise_to(severity, s.step)

    def _seen(self, seen: dict[str, float]) -> None:
        if self._case is not None:
            self._case.seen |= seen

    def _over(self, s: Signals, *reasons: str) -> None:
        case = self._case
        if case is not None and case.active and _REASONS[int(case.seen["reason"])] in reasons:
            case.active, case.back_step = False, s.step
            s.suspect = False

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return lacking(s, "grad_norm")

    def findings(self, s: Signals) -> Iterator[Finding]:
        """At most one, by its strongest reason."""
        case = self._case
        if case is None:
            return
        reason = _REASONS[int(case.seen["reason"])]
        yield finding(
            self.kind,
            case,
            self._message(s, case, reason),
            self._criteria(s, case, reason),
            numbers=numbers(s, case),
            form=reason,
            scope="grad_norm",
            evidence={"reason": reason, "grad_norm": self._last},
        )

    def _message(self, s: Signals, case: Case, reason: str) -> str:
        known = f"{rows(case.count)}"
        usual = short(s.grad_level.level) if s.grad_level.level is not None else "0"
        if reason == "contradiction":
            drop = f"the loss fell {change(case.seen['from'], case.seen['to'])}"
            return (
                f"Grad norm around {usual} in {span(s, case)}, yet {drop}: such a gradient allows a fall of "
                f"{short(case.seen['bound'])} at most. The reading is wrong, not the gradient."
            )
        if reason == "still":
            what = f"Grad norm exactly 0 in {known} while the weights move"
            return f"{what}: it is read after zero_grad, or of other parameters."
        if reason == "constant":
            what = f"Grad norm exactly {short(case.seen['grad'])} row after row while the loss moves"
            return f"{what}: clipped before it is logged, or not measured."
        if reason == "clipped":
            share = f"{self._clipped:,} of {rows(self._rows)}"
            return f"Grad norm at the clip value in {share}: it is logged after clipping."
        digits = f"0 (at most {short(self._printed)})" if self._printed else "0"
        return (
            f"Grad norm reads {digits} in {self._blind:,} of {rows(self._rows)}: below print precision, not vanished."
        )

    def _criteria(self, s: Signals, case: Case, reason: str) -> tuple[Criterion, ...]:
        over = f", over {back(s, case)}" if not case.active else ""
        known = {
            "contradiction": "the fall of the loss is larger than this norm allows",
            "still": "the weights move, the norm does not",
            "constant": "a constant norm cannot be compared with the loss",
            "clipped": "a clipped norm cannot be compared with the loss",
            "printed": "a norm that is printed as 0 cannot be compared with the loss",
        }
        constant = {
            "still": f"exactly 0 in {rows(case.count)}",
            "constant": f"the same value in {rows(case.count)}",
            "clipped": f"at the clip value in {self._clipped:,} of {rows(self._rows)}",
            "printed": f"printed as 0 in {self._blind:,} of {rows(self._rows)}",
        }
        against = reason in ("contradiction", "still")
        return (
            criterion(self.kind, "contradicts_loss", (True if against else None) and case.active, known[reason] + over),
            criterion(
                self.kind,
                "not_measured",
                reason != "contradiction" and case.active,
                constant.get(reason, "it varies from row to row") + over,
            ),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """Whether the grad norm contradicts the loss."""
        found = f"grad norm of {rows(self._rows)} compared with the loss"
        met = False if self._rows >= _BLIND_ROWS else None
        return found, tuple(criterion(self.kind, id, met, found) for id in ("contradicts_loss", "not_measured"))
