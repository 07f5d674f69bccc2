"""`activation_growth`: attention logits that become huge, and activations that grow by a decade."""

import math
from collections import deque
from collections.abc import Iterator

import numpy as np

from gradtop.detect.case import criterion, finding
from gradtop.detect.layers.group import Group, Groups
from gradtop.detect.layers.impact import impaired
from gradtop.detect.layers.streak import Streaks
from gradtop.detect.perlayer import Flags, Floats, grown
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, fold, numbers, place, rows, short
from gradtop.finding import Criterion, Finding, Severity

_FEWEST = 5
_APART = 1.5
"""Multiple of the usual distance of two rows that one row may be away from the one before."""
_SAMPLES = 20
"""Readings kept over the window of steps that growth is measured in."""
LOGITS, SIZE = "logits", "size"
"""The forms: attention logits, and the size of activations."""


class ActivationGrowth:
    """The largest attention logit against fixed limits; the RMS of activations against itself some steps before."""

    kind = "activation_growth"
    kinds = (kind,)
    inputs = ("max_attention_logit/*", "activation_rms/*")

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        # Attention whose logits grow often has activations that grow too: a layer may be in a group of each form.
        self._groups = {LOGITS: Groups(), SIZE: Groups()}
        self._begin()

    def _begin(self) -> None:
        self._logits, self._huge, self._sizes = Streaks(), Streaks(), Streaks()
        self._past: deque[tuple[float, Floats]] = deque()

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours, and what a later step showed is no past."""
        past = self._past
        self._begin()
        if not anew:
            self._past = past

    def row(self, s: Signals) -> None:
        """Look at what this row has."""
        logits, sizes = s.layers.row("max_attention_logit"), s.layers.row("activation_rms")
        if logits is not None:
            self._see_logits(s, logits)
        if sizes is not None:
            self._see_sizes(s, sizes)

    def _see_logits(self, s: Signals, logits: Floats) -> None:
        logits = np.where(logits == -math.inf, np.nan, logits)  # all positions of a batch are masked
        high = np.abs(logits) > s.limits.attention_logit
        groups = self._groups[LOGITS]
        if not high.any() and not self._logits.any and not groups.active:
            return
        self._logits.see(s.step, high, ~high)
        self._huge.see(
            s.step, np.abs(logits) > s.limits.attention_logit_most, np.abs(logits) <= s.limits.attention_logit_most
        )
        long = self._open(s, groups, high, self._logits, LOGITS)
        for group in groups.all:
            if group.case.active:
                members = list(group.members)
                case = group.case
                case.seen["most"] = max(
                    case.seen["most"], float(np.abs(logits[members])[high[members]].max(initial=0.0))
                )
                huge = bool((self._huge.count[members] >= long).any())
                case.raise_to(max(case.severity, Severity.INTERVENE if huge else Severity.WATCH), s.step)

    @staticmethod
    def _open(s: Signals, groups: Groups, held: Flags, streaks: Streaks, form: str) -> int:
        """Go on with the group of a form, or begin one, for layers that it holds for long; how many rows that is."""
        groups.follow(s, held)
        long = s.layers.rows_for(s.limits.layer_rows, _FEWEST)
        found = streaks.count >= long
        if found.any() and not groups.join(found, form):
            group = groups.begin(s, found, streaks.first(found), streaks.most(found), form)
            if group is not None:
                group.case.seen = {"most": 0.0}
        return long

    def _see_sizes(self, s: Signals, sizes: Floats) -> None:
        if s.in_warmup or s.schedule.effective < s.limits.no_learning_steps:
            return  # activations find their size in the first steps
        y = np.log10(np.where((sizes > 0.0) & (sizes < math.inf), sizes, np.nan))
        steps = s.limits.activation_steps * (1.0 if s.unit_steps else s.layers.interval)
        self._keep(s, y, max(steps, s.layers.interval * _APART))
        growth = y - grown(self._past[0][1], len(y), math.nan)
        # Rows that are further apart than the window are held to the same pace.
        growth = growth / max(1.0, (s.step - self._past[0][0]) / steps)
        limit, groups = math.log10(s.limits.activation_growth), self._groups[SIZE]
        held = growth >= limit
        if not held.any() and not self._sizes.any and not groups.active:
            return
        self._sizes.see(s.step, held, growth < limit)
        self._open(s, groups, held, self._sizes, SIZE)
        for group in groups.all:
            if group.case.active:
                most = growth[list(group.members)]
                group.case.seen["most"] = max(group.case.seen["most"], float(most[most == most].max(initial=0.0)))
                group.case.raise_to(Severity.WATCH, s.step)

    def _keep(self, s: Signals, y: Floats, span: float) -> None:
        """Keep a reading now and then, and the newest one that is older than the window."""
        past = self._past
        if not past or not 0.0 <= s.step - past[-1][0] < span / _SAMPLES:
            past.append((s.step, y))
        while past[0][0] > s.step or s.step - past[0][0] > span:
            past.popleft()

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        known = not s.names.isdisjoint(("max_attention_logit/", "activation_rms/"))
        return "" if known else "no attention logits and no activations per layer in this log"

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each group of layers."""
        for group in (*self._groups[LOGITS].all, *self._groups[SIZE].all):
            most = group.case.seen["most"]
            evidence: dict[str, float | str] = {"layers": float(len(group.members))}
            evidence |= {"max_attention_logit": most} if group.form == LOGITS else {"growth": 10.0**most}
            yield finding(
                self.kind,
                group.case,
                self._message(s, group),
                self._criteria(s, group),
                numbers=numbers(s, group.case) | {"layers": group.names(s)},
                form=group.form if group.form == SIZE else "",
                scope="layers",
                evidence=evidence,
            )

    @staticmethod
    def _message(s: Signals, group: Group) -> str:
        case, most = group.case, group.case.seen["most"]
        over = "" if case.active else f"; over {back(s, case)}"
        since = place(s, case.first_step)
        if group.form == LOGITS:
            limit = short(s.limits.attention_logit)
            return f"Attention logits of {group.names(s)} are above {limit} since {since}: {short(most)} at most{over}."
        steps = f"{s.limits.activation_steps:,.0f} steps"
        return f"The activations of {group.names(s)} grew by {fold(10.0**most)} within {steps}, since {since}{over}."

    def _criteria(self, s: Signals, group: Group) -> tuple[Criterion, ...]:
        case, kind, most = group.case, self.kind, group.case.seen["most"]
        over = f", over {back(s, case)}" if not case.active else ""
        hurt = impaired(s)
        limit = s.limits.attention_logit if group.form == LOGITS else s.limits.activation_growth
        found = short(most) if group.form == LOGITS else fold(10.0**most)
        return (
            criterion(kind, "persists", case.active, f"{rows(case.count)}{over}"),
            criterion(kind, "large", case.active, f"{found}, limit {short(limit)}"),
            criterion(kind, "loss_suffers", case.active and hurt.met, hurt.evidence),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """Whether anything is large now."""
        why = self.blind(s, self.kind)
        told = why or "neither attention logits nor activations are large in the newest rows"
        criteria = tuple(
            criterion(self.kind, id, None if why else False, told) for id in ("persists", "large", "loss_suffers")
        )
        return (f"cannot be told: {why}" if why else told), criteria
