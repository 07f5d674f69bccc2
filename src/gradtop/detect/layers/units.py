"""`dead_units`: a layer whose units give zero for every input, more and more of them."""

import math
from collections.abc import Iterator

import numpy as np

from gradtop.detect.case import Case, criterion, finding
from gradtop.detect.layers.group import Group, Groups
from gradtop.detect.layers.impact import impaired, loss_before
from gradtop.detect.layers.streak import Streaks
from gradtop.detect.loss.flat import Flat, loss_flat
from gradtop.detect.perlayer import Flags, Floats, grown
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, change, numbers, place, rows
from gradtop.finding import Criterion, Finding, Severity
from gradtop.units import percent

_FEWEST = 5
_SMOOTHED = 16
"""Rows over which the share of a layer is averaged; a row weighs one over that."""
_FEWEST_SMOOTHED = 4
_FIRST_ROWS = 20
"""Rows after which that is what the layer began with."""
_NO_LOWER = 0.98
"""Part of the loss before that it has to have fallen to for learning to go on."""
_RECENT = 20
"""Losses whose median is what the loss is now."""
_GRADIENTS = 0.7
"""Share of zero gradients that counts where units themselves are not logged (AutoTrainer's limit)."""


class DeadUnits:
    """Sparse activations are normal: it takes a share that is high for long, and rises or is almost everything."""

    kind = "dead_units"
    kinds = (kind,)
    inputs = ("dead_fraction/*", "zero_fraction/*")

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._groups = Groups()
        self._begin()

    def _begin(self) -> None:
        self._high, self._most = Streaks(), Streaks()
        self._first = np.zeros(0)
        self._seen = np.zeros(0, dtype=np.intp)
        self._level = np.zeros(0)
        self._rose: dict[str, float] = {}

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours."""
        self._high.clear()
        self._most.clear()
        if anew:
            self._begin()

    def row(self, s: Signals) -> None:
        """Look at the shares of this row."""
        units = s.layers.row("dead_fraction")
        if units is None:
            units = s.layers.row("zero_fraction") if "dead_fraction/" not in s.names else None
            if units is None:
                return
            units = np.where(s.layers.plain, units, np.nan)  # rows of an embedding wait for their tokens
        fine = (units >= 0.0) & (units <= 1.0)
        self._learn(s, units, fine)
        units = self._level
        bound = s.limits.dead_units_share if "dead_fraction/" in s.names else _GRADIENTS
        high = fine & (units >= bound)
        if not high.any() and not self._high.any and not self._groups.active:
            return
        most = units >= s.limits.dead_units_most
        self._high.see(s.step, high, units < bound)
        self._most.see(s.step, most & high, units < s.limits.dead_units_most)
        if self._groups.active:
            self._groups.follow(s, high)
        self._judge(s)

    def _learn(self, s: Signals, units: Floats, fine: Flags) -> None:
        """The share that each layer has by now, and that it began with."""
        n = len(units)
        if len(self._seen) != n:
            self._first, self._level = grown(self._first, n, math.nan), grown(self._level, n, math.nan)
            self._seen = grown(self._seen, n, 0)
        self._seen += fine
        units = np.where(fine, units, self._level)
        level = np.where(self._seen > 1, self._level, units)
        weight = 1 / s.layers.rows_for(_SMOOTHED, _FEWEST_SMOOTHED)
        self._level = level + (units - level) * np.maximum(weight, 1 / np.maximum(self._seen, 1))
        young = fine & (self._seen <= s.layers.rows_for(_FIRST_ROWS, _FEWEST))
        if young.any():
            self._first = np.where(young, self._level, self._first)

    def _judge(self, s: Signals) -> None:
        units = self._level
        long = s.layers.rows_for(s.limits.layer_rows, _FEWEST)
        rising = self._rising(s)
        found = ((self._high.count >= long) & rising) | (self._most.count >= long)
        if found.any():
            group = self._groups.begin(s, found, self._high.first(found), self._high.most(found))
            if group is not None:
                group.case.seen = {"loss": loss_before(s), "share": 0.0, **self._rose}
        if not self._groups.active:
            return
        for group in self._groups.all:
            if group.case.active:
                share = units[list(group.members)]
                group.case.seen["share"] = float(max(share[share <= 1.0].max(initial=0.0), group.case.seen["share"]))
                group.case.raise_to(self._severity(s, group), s.step)

    def _rising(self, s: Signals) -> Flags:
        """The layers whose share rose; what the loss did before the first of them is kept."""
        rising: Flags = self._level - self._first >= s.limits.dead_units_rise
        if not rising.any():
            self._rose.clear()
        elif not self._rose:
            self._rose |= {"losses": float(s.losses_before), "effective": s.schedule.effective}
            self._rose |= {"level": loss_before(s), "fell": float(loss_flat(s, 0, 0.0).met is False)}
        return rising

    def _severity(self, s: Signals, group: Group) -> Severity:
        """A notice while learning goes on."""
        if s.converged or not _suffers(s, group.case).met:
            return Severity.NOTICE
        known = int(np.count_nonzero(self._level >= 0.0))
        all_dead = np.count_nonzero(self._level >= s.limits.dead_units_most) > s.limits.dead_layers_most * known
        return Severity.INTERVENE if all_dead else Severity.WATCH

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        known = not s.names.isdisjoint(("dead_fraction/", "zero_fraction/"))
        return "" if known else "no dead units and no zero gradients per layer in this log"

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each group of layers."""
        for group in self._groups.all:
            share = group.case.seen["share"]
            yield finding(
                self.kind,
                group.case,
                self._message(s, group),
                self._criteria(s, group),
                numbers=numbers(s, group.case) | {"layers": group.names(s)},
                scope=group.scope(s),
                evidence={"share": share, "layers": float(len(group.members)), "of": float(len(s.layers))},
            )

    @staticmethod
    def _message(s: Signals, group: Group) -> str:
        case = group.case
        what = "units are dead" if "dead_fraction/" in s.names else "gradients are zero"
        share, since = percent(case.seen["share"]), place(s, case.first_step)
        part = f"More than {share[1:]}" if share.startswith(">") else f"Up to {share}"
        if not case.active:
            were = what.replace("are", "were")
            return f"{part} of the {were} in {group.names(s)} from {since} on; over {back(s, case)}."
        return f"{part} of the {what} in {group.names(s)}, many since {since}."

    def _criteria(self, s: Signals, group: Group) -> tuple[Criterion, ...]:
        case, kind, members = group.case, self.kind, list(group.members)
        hurt = _suffers(s, case)
        over = f", over {back(s, case)}" if not case.active else ""
        first = float(self._first[members].max(initial=0.0)) if len(self._first) > max(members) else 0.0
        rises = case.seen["share"] - first >= s.limits.dead_units_rise
        return (
            criterion(kind, "persists", case.active, f"{rows(case.count)}{over}"),
            criterion(
                kind,
                "rises",
                case.active and rises,
                f"{percent(first)} at first, {percent(case.seen['share'])} at most",
            ),
            criterion(kind, "loss_suffers", case.active and hurt.met, hurt.evidence),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """The largest share by now."""
        why = self.blind(s, self.kind)
        share = float(np.nanmax(np.append(self._level, 0.0)))
        told = why or f"at most {percent(share)} in any layer by now"
        criteria = tuple(criterion(self.kind, id, None if why else False, told) for id in _IDS)
        return (f"cannot be told: {why}" if why else told), criteria


_IDS = ("persists", "rises", "loss_suffers")


def _suffers(s: Signals, case: Case) -> Flat:
    """The loss is near its start, or rose, or fell until the units of a layer began to die, and has not since."""
    hurt, seen, level = impaired(s, case.seen["loss"]), case.seen, s.loss_level
    if not hurt.met and (began := _where_it_began(s)) is not None:
        return began
    if hurt.met or not seen.get("fell") or seen["share"] < s.limits.dead_units_most or level.linear:
        return hurt
    if not level.value(level.y) > _NO_LOWER * seen["level"]:
        return hurt
    flat = loss_flat(s, int(seen["losses"]), seen["effective"], was_flat=case.severity is not Severity.NOTICE)
    return flat if flat.met else hurt


def _where_it_began(s: Signals) -> Flat | None:
    """Units that die in a divergence leave a loss that is where it began, and far below what it was meanwhile."""
    first, now, level = s.first_loss, s.recent_loss(_RECENT), s.loss_level
    if first is None or now is None or not level.ready or level.linear:
        return None
    return (
        Flat(True, f"loss {change(first, now)} since the start") if now > s.limits.impaired_level * first > 0 else None
    )
