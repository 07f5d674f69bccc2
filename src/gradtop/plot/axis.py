"""The x axis: labels at round steps, and how far the axis of a live run reaches. Pure."""

import math

from gradtop.plot.rounding import nice_step


def step_labels(first: float, last: float, width: int) -> list[tuple[int, str]]:
    """(cell, text) along an x axis of `width` cells: round steps about every 16 cells, and the two ends."""
    if not last > first:
        return [(0, _step(first))][: 1 if width > len(_step(first)) else 0]
    end = _step(last)
    if len(end) >= width:
        return []
    labels = [(width - len(end), end)]
    free = width - len(end) - 1
    every = nice_step((last - first) / max(1, width / 16))
    start = _step(first)
    left = len(start) + 1 if len(start) < free else 0
    for n in range(math.ceil(first / every), math.floor(last / every) + 1):
        text = _step(round(n * every, 9))
        at = int((n * every - first) / (last - first) * width) - len(text) // 2
        if at >= left and at + len(text) <= free:
            labels.append((at, text))
            left = at + len(text) + 2
    return sorted([(0, start), *labels] if len(start) < free else labels)


def _step(step: float) -> str:
    return f"{int(step):,}" if step == int(step) else f"{step:,.3f}".rstrip("0")


def grown_end(first: float, last: float) -> float:
    """The right end of an x axis that a live run grows into: a round step, moved about eight times a decade."""
    every = nice_step(max(last - first, 10.0) / 4)
    return (math.floor(last / every) + 1) * every
