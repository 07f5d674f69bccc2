"""`dead_layer`: layers whose gradient is exactly zero, or that have none, while others have one."""

import math
from collections.abc import Iterator

import numpy as np

from gradtop.detect.case import criterion, finding, lacking
from gradtop.detect.layers.group import Group, Groups
from gradtop.detect.layers.impact import impaired, loss_before
from gradtop.detect.layers.streak import Streaks
from gradtop.detect.loss.flat import Flat, loss_flat
from gradtop.detect.perlayer import Flags, Floats, grown, printed
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, numbers, place, rows, short
from gradtop.finding import Criterion, Finding, Severity

_FEWEST = 5
"""Rows of a log with few rows that persistence needs at least."""
_COMES_AND_GOES = 3
"""Multiple of the longest stretch without a gradient that ended by itself, before a longer one counts."""
_CHANCE = 1e-8
"""Probability of a stretch that is no chance: layers that are dropped at random come and go."""
_MOST_ABSENT = 0.99
"""Part of the rows beyond which no layer is expected to be without a gradient."""
_FAR_BELOW = 100.0
"""Multiple of what a printed zero can be, above which a layer's usual gradient did fall to zero."""
NEVER, NEVER_LOGGED = "never", "never logged"
"""The forms of layers without a gradient since the start: zero in every row, and missing in every row."""


