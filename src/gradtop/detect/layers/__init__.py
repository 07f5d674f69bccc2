"""Rules over per-layer values."""

from collections.abc import Callable

from gradtop.detect.case import Rule
from gradtop.detect.layers.dead import DeadLayer
from gradtop.detect.layers.frozen import FrozenLayer
from gradtop.detect.layers.growth import ActivationGrowth
from gradtop.detect.layers.imbalance import LayerImbalance
from gradtop.detect.layers.movement import Movement
from gradtop.detect.layers.units import DeadUnits
from gradtop.detect.layers.update import UpdateRatio
from gradtop.detect.signals import Signals

RULES: tuple[Callable[[Signals], Rule], ...] = (
    Movement, DeadLayer, FrozenLayer, LayerImbalance, UpdateRatio, DeadUnits, ActivationGrowth,
)  # fmt: skip
"""The rules of this group, in the order in which they look at a row: what the others rely on first."""
