"""Progress bars: which one is the training's, and which step a row without a step belongs to.

A trainer that prints through tqdm clears the bar, prints, and draws the bar again: the step of a row is the count
of the training bar that follows it. Where the bar's stream is not buffered and the rows' stream is, rows arrive
late and several at once; then each takes the count at the bar's next clearing that no row has taken yet.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from gradtop.sources.text.bar import Bar

ELAPSED = "bar_elapsed_s"
"""The name of the seconds since the bar began, in the rows that it gives their steps."""
MAX_HELD = 64
"""Rows held back for a bar; with more, they are given out with the steps known so far."""
MAX_SLOTS = 10_000
"""Clearings of the bar kept for rows that come later."""


class Stop(NamedTuple):
    """Where the training bar stood for a row."""

    step: int
    elapsed_s: float | None = None
    """Seconds since the bar began; None where it stood elsewhere when it was drawn."""


class BarSteps:
    """Gives rows without a step the step of the training bar."""

    __slots__ = ("_after_other", "_elapsed_s", "_held", "_n", "_open", "_other", "_passed", "_slots", "locked", "total")

    def __init__(self) -> None:
        self.total: int | None = None
        """Steps of the training bar; None before one is seen."""
        self.locked = False
        """Rows were given the steps of this bar: it is the training's for good."""
        self._n = 0
        self._elapsed_s: float | None = None
        self._passed = 0
        self._open = False
        self._other = False
        self._after_other = False
        self._slots: deque[Stop] = deque(maxlen=MAX_SLOTS)
        self._held: list[bool] = []

    @property
    def holding(self) -> int:
        """Rows that wait for a bar."""
        return len(self._held)

    def cleared(self) -> None:
        """The bar was wiped off the line: something is being printed."""
        if not self._open:
            self._open, self._after_other = self.total is not None, self._other

    def hold(self, validation: bool) -> None:
        """One row without a step was read."""
        self._held.append(validation)

    def see(self, bar: Bar) -> list[Stop]:
        """Take one state of a bar in; the places of the rows held back, oldest first, once they are known."""
        self._other = not self._is_training(bar)
        if self._other:
            return []
        n = self._counted(bar.n)
        # A bar that begins again is another launch's: what was printed before it belongs to the old one.
        stop = Stop(n, bar.elapsed_s)
        stops = list(self._settled(stop if n >= self._n else None)) if self._held else []
        # A bar within the training bar is wiped as well when it closes; only a print leaves the count as it was.
        if not stops and self._open and not (self._after_other and n != self._n):
            self._slots.append(stop)
        self._n, self._elapsed_s, self._open = n, bar.elapsed_s, False
        return stops

    def release(self) -> list[Stop]:
        """The places of the rows held back, as well as they are known without a further bar."""
        return list(self._settled(None)) if self._held else []

    def ended(self) -> None:
        """The run is over: the same bar from its start is another launch."""
        self._n = self._passed = 0

    def _counted(self, n: int) -> int:
        """The count over all passes of the bar: one that begins again after its end is drawn for each epoch anew."""
        if n + self._passed < self._n and self.total and self._n >= self._passed + self.total:
            self._passed += self.total
        return n + self._passed

    def _is_training(self, bar: Bar) -> bool:
        if bar.total is None or bar.total <= 0 or not bar.counts_steps or bar.keras or bar.epoch is not None:
            return False
        if bar.label and not _trains(bar.label):
            return False
        finished = self.total is not None and self._n >= self.total
        if self.total is None or (finished and not self.locked and bar.n == 0 and bar.total != self.total):
            self.total, self._n, self._passed = bar.total, 0, 0
            self._slots.clear()
        return bar.total == self.total

    def _settled(self, stop: Stop | None) -> Iterator[Stop]:
        """Places of the rows held back, given the training bar's next state."""
        held, self._held = self._held, []
        self.locked = True
        end = stop or Stop(self._n, self._elapsed_s)
        stops = [*self._slots, end]
        if len(held) > 1 and len(stops) >= len(held):
            yield from stops[: len(held)]
            self._slots = deque(stops[len(held) :], maxlen=MAX_SLOTS)
            return
        self._slots.clear()
        trained = held.count(False)
        if trained <= 1:
            yield from (end for _ in held)
            return
        # Several rows between two states of the bar: evenly spread, from the earlier state on.
        interval = max(1, (end.step - self._n) // trained)
        step = self._n
        for validation in held:
            step += 0 if validation else interval
            yield Stop(step)


def _trains(label: str) -> bool:
    lowered = label.lower()
    return (
        any(word in lowered for word in ("train", "step", "iter")) and "eval" not in lowered and "valid" not in lowered
    )
