"""`loss_spike`: the loss jumps out of its usual range and, as a rule, comes back."""

import math
from collections.abc import Iterator

from gradtop.detect.case import Case, Episodes, criterion, finding
from gradtop.detect.robust import Window
from gradtop.detect.signals import Signals
from gradtop.detect.wording import at, change, numbers, rows, short, span
from gradtop.finding import Criterion, Finding, Severity
from gradtop.units import count

MATERIAL = 0.02
"""Part of the first losses by which a loss has to exceed the best, so that noise near zero is no spike."""
_BACK_Z = 2.0
_BACK_ROWS = 3
_PARTIAL = 1.05
_PARTIAL_ROWS = 500


class LossSpike:
    """One row far above the usual range is a notice; two of three rows are worth watching."""

    kind = "loss_spike"

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
        if self._last.count >= 2:
            case.raise_to(Severity.WATCH, s.step)

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours."""
        self._last.bits = 0

    def _miss(self, s: Signals, z: float) -> None:
        self._last.push(False)
        self._back = self._back + 1 if z < _BACK_Z else 0
        case = self._episodes.current
        self._episodes.miss(s)
        if case is None or case.severity is Severity.NOTICE or not case.active:
            return
        back = s.loss_level.value(s.loss_level.y) <= _PARTIAL * case.seen["usual"] or s.loss_level.linear
        if (back and self._back >= _BACK_ROWS) or case.misses >= _PARTIAL_ROWS:
            self._episodes.close()

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
            reason = "no loss in this log" if not s.losses else f"no loss at step {count(step)} among the last rows"
            return f"cannot be told: {reason}", tuple(_blank(id, reason) for id in _IDS)
        level = s.loss_level.level
        if usual is None or level is None:
            found = f"loss {short(loss)}; {rows(s.rows)} are too few to know the usual range"
            return found, tuple(_blank(id, f"only {rows(s.rows)}") for id in _IDS)
        found = f"loss {short(loss)}, usual {short(usual[0])} to {short(usual[1])}"
        return found, (
            criterion(self.kind, "persists", False, "no row of two in a row was far above"),
            criterion(self.kind, "loss_flat", False, found),
            criterion(self.kind, "above_level", False, found),
            criterion(self.kind, "after_burn_in", False, "not seen in this run"),
        )


_IDS = ("persists", "loss_flat", "above_level", "after_burn_in")


def _blank(id: str, why: str) -> Criterion:
    return criterion("loss_spike", id, None, why)


def _message(s: Signals, case: Case) -> str:
    peak, usual = case.seen["peak"], case.seen["usual"]
    if case.episodes > 1:
        return f"{case.episodes:,} more spikes in {span(case)}, the highest {short(peak)}; each was short."
    far = f"{case.seen['z']:.0f} spreads above its usual range"
    jump = f"Loss {change(usual, peak)} at {at(s, case.seen['peak_step'])}, {far}"
    if case.active:
        return f"{jump}: a spike in progress ({rows(case.count)})."
    level = s.loss_level.level or usual
    if case.misses >= _PARTIAL_ROWS and case.severity is Severity.WATCH and level > _PARTIAL * usual:
        above = f"{100 * (level / usual - 1):.0f} % above the one before"
        return f"{jump}; after {_PARTIAL_ROWS} rows the level is still {above}."
    back = f"back at step {count(case.back_step)}" if case.back_step is not None else "back since"
    return f"{jump} for {rows(case.count)}, {back}: it recovered by itself."


def _criteria(s: Signals, case: Case) -> tuple[Criterion, ...]:
    recent = s.recent_loss(3)
    now = short(recent) if recent is not None else "n/a"
    usual = short(case.seen["usual"])
    high = case.active
    return (
        criterion("loss_spike", "persists", case.severity >= Severity.WATCH and high, f"{rows(case.count)} far above"),
        criterion("loss_spike", "loss_flat", high, f"loss now {now}, {usual} before it"),
        criterion("loss_spike", "above_level", high, f"loss now {now}, peak {short(case.seen['peak'])}, usual {usual}"),
        criterion(
            "loss_spike",
            "after_burn_in",
            None if high and s.in_warmup else high,
            "in the warm-up" if s.in_warmup else "after it",
        ),
    )
