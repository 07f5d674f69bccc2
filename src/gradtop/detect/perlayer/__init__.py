"""The per-layer values of a row as arrays, one place per layer, and which layers left their usual range."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, log, nan
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gradtop.depth import Depth, depth_of
from gradtop.detect.robust import ALPHA, CLIP, CONSISTENT, DIFFERENCES, LEAST_SPREAD, median

FAMILIES = (
    "grad_norm", "weight_norm", "update_ratio", "update_norm", "dead_fraction", "zero_fraction", "activation_rms",
    "max_attention_logit",
)  # fmt: skip
"""What a log can have per layer; `grad_norm/layers.0.attn` is a value of the family `grad_norm`."""
PATTERNS = tuple(f"{family}/*" for family in FAMILIES)
"""The names of all that a log can have per layer."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
_T = TypeVar("_T", bound=np.generic)

_NOT_LAYERS = frozenset(
    ("total", "global", "all", "overall", "sum", "total_norm", "global_norm", "mean", "max", "min", "median", "std")
)
"""What stands where a layer's name would: values of all layers together."""
_BURN_IN = 20
_MOVED_Z = 6.0
_MOVED_LOG = 0.5
"""Rise of the logarithm that a move has to be as well: smooth gradients have very small spreads."""
_BACK_Z = 2.0
_MOVES_KEPT = 256
_LEADERS = 4
_LAYOUTS_KEPT = 256
_GAPS_KEPT = 20


def is_layered(name: str) -> bool:
    """A metric is of one layer: `grad_norm/layers.0.attn`."""
    family, slash, _ = name.partition("/")
    return bool(slash) and family in FAMILIES


@dataclass(frozen=True, slots=True)
class Move:
    """Layers that left the usual range of their gradients at one row."""

    step: float
    layer: str
    """The one that went farthest; of gradients that are not finite, the one nearest to the output."""
    layers: int
    """How many left it."""
    of: int
    """How many layers the row has."""
    leaders: tuple[tuple[str, float, float], ...] = ()
    """(layer, spreads, decades) above their own usual level of those that went farthest, the farthest first."""

    @property
    def finite(self) -> bool:
        """They left it for large values; NaN and infinities are told without their size."""
        return bool(self.leaders)


