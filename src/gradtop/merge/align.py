"""How far two sources tell of the same steps: value by value, under the shifts that numbering from 0 or 1 makes."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from gradtop.merge.track import Lane, Track, compact_steps
from gradtop.record import Rows
from gradtop.sources.fields.plan import MEASURED
from gradtop.sources.search.agreement import AGREEING, LEAST, Agreement, agree

SAMPLED = 300
"""Rows of a source that are compared with another."""
OFFSETS = (0, 1, -1)
"""Shifts between two numberings: from 0 and from 1."""

Values = Callable[[float, str], Iterable[float]]
"""(step, metric) to the values that another source has there."""


def compared(lanes: Sequence[Lane], values: Values, offset: float = 0) -> Agreement:
    """The measured values of some rows against those of another source at the same steps, moved by `offset`."""
    total = agreeing = 0
    for lane in lanes:
        for rows, i in lane.sampled(max(LEAST, SAMPLED // len(lanes))):
            for name in rows.columns.keys() & MEASURED:
                value = rows.columns[name][i]
                others = list(values(rows.steps[i] + offset, name))
                total += bool(others)
                agreeing += any(agree(other, value) for other in others)
    return Agreement(total, agreeing)


def values_of(tracks: Sequence[Track], x_kind: str) -> Values:
    """What the tracks have at a step, whatever the launch."""
    lanes = [lane for track in tracks for lane in track.lanes(x_kind)]
    return lambda step, name: (value for lane in lanes for value in lane.values_at(step, name))


def offset_to(track: Track, others: Sequence[Track], x_kind: str) -> tuple[int, Agreement]:
    """The shift under which the steps of a track are those of the others, and how well they agree under it."""
    values, lanes = values_of(others, x_kind), track.lanes(x_kind)
    plain = compared(lanes, values)
    if plain.share >= AGREEING or plain.compared < LEAST:
        return 0, plain
    for offset in OFFSETS[1:]:
        if (moved := compared(lanes, values, offset)).same:
            return offset, moved
    return 0, plain


def by_epoch(track: Track, others: Sequence[Track]) -> list[Rows] | None:
    """The rows of a track that counts epochs, at the steps where others have the same epochs; None where they differ.

    An epoch that is printed with a few digits stands for several steps: order and common values tell which.
    """
    lanes = track.lanes("epoch")
    known = [Known(rows, i) for other in others for lane in other.lanes("step") for rows, i in _with_epoch(lane)]
    known.sort(key=lambda at: at.epoch)
    epochs = [at.epoch for at in known]
    # Rows that only give the number of their epoch do not say where it ends.
    if len(lanes) != 1 or len(known) < LEAST or len(set(epochs)) < AGREEING * len(epochs):
        return None
    matched = inside = 0
    last, taken = 0, frozenset[str]()
    found: list[Rows] = []
    for rows in lanes[0].blocks:
        places: list[tuple[int, float]] = []
        for i, epoch in enumerate(rows.steps):
            inside += epoch <= epochs[-1]
            start = bisect_left(epochs, epoch - _slack(epoch), last)
            at = _match(rows, i, known, start, taken if start == last else frozenset())
            if at is not None:
                last, taken = at, frozenset(rows.columns) | (taken if at == last else frozenset())
                places.append((i, known[at].step))
        matched += len(places)
        found += _moved(rows, places)
    steps = [step for rows in found for step in rows.steps]
    rising = all(a <= b for a, b in pairwise(steps))
    return found if rising and matched >= LEAST and matched >= AGREEING * inside else None


class Known:
    """A row with a step and an epoch."""

    __slots__ = ("epoch", "i", "rows", "step")

    def __init__(self, rows: Rows, i: int) -> None:
        self.rows, self.i = rows, i
        self.step, self.epoch = rows.steps[i], rows.columns["epoch"][i]


def _slack(epoch: float) -> float:
    """Half a unit of the last digit of an epoch as it is printed: with 2 decimals, or with 4 digits."""
    return max(0.005, 5e-4 * abs(epoch)) * 1.01


def _with_epoch(lane: Lane) -> Iterable[tuple[Rows, int]]:
    return ((rows, i) for rows in lane.blocks if "epoch" in rows.columns for i in range(len(rows)))


def _match(rows: Rows, i: int, known: Sequence[Known], start: int, taken: frozenset[str]) -> int | None:
    """The known row of this epoch with the same values, else, where none can be compared, the nearest.

    The first one may have been `taken` for a row with these metrics.
    """
    nearest: int | None = None
    contradicted = False
    for at in range(start, len(known)):
        row = known[at]
        if row.epoch > rows.steps[i] + _slack(rows.steps[i]):
            break
        if at == start and taken & rows.columns.keys():
            continue
        common = rows.columns.keys() & row.rows.columns.keys() & MEASURED
        if common and all(agree(row.rows.columns[name][row.i], rows.columns[name][i]) for name in common):
            return at
        contradicted = contradicted or bool(common)
        if nearest is None or abs(row.epoch - rows.steps[i]) < abs(known[nearest].epoch - rows.steps[i]):
            nearest = at
    return None if contradicted else nearest


def _moved(rows: Rows, places: Sequence[tuple[int, float]]) -> list[Rows]:
    """The rows at these places, with their new steps."""
    if not places:
        return []
    columns = {name: [values[i] for i, _ in places] for name, values in rows.columns.items()}
    return [Rows(compact_steps([step for _, step in places]), columns, below=rows.below)]
