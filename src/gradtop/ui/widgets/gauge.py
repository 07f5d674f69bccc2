"""A bar for a share, and facts laid out in lines: label, value, bar, history, remark."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from gradtop import plot
from gradtop.ui.cells import fit, wrap
from gradtop.ui.widgets.canvas import Row
from gradtop.view.system import Fact, History

LABEL_CELLS = 13
_VALUE_CELLS = (6, 22)
"""Least and most cells of the values that have a bar beside them."""
_BAR_CELLS = (10, 6)
"""Of a bar: where there is room, and where there is little."""
_SPARK_CELLS = (8, 48)
"""Least and most cells of a history."""
_GAP = 2


def bar(share: float, cells: int, ascii_only: bool = False) -> Row:
    """A line of `cells` cells, the part `share` of it thick; never empty nor full unless it is."""
    full, rest = ("=", "-") if ascii_only else ("━", "─")
    part = min(1.0, max(0.0, share)) * cells
    thick = cells if part >= cells else min(cells - 1, max(1 if share > 0 else 0, round(part)))
    return ((full * thick, "key"), (rest * (cells - thick), "border"))


@dataclass(frozen=True, slots=True)
class Widths:
    """Cells of the columns beside the labels; 0 leaves a column out."""

    value: int
    bar: int
    spark: int


def widths(facts: Sequence[Fact], room: int) -> Widths:
    """Columns for these facts in `room` cells: the bar goes first where there is too little, then the history."""
    drawn = [fact for fact in facts if fact.share is not None or fact.history is not None]
    least, most = _VALUE_CELLS
    value = max(least, min(most, max((cell_len(fact.value) for fact in drawn), default=least)))
    left = room - value - _GAP
    bar_cells = next((cells for cells in _BAR_CELLS if left >= cells + _GAP + _SPARK_CELLS[0]), 0)
    left -= bar_cells + _GAP if bar_cells else 0
    notes = max((cell_len(fact.note) for fact in drawn if fact.history is not None), default=0)
    noted = left - _GAP - notes
    spark = min(_SPARK_CELLS[1], noted if notes and noted >= 2 * _SPARK_CELLS[0] else left)
    return Widths(value, bar_cells, spark if spark >= _SPARK_CELLS[0] else 0)


def laid_out(facts: Sequence[Fact], width: int, ascii_only: bool = False) -> list[Row]:
    """The facts as rows of at most `width` cells; what does not fit on a line goes on below it."""
    label = LABEL_CELLS if any(fact.label for fact in facts) else 0
    room = max(8, width - label)
    columns = widths(facts, room)
    rows: list[Row] = []
    for fact in facts:
        drawn = fact.share is not None or fact.history is not None
        lines = _gauge(fact, columns, room, ascii_only) if drawn else _text(fact, room)
        for i, line in enumerate(lines):
            rows.append(((fit(fact.label if i == 0 else "", label), "quiet"), *line))
    return rows


def _text(fact: Fact, room: int) -> list[Row]:
    """A value and its remark, wrapped."""
    if cell_len(fact.value) + _GAP + cell_len(fact.note) <= room:
        beside = ((" " * _GAP + fact.note, "quiet"),) if fact.note else ()
        return [((fact.value, fact.ink), *beside)]
    values: list[Row] = [((line, fact.ink),) for line in wrap(fact.value, room)]
    return values + [((line, "quiet"),) for line in wrap(fact.note, room) if fact.note]


def _gauge(fact: Fact, columns: Widths, room: int, ascii_only: bool) -> list[Row]:
    """A value with its bar and its history; the remark behind them, or below."""
    row: list[tuple[str, str]] = [(fit(fact.value, columns.value), fact.ink)]
    if columns.bar:
        drawn: Row = ((" " * columns.bar, "plain"),)
        drawn = bar(fact.share, columns.bar, ascii_only) if fact.share is not None else drawn
        row += [(" " * _GAP, "plain"), *drawn]
    if columns.spark and fact.history is not None:
        row += [(" " * _GAP, "plain"), (_history(fact.history, columns.spark, ascii_only), plot.RAW)]
    left = room - sum(cell_len(text) for text, _ in row) - _GAP
    if not fact.note:
        return [tuple(row)]
    if cell_len(fact.note) <= left:
        return [(*row, (" " * _GAP + fact.note, "quiet"))]
    return [tuple(row), *(((line, "quiet"),) for line in wrap(fact.note, room))]


def _history(past: History, cells: int, ascii_only: bool) -> str:
    return plot.history(past.times, past.values, cells, past.low, past.high, ascii_only)
