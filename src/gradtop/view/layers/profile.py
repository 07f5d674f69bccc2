"""The newest row over depth: one bar per layer, or per few layers where there are more than columns."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtop import units
from gradtop.snapshot import RunSnapshot
from gradtop.view.layers.family import families
from gradtop.view.layers.heat import LayersLook, LayersView
from gradtop.view.layers.tree import depth_order

if TYPE_CHECKING:
    from gradtop.grid import GridView


@dataclass(frozen=True, slots=True)
class Bar:
    """One column."""

    part: float
    """Of the height, 0 to 1; it is that of the least value where a column has several layers."""
    kind: str = ""
    """`zero`, `missing`, `nonfinite`: the worst that one of its layers is; empty: a value."""


@dataclass(frozen=True, slots=True)
class Profile:
    """All layers from input to output."""

    label: str
    step: str
    low: str
    """The value of an empty bar."""
    high: str
    bars: tuple[Bar, ...]
    layers: int
    dead: int
    """Layers whose newest value is exactly zero or missing."""
    each: int
    """Layers of one bar."""
    counts: str = "step"


def profile(run: RunSnapshot | None, columns: int, family: str = "") -> Profile | None:
    """The newest row of a family (grad norm, or the first that there is); None without layers."""
    if run is None or not (known := families(run.view)):
        return None
    view = LayersView(run, LayersLook(family or known[0].name))
    if view.grid is None or view.family is None or not len(view.grid):
        return None
    grid = view.grid
    order = depth_order(grid.names)
    each = max(1, math.ceil(len(order) / max(1, columns)))
    bars = [_bar(grid, view, order[i : i + each]) for i in range(0, len(order), each)]
    step = units.count(grid.newest.step) if math.isfinite(grid.newest.step) else ""
    low, high = view.ends
    counts = grid.x_kind.removesuffix("s")
    return Profile(view.family.label, step, low, high, tuple(bars), len(order), view.dead, each, counts)


def _bar(grid: "GridView", view: LayersView, members: tuple[int, ...]) -> Bar:
    values = [float(grid.newest.values[i]) for i in members]
    named = [bool(grid.newest.named[i]) for i in members]
    if any(there and not math.isfinite(value) for there, value in zip(named, values, strict=True)):
        return Bar(1.0, "nonfinite")
    if not all(named):
        return Bar(0.0, "missing")
    scale, least = view.scale, min(values)
    if scale.log and least == 0.0:
        return Bar(0.0, "zero")
    level = (math.log10(least) if least > 0.0 else -math.inf) if scale.log else least
    part = (max(scale.low, level) - scale.low) / (scale.high - scale.low)
    return Bar(min(1.0, max(0.0, part)))
