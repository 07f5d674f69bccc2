"""Per-layer values over a whole run in bounded memory: layers across, buckets of rows down."""

from gradtop.grid.intake import Grids
from gradtop.grid.name import FAMILIES, split
from gradtop.grid.store import MAX_BUCKETS, MAX_CELLS, MAX_LAYERS, Grid
from gradtop.grid.view import BLANK, HEAT, MISSING, NONFINITE, ZERO, Cell, GridView, LayerView, Scale

__all__ = [
    "BLANK",
    "FAMILIES",
    "HEAT",
    "MAX_BUCKETS",
    "MAX_CELLS",
    "MAX_LAYERS",
    "MISSING",
    "NONFINITE",
    "ZERO",
    "Cell",
    "Grid",
    "GridView",
    "Grids",
    "LayerView",
    "Scale",
    "split",
]
