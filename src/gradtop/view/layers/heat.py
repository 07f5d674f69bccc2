"""The heatmap of one family: its lines, their codes, its scale, and what a cell says in words."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtop import units
from gradtop.clean import clean
from gradtop.filter import Filter
from gradtop.finding import Finding, FindingState, Standing
from gradtop.plot import grown_end
from gradtop.plot.shade import Shades
from gradtop.snapshot import RunSnapshot, RunState
from gradtop.view.entry import Entry
from gradtop.view.layers.family import Family, families
from gradtop.view.layers.tree import LayerRow, in_depth, ordered

if TYPE_CHECKING:
    from gradtop.grid import Cell, GridView

_LEAST_DECADES = 1.0
_STEP = 0.5
"""Ends of a scale are multiples of this many decades, so that new values rarely move it."""
_LARGEST_LOG = 308.0
"""Whole decades that a float can hold."""
NAME_CHARS = 300
_ALL = Filter()


@dataclass(frozen=True, slots=True)
class LayersLook:
    """How the user looks at the layers."""

    family: str = "grad_norm"
    order: str = "depth"
    found: Filter = _ALL
    folded: frozenset[str] = frozenset()
    window: tuple[float, float] | None = None
    """Steps that are shown; None: all of them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the cell under the cursor says."""

    name: str
    step: str
    value: str
    ink: str = "value"


def without_layers(run: RunSnapshot | None) -> tuple[Entry, ...]:
    """What stands where a heatmap would be: what adds values per layer to a training."""
    lead = f"{clean(run.name, 200)} has no values per layer" if run is not None else "There is no run yet."
    return (
        Entry(lead, "title"),
        Entry("Its log has no metric like grad_norm/layers.0.attn. Two ways to add them:"),
        Entry("Start the training through gradtop; nothing in it changes", "heading"),
        Entry("gradtop run -- python train.py", "value", 2),
        Entry("Or three lines in its loop", "heading"),
        Entry("from gradtop import Logger", "value", 2),
        Entry('log = Logger("logs", model, optimizer)', "value", 2),
        Entry("log.step(loss=loss)   # after each optimizer.step()", "value", 2),
        Entry(
            "Keys that frameworks write are understood too: Lightning's grad_2.0_norm/…, Composer's l2_norm/grad/…, "
            "gpt-neox's gradient_norms/…, OLMo's grad/….norm, Levanter's grad/norm/….",
            "quiet",
        ),
    )


class LayersView:
    """The layers of a run, as they are looked at. Only what is asked for is computed."""

    def __init__(self, run: RunSnapshot | None, look: LayersLook) -> None:
        """Of a run, or of none yet."""
        self.run, self.look = run, look
        self.families: tuple[Family, ...] = families(run.view) if run is not None else ()
        self.family = next(
            (f for f in self.families if f.name == look.family), self.families[0] if self.families else None
        )
        self.grid: GridView | None = run.view.layers[self.family.name] if run is not None and self.family else None
        self._scale: Shades | None = None
        self._bad = _layers_with_findings(run)
        self.rows: tuple[LayerRow, ...] = ()
        self.total = len(self.grid) if self.grid is not None else 0
        if self.grid is not None:
            self._middle = _middle(self.grid)
            rows = in_depth(self.grid.names, look.folded, look.found)
            self.rows = ordered(rows, look.order, self._badness)

    @property
    def extent(self) -> tuple[float, float]:
        """The whole x axis; a live run has room to grow into."""
        if self.grid is None or self.run is None:
            return 0.0, 1.0
        first, last = self.grid.first_step or 0.0, self.grid.last_step or 0.0
        growing = self.run.state in (RunState.LIVE, RunState.LOADING, RunState.STALLED)
        return first, grown_end(first, last) if growing else last

    @property
    def window(self) -> tuple[float, float]:
        """The steps that are shown."""
        return self.look.window or self.extent

    @property
    def scale(self) -> Shades:
        """What the shades mean: the same for all layers and steps, whatever is on the screen."""
        if self._scale is None:
            self._scale = _scale(self.grid, self.family)
        return self._scale

    @property
    def ends(self) -> tuple[str, str]:
        """The values at the two ends of the scale."""
        return self._end(self.scale.low), self._end(self.scale.high)

    def _end(self, level: float) -> str:
        return units.number(10.0 ** min(level, _LARGEST_LOG) if self.scale.log else level, 2)

    def name(self, i: int) -> str:
        """What a line is called."""
        row = self.rows[i]
        return clean(row.key, NAME_CHARS)

    def note(self, i: int) -> str:
        """How many layers a folded line has, and what is wrong with some of them; empty of a single layer."""
        row = self.rows[i]
        if not row.folded or self.grid is None:
            return ""
        newest, lost = self.grid.newest, [i for i in row.members if self.silent(i)]
        broken = sum(1 for i in row.members if newest.named[i] and not math.isfinite(newest.values[i]))
        parts = [f"{len(row.members)}"]
        parts += [f"{len(lost)} dead"] if lost else []
        return ", ".join([*parts, *([f"{broken} NaN/Inf"] if broken else [])])

    def silent(self, place: int) -> bool:
        """The newest row has no value of a layer, or exactly zero, on a scale where that is news."""
        if self.grid is None or self.family is None:
            return False
        newest = self.grid.newest
        return not newest.named[place] or (self.family.log and float(newest.values[place]) == 0.0)

    @property
    def dead(self) -> int:
        """How many layers are silent now."""
        return sum(1 for i in range(self.total) if self.silent(i))

    def flagged(self, i: int) -> bool:
        """A finding that holds is about a line, or a layer in it."""
        return self.grid is not None and any(self.grid.names[place] in self._bad for place in self.rows[i].members)

    def codes(self, start: int, stop: int, columns: int) -> list[bytes]:
        """The lines `start` to `stop` as codes, see `gradtop.grid`."""
        if self.grid is None:
            return []
        groups = [row.members for row in self.rows[start:stop]]
        return self.grid.codes(groups, columns, *self.window, self.scale)

    def cell(self, i: int, columns: int, at: int) -> "Cell | None":
        """What a cell stands for; None without rows."""
        if self.grid is None or not self.rows or not 0 <= at < columns:
            return None
        return self.grid.cell(self.rows[i].members, columns, at, *self.window, self.scale)

    def reading(self, i: int, columns: int, at: int) -> Reading:
        """What a cell says in words."""
        cell = self.cell(i, columns, at)
        first, last = self.window
        if cell is None:
            middle = first + (at + 0.5) * (last - first) / columns
            return Reading(self.name(i), f"about step {units.count(round(middle))}", "no row", "quiet")
        step = units.count(cell.first_step)
        if cell.last_step != cell.first_step:
            step = f"{step} to {units.count(cell.last_step)}"
        counts = "step" if self.grid is None else self.grid.x_kind.removesuffix("s")
        several = f" in {cell.rows:,} rows" if cell.rows > 1 else ""
        value, ink = self._said(cell)
        return Reading(self.name(i), f"{counts} {step}", value + several, ink)

    def _said(self, cell: "Cell") -> tuple[str, str]:
        lost = " and ".join(word for word, some in (("NaN", cell.nan), ("Inf", cell.inf)) if some)
        if cell.high != cell.high:
            return (lost, "act") if lost else (self.family.lacking if self.family else "no value", "watch")
        low, high = (units.number(value) for value in (cell.low, cell.high))
        value = high if cell.low == cell.high else f"{low} to {high}"
        if cell.low == cell.high == 0.0:
            value = "exactly 0"
        elif cell.zeros and cell.low == 0.0:
            value = f"{low} (exactly) to {high}"
        silent = self.family is not None and self.family.log and cell.low == cell.high == 0.0
        return (f"{lost}, else {value}", "act") if lost else (value, "watch" if silent else "value")

    def _badness(self, place: int) -> tuple[float, ...]:
        """With a finding, not finite, zero or missing; then by decades from the middle of all layers."""
        if self.grid is None or self.family is None:
            return (0.0,)
        value = float(self.grid.newest.values[place])
        named = bool(self.grid.newest.named[place])
        if not self.family.log:
            far = value if value == value else 0.0
        else:
            far = abs(math.log10(value) - self._middle) if 0.0 < value < math.inf else 0.0
        found = self.grid.names[place] in self._bad
        return float(found), float(named and not math.isfinite(value)), float(self.silent(place)), far


def _layers_with_findings(run: RunSnapshot | None) -> frozenset[str]:
    """Layers by their cleaned names, as scopes have them, and as the log has them."""
    return frozenset(layer for f in (run.findings if run else ()) if active(f) for layer in layers_of(f))


def active(finding: Finding) -> bool:
    """It holds, and its user did not set it aside."""
    return finding.state is FindingState.ACTIVE and finding.standing is Standing.OPEN


def layers_of(finding: Finding) -> tuple[str, ...]:
    """The layers that a finding is about; none where it is about all or where they are not named."""
    layer = finding.scope.removeprefix("layer:")
    return (layer,) if layer != finding.scope else ()


def _middle(grid: "GridView") -> float:
    """The median of the logarithms of the newest values."""
    logs = sorted(math.log10(value) for value in grid.newest.values.tolist() if 0.0 < value < math.inf)
    return logs[len(logs) // 2] if logs else 0.0


def _scale(grid: "GridView | None", family: Family | None) -> Shades:
    if grid is None or family is None or not family.log:
        return Shades(0.0, 1.0, log=False)
    low, high = grid.spread(log=True) or (-1.0, 0.0)
    low, high = math.floor(low / _STEP) * _STEP, math.ceil(high / _STEP) * _STEP
    if high - low < _LEAST_DECADES:
        low, high = low - _STEP, low - _STEP + max(_LEAST_DECADES, high - low + _STEP)
    return Shades(low, high)
