"""What `gradtop run` recorded of a terminal beside the stream of the same training: it never tells of another one."""

from collections.abc import Iterable, Mapping, Sequence

from gradtop.merge.track import Track
from gradtop.record import Rows

RECORDED = "output.log"
"""The file of `gradtop run` with what the command printed."""
_JUDGED = ("loss", "grad_norm")
_LEAST = 3
"""Rows that tell how a console counts."""
_BEHIND = 3.0
"""Gaps between two rows that a console may be behind its stream: the next row is not printed yet."""
_APART = 0.25
"""Part of the steps by which the two may differ: a fast loop prints hundreds of steps before the stream is flushed.

Epochs, batches of an epoch and micro-batches are off by a factor of 2 at the least.
"""


def stream_beside(track: Track, others: Iterable[Track]) -> Track | None:
    """The stream that a console was recorded beside; None where the track is no such console."""
    if track.part.path.name != RECORDED:
        return None
    folder = track.part.path.parent
    return next((other for other in others if other.format == "gradtop" and other.part.path.parent == folder), None)


def keeps_pace(track: Track, stream: Track, x_kind: str) -> bool:
    """The newest steps of the two are about the same: both count the same, though the values may be averages."""
    mine, lane = track.lanes(x_kind)[-1], stream.lanes(x_kind)[-1]
    if mine.rows < _LEAST:
        return True
    gap = (mine.last - mine.first) / (mine.rows - 1)
    return abs(lane.last - mine.last) <= max(_BEHIND * gap + 1.0, _APART * lane.last)


def beside(rows: Rows, exact: frozenset[str]) -> Rows | None:
    """Rows of a console without the metrics that its stream has; None where nothing is left."""
    return _with(rows, {name: column for name, column in rows.columns.items() if name not in exact})


def of_other_kind(rows: Rows, names: frozenset[str]) -> Rows | None:
    """Rows of a console that count otherwise than the run; what a run is judged by must not make it count so too."""
    kept = {name: column for name, column in rows.columns.items() if name not in names}
    return _with(rows, {f"{n} by {rows.x_kind}" if n in _JUDGED else n: column for n, column in kept.items()})


def _with(rows: Rows, columns: Mapping[str, Sequence[float]]) -> Rows | None:
    below = {name: bound for name, bound in rows.below.items() if name in columns}
    return Rows(rows.steps, columns, below=below, x_kind=rows.x_kind) if columns else None
