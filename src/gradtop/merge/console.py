"""What `gradtop run` recorded of a terminal beside the stream of the same training: it never tells of another one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from gradtop.merge.align import OFFSETS, compared
from gradtop.merge.track import Lane, Lap, Track
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


@dataclass(frozen=True, slots=True)
class Stand:
    """Where one lap of a console stands, by the launches that it tells of."""

    session: int | None
    """Of its stream, for its rows; None where the stream has none that counts like it."""
    shift: int
    """Added to its steps: a script that goes on where it was, but with a new optimizer, has a stream from 1."""
    ended: int
    """The session in which its launch ended."""
    known: bool
    """The stream has rows of that launch."""


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


def from_zero(track: Track, stream: Track, x_kind: str) -> int:
    """What is added to the steps of a console whose values do not tell: 1 where it calls the stream's first step 0."""
    return int((track.lanes(x_kind)[0].first, stream.lanes(x_kind)[0].first) == (0, 1))


def stands(track: Track, stream: Track, x_kind: str) -> tuple[Stand, ...]:
    """Where the laps of a console stand; empty where it does not say that anything was launched again."""
    lanes = stream.lanes(x_kind)
    begun = [lane.began for lane in lanes]
    times = [time for time in begun if time is not None]
    if not any(lap.began is not None for lap in track.laps) or not times or len(times) < len(begun):
        return ()
    found: list[Stand] = []
    for laps, start, stop in _launches(track.laps):
        ended = max(0, sum(time < stop for time in times) - 1)
        mine = [s for s, time in enumerate(times) if start <= time < stop]
        unknown = sum(x_kind in lap.lanes for lap in laps) - len(mine)
        for lap in laps:
            counts = x_kind in lap.lanes
            session = mine[-unknown] if counts and unknown <= 0 and mine else None
            shift = _shift(lap.lanes[x_kind], lanes[session]) if session is not None else None
            found.append(Stand(session if shift is not None else None, shift or 0, ended, bool(mine)))
            unknown -= counts
    return tuple(found)


def _launches(laps: Sequence[Lap]) -> Iterator[tuple[list[Lap], float, float]]:
    """The laps of each launch, with the times at which it and the next one began."""
    groups: list[list[Lap]] = [[]]
    for lap in laps:
        if lap.began is not None:
            groups.append([])
        groups[-1].append(lap)
    starts = [-inf, *(group[0].began or -inf for group in groups[1:]), inf]
    yield from zip(groups, starts, starts[1:], strict=False)


def _shift(mine: Lane, lane: Lane) -> int | None:
    """What makes the steps of a console those of its stream: the values tell, or else the steps; None for nothing."""
    anew = round(lane.first - 1 + mine.gap - mine.first)
    near = [*OFFSETS, *(anew + offset for offset in OFFSETS)]
    if (same := next((shift for shift in near if compared([mine], lane.values_at, shift).same), None)) is not None:
        return same
    return next((shift for shift in (0, anew) if _together(mine, lane, shift)), None)


def _together(mine: Lane, lane: Lane, shift: int) -> bool:
    """The two begin and end at about the same steps."""
    slack = _BEHIND * mine.gap + 1.0
    at_end = max(slack, _APART * (lane.last - lane.first + 1))
    return abs(mine.first + shift - lane.first) <= slack and abs(mine.last + shift - lane.last) <= at_end


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
