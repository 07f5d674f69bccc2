"""What one source of a run has given, kept so that it can be joined with the others."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain
from math import inf
from typing import cast

from gradtop.merge.pile import Columns, Piles, below, following, upto
from gradtop.record import Event, Record, Restart, Rows
from gradtop.run import cut, trains
from gradtop.series import Spill
from gradtop.sources.fields.launched import LAUNCH, RELAUNCHED
from gradtop.sources.search.group import Part

START = "start"
BLOCK_ROWS = 4096
"""Rows of a block that small ones are packed into."""


class Lane:
    """Rows of one kind in rising steps, as blocks; nothing in it changes but its end."""

    __slots__ = ("_first", "blocks", "rows")

    def __init__(self) -> None:
        self.blocks: list[Rows] = []
        self._first: list[float] = []
        self.rows = 0

    def append(self, rows: Rows) -> None:
        """Further rows; their steps do not go back."""
        self.rows += len(rows)
        if self.blocks and (both := following(self.blocks[-1], rows)) is not None:
            self.blocks[-1] = both
            return
        self.blocks.append(rows)
        self._first.append(rows.steps[0])

    @property
    def last(self) -> float:
        """The newest step; there is one."""
        return float(self.blocks[-1].steps[-1])

    @property
    def first(self) -> float:
        """The lowest step; there is one."""
        return float(self._first[0])

    def insert(self, row: Rows) -> None:
        """A row of an older step, behind those of its step."""
        step = row.steps[0]
        i = bisect_right(self._first, step) - 1
        if i >= 0 and self.blocks[i].steps[-1] > step:
            block = self.blocks[i]
            at = upto(block.steps, step)
            self.blocks[i : i + 1] = cut(block, 0, at), cut(block, at, len(block))
            self._first[i : i + 1] = block.steps[0], block.steps[at]
        self.blocks.insert(i + 1, row)
        self._first.insert(i + 1, step)
        self.rows += 1

    def pack(self) -> None:
        """Make large blocks of small ones that follow each other with the same columns."""
        packed: list[Rows] = []
        for alike in _alike(self.blocks):
            packed.append(alike[0] if len(alike) == 1 else _joined(alike))
        self.blocks = packed
        self._first = [rows.steps[0] for rows in packed]

    @property
    def began(self) -> float | None:
        """Unix seconds of the first row that has a time."""
        return next((float(block.columns["time"][0]) for block in self.blocks if "time" in block.columns), None)

    @property
    def gap(self) -> float:
        """Steps between the first two rows; 0 where there is one."""
        steps = self.blocks[0].steps[:2] if len(self.blocks[0]) > 1 else self._first[:2]
        return float(steps[-1] - steps[0])

    def reached(self, time: float) -> float | None:
        """The newest step of the rows until a time (Unix seconds): infinite for all; None where no row has a time."""
        later = False
        for block in reversed(self.blocks):
            if (times := block.columns.get("time")) is None:
                continue
            if n := bisect_right(times, time):
                return block.steps[n - 1] if later or n < len(block) else inf
            later = True
        return -inf if later else None

    def values_at(self, step: float, name: str) -> Iterator[float]:
        """The values of a metric at a step, the newest first."""
        for i in range(bisect_right(self._first, step) - 1, -1, -1):
            rows = self.blocks[i]
            if rows.steps[-1] < step:
                return
            if (column := rows.columns.get(name)) is not None:
                start, stop = below(rows.steps, step), upto(rows.steps, step)
                yield from reversed(column[start:stop])

    def sampled(self, most: int) -> Iterator[tuple[Rows, int]]:
        """At most about `most` rows, evenly spread, as blocks and places in them."""
        stride = max(1, self.rows // most)
        passed = 0
        for block in self.blocks:
            for i in range(-passed % stride, len(block), stride):
                yield block, i
            passed += len(block)


class Lap:
    """One launch of the training as a source saw it."""

    __slots__ = ("asides", "began", "lanes", "reason", "trained")

    def __init__(self, reason: str, began: float | None = None) -> None:
        self.reason = reason
        self.began = began
        """Unix seconds of the launch, where the source itself says that one begins here."""
        self.trained = False
        """It has rows of the training itself."""
        self.lanes: dict[str, Lane] = {}
        """By what they count."""
        self.asides: list[tuple[dict[str, float], Record]] = []
        """What is no row, with the newest steps before it by kind."""

    def newest(self) -> dict[str, float]:
        """The newest step of each kind."""
        return {kind: lane.last for kind, lane in self.lanes.items()}


class Track:
    """The records of one source in compact form, lap by lap. Line numbers are not kept: they are of several files."""

    def __init__(self, part: Part, spill: Spill | None = None) -> None:
        """Nothing yet; where it gets long it lies on the disk of `spill`."""
        self.part = part
        self._piles = Piles(spill)
        self.format = "unknown"
        self.modified: float | None = None
        """Unix seconds of the last change of its file; None where that is not known."""
        self.laps = [Lap(START)]
        self.values = 0
        """Numbers held."""
        self._restart: str | None = None

    def take(self, record: Record) -> list[Record]:
        """One more record, in the order of the source; what is kept of it.

        A lap begins with the first row after a restart, or where the step goes back.
        """
        if isinstance(record, Rows):
            return [kept for part in self._rising(record) for kept in self._take_rows(part)]
        if isinstance(record, Restart):
            self._restart = record.reason
            return []
        if isinstance(record, Event) and record.event == LAUNCH:
            self.laps.append(Lap(RELAUNCHED, record.time))
        self.laps[-1].asides.append((self.laps[-1].newest(), record))
        return [record]

    def _rising(self, rows: Rows) -> Iterator[Rows]:
        """The rows in compact form, cut wherever the step goes back."""
        steps = compact_steps(rows.steps)
        start = 0
        for i in range(1, len(steps)):
            if steps[i] < steps[i - 1]:
                yield from self._piles.put(rows, steps, start, i)
                start = i
        yield from self._piles.put(rows, steps, start, len(steps))

    def _take_rows(self, rows: Rows) -> list[Rows]:
        lane = self.laps[-1].lanes.get(rows.x_kind)
        late: list[Rows] = []
        self.values += len(rows) * (1 + len(rows.columns))
        if lane is not None and rows.steps[0] < lane.last:
            if self._may_be_late(rows):
                n = below(rows.steps, lane.last)
                late, rows = [cut(rows, i, i + 1) for i in range(n)], cut(rows, n, len(rows))
                for row in late:
                    lane.insert(row)
            else:
                self._restart = self._restart or "step went back"
        if not len(rows):
            return late
        if self._restart is not None and self.laps[-1].lanes:
            self.laps.append(Lap(self._restart))
        self._restart = None
        lap = self.laps[-1]
        lap.trained = lap.trained or trains(rows)
        lap.lanes.setdefault(rows.x_kind, Lane()).append(rows)
        return [*late, rows]

    def _may_be_late(self, rows: Rows) -> bool:
        """What a stream tells of older steps, beside its training: it says by itself when a session begins."""
        return self.format == "gradtop" and self._restart is None and self.laps[-1].trained and not trains(rows)

    def pack(self) -> None:
        """Make large blocks of small ones; not while somebody reads them."""
        for lap in self.laps:
            for lane in lap.lanes.values():
                lane.pack()

    def rows(self, x_kind: str) -> int:
        """Rows of a kind."""
        return sum(lap.lanes[x_kind].rows for lap in self.laps if x_kind in lap.lanes)

    def kinds(self) -> set[str]:
        """What its rows count."""
        return {kind for lap in self.laps for kind in lap.lanes}

    def names(self, x_kind: str) -> set[str]:
        """The metrics of its rows of a kind."""
        lanes = [lap.lanes[x_kind] for lap in self.laps if x_kind in lap.lanes]
        return {name for lane in lanes for block in lane.blocks for name in block.columns}

    def lanes(self, x_kind: str) -> list[Lane]:
        """Its rows of a kind, lap by lap; laps without one are left out."""
        return [lap.lanes[x_kind] for lap in self.laps if x_kind in lap.lanes]


def _alike(blocks: Sequence[Rows]) -> Iterator[list[Rows]]:
    """The blocks in groups that can be one block."""
    group: list[Rows] = []
    size = 0
    for rows in blocks:
        if isinstance(rows.columns, Columns):
            # It is as large as it can be.
            yield from (whole for whole in (group, [rows]) if whole)
            group, size = [], 0
            continue
        fits = group and size + len(rows) <= BLOCK_ROWS and rows.below == group[0].below
        if group and not (fits and rows.columns.keys() == group[0].columns.keys()):
            yield group
            group, size = [], 0
        group.append(rows)
        size += len(rows)
    if group:
        yield group


def _joined(blocks: Sequence[Rows]) -> Rows:
    steps = compact_steps(list(chain.from_iterable(rows.steps for rows in blocks)))
    columns = {
        name: _floats(list(chain.from_iterable(rows.columns[name] for rows in blocks))) for name in blocks[0].columns
    }
    return Rows(steps, columns, below=blocks[0].below, x_kind=blocks[0].x_kind)


def compact_steps(steps: Sequence[float]) -> "array[int] | array[float]":
    """Steps as an array: whole numbers stay whole."""
    plain = getattr(steps, "tolist", lambda: steps)()
    try:
        return array("q", plain)
    except (TypeError, OverflowError):
        whole = all(float(step).is_integer() and abs(step) < 2**53 for step in plain)
        return array("q", [int(step) for step in plain]) if whole else array("d", plain)


def _floats(values: Sequence[float]) -> Sequence[float]:
    # An array of numpy's is compact already, and as good.
    return values if hasattr(values, "dtype") else cast("Sequence[float]", array("d", values))
