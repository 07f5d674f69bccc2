"""Per-layer values over a whole run in bounded memory: layers across, buckets of rows down."""

from gradtop.grid.intake import Grids
from gradtop.grid.name import FAMILIES, split
from gradtop.grid.store import MAX_BUCKETS, MAX_CELLS, MAX_LAYERS, Grid
from gradtop.grid.view import Cell, GridView, LayerView

__all__ = [
    "FAMILIES",
    "MAX_BUCKETS",
    "MAX_CELLS",
    "MAX_LAYERS",
    "Cell",
    "Grid",
    "GridView",
    "Grids",
    "LayerView",
    "split",
]
