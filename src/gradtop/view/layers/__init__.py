"""The Layers room as plain data: lines of a heatmap, what its cells say, one layer in full, the profile over depth."""

from gradtop.view.layers.detail import layer_chart, layer_entries
from gradtop.view.layers.family import FAMILIES, Family, families
from gradtop.view.layers.heat import LayersLook, LayersView, Reading, without_layers
from gradtop.view.layers.profile import Bar, Profile, profile
from gradtop.view.layers.tree import ORDERS, LayerRow, folded_further, to_blocks, unfolded

__all__ = [
    "FAMILIES",
    "ORDERS",
    "Bar",
    "Family",
    "LayerRow",
    "LayersLook",
    "LayersView",
    "Profile",
    "Reading",
    "families",
    "folded_further",
    "layer_chart",
    "layer_entries",
    "profile",
    "to_blocks",
    "unfolded",
    "without_layers",
]
