"""Which charts and tiles there is room for on the Overview, and where."""

from collections.abc import Sequence
from dataclasses import dataclass

_NARROW, _WIDE, _VERY_WIDE = 72, 100, 180
"""Columns of the screen from which charts stand beside each other, in more than three, in three columns."""
_ROWS_STACKED, _ROWS_WIDE = 6, 11
"""Least rows of a chart: on a small screen, and where there is room."""
_CHARTS_LEAST = 12
"""Rows that are left to the charts when tiles take theirs."""
_CHARTS_SHARE = 0.6
"""The part of all rows that is left to them."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What is shown."""

    columns: int
    first: int
    """The first chart shown."""
    shown: int
    """How many of them are."""
    tiles: tuple[int, ...]
    """Rows of each tile; 0 where it is not shown."""


def layout(count: int, width: int, height: int, wanted: Sequence[int], number: int, *, full: bool) -> Layout:
    """The layout of `count` charts and of tiles that want some rows each; chart `number` is among those shown."""
    if full:
        return Layout(1, number, 1, (0,) * len(wanted))
    tiles = heights(wanted, height)
    columns, shown = arrangement(count, width, height - sum(tiles))
    return Layout(columns, min(number // shown * shown, count - shown), shown, tiles)


def heights(wanted: Sequence[int], height: int) -> tuple[int, ...]:
    """Rows for each tile: all that it wants or none, the first ones first, so that charts keep most of the height."""
    left = height - max(_CHARTS_LEAST, round(height * _CHARTS_SHARE))
    given: list[int] = []
    for rows in wanted:
        given.append(rows if 0 < rows <= left - sum(given) else 0)
    return tuple(given)


def arrangement(count: int, width: int, height: int) -> tuple[int, int]:
    """(columns, charts shown) for `count` charts in `width` by `height` cells; an odd first chart takes a whole row."""
    if width < _NARROW or count == 1:
        return 1, min(count, max(1, height // _ROWS_STACKED))
    columns = 3 if width >= _VERY_WIDE and count >= 5 else 2
    rows = max(1, height // (_ROWS_WIDE if width >= _WIDE else _ROWS_STACKED))
    return columns, min(count, columns * rows, count if width >= _WIDE else max(2, columns * rows - 1))
