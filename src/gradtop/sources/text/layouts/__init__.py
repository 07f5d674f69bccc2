"""All layouts of rows that span several lines, asked as one."""

from collections.abc import Callable

from gradtop.sources.fields.prefix import Prefix
from gradtop.sources.reader import Line
from gradtop.sources.text.layout import Layout, Row
from gradtop.sources.text.layouts.announced import AnnouncedValidations
from gradtop.sources.text.layouts.columns import ColumnTables
from gradtop.sources.text.layouts.detection import DetectionEpochs
from gradtop.sources.text.layouts.headed import HeadedBlocks
from gradtop.sources.text.layouts.metric_line import MetricLines
from gradtop.sources.text.layouts.spread import SpreadObjects
from gradtop.sources.text.layouts.table import ValueTables

LAYOUTS: tuple[Callable[[], Layout], ...] = (
    DetectionEpochs,
    HeadedBlocks,
    ValueTables,
    ColumnTables,
    MetricLines,
    SpreadObjects,
    AnnouncedValidations,
)
"""All layouts, in the order in which they are asked."""
MAX_FIRST = 400
"""Characters of a line beyond which no block begins with it."""
_MARKS = tuple(dict.fromkeys(mark for make in LAYOUTS for mark in make().marks))


class Layouts:
    """The layouts of one log."""

    __slots__ = ("_layouts", "open")

    def __init__(self) -> None:
        self._layouts = tuple(make() for make in LAYOUTS)
        self.open = False
        """A block has begun and has not ended: every line is offered."""

    def may_begin(self, lowered: str) -> bool:
        """A block may begin in a line that no rule for single lines reads."""
        if len(lowered) > MAX_FIRST or "...." in lowered:
            return False
        return bool([mark for mark in _MARKS if mark in lowered])

    def take(self, text: str, prefix: Prefix, line: Line, barred: bool = False) -> tuple[str | None, list[Row]]:
        """Offer a line to all, so that an open block ends where it does: the layout whose line it is, and the rows.

        A line with a progress bar in it (`barred`) is offered to the layouts that read such lines.
        """
        rule: str | None = None
        rows: list[Row] = []
        lowered = text.lower()
        for layout in self._layouts:
            if (barred and not layout.bars) or not (layout.open or [m for m in layout.marks if m in lowered]):
                continue
            taken = layout.take(text, prefix, line)
            rows += taken.rows
            if taken.mine:
                rule = rule or layout.name
        self.open = any(layout.open for layout in self._layouts)
        return rule, rows

    def close(self) -> list[Row]:
        """The rows of open blocks, because nothing more came."""
        rows = [row for layout in self._layouts for row in layout.close()]
        self.open = any(layout.open for layout in self._layouts)
        return rows
