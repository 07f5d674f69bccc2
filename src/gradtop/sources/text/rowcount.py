"""What rows count by in a log that prints no step: the epoch, where it tells rows apart, or else their number."""

import math
import re

from gradtop.record import Scalar
from gradtop.sources.fields.number import is_whole

COARSE_EPOCH = 0.02
"""An epoch printed with two decimals rises from row to row if the first row is at least at this part of it."""
SETTLED = 5
"""After this many rows without a step, prose that names a step is no row: a log counts in one way."""

_WITHIN_EPOCH = re.compile(r"\][\s,]*\[\s*\d|batch|\(\s*\d+\s*/|\d\s?%\s?\]", re.IGNORECASE)


def scalar(step: float) -> Scalar:
    """A step as it is stored: whole ones are integers."""
    return int(step) if is_whole(step) else step


class RowCount:
    """Counts the rows of one log; the first row decides by what."""

    __slots__ = ("_by_epoch", "_trained", "n")

    def __init__(self) -> None:
        self.n = 0
        """Rows so far."""
        self._by_epoch: bool | None = None
        self._trained: float | None = None

    @property
    def settled(self) -> bool:
        """The log counts in this way, and a step in prose is none."""
        return self.n >= SETTLED

    def own(self, epoch: float | None, text: str, structured: bool, sure: bool) -> tuple[Scalar, str] | None:
        """Where a row with or without an epoch of its own stands, and what it counts by; None where it has no place."""
        epoch = math.nan if epoch is None else epoch
        if self._by_epoch is None:
            rises = _rises(epoch, structured) and not _WITHIN_EPOCH.search(text)
            self._by_epoch = (sure and math.isfinite(epoch)) or rises
        return self._place(epoch)

    def under(self, heading: float) -> tuple[Scalar, str] | None:
        """Where a row stands whose epoch a heading told."""
        self._by_epoch = self._by_epoch is not False
        return self._place(heading)

    def trained(self, epoch: float) -> None:
        """A line of prose gives a loss in this epoch: with a second one soon, the log does not count by epochs."""
        if epoch == self._trained and not self.settled:
            self._by_epoch, self.n = False, max(self.n, math.ceil(epoch))
        self._trained = epoch

    def _place(self, epoch: float) -> tuple[Scalar, str] | None:
        self.n += 1
        if not self._by_epoch:
            return self.n, "row"
        return (scalar(epoch), "epoch") if math.isfinite(epoch) else None


def _rises(epoch: float, structured: bool) -> bool:
    """The epoch of the first row says that later rows print higher ones: it counts epochs, or is not cut too short."""
    if not math.isfinite(epoch) or epoch == 0.0:
        return not structured and epoch == 0.0
    return epoch >= COARSE_EPOCH or not is_whole(round(epoch * 100, 6))
