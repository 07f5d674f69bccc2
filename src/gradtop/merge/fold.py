"""Rows of several sources at the same steps, made one."""

import math
from collections.abc import Iterator, Sequence

from gradtop.merge.pile import part, upto
from gradtop.merge.track import Lane
from gradtop.record import Rows


class Cursor:
    """A lane and how much of it has been joined."""

    __slots__ = ("at", "block", "lane", "used")

    def __init__(self) -> None:
        self.lane = Lane()
        self.block = self.at = 0
        self.used: dict[str, int] = {}
        """Metric to values that were taken from here."""

    @property
    def step(self) -> float:
        """The next step; infinite at the end."""
        if self.block + 1 < len(self.lane.blocks) and self.at >= len(self.rows):
            self.block, self.at = self.block + 1, 0
        # The last block may grow.
        return self.rows.steps[self.at] if self.lane.blocks and self.at < len(self.rows) else math.inf

    @property
    def rows(self) -> Rows:
        """The block of the next row."""
        return self.lane.blocks[self.block]

    def advance(self, n: int) -> None:
        """Pass by `n` rows of the block."""
        self.at += n
        if self.at >= len(self.rows) and self.block + 1 < len(self.lane.blocks):
            self.block, self.at = self.block + 1, 0

    def take(self, n: int) -> Rows:
        """The next `n` rows of the block."""
        rows = part(self.rows, self.at, self.at + n)
        self.advance(n)
        return rows

    def count(self, rows: Rows, names: Sequence[str]) -> None:
        """Note what was taken."""
        for name in names:
            self.used[name] = self.used.get(name, 0) + len(rows)

    def run(self, limit: float) -> int:
        """How many rows of the block lie below `limit`."""
        return upto(self.rows.steps, limit, self.at) - self.at


def alike(here: Sequence[Cursor], limit: float) -> int:
    """How many rows from here on have the same rising steps in all of these sources, each in one block."""
    steps = [cursor.rows.steps[cursor.at : cursor.at + cursor.run(limit)] for cursor in here]
    n, first = min(map(len, steps)), steps[0]
    for k in range(n):
        if any(other[k] != first[k] for other in steps):
            n = k
            break
    # A step that comes twice in one of the sources is joined on its own.
    rising = next((k for k in range(1, n) if first[k] == first[k - 1]), n)
    if rising < n:
        return max(0, rising - 1)
    return n - 1 if n and any(_repeats(cursor, n) for cursor in here) else n


def _repeats(cursor: Cursor, n: int) -> bool:
    """The row after the next `n` has the step of the last of them."""
    rows, last = cursor.rows, cursor.at + n - 1
    if last + 1 < len(rows):
        return rows.steps[last + 1] == rows.steps[last]
    following = cursor.lane.blocks[cursor.block + 1 : cursor.block + 2]
    return bool(following) and following[0].steps[0] == rows.steps[last]


def union(here: Sequence[Cursor], n: int) -> Rows:
    """The next `n` rows of sources that are alike, every column from the first that has it."""
    columns: dict[str, Sequence[float]] = {}
    below: dict[str, float] = {}
    parts = [(cursor, cursor.take(n)) for cursor in here]
    for cursor, rows in parts:
        fresh = [name for name in rows.columns if name not in columns]
        columns |= {name: rows.columns[name] for name in fresh}
        below |= {name: rows.below[name] for name in fresh if name in rows.below}
        cursor.count(rows, fresh)
    return Rows(parts[0][1].steps, columns, below=below, x_kind=parts[0][1].x_kind)


def folded(here: Sequence[Cursor], step: float) -> Iterator[Rows]:
    """All rows of one step, in as few rows as hold them; a metric comes from one source alone."""
    columns: list[dict[str, float]] = [{}]
    below: dict[str, float] = {}
    taken: set[str] = set()
    kind, steps = here[0].rows.x_kind, here[0].rows.steps[here[0].at : here[0].at + 1]
    for cursor in here:
        mine: set[str] = set()
        while cursor.step == step:
            rows = cursor.take(1)
            fresh = [name for name in rows.columns if name not in taken]
            _place(columns, {name: float(rows.columns[name][0]) for name in fresh})
            below |= {name: rows.below[name] for name in fresh if name in rows.below}
            cursor.count(rows, fresh)
            mine |= set(fresh)
        taken |= mine
    for row in columns:
        if row:
            yield Rows(steps, {name: [value] for name, value in row.items()}, below=_of(below, row), x_kind=kind)


def _of(below: dict[str, float], row: dict[str, float]) -> dict[str, float]:
    return {name: bound for name, bound in below.items() if name in row}


def _place(rows: list[dict[str, float]], values: dict[str, float]) -> None:
    """Put the values into the last row, or into one more where it has one of them already."""
    if rows[-1].keys() & values.keys():
        rows.append({})
    rows[-1].update(values)