class DeadLayer:
    """Zero-initialised branches have exact zeros in their first rows, and experts idle: only long stretches count."""

    kind = "dead_layer"
    kinds = (kind,)
    inputs = ("grad_norm/*",)

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._groups = Groups()
        self._never = Groups()
        self._begin()

    def _begin(self) -> None:
        self._size = 0
        self._step = -math.inf
        self._loss = math.nan
        self._quiet = True
        self._printed = 0.0
        self._alive = np.zeros(0, dtype=np.intp)
        self._missing = Streaks()
        self._longest = np.zeros(0, dtype=np.intp)
        self._rows = np.zeros(0, dtype=np.intp)
        self._seen = np.zeros(0, dtype=np.bool_)

    def resume(self, s: Signals, anew: bool) -> None:
        """Stretches begin anew; what had a gradient in the last session still counts as alive."""
        if anew:
            self._begin()
        self._missing.clear()

    def row(self, s: Signals) -> None:
        """Look at the grad norms of this row."""
        grads = s.layers.row("grad_norm")
        if grads is None:
            return
        if self._size != len(grads):
            self._fit(len(grads))
        alive = grads > 0.0
        if self._quiet and alive.all():
            self._alive += 1
            self._rows += 1
            return
        if alive.any():
            self._take(s, grads, alive, s.layers.named("grad_norm"))

    def _fit(self, n: int) -> None:
        self._alive, self._longest = grown(self._alive, n, 0), grown(self._longest, n, 0)
        self._rows, self._seen = grown(self._rows, n, 0), grown(self._seen, n, False)
        self._size, self._quiet = n, False

    def _take(self, s: Signals, grads: Floats, alive: Flags, present: Flags) -> None:
        self._seen |= present
        gone = self._known(s) & ((present & self._zero(s, grads)) | ~present)
        if self._missing.any:
            over = np.where(alive, grown(self._missing.count, self._size, 0), 0)
            self._longest = np.maximum(self._longest, over)
        self._alive += alive
        self._rows += self._seen
        if not self._missing.any:
            self._loss = loss_before(s)
        # Further rows of a step bring further layers: what they lack was counted already.
        self._missing.see(s.step, gone if s.step != self._step else np.zeros_like(gone), alive)
        self._step = s.step
        self._quiet = not self._missing.any and not self._groups.active and not self._never.active
        for groups in (self._groups, self._never):
            if groups.active:
                groups.follow(s, gone)
        self._look(s, present)
        for group in self._never.all:
            if group.case.active:
                self._judge_never(s, group)

    def _known(self, s: Signals) -> Flags:
        """Layers that can have a gradient: those that had a value, and weights that are logged by the same names."""
        weights = s.layers.newest("weight_norm")
        if weights is None:
            return self._seen
        further: Flags = s.layers.plain & (weights > 0.0)
        return self._seen | further if (further & self._seen).any() else self._seen

    def _zero(self, s: Signals, grads: Floats) -> Flags:
        """Where the gradient is zero; a printed zero counts only where the gradient was far above it."""
        zero: Flags = grads == 0.0
        self._printed = printed(grads) if zero.any() else 0.0
        if self._printed:
            zero &= s.layers.moves.usual(len(grads)) > _FAR_BELOW * self._printed
        return zero

    def _look(self, s: Signals, present: Flags) -> None:
        long = s.layers.rows_for(s.limits.layer_rows, _FEWEST)
        enough = np.maximum(np.maximum(long, _COMES_AND_GOES * self._longest), self._unlikely())
        had = self._alive > 0
        # Missing values are a missing gradient only where they used to be there row by row.
        regular = present | (self._alive >= long)
        missing = self._missing
        fell = had & regular & (missing.count >= enough)
        if fell.any() and (group := self._groups.begin(s, fell, missing.first(fell), missing.most(fell))):
            exact = present[list(group.members)].all() and not self._printed
            group.case.seen = {"loss": self._loss, "zero": float(exact)}
        for group in self._groups.all:
            if group.case.active:
                self._judge_fallen(s, group)
        never = ~had & (missing.count >= s.layers.rows_for(s.limits.never_rows, 2 * _FEWEST))
        for form, some in ((NEVER, never & present), (NEVER_LOGGED, never & ~present)):
            if some.any() and (group := self._never.begin(s, some, missing.first(some), missing.most(some), form)):
                group.case.seen = {"losses": float(s.losses), "effective": s.schedule.effective}

    def _judge_fallen(self, s: Signals, group: Group) -> None:
        """Most layers, or a loss that suffers: then it is time to act."""
        most = self._groups.share(int(np.count_nonzero(self._seen))) > s.limits.dead_layers_most
        act = most or self._suffers(s, group).met
        group.case.raise_to(Severity.INTERVENE if act else Severity.WATCH, s.step)
        units = s.layers.newest("dead_fraction")
        if units is not None and (units[list(group.members)] >= s.limits.dead_units_most).any():
            group.case.seen["units"] = 1.0

    @staticmethod
    def _suffers(s: Signals, group: Group) -> Flat:
        if s.converged:
            return Flat(False, "the loss is below 5 % of the first ones")
        return impaired(s, group.case.seen.get("loss"), s.limits.no_learning_steps)

    def _unlikely(self) -> Floats:
        """Rows that a layer is not without a gradient by chance, as often as it, or all of them, were so far."""
        before = np.maximum(self._rows - self._missing.count, self._alive)
        had = self._alive > 0
        all_layers = 1.0 - self._alive[had].sum() / max(1, before[had].sum())
        share = np.maximum((before - self._alive + 1) / (before + 2), all_layers)
        found: Floats = math.log(_CHANCE) / np.log(np.minimum(share, _MOST_ABSENT))
        return found

    def _judge_never(self, s: Signals, group: Group) -> None:
        """A frozen backbone is common and no fault while the loss falls; it had time to by now."""
        if self._hurts(s, group) or self._meant_to_train(s, group):
            group.case.raise_to(Severity.WATCH, s.step)
        elif not impaired(s).met:
            group.case.raise_to(Severity.NOTICE, s.step)

    def _meant_to_train(self, s: Signals, group: Group) -> bool:
        """Most layers, in a run that says that it trains all parameters: nothing is frozen on purpose."""
        model = s.facts.model
        most = len(group.members) > s.limits.dead_layers_most * int(np.count_nonzero(self._seen))
        return most and model.params is not None and model.trainable == model.params

    @staticmethod
    def _hurts(s: Signals, group: Group) -> bool:
        if s.converged or s.schedule.effective < s.limits.no_learning_steps or not impaired(s).met:
            return False
        level = s.loss_level
        fell = not level.linear and level.value(level.best) < (1 - s.limits.no_learning_fall) * max(s.first_losses)
        if group.form == NEVER_LOGGED and fell:
            return False
        return bool(loss_flat(s, int(group.case.seen["losses"]), group.case.seen["effective"]).met)

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return lacking(s, "grad_norm/")

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each group of layers."""
        for group in (*self._groups.all, *self._never.all):
            caveats = (
                ("Zeros of this log are rounded: the gradient is below " + short(self._printed) + ".",)
                if self._printed and not group.form
                else ()
            )
            yield finding(
                self.kind,
                group.case,
                self._message(s, group),
                self._criteria(s, group),
                numbers=numbers(s, group.case) | {"layers": group.names(s)},
                form="never" if group.form else "units" if "units" in group.case.seen else "",
                scope=group.scope(s),
                evidence={"layers": float(len(group.members)), "of": float(self._size)},
                caveats=caveats,
            )

    def _message(self, s: Signals, group: Group) -> str:
        names, case = group.names(s), group.case
        have = "has" if len(group.members) == 1 else "have"
        of = f" ({len(group.members)} of {self._size} layers)" if len(group.members) > 1 else ""
        since = place(s, case.first_step)
        if not case.active:
            return f"{names} had no gradient from {since} on{of}, and {have} one again {back(s, case)}."
        if group.form:
            return f"{names} never had a gradient{of}, while others do: frozen, detached or unused."
        if case.seen.get("zero"):
            return f"{names} {have} had a gradient of exactly 0 since {since}{of}, while others still have one."
        return f"{names} {have} had no gradient since {since}{of}, while others still do."

    def _criteria(self, s: Signals, group: Group) -> tuple[Criterion, ...]:
        case, kind = group.case, self.kind
        hurt = self._suffers(s, group)
        over = f", back {back(s, case)}" if not case.active else ""
        had = "in no row so far" if group.form else f"until {place(s, case.first_step)}"
        others = self._size - len(group.members)
        return (
            criterion(kind, "persists", case.active, f"{rows(case.count)}{over}"),
            criterion(kind, "others_move", case.active, f"{others} other layer{'s' if others != 1 else ''}"),
            criterion(kind, "had_gradient", case.active and not group.form, had),
            criterion(kind, "loss_suffers", case.active and hurt.met, hurt.evidence),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """Which layers have no gradient now."""
        why = lacking(s, "grad_norm/")
        if why:
            blank = tuple(criterion(self.kind, id, None, why) for id in _IDS)
            return f"cannot be told: {why}", blank
        gone = int(np.count_nonzero(self._missing.count))
        told = f"{gone} of {self._size} layers without a gradient in the newest row"
        return told, tuple(criterion(self.kind, id, False if id == "persists" else None, told) for id in _IDS)


_IDS = ("persists", "others_move", "had_gradient", "loss_suffers")
