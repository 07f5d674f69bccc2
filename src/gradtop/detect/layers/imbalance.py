"""`layer_imbalance`: the gradient fades, or grows, by decades on its way from the output of a model to its input."""

import math
from collections.abc import Iterator

import numpy as np

from gradtop.detect.case import Case, Episodes, criterion, finding, lacking
from gradtop.detect.layers.group import shown
from gradtop.detect.layers.impact import impaired
from gradtop.detect.perlayer import Floats
from gradtop.detect.robust import Window
from gradtop.detect.signals import Signals
from gradtop.detect.wording import at, back, fold, numbers, place, rows, short
from gradtop.finding import Criterion, Finding, Severity

_LEAST_BLOCKS = 4
_FEWEST = 5
_STRICTER = 0.1
"""Factor to the limit where there are no weight norms: gradients of blocks of unlike size differ by themselves."""
_SLOPE_BLOCKS = 64
"""Blocks, evenly spread, that the slope over depth is taken of."""


class LayerImbalance:
    """Compares the first quarter of the blocks with the last one, as gradient over weight, block by block."""

    kind = "layer_imbalance"
    kinds = (kind,)
    inputs = ("grad_norm/*",)

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._fades = _Form("", s)
        self._grows = _Form("explodes", s)
        self._relative = False
        self._blocks = 0
        self._profile = np.zeros(0)

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours."""
        self._fades.window.bits = self._grows.window.bits = 0

    def row(self, s: Signals) -> None:
        """Look at the grad norms of this row."""
        grads = s.layers.row("grad_norm")
        if grads is None or s.in_warmup:
            return
        self._blocks = len(s.layers.depth.blocks)
        if self._blocks < _LEAST_BLOCKS:
            return
        profile = self._measured(s, grads)
        some = np.flatnonzero(profile)
        early = profile[: self._blocks // 4]
        early = early[early > 0.0]
        if len(some) < _LEAST_BLOCKS or not early.size:
            return
        last = float(profile[some[-1]])
        limit = s.limits.imbalance_ratio * (1.0 if self._relative else _STRICTER)
        low, high = float(early.min()) / last, float(early.max()) / last
        for form, ratio, held in ((self._fades, low, low < limit), (self._grows, high, high > 1.0 / limit)):
            if held or form.window.bits or form.episodes.near:
                form.see(s, ratio, held)
                if held:
                    self._profile = profile

    def _measured(self, s: Signals, grads: Floats) -> Floats:
        """The gradient of each block over its weight, or the bare gradient; 0 where it has none."""
        found = s.layers.by_block(grads)
        weights = s.layers.newest("weight_norm")
        sizes = s.layers.by_block(weights) if weights is not None else found
        usable = (found > 0.0) & (sizes > 0.0)
        self._relative = weights is not None and int(np.count_nonzero(usable)) >= _LEAST_BLOCKS
        if not self._relative:
            return found
        with np.errstate(over="ignore", under="ignore"):
            ratios = np.divide(found, sizes, out=np.zeros_like(found), where=usable)
        ratios[~(ratios < math.inf)] = 0.0
        return ratios

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        why = lacking(s, "grad_norm/")
        if why or self._blocks >= _LEAST_BLOCKS or not len(s.layers):
            return why
        n = len(s.layers.depth.blocks)
        return f"only {n} block{'s' if n != 1 else ''} of weights: {_LEAST_BLOCKS} are needed to speak of depth"

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each stretch."""
        for form in (self._fades, self._grows):
            for case in form.episodes.cases:
                yield self._finding(s, form, case)

    def _finding(self, s: Signals, form: "_Form", case: Case) -> Finding:
        evidence: dict[str, float | str] = {"ratio": case.seen["ratio"], "limit": form.limit(s, case)}
        slope = _slope(self._profile) if case is form.episodes.current else math.nan
        if slope == slope:
            evidence["decades_per_block"] = round(slope, 3)
        bare = case.seen["relative"] == 0.0
        return finding(
            self.kind,
            case,
            self._message(s, form, case, slope),
            _criteria(s, form, case),
            numbers=numbers(s, case) | {"layers": self._ends(s)[0]},
            form=form.name,
            scope="total",
            evidence=evidence,
            caveats=("This log has no weight norms, so bare gradients are compared, by a stricter limit.",)
            if bare
            else (),
        )

    def _ends(self, s: Signals) -> tuple[str, str]:
        """The block of the first quarter that is farthest off, and the last one, of the newest such row."""
        names = [shown(name) for name in s.layers.depth.blocks]
        some = np.flatnonzero(self._profile)
        early = some[some < max(1, len(self._profile) // 4)]
        if not len(early):
            return names[0], names[-1]
        far = np.abs(np.log(self._profile[early]) - math.log(self._profile[some[-1]]))
        return names[early[int(far.argmax())]], names[int(some[-1])]

    def _message(self, s: Signals, form: "_Form", case: Case, slope: float) -> str:
        ratio = case.seen["ratio"]
        by = fold(1.0 / ratio if ratio < 1.0 else ratio)
        what = "gradient over weight" if case.seen["relative"] else "grad norm"
        since = at(s, case.first_step)
        if case is not form.episodes.current:
            return f"The gradient {form.verb} by {by} over depth from {since} on, and no longer {back(s, case)}."
        first, last = self._ends(s)
        per = f", {abs(slope):.2g} decades per block" if slope == slope else ""
        return (
            f"The gradient {form.verb} on its way to the input: the {what} of {first} is {by} "
            f"{'below' if ratio < 1.0 else 'above'} that of {last}{per}, since {since}."
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """Whether the gradient fades or grows over depth now."""
        why = self.blind(s, self.kind)
        told = why or "first and last blocks have gradients of like size in the newest rows"
        criteria = tuple(criterion(self.kind, id, None if why else False, told) for id in _IDS)
        return (f"cannot be told: {why}" if why else told), criteria


_IDS = ("persists", "far_apart", "loss_suffers", "after_warmup")


class _Form:
    """One direction: its window of rows and its cases."""

    __slots__ = ("_since", "episodes", "name", "verb", "window")

    def __init__(self, name: str, s: Signals) -> None:
        self.name = name
        self.verb = "grows" if name else "fades"
        self.window = Window(s.limits.imbalance_rows)
        self.episodes = Episodes(s.limits)
        self._since = 0.0

    def limit(self, s: Signals, case: Case) -> float:
        """The ratio that counts, for the kind of values that the case is of."""
        limit = s.limits.imbalance_ratio * (1.0 if case.seen["relative"] else _STRICTER)
        return 1.0 / limit if self.name else limit

    def see(self, s: Signals, ratio: float, held: bool) -> None:
        window = self.window
        if not window.bits:
            self._since = s.step
        window.n = s.layers.rows_for(s.limits.imbalance_rows, _FEWEST)
        window.push(held)
        if not held or window.count < math.ceil(s.limits.imbalance_share * window.n):
            self.episodes.miss(s)
            return
        new = self.episodes.hit(s)
        case = self.episodes.current
        if case is None:
            return
        if new and not case.seen:
            case.first_step, case.count = min(self._since, s.step), window.count
            case.seen = {"ratio": ratio, "relative": float("weight_norm/" in s.names)}
        farther = max if self.name else min
        case.seen["ratio"] = farther(ratio, case.seen["ratio"])
        hurts = impaired(s).met and not s.converged and not _learned(s)
        case.raise_to(Severity.WATCH if hurts else Severity.NOTICE, s.step)


def _learned(s: Signals) -> bool:
    """The loss has been well below the start: what threw it back since made the layers differ, not the reverse."""
    level = s.loss_level
    start = level.start
    return start is not None and not level.linear and level.best < start + math.log(s.limits.impaired_level)


def _criteria(s: Signals, form: _Form, case: Case) -> tuple[Criterion, ...]:
    kind, active = LayerImbalance.kind, case.active
    hurt = impaired(s)
    over = f", over {back(s, case)}" if not active else ""
    apart = f"{short(case.seen['ratio'])}, limit {short(form.limit(s, case))}"
    where = f"{place(s, case.last_step)}, after the warm-up" if s.schedule.warmup else "no warm-up in this run"
    return (
        criterion(kind, "persists", active, f"{rows(case.count)}{over}"),
        criterion(kind, "far_apart", active, apart),
        criterion(kind, "loss_suffers", active and hurt.met, hurt.evidence),
        criterion(kind, "after_warmup", active, where),
    )


def _slope(profile: Floats) -> float:
    """Theil-Sen slope of the decades over depth: the median over all pairs of blocks; NaN for fewer than four."""
    some = np.flatnonzero(profile)
    if len(some) > _SLOPE_BLOCKS:
        some = some[np.linspace(0, len(some) - 1, _SLOPE_BLOCKS).astype(np.intp)]
    if len(some) < _LEAST_BLOCKS:
        return math.nan
    y = np.log10(profile[some])
    first, second = np.triu_indices(len(some), 1)
    return float(np.median((y[second] - y[first]) / (some[second] - some[first])))