class Moves:
    """The usual grad norm of each layer, a Huberised moving average of its logarithm, and who left it when.

    A layer has moved when it is far above its range in two rows in a row, or together with half of all layers.
    """

    __slots__ = ("_bad", "_burn", "_lag", "_off", "_seen", "_since", "_spread", "_y", "bad", "found", "z")

    def __init__(self) -> None:
        """No layer seen yet."""
        self.found: deque[Move] = deque(maxlen=_MOVES_KEPT)
        """Moves, in the order in which they became known."""
        self.bad: deque[Move] = deque(maxlen=_MOVES_KEPT)
        """Rows at which gradients stopped being finite."""
        self._off = np.zeros(0)
        self.z = np.zeros(0)
        """Spreads by which each layer is above its usual level; 0 where that is not known."""
        self._y, self._lag, self._since = np.zeros(0), np.zeros(0), np.zeros(0)
        self._spread = np.zeros(0)
        self._seen = np.zeros(0, dtype=np.intp)
        self._burn = np.zeros((_BURN_IN, 0))
        self._bad = False

    def usual(self, n: int) -> Floats:
        """The usual grad norm of each of `n` layers, NaN where it is not known yet."""
        ready = grown(self._seen, n, 0) >= _BURN_IN
        return np.where(ready, np.exp(np.minimum(grown(self._y, n, 0.0), 709.0)), nan)

    def rest(self) -> None:
        """Rows of two sessions are not neighbours."""
        self._since[:] = nan
        self._bad = False

    def see(self, step: float, grads: Floats, named: Flags, names: Sequence[str], depth: Depth) -> None:
        """Take in the grad norms of a row, NaN for layers that are not `named`."""
        if len(grads) != len(self._y):
            self._fit(len(grads))
        fine = (grads > 0.0) & (grads < inf)
        bad = named & ~fine & ~(np.abs(grads) < inf)
        if self._bad or bad.any():
            self._see_bad(step, bad, named, names, depth)
        y = np.log(np.where(fine, grads, 1.0))
        known = fine & (self._seen >= _BURN_IN)
        off = y - self._y - self._lag
        self.z, self._off = np.where(known, off / self._spread, 0.0), off
        self._learn(off, known)
        if not known.all():
            self._burn_some(y, fine & ~known)
        out = (self.z > _MOVED_Z) & (off > _MOVED_LOG)
        if out.any() or not np.isnan(self._since).all():
            self._see_out(step, out, named, names)

    def _learn(self, off: Floats, known: Flags) -> None:
        part = np.where(known, ALPHA, 0.0)
        bound = CLIP * self._spread
        off = np.minimum(np.maximum(off, -bound), bound)
        self._y += part * (self._lag + off)
        self._lag += part * off
        self._spread = np.maximum(self._spread + part * (CONSISTENT * np.abs(off) - self._spread), LEAST_SPREAD)

    def _fit(self, n: int) -> None:
        self._y, self._lag = grown(self._y, n, 0.0), grown(self._lag, n, 0.0)
        self._spread, self._since = grown(self._spread, n, 1.0), grown(self._since, n, nan)
        self._seen = grown(self._seen, n, 0)
        wider = np.zeros((_BURN_IN, n))
        wider[:, : self._burn.shape[1]] = self._burn
        self._burn = wider

    def _burn_some(self, y: Floats, some: Flags) -> None:
        """The first values of a layer make its first level."""
        at = np.flatnonzero(some)
        self._burn[self._seen[at], at] = y[at]
        self._seen[at] += 1
        if (done := at[self._seen[at] == _BURN_IN]).size:
            burn = self._burn[:, done]
            self._y[done] = np.median(burn, axis=0)
            spread = DIFFERENCES * np.abs(np.diff(burn, axis=0)).mean(axis=0)
            self._spread[done] = np.maximum(spread, LEAST_SPREAD)

    def _see_out(self, step: float, out: Flags, named: Flags, names: Sequence[str]) -> None:
        """A layer is out since its first such row; infinity there means that its move has been told already."""
        before = out & (self._since < inf)
        for since in np.unique(self._since[before]).tolist():
            self._tell(since, before & (self._since == since), named, names)
        fresh = out & np.isnan(self._since)
        self._since[fresh] = step
        if 2 * np.count_nonzero(fresh) >= np.count_nonzero(named):
            self._tell(step, fresh, named, names)
            before |= fresh
        self._since[before] = inf
        self._since[(self.z < _BACK_Z) | (~out & (self._since < inf))] = nan

    def _tell(self, step: float, moved: Flags, named: Flags, names: Sequence[str]) -> None:
        order = np.argsort(np.where(moved, -self.z, inf), kind="stable")[: min(_LEADERS, int(np.count_nonzero(moved)))]
        leaders = tuple((names[i], float(self.z[i]), float(self._off[i]) / log(10.0)) for i in order.tolist())
        n, of = int(np.count_nonzero(moved)), int(np.count_nonzero(named))
        self.found.append(Move(step, leaders[0][0], n, of, leaders))

    def _see_bad(self, step: float, bad: Flags, named: Flags, names: Sequence[str], depth: Depth) -> None:
        """What is not finite spreads towards the input: it comes from the layer nearest to the output."""
        n = int(np.count_nonzero(bad))
        if n and not self._bad:
            origin = next(i for i in reversed(depth.order) if bad[i])
            self.bad.append(Move(step, names[origin], n, int(np.count_nonzero(named))))
        self._bad = bool(n)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the columns of rows with the same columns belong."""

    columns: Mapping[str, tuple[str, ...]]
    """Family → names of its columns."""
    places: Mapping[str, Places]
    """Family → places of these columns' layers."""


