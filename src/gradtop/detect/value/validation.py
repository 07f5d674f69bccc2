"""`nonfinite` of the validation loss: the evaluation is broken, which says nothing of the training."""

import math
from collections.abc import Iterator

from gradtop.detect.case import Case, criterion, finding
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, numbers, place, short
from gradtop.finding import Finding
from gradtop.record import Rows
from gradtop.units import number

METRIC = "val_loss"
_KIND = "nonfinite"


class Validation:
    """One notice for all evaluations that gave NaN or Inf; over with the first that is finite again."""

    def __init__(self) -> None:
        """No evaluation seen yet."""
        self._case: Case | None = None
        self._evaluations = 0
        self._newest = math.nan

    def see(self, rows: Rows, s: Signals) -> None:
        """Take in rows, of which those with a validation loss are evaluations."""
        values = rows.columns.get(METRIC, ())
        if self._case is None and len(values) and all(map(math.isfinite, values)):
            self._evaluations += len(values)
            self._newest = float(values[-1])
            return
        for step, value in zip(rows.steps, values, strict=False):
            self._evaluations += 1
            self._newest = float(value)
            if math.isfinite(value):
                self._fine(float(step))
            else:
                self._bad(float(step), s)

    def _fine(self, step: float) -> None:
        case = self._case
        if case is not None and case.active:
            case.active, case.back_step = False, step

    def _bad(self, step: float, s: Signals) -> None:
        case = self._case
        if case is None:
            case = self._case = Case(step, step, step, s.rows, s.rows, s.session)
            case.seen = {"value": self._newest}
            return
        case.count += 1
        case.active, case.back_step = True, None
        case.last_step = max(case.last_step, step)

    def findings(self, s: Signals) -> Iterator[Finding]:
        """At most one."""
        case = self._case
        if case is None:
            return
        share = f"{case.count:,} of {self._evaluations:,} evaluations"
        now = "" if case.active else f", finite again {back(s, case)}"
        loss = s.recent_loss(1)
        training = f"the training loss is {short(loss)}" if loss is not None else "no training loss in this log"
        what = f"Validation loss {number(case.seen['value'])} at {place(s, case.first_step)}, in {share}{now}"
        yield finding(
            _KIND,
            case,
            f"{what}; {training}.",
            (
                criterion(_KIND, "persists", case.active and case.count > 1, f"{share}{now}"),
                criterion(_KIND, "not_skipped", None, "skipped steps do not matter to an evaluation"),
                criterion(_KIND, "loss_affected", None if loss is None else False, training),
            ),
            numbers=numbers(s, case),
            form="validation",
            scope=METRIC,
            evidence={"value": number(self._newest), "evaluations": float(self._evaluations)},
        )
