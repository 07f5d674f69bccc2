"""The x axis: labels at round steps, and how far the axis of a live run reaches. Pure."""

import math
from collections.abc import Iterable

from gradtop.plot.rounding import nice_step

Labels = tuple[tuple[int, str], ...]
"""(cell, text) from left to right."""


def step_labels(first: float, last: float, width: int) -> Labels:
    """(cell, text) along an x axis of `width` cells: round steps about every 16 cells, and the two ends."""
    if not last > first:
        return ((0, _step(first)),) if width > len(_step(first)) else ()
    every = nice_step((last - first) / max(1, width / 16))
    if not math.isfinite(every) or not math.isfinite(last - first):
        return placed(first, last, width, (), _step(first), _step(last))
    numbers = range(math.ceil(first / every), math.floor(last / every) + 1)
    ticks = ((n * every, _step(round(n * every, 9))) for n in numbers)
    return placed(first, last, width, ticks, _step(first), _step(last))


def placed(first: float, last: float, width: int, ticks: Iterable[tuple[float, str]], start: str, end: str) -> Labels:
    """Labels of `ticks` (rising values) between those of the two ends, none of which touches another.

    The end goes before the start, and both before the ticks; without room for the end there is none.
    """
    if len(end) >= width:
        return ()
    labels = [(width - len(end), end)]
    free = width - len(end) - 1
    left = len(start) + 1 if len(start) < free else 0
    for value, text in ticks:
        at = int((value - first) / (last - first) * width) - len(text) // 2
        if at >= left and at + len(text) <= free:
            labels.append((at, text))
            left = at + len(text) + 2
    return tuple(sorted([(0, start), *labels] if len(start) < free else labels))


def _step(step: float) -> str:
    if abs(step) >= 1e15 or 0 < abs(step) < 5e-4:
        return f"{step:.3g}"
    return f"{int(step):,}" if step == int(step) else f"{step:,.3f}".rstrip("0").rstrip(".")


def grown_end(first: float, last: float) -> float:
    """The right end of an x axis that a live run grows into: a round step, moved about eight times a decade."""
    if not math.isfinite(last - first):
        return last
    every = nice_step(max(last - first, 10.0) / 4)
    end = (math.floor(last / every) + 1) * every
    return end if math.isfinite(end) and end > last else last
