"""`frozen_layer`: layers that have a gradient and do not change, while others do."""

import math
from collections import deque
from collections.abc import Iterator

import numpy as np

from gradtop.detect.case import criterion, finding
from gradtop.detect.layers.accumulating import Accumulating
from gradtop.detect.layers.group import Group, Groups
from gradtop.detect.layers.streak import Streaks
from gradtop.detect.perlayer import Flags, Floats, grown
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, fold, numbers, place, rows, short
from gradtop.finding import Criterion, Finding, Severity

_FEWEST = 5
_MOVES = 1e-4
"""Relative change of the median layer over the window that a constant norm stands out from; float32 has 6e-8."""
_FADED = 1e-6
"""Part of the largest gradient below which a step may be lost in rounding: float32 has 6e-8, a usual step 1e-3."""
_DIGITS = 6
"""Significant digits that a weight norm needs at least, so that a constant one is not just a rounded one."""
STILL, CONSTANT, GROWING = "still", "constant", "growing"
"""The forms: update ratio 0, weight norm constant, gradient never set to zero."""


class FrozenLayer:
    """Update ratios of exactly 0, weight norms that stay the same, or gradients that add up from step to step."""

    kind = "frozen_layer"
    kinds = (kind,)
    inputs = ("grad_norm/*", "update_ratio/*", "update_norm/*", "weight_norm/*")

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._groups = Groups()
        self._begin()

    def _begin(self) -> None:
        self._streaks = Streaks()
        self._weights = np.zeros(0)
        self._moved: deque[float] = deque(maxlen=1)
        self._growing = Accumulating()
        self._began = 0.0

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours, and sums of gradients begin anew."""
        self._begin()

    def row(self, s: Signals) -> None:
        """Look at what this row has of updates, weights and gradients."""
        ratios, weights, grads = s.layers.ratios, s.layers.row("weight_norm"), s.layers.row("grad_norm")
        if ratios is not None:
            self._see_updates(s, ratios)
        elif s.names.isdisjoint(("update_ratio/", "update_norm/")):
            if weights is not None:
                self._see_weights(s, weights)
            if grads is not None and "weight_norm/" not in s.names:
                self._see_gradients(s, grads)

    def _see_updates(self, s: Signals, ratios: Floats) -> None:
        still = ratios == 0.0
        if not still.any() and not self._streaks.any and not self._groups.active:
            return
        moving = ratios > 0.0
        if s.schedule.lr == 0.0 or np.count_nonzero(moving) < np.count_nonzero(still):
            return
        self._judge(s, still & self._has_gradient(s), moving, STILL)

    def _see_weights(self, s: Signals, weights: Floats) -> None:
        before = grown(self._weights, len(weights), math.nan)
        self._weights = weights
        same = (weights == before) & (weights > 0.0)
        if not same.any() and not self._streaks.any and not self._groups.active:
            return
        known = (weights > 0.0) & (before > 0.0) & (weights < math.inf) & (before < math.inf)
        if not known.any():
            return
        long = s.layers.rows_for(s.limits.layer_rows, _FEWEST)
        if self._moved.maxlen != long:
            self._moved = deque(self._moved, maxlen=long)
        self._moved.append(float(np.median(np.abs(np.log(weights[known]) - np.log(before[known])))))
        self._judge(s, same & self._has_gradient(s), known & ~same, CONSTANT)

    @staticmethod
    def _has_gradient(s: Signals) -> Flags | np.bool_:
        """A layer with hardly a gradient does not move by right; where none are logged, nothing speaks of that."""
        grads = s.layers.newest("grad_norm")
        if grads is None:
            return np.True_
        known = (grads > 0.0) & (grads < math.inf)
        has: Flags = known & (grads > _FADED * grads[known].max(initial=0.0))
        return has

    def _judge(self, s: Signals, held: Flags, ends: Flags, form: str) -> None:
        streaks = self._streaks
        streaks.see(s.step, held, ends)
        if self._groups.active:
            self._groups.follow(s, held, form)
        enough = streaks.count >= s.layers.rows_for(s.limits.layer_rows, _FEWEST)
        if form == CONSTANT and enough.any():
            if sum(self._moved) < _MOVES:
                return
            enough &= np.array([bool(long) and _exact(w) for long, w in zip(enough, self._weights, strict=True)])
        if enough.any():
            self._raise(s, self._groups.begin(s, enough, streaks.first(enough), streaks.most(enough), form))

    @staticmethod
    def _raise(s: Signals, group: Group | None) -> None:
        """Gains and biases alone are a matter of bf16; without gradients in the log it may be meant."""
        if group is None:
            return
        weights = any(s.layers.depth.plain[i] for i in group.members)
        meant = group.form != GROWING and s.layers.newest("grad_norm") is None
        group.case.raise_to(Severity.WATCH if weights and not meant else Severity.NOTICE, s.step)

    def _see_gradients(self, s: Signals, grads: Floats) -> None:
        self._began = s.step if not self._growing.rows else self._began
        sums = self._growing.see(s, grads)
        if self._groups.active:
            self._groups.follow(s, sums if sums is not None else np.zeros(len(grads), dtype=np.bool_), GROWING)
        if sums is None:
            return
        self._raise(s, self._groups.begin(s, sums, self._began, self._growing.rows, GROWING))
        for known in self._groups.all:
            if known.form == GROWING and known.case.active:
                known.case.seen["growth"] = self._growing.growth(list(known.members))

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        names = ("grad_norm/", "update_ratio/", "update_norm/", "weight_norm/")
        return "" if not s.names.isdisjoint(names) else "no values per layer in this log"

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each group of layers."""
        for group in self._groups.all:
            evidence: dict[str, float | str] = {"layers": float(len(group.members)), "of": float(len(s.layers))}
            if group.form == GROWING:
                evidence["growth"] = group.case.seen.get("growth", 1.0)
            yield finding(
                self.kind,
                group.case,
                self._message(s, group),
                self._criteria(s, group),
                numbers=numbers(s, group.case) | {"layers": group.names(s)},
                form=group.form if group.form == GROWING else "",
                scope=group.scope(s),
                evidence=evidence,
                caveats=self._caveats(s, group),
            )

    @staticmethod
    def _caveats(s: Signals, group: Group) -> tuple[str, ...]:
        if group.form == GROWING:
            return ("This log has neither updates nor weights per layer: it follows from the gradients alone.",)
        if s.layers.newest("grad_norm") is None:
            return ("This log has no grad norm per layer: these layers may be frozen on purpose.",)
        return ()

    @staticmethod
    def _message(s: Signals, group: Group) -> str:
        names, case = group.names(s), group.case
        one = len(group.members) == 1
        since = place(s, case.first_step)
        if group.form == GROWING:
            by = fold(case.seen.get("growth", 1.0))
            over = "" if case.active else f", until {place(s, case.last_step)}"
            return (
                f"The gradient of {names} adds up from step to step: {by} since {since}{over}. "
                f"Nothing sets it to zero, so {'it is' if one else 'they are'} most likely missing from the optimizer."
            )
        what = "update ratio exactly 0" if group.form == STILL else "the same weight norm to the last digit"
        if not case.active:
            return (
                f"{names} did not change from {since} on ({what}), and {'does' if one else 'do'} again {back(s, case)}."
            )
        return f"{names} {'has' if one else 'have'} not changed since {since}: {what}, while other layers change."

    def _criteria(self, s: Signals, group: Group) -> tuple[Criterion, ...]:
        case, kind = group.case, self.kind
        over = f", back {back(s, case)}" if not case.active else ""
        others = f"{len(s.layers) - len(group.members)} other layers"
        grads = s.layers.newest("grad_norm")
        least = float(np.nanmin(np.append(grads[list(group.members)], math.inf))) if grads is not None else math.nan
        told = "no grad norm per layer in this log" if grads is None else f"grad norm {short(least)} now"
        weights = any(s.layers.depth.plain[i] for i in group.members)
        return (
            criterion(kind, "persists", case.active, f"{rows(case.count)}{over}"),
            criterion(kind, "has_gradient", None if grads is None else case.active and least > 0.0, told),
            criterion(kind, "others_move", case.active, others),
            criterion(kind, "weights", case.active and weights, "weights" if weights else "biases and gains only"),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """Whether any layer stands still now."""
        why = self.blind(s, self.kind)
        told = why or "no layer with a gradient stands still in the newest rows"
        criteria = tuple(criterion(self.kind, id, None if why else False, told) for id in _IDS)
        return (f"cannot be told: {why}" if why else told), criteria


_IDS = ("persists", "has_gradient", "others_move", "weights")


def _exact(norm: float) -> bool:
    """A number with more digits than a rounded one has."""
    return float(f"{norm:.{_DIGITS}g}") != norm
