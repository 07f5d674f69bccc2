"""`update_ratio`: steps that are too large, or far too small, for the weights they change."""

import math
from collections.abc import Iterator

from gradtop.detect.case import Case, Episodes, criterion, finding
from gradtop.detect.loss.flat import Flat, loss_flat
from gradtop.detect.robust import Window
from gradtop.detect.signals import Signals
from gradtop.detect.wording import at, back, numbers, rows, short
from gradtop.finding import Criterion, Finding, Severity

_FEWEST = 5
_DECAYED = 0.01
"""Part of the peak learning rate below which small updates are meant."""
_USUAL = "1e-4 to 1e-2 is usual"
_FLAT_EVERY = 5


class UpdateRatio:
    """The median over layers of update size over weight size, or the one value that the log has of the run."""

    kind = "update_ratio"
    kinds = (kind,)
    inputs = ("update_ratio", "update_ratio/*", "update_norm/*")

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._high = _Side("high", s.limits.layer_rows, s)
        self._low = _Side("low", s.limits.imbalance_rows, s)
        self._row = 0
        self._n = 0
        self._largest = 0.0

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours."""
        self._high.window.bits = self._low.window.bits = 0
        if anew:
            self._largest = 0.0

    def row(self, s: Signals) -> None:
        """Look at the update ratio of this step."""
        if self._row == s.rows:
            return
        ratio = s.update_ratio
        if ratio is None or not 0.0 <= ratio < math.inf:
            return
        self._row = s.rows
        self._n += 1
        limits = s.limits
        high, low = ratio > limits.update_ratio_high, ratio <= limits.update_ratio_floor and self._trains(s)
        if ratio > self._largest:
            self._largest = ratio
        if high or self._high.window.bits or self._high.episodes.near:
            n = self._rows_for(s, limits.layer_rows, _FEWEST)
            self._high.see(s, ratio, high and not s.early, n, n)
        if low or self._low.window.bits or self._low.episodes.near:
            n = self._rows_for(s, limits.imbalance_rows, _FEWEST)
            self._low.see(s, ratio, low, n, math.ceil(limits.imbalance_share * n))
            if (case := self._low.episodes.current) is not None:
                self._judge_low(s, case)

    @staticmethod
    def _rows_for(s: Signals, n: int, least: int) -> int:
        """`n` rows of a log with every step, as rows that have an update ratio."""
        return (s if "update_ratio" in s.names else s.layers).rows_for(n, least)

    @staticmethod
    def _trains(s: Signals) -> bool:
        """Weights should move: not in warm-up, not at the end of the schedule, not solved."""
        lr = s.schedule.lr
        return not s.in_warmup and not s.converged and (lr is None or lr > _DECAYED * s.schedule.peak)

    def _judge_low(self, s: Signals, case: Case) -> None:
        """Without a learning rate in the log, a ratio that came down may be the schedule's end."""
        if s.schedule.lr is None and self._largest > 10 * s.limits.update_ratio_floor:
            case.raise_to(Severity.NOTICE, s.step)

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return "" if self._n else "no update ratio in this log"

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each stretch, at most."""
        for side in (self._high, self._low):
            for case in side.episodes.cases:
                yield finding(
                    self.kind,
                    case,
                    side.message(s, case),
                    side.criteria(s, case),
                    numbers=numbers(s, case) | {"ratio": _told(case)},
                    form="" if side is self._high else "low" if case.seen["most"] else "still",
                    evidence={"update_ratio": case.seen["ratio"]},
                )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """The update ratio now."""
        why = self.blind(s, self.kind)
        told = why or f"the update ratio was never outside {_USUAL} for long"
        criteria = tuple(criterion(self.kind, id, None if why else False, told) for id in _IDS)
        return (f"cannot be told: {why}" if why else told), criteria


_IDS = ("persists", "out_of_range", "loss_suffers", "trains")


def _told(case: Case) -> str:
    """The ratio that is farthest out."""
    return short(case.seen["ratio"]) if case.seen["ratio"] else "exactly 0"


class _Side:
    """Too large or too small: its window of rows and its cases."""

    __slots__ = ("_flat", "_since", "episodes", "name", "window")

    def __init__(self, name: str, n: int, s: Signals) -> None:
        self.name = name
        self.window = Window(n)
        self.episodes = Episodes(s.limits)
        self._since = (0.0, 0, 0.0)
        self._flat = Flat(None, "no losses since")

    def see(self, s: Signals, ratio: float, held: bool, n: int, enough: int) -> None:
        """Take a row in; it takes `enough` of `n` rows."""
        if not self.window.bits:
            self._since = s.step, s.losses_before, s.schedule.effective
        self.window.n = n
        self.window.push(held)
        if not held or self.window.count < enough:
            self.episodes.miss(s)
            return
        new = self.episodes.hit(s)
        case = self.episodes.current
        if case is None:
            return
        if new and not case.seen:
            step, losses, effective = self._since
            case.first_step, case.count = min(step, s.step), self.window.count
            case.seen = {"ratio": ratio, "losses": float(losses), "effective": effective}
        case.seen["ratio"] = (max if self.name == "high" else min)(ratio, case.seen["ratio"])
        case.seen["most"] = max(ratio, case.seen.get("most", 0.0))
        if new or case.count % _FLAT_EVERY == 0:
            self._flat = loss_flat(s, int(case.seen["losses"]), case.seen["effective"])
        falls = self._flat.met is False
        case.raise_to(Severity.NOTICE if falls or s.other_goals else Severity.WATCH, s.step)

    def message(self, s: Signals, case: Case) -> str:
        """What is wrong, since when."""
        ratio, since = _told(case), at(s, case.first_step)
        verb = "changes" if case.active else "changed"
        part = "a tenth" if self.name == "high" else f"{short(s.limits.update_ratio_floor)}"
        over = "" if case.active else f"; over {back(s, case)}"
        if not case.seen["most"]:
            return f"The weights {'do' if case.active else 'did'} not move since {since}: each update is {ratio}{over}."
        if self.name == "high":
            return (
                f"Each step {verb} the weights by more than {part} of their size since {since}: {ratio} at most{over}."
            )
        return f"Each step {verb} the weights by less than {part} of their size since {since}: {ratio}{over}."

    def criteria(self, s: Signals, case: Case) -> tuple[Criterion, ...]:
        """The checklist."""
        kind, active = UpdateRatio.kind, case.active
        over = f", over {back(s, case)}" if not active else ""
        lr = s.schedule.lr
        trains = "no learning rate in this log" if lr is None else f"learning rate {short(lr)}"
        flat = self._flat.met
        return (
            criterion(kind, "persists", active, f"{rows(case.count)}{over}"),
            criterion(kind, "out_of_range", active, f"{_told(case)}, {_USUAL}"),
            criterion(kind, "loss_suffers", active and flat, self._flat.evidence),
            criterion(kind, "trains", active and (None if lr is None else lr > 0.0), trains),
        )