class Layers:
    """All layers of a run, and what the newest row with per-layer values says of them."""

    __slots__ = (
        "_at", "_depth", "_gaps", "_index", "_layouts", "_named", "_newest", "_plain", "_pool", "_values",
        "interval", "moves", "names", "step",
    )  # fmt: skip

    def __init__(self) -> None:
        """No layer seen yet."""
        self.names: list[str] = []
        """Layers in the order in which they turned up; a place in it is theirs for good."""
        self.moves = Moves()
        """Which of them left the usual range of their gradients."""
        self.interval = 1.0
        """Steps between two rows with per-layer values, of the newest of them."""
        self._index: dict[str, int] = {}
        self._layouts: dict[tuple[str, ...], _Layout] = {}
        self._values: dict[str, Floats] = {}
        self._named: dict[str, Flags] = {}
        self._newest: dict[str, Floats] = {}
        self._at = 0
        self._depth = depth_of(())
        self._plain = np.zeros(0, dtype=np.bool_)
        self._pool: tuple[Places, Places] = np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
        self.step = -inf
        """The newest step with per-layer values."""
        self._gaps: deque[float] = deque(maxlen=_GAPS_KEPT)

    def __len__(self) -> int:
        return len(self.names)

    def block(self, columns: Mapping[str, Sequence[float]]) -> bool:
        """Take in the columns of some rows; False where none of them is of a layer."""
        names = tuple(columns)
        layout = self._layouts.get(names)
        if layout is None:
            if len(self._layouts) >= _LAYOUTS_KEPT:
                self._layouts.clear()
            layout = self._layouts[names] = self._laid_out(names)
        self._values = {
            family: self._matrix([columns[name] for name in of], layout.places[family])
            for family, of in layout.columns.items()
        }
        self._named = {family: self._flags(places) for family, places in layout.places.items()}
        return bool(layout.columns)

    def _laid_out(self, names: Sequence[str]) -> _Layout:
        columns: dict[str, list[str]] = {}
        places: dict[str, list[int]] = {}
        for name in names:
            family, _, layer = name.partition("/")
            if family in FAMILIES and layer and layer.lower() not in _NOT_LAYERS:
                if layer not in self._index:
                    self._index[layer] = len(self.names)
                    self.names.append(layer)
                columns.setdefault(family, []).append(name)
                places.setdefault(family, []).append(self._index[layer])
        return _Layout(
            {family: tuple(of) for family, of in columns.items()},
            {family: np.array(at, dtype=np.intp) for family, at in places.items()},
        )

    def _matrix(self, columns: Sequence[Sequence[float]], places: Places) -> Floats:
        """(rows, layers); NaN where a row does not have a layer."""
        matrix = np.full((len(columns[0]), len(self.names)), nan)
        matrix[:, places] = np.array(columns, dtype=np.float64).T
        return matrix

    def _flags(self, places: Places) -> Flags:
        flags = np.zeros(len(self.names), dtype=np.bool_)
        flags[places] = True
        return flags

    def at(self, row: int) -> None:
        """Stand at a row of the block."""
        self._at = row
        for family, matrix in self._values.items():
            self._newest[family] = matrix[row]

    def follow(self, step: float) -> None:
        """Take in the row that this stands at, which is of `step`: how far apart rows are, which layers moved."""
        if self.step < step:
            if self.step > -inf:
                self._space(step - self.step)
            self.step = step
        if (grads := self.row("grad_norm")) is not None:
            self.moves.see(step, grads, self.named("grad_norm"), self.names, self.depth)

    def _space(self, gap: float) -> None:
        """A row came `gap` steps after the one before: a logger that keeps to a budget looks less often by and by."""
        self._gaps.append(gap)
        if gap != self.interval:
            self.interval = max(1.0, median(self._gaps))

    def resume(self, anew: bool) -> None:
        """A session begins; `anew`: what was learned of the layers does not hold any more."""
        self.step = -inf
        self._gaps.clear()
        self.moves.rest()
        if anew:
            self.moves, self._newest = Moves(), {}

    def row(self, family: str) -> Floats | None:
        """The values of the row, one per layer, NaN where it has none; None where no layer has one."""
        matrix = self._values.get(family)
        return matrix[self._at] if matrix is not None else None

    def newest(self, family: str) -> Floats | None:
        """The same of the newest row that has a value of the family; None before the first."""
        values = self._newest.get(family)
        return grown(values, len(self.names), nan) if values is not None else None

    def named(self, family: str) -> Flags:
        """Which layers the row has a value of, be it NaN."""
        flags = self._named.get(family)
        return flags if flags is not None else np.zeros(len(self.names), dtype=np.bool_)

    def rows_for(self, n: int, least: int) -> int:
        """`n` rows of a log with per-layer values at every step, as rows of this log."""
        return max(least, ceil(n / self.interval)) if self.interval > 1.0 else n

    @property
    def ratios(self) -> Floats | None:
        """Update over weight of each layer of the row: as it was logged, or update norm over weight norm."""
        ratio = self.row("update_ratio")
        if ratio is not None:
            return ratio
        update, weight = self.row("update_norm"), self.newest("weight_norm")
        if update is None or weight is None:
            return None
        with np.errstate(over="ignore"):
            return np.divide(update, weight, out=np.full_like(update, nan), where=weight > 0)

    @property
    def update_ratio(self) -> Floats | None:
        """The ratios that tell the size of the steps: those of weights, without layers that do not move at all.

        Biases and gains start at zero or change fast, and frozen layers say nothing of the others.
        """
        ratios = self.ratios
        if ratios is None:
            return None
        for some in (ratios[self.plain & (ratios > 0.0)], ratios[ratios > 0.0]):
            if some.size:
                return some
        known: Floats = ratios[ratios == ratios]
        return known

    @property
    def depth(self) -> Depth:
        """What the names tell of the model."""
        if len(self._depth.order) != len(self.names):
            self._depth = depth_of(self.names)
            members = list(self._depth.blocks.values())
            sizes = [len(of) for of in members]
            self._pool = (
                np.array([i for of in members for i in of], dtype=np.intp),
                np.cumsum([0, *sizes[:-1]], dtype=np.intp),
            )
        return self._depth

    @property
    def plain(self) -> Flags:
        """Which layers are weights: `depth.plain`."""
        self._plain = self._plain if len(self._plain) == len(self.names) else np.array(self.depth.plain, dtype=np.bool_)
        return self._plain

    def by_block(self, values: Floats) -> Floats:
        """The largest positive finite value of each of `depth.blocks` (at least one), 0 where there is none."""
        members, starts = self._pool
        some = values[members]
        return np.maximum.reduceat(np.where((some > 0.0) & (some < inf), some, 0.0), starts)

    def moved_first(self, since: float) -> list[Move]:
        """The layers that left their usual range at `since` or later, the first ones first."""
        return sorted((move for move in self.moves.found if move.step >= since), key=lambda move: move.step)


def printed(values: Floats) -> float:
    """Half of the last decimal place of a row's values, which its zeros can be; 0 where they are not rounded."""
    some = np.unique(values[(values > 0.0) & (values < 1e9)])[:16]
    if len(some) < 4 or (some == np.floor(some)).all():
        return 0.0
    return next((0.5 * 10.0**-places for places in range(1, 7) if (np.round(some, places) == some).all()), 0.0)


def grown(values: NDArray[_T], n: int, fill: float) -> NDArray[_T]:
    """An array of one place per layer, with places for layers that turned up since."""
    if len(values) == n:
        return values
    wider = np.full(n, fill, dtype=values.dtype)
    wider[: len(values)] = values
    return wider
