"""Histories drawn large, in rows that are left below facts."""

from collections.abc import Sequence
from itertools import zip_longest

from rich.cells import cell_len

from gradtop import plot, units
from gradtop.ui.widgets import box
from gradtop.ui.widgets.canvas import Row
from gradtop.view.system import Fact, History

_LEAST_ROWS, _MOST_ROWS = 3, 8
"""Of one history, its title left out."""
_LEAST_CELLS, _TWO_CELLS = 24, 92
"""Cells from which there is one beside the facts' labels, and from which two stand beside each other."""
_GAP = 3


def outlines(facts: Sequence[Fact], width: int, rows: int, ascii_only: bool = False) -> list[Row]:
    """As many of the facts' histories as fit into `rows` rows of `width` cells, the first facts first."""
    drawn = [fact for fact in facts if fact.history is not None]
    columns = 2 if width >= _TWO_CELLS and len(drawn) > 1 else 1
    # A title, the picture, and an empty row above.
    bands = min(-(-len(drawn) // columns), rows // (_LEAST_ROWS + 2))
    if bands < 1 or width < _LEAST_CELLS:
        return []
    height = min(_MOST_ROWS, rows // bands - 2)
    cells = (width - _GAP * (columns - 1)) // columns
    out: list[Row] = []
    for at in range(0, bands * columns, columns):
        pictures = [_picture(fact, cells, height, ascii_only) for fact in drawn[at : at + columns]]
        out.append(())
        out += [_joined(line, cells) for line in zip_longest(*pictures, fillvalue=())]
    return out


def _joined(pieces: Sequence[Row], cells: int) -> Row:
    """Pieces of `cells` cells each, side by side."""
    row: list[tuple[str, str]] = []
    for i, piece in enumerate(pieces):
        row += [(" " * _GAP, "plain")] if i else []
        row += box.cropped(piece, cells)
    return tuple(row)


def _picture(fact: Fact, cells: int, height: int, ascii_only: bool) -> list[Row]:
    """What it is and its scale, then the rows of the picture."""
    past = fact.history
    assert past is not None
    glyphs = plot.ASCII if ascii_only else plot.BRAILLE
    drawn = plot.outline(past.times, past.values, cells, height, past.low, past.high, glyphs)
    return [_title(fact, past, cells), *(((line, plot.SMOOTH),) for line in drawn)]


def _title(fact: Fact, past: History, cells: int) -> Row:
    lead: Row = ((f"{fact.label} ", "quiet"), (fact.value, fact.ink))
    scale = f"0 to {past.top}, last {units.duration(past.times[-1] - past.times[0])}"
    left = cells - box.width_of(lead) - cell_len(scale)
    return (*lead, (" " * left, "plain"), (scale, "quiet")) if left >= _GAP else lead
