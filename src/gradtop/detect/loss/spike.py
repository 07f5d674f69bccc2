"""`loss_spike`: the loss jumps out of its usual range and, as a rule, comes back."""

import math
from collections.abc import Iterator

from gradtop.detect.case import Case, Episodes, criterion, finding, lacking
from gradtop.detect.robust import Window
from gradtop.detect.signals import Signals
from gradtop.detect.wording import at, back, change, deviations, numbers, place, rows, short, span
from gradtop.finding import Criterion, Finding, Severity

MATERIAL = 0.02
"""Part of the first losses by which a loss has to exceed the best, so that noise near zero is no spike."""
_BACK_Z = 2.0
_BACK_ROWS = 3
_PARTIAL = 1.05
_PARTIAL_ROWS = 500


class LossSpike:
    """One row far above the usual range is a notice; two of three rows are worth watching."""

    kind = "loss_spike"
    kinds = (kind,)
    inputs = ("loss",)

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._z = s.limits.spike_z
        self._episodes = Episodes(s.limits)
        self._last = Window(3)
        self._back = 0

    def row(self, s: Signals) -> None:
        """Look at the loss of this row."""
        level = s.loss_level
        z = level.z
        if not s.fresh_loss or z is None:
            return
        if z <= self._z:
            if self._last.bits or self._episodes.near:
                self._miss(s, z)
            return
        if self._far_above_best(s):
            self._hit(s, z)

    @staticmethod
    def _far_above_best(s: Signals) -> bool:
        level, loss, first = s.loss_level, s.loss, s.first_loss
        if loss is None or first is None or level.best == math.inf:
            return False
        unit = level.unit if level.linear else first
        return loss > level.value(level.best) + MATERIAL * abs(unit)

    def _hit(self, s: Signals, z: float) -> None:
        self._last.push(True)
        self._back = 0
        new = self._episodes.hit(s)
        case = self._episodes.current
        if case is None or s.loss is None:
            return
        if new:
            case.seen = {"usual": s.loss_level.value(s.loss_level.y), "peak": s.loss, "z": z, "peak_step": s.step}
        elif s.loss > case.seen["peak"]:
            case.seen |= {"peak": s.loss, "z": max(z, case.seen["z"]), "peak_step": s.step}
        if self._last.count >= 2 and not s.other_goals:
            case.raise_to(Severity.WATCH, s.step)

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours."""
        self._last.bits = 0

    def _miss(self, s: Signals, z: float) -> None:
        self._last.push(False)
        self._back = self._back + 1 if z < _BACK_Z else 0
        case = self._episodes.current
        if case is not None and case.severity > Severity.NOTICE and case.count < _PARTIAL_ROWS and _high(s, case):
            case.extend(s)
            return
        self._episodes.miss(s)
        if case is None:
            return
        if case.severity > Severity.NOTICE and (self._back >= _BACK_ROWS or case.count >= _PARTIAL_ROWS):
            self._episodes.close()
        if self._episodes.current is not case:
            case.seen["after"] = s.recent_loss() or 0.0

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return lacking(s, "loss")

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each spike."""
        for case in self._episodes.cases:
            peak, usual = case.seen["peak"], case.seen["usual"]
            evidence: dict[str, float | str] = {"loss": peak, "usual": usual, "z": round(case.seen["z"], 1)}
            yield finding(
                self.kind,
                case,
                _message(s, case),
                _criteria(s, case),
                numbers=numbers(s, case),
                evidence=evidence,
                scope="loss",
            )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """The loss at `step` against the usual range."""
        known = s.reading(step)
        loss = known[0] if known else None
        usual = s.loss_level.usual
        if loss is None:
            reason = "no loss in this log" if not s.losses else f"no loss at {place(s, step)} among the last rows"
            return f"cannot be told: {reason}", tuple(_blank(id, reason) for id in _IDS)
        level = s.loss_level.level
        if usual is None or level is None:
            why = f"loss {short(loss)}, and {rows(s.rows)} are too few to know what is usual"
            return f"cannot be told: {why}", tuple(_blank(id, why) for id in _IDS)
        found = f"loss {short(loss)}, usual now {short(usual[0])} to {short(usual[1])}"
        return found, (
            criterion(self.kind, "persists", False, f"no high rows at {place(s, step)}"),
            criterion(self.kind, "loss_flat", False, found),
            criterion(self.kind, "above_level", False, found),
            criterion(self.kind, "after_burn_in", False, "not seen in this run"),
        )


_IDS = ("persists", "loss_flat", "above_level", "after_burn_in")


def _blank(id: str, why: str) -> Criterion:
    return criterion("loss_spike", id, None, why)


def _high(s: Signals, case: Case) -> bool:
    """The newest losses are clearly above those before the spike."""
    now = s.recent_loss()
    return now is not None and not s.loss_level.linear and now > _PARTIAL * case.seen["usual"]


def _message(s: Signals, case: Case) -> str:
    peak, usual = case.seen["peak"], case.seen["usual"]
    if case.episodes > 1:
        return f"{case.episodes:,} short loss spikes in {span(s, case)}, the highest {short(peak)}; all are over."
    far = f"{change(usual, peak)}, {deviations(case.seen['z'])}"
    if case.active:
        if case.count == 1:
            return f"Loss {far} at {at(s, case.first_step)}: one row so far, the next ones decide."
        return f"The loss is high since {at(s, case.first_step)}: {far} at its peak, {rows(case.count)} so far."
    settled = case.seen.get("after", usual)
    if settled > _PARTIAL * usual > 0 and _high(s, case):
        level = f"around {short(settled)}, {100 * (settled / usual - 1):.0f} % above before"
        return f"The loss jumped at {at(s, case.first_step)} ({far} at its peak) and settled {level}."
    lasted = f" for {rows(case.count)}" if case.count > 1 else ""
    return f"A loss spike at {at(s, case.first_step)} is over: {far}{lasted}, back to usual {back(s, case)}."


def _criteria(s: Signals, case: Case) -> tuple[Criterion, ...]:
    recent = s.recent_loss(3)
    now = short(recent) if recent is not None else "n/a"
    usual = short(case.seen["usual"])
    high = case.active
    over = f", back {back(s, case)}" if not high and case.back_step is not None else ""
    where = f"in the first {rows(s.rows)}" if s.early else f"row {case.first_row:,} of {s.rows:,}"
    if s.in_warmup:
        where = f"the warm-up of {s.schedule.warmup} is not over"
    return (
        criterion("loss_spike", "persists", case.severity >= Severity.WATCH and high, f"{rows(case.count)}{over}"),
        criterion("loss_spike", "loss_flat", high, f"{now} now, {usual} before it"),
        criterion("loss_spike", "above_level", high, f"{now} now, usual {usual}, peak {short(case.seen['peak'])}"),
        criterion("loss_spike", "after_burn_in", None if high and s.in_warmup else high, f"{where}{over}"),
    )
