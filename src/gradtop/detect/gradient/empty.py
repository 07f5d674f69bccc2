"""`empty_batch`: loss and grad norm are exactly 0 for a row, because nothing in the batch counted."""

from collections.abc import Iterator

from gradtop.detect.case import Case, Episodes, criterion, finding, lacking
from gradtop.detect.robust import Window
from gradtop.detect.signals import Signals
from gradtop.detect.wording import at, back, change, numbers, place, rows, short, span
from gradtop.finding import Criterion, Finding, Severity


class EmptyBatch:
    """A notice for each; worth watching when they are more than 1 % of the newest rows."""

    kind = "empty_batch"
    kinds = (kind,)
    inputs = ("loss", "grad_norm")

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._episodes = Episodes(s.limits)
        self._empty = Window(s.limits.empty_rows)
        self._row = 0
        self._some = False

    def resume(self, s: Signals, anew: bool) -> None:
        """Nothing to forget: shares do not depend on neighbours."""

    def row(self, s: Signals) -> None:
        """Look at loss and grad norm of this step, once both are known."""
        if s.loss == 0.0 and s.grad == 0.0 and (s.fresh_loss or s.fresh_grad):
            if not s.solved:
                self._hit(s)
        elif self._some and s.grad is not None and s.loss is not None and self._row != s.rows:
            self._row = s.rows
            self._empty.push(False)
            self._episodes.miss(s)
            case = self._episodes.current
            if case is not None and self._empty.count <= self._allowed(s):
                self._episodes.close()

    def _hit(self, s: Signals) -> None:
        if self._row == s.rows:
            return
        self._row, self._some = s.rows, True
        self._empty.push(True)
        case = self._episodes.current
        if s.dead:
            if case is not None and not case.recurring:
                self._episodes.drop(case)
            return
        new = self._episodes.hit(s)
        case = self._episodes.current
        if case is None:
            return
        if new and not case.recurring:
            before, grad = s.loss_before(), s.grad_level.level
            case.seen = {"bound": s.grad_bound}
            case.seen |= {"loss": before} if before is not None else {}
            case.seen |= {"grad": grad} if grad is not None else {}
        if self._empty.count > self._allowed(s) and new and self._episodes.recurs(s):
            case = self._episodes.gather()
            case.raise_to(Severity.NOTICE if s.other_goals else Severity.WATCH, s.step)
        elif new:
            self._episodes.recurs(s)

    @staticmethod
    def _allowed(s: Signals) -> float:
        return s.limits.empty_share * s.limits.empty_rows

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return lacking(s, "loss", "grad_norm")

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each, or one for all once they recur."""
        for case in self._episodes.cases:
            message = _message(s, case)
            yield finding(
                self.kind,
                case,
                message,
                self._criteria(s, case),
                numbers=numbers(s, case),
                evidence={"loss": 0.0, "grad_norm": 0.0}
                | {f"{k}_before": v for k, v in case.seen.items() if k != "bound"},
            )

    def _criteria(self, s: Signals, case: Case) -> tuple[Criterion, ...]:
        over = f", back {back(s, case)}" if case.back_step is not None else ""
        held = rows(case.count) + (over if case.episodes == 1 else f" in {case.episodes:,} separate stretches")
        share = f"{self._empty.count} of the last {min(s.rows, self._empty.n):,} rows"
        share += f", {self._allowed(s):g} of {self._empty.n} are allowed"
        return (
            criterion(
                self.kind,
                "persists",
                case.active and case.count > 1 and not case.recurring,
                held,
            ),
            criterion(self.kind, "frequent", self._empty.count > self._allowed(s), share),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """Loss and grad norm at `step`."""
        loss, grad = s.reading(step) or (None, None)
        if loss is None or grad is None:
            why = f"loss and grad norm of {place(s, step)} are not both known"
            return f"cannot be told: {why}", tuple(
                criterion(self.kind, id, None, why) for id in ("persists", "frequent")
            )
        found = f"loss {short(loss)}, grad norm {short(grad)}"
        return found, tuple(criterion(self.kind, id, False, found) for id in ("persists", "frequent"))


def _message(s: Signals, case: Case) -> str:
    of_rewards = s.goal is not None and s.goal.profile == "rl"
    why = (
        "returns that are all alike, as in an episode of one step" if of_rewards else "a batch with every label masked"
    )
    if case.recurring or case.episodes > 1:
        what = f"{rows(case.count)} with loss 0 and grad norm 0 in {span(s, case)}"
        return f"{what}: most likely {why if of_rewards else 'batches with every label masked'}."
    where = at(s, case.first_step) if case.count == 1 else span(s, case)
    what = f"Loss and grad norm were exactly 0 at {where}, most likely {why}"
    if case.active:
        return f"{what}: {rows(case.count)} so far, which taught nothing and did no harm."
    now = s.recent_loss(5)
    loss = f", loss {change(case.seen['loss'], now)} since" if now is not None and "loss" in case.seen else ""
    return f"{what}: it taught nothing and did no harm. Back to normal {back(s, case)}{loss}."
