"""Which part of a run all charts of a screen show, and where the cursor is. In steps, whatever the x axis counts."""

import math
from dataclasses import dataclass

from gradtop.view import STEP, Across

LEAST_ROWS = 4
"""Rows that a window has at least."""
ARRIVAL_ROWS = 240
"""Rows around a step that somebody wants to see."""
Window = tuple[float, float]


@dataclass
class Viewport:
    """What the user looks at. `whole` is the x axis at rest; a window never leaves it."""

    whole: Window = (0.0, 1.0)
    rows: int = 1
    """Rows in it, which say how far it makes sense to zoom in."""
    window: Window | None = None
    """None: the whole run, and what comes."""
    cursor: float | None = None
    selected: Window | None = None
    """What is being selected, from where to where."""
    kind: str = STEP
    """What the x axis should count."""
    across: Across | None = None
    """None where it counts steps, or the run does not tell of anything else."""

    @property
    def seen(self) -> Window:
        """The steps at the left and the right edge."""
        return self.window or self.whole

    @property
    def least(self) -> float:
        """The narrowest window in steps."""
        return LEAST_ROWS * max((self.whole[1] - self.whole[0]) / max(1, self.rows), 1e-12)

    def fit(self, whole: Window, rows: int) -> None:
        """The run is so long now."""
        self.whole, self.rows = whole, rows
        if self.window is not None:
            self._look_at(*self.window)

    def step_at(self, part: float) -> float:
        """The step at a part of the width."""
        first, last = self.seen
        return self.across.step_at(self.seen, part) if self.across is not None else first + (last - first) * part

    def part_of(self, step: float) -> float:
        """Where a step lies across the width, 0 to 1 where it is seen."""
        first, last = self.seen
        if self.across is not None:
            first, last, step = self.across.places.places((first, last, step))
        return (step - first) / (last - first) if last > first else 0.0

    def zoom(self, factor: float, around: float) -> None:
        """Show a part `factor` times smaller (below 1: larger), with a step where it is."""
        first, last = self.seen
        around = min(max(around, first), last)
        if self.across is not None:
            a, b = self.across.zoomed(self.seen, around, factor)
        else:
            a, b = around - (around - first) / factor, around + (last - around) / factor
        if factor <= 1 or b - a >= self.least:
            self._look_at(a, b)

    def pan(self, part: float) -> None:
        """Move by a part of the width."""
        if self.window is not None:
            first, last = self.window
            by = (last - first) * part
            self._look_at(
                *(self.across.moved(self.window, part) if self.across is not None else (first + by, last + by))
            )

    def select(self) -> None:
        """Show what is selected."""
        if self.selected is not None:
            first, last = sorted(self.selected)
            middle, half = (first + last) / 2, max(last - first, self.least) / 2
            self.selected = None
            self._look_at(middle - half, middle + half)

    def reveal(self, step: float) -> None:
        """Put the cursor on a step, and take the window along."""
        self.cursor = step
        if self.window is not None and not self.window[0] <= step <= self.window[1]:
            half = (self.window[1] - self.window[0]) / 2
            self._look_at(step - half, step + half)

    def arrive(self, step: float) -> None:
        """Put the cursor on a step, and show so little around it that single rows can be told apart."""
        span = ARRIVAL_ROWS * self.least / LEAST_ROWS
        if self.seen[1] - self.seen[0] > span:
            self._look_at(step - span / 2, step + span / 2)
        self.reveal(step)

    def _look_at(self, first: float, last: float) -> None:
        """Show a window, moved into the run; None where that is all of it."""
        low, high = self.whole
        span = last - first
        if not math.isfinite(span) or span >= (high - low) * (1 - 1e-9):
            self.window = None
            return
        if self._whole_steps:
            # An edge at step 161.125 would say what no row is at.
            first, span = float(round(first)), float(round(span))
        first = max(low, min(first, high - span))
        self.window = (first, first + span)

    @property
    def _whole_steps(self) -> bool:
        """Rows are a step or more apart, and the axis counts steps."""
        apart = self.whole[1] - self.whole[0] >= self.rows - 1
        return apart and self.across is None and all(map(float.is_integer, map(float, self.whole)))
