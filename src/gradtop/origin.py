"""Which line of its file each row of a run was read from, and which row stands on a line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from gradtop.record import Record, Rows
from gradtop.run import trains
from gradtop.series import Array, Column, falls

MOST = 1 << 18
"""Steps kept of one source; of more, every second one is let go, then every second of those, and so on."""
MOST_SESSIONS = 1024
"""Sessions kept of one source: a log that counts anew in every epoch has many."""
MOST_LINES = 1 << 18
"""Lines kept that gave a row; of more, the newest ones."""
_WAITING = 1024
"""Rows that wait in lists before they are moved to the arrays together."""


@dataclass(frozen=True, slots=True)
class Located:
    """A row of a source, and its line."""

    step: float
    """As the source counts it."""
    line: int
    exact: bool
    """It is the row that was asked for, as opposed to the nearest one that is known."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Steps and lines at one moment, both of shape (n,); steps rise from each of `starts` to the next."""

    steps: Array
    lines: Array
    starts: tuple[int, ...]
    every: int = 1
    """One of so many rows is kept."""
    newest: tuple[float, int] | None = None
    """Step and line of the last row, which is always kept."""

    def at(self, step: float) -> Located | None:
        """The row of a step, in the newest session that has come to it, or the last one before it."""
        if self.every > 1 and self.newest is not None and self.newest[0] <= step:
            return Located(*self.newest, self.newest[0] == step)
        stop = len(self.steps)
        for start in reversed(self.starts):
            if stop > start and float(self.steps[start]) <= step:
                steps = self.steps[start:stop]
                # Of several rows of a step the first: what is said of its layers or of an evaluation comes later.
                i = int(steps.searchsorted(step))
                if i == len(steps) or float(steps[i]) != step:
                    return self._between(start + i - 1, stop, step)
                return self._located(start + i, True)
            stop = start
        return self._located(self.starts[-1], False) if len(self.steps) else None

    def _between(self, i: int, stop: int, step: float) -> Located:
        """The row `i`, or one that was let go between it and the next: worked out where each had a line of its own."""
        if self.every > 1 and i + 1 < stop and int(self.lines[i + 1]) - int(self.lines[i]) == self.every:
            first, following = float(self.steps[i]), float(self.steps[i + 1])
            rows = (step - first) / (following - first) * self.every
            if rows.is_integer():
                return Located(step, int(self.lines[i]) + int(rows), False)
        return self._located(i, False)

    def on(self, line: int) -> Located | None:
        """The row that stands on a line, or the last one before it."""
        if not len(self.lines):
            return None
        i = int(self.lines.searchsorted(line, side="right")) - 1
        return self._located(max(0, i), i >= 0 and int(self.lines[i]) == line)

    def _located(self, i: int, exact: bool) -> Located:
        return Located(float(self.steps[i]), int(self.lines[i]), exact)


@dataclass(frozen=True, slots=True)
class OriginView:
    """Where the rows of one source stand in its file, at one moment."""

    path: Path
    trails: Mapping[str, Trail] = field(default_factory=dict)
    """By what the rows count."""
    shift: float = 0.0
    """Added to the steps of the source it is the step of the run."""
    read: Array | None = None
    """The lines that gave a row, rising; the newest `MOST_LINES`."""

    def line_of(self, step: float, x_kind: str) -> Located | None:
        """The line of a step of the run; None where the source has none of its kind."""
        trail = self.trails.get(x_kind)
        found = trail.at(step - self.shift) if trail is not None else None
        return Located(found.step + self.shift, found.line, found.exact) if found is not None else None

    def step_of(self, line: int, x_kind: str) -> Located | None:
        """The step of the run on a line, or on the last line before it that has one."""
        trail = self.trails.get(x_kind)
        found = trail.on(line) if trail is not None else None
        return Located(found.step + self.shift, found.line, found.exact) if found is not None else None

    def gave_rows(self, first: int, last: int) -> frozenset[int]:
        """Which of the lines from `first` to `last` gave a row."""
        if self.read is None:
            return frozenset()
        start, stop = (int(self.read.searchsorted(line)) for line in (first, last + 1))
        return frozenset(self.read[start:stop].tolist())


class _Kind:
    """The rows of one source that count the same."""

    def __init__(self) -> None:
        self.trained = False
        """There are rows of the training itself: those beside it, which may be late, are left out."""
        self._clear()

    def _clear(self) -> None:
        self._steps, self._lines = Column("int32"), Column("int32")
        self._starts: list[int] = []
        self._every, self._passed = 1, 0
        self._last: float | None = None
        self._last_line = 0
        self._waiting: tuple[list[float], list[int]] = [], []

    def see(self, rows: Rows) -> None:
        """Take in rows with lines."""
        if not self.trained and trains(rows):
            self.trained = True
            self._clear()
        if self.trained and not trains(rows):
            return
        cuts = falls(rows.steps, self._last)
        self._last, self._last_line = float(rows.steps[-1]), int(rows.lines[-1])
        start = 0
        for stop in (*cuts, len(rows)):
            if stop > start:
                self._extend(rows.steps[start:stop], rows.lines[start:stop])
            if stop < len(rows):
                self._begin()
            start = stop

    def _begin(self) -> None:
        """A session begins with the next row, which is kept."""
        self._settle()
        if len(self._starts) >= MOST_SESSIONS:
            self._keep(MOST_SESSIONS // 2, 1)
        self._starts.append(self._steps.n)
        self._passed = 0

    def _extend(self, steps: Sequence[float], lines: Sequence[int]) -> None:
        if not self._starts:
            self._starts.append(0)
        first = -self._passed % self._every
        self._passed += len(steps)
        if first >= len(steps):
            return
        steps, lines = steps[first :: self._every], lines[first :: self._every]
        if len(steps) < _WAITING:
            self._waiting[0].extend(steps)
            self._waiting[1].extend(lines)
            if len(self._waiting[0]) < _WAITING:
                return
            self._settle()
        else:
            self._settle()
            self._append(steps, lines)

    def _settle(self) -> None:
        steps, lines = self._waiting
        if steps:
            self._waiting = [], []
            self._append(steps, lines)

    def _append(self, steps: Sequence[float], lines: Sequence[int]) -> None:
        self._steps.extend(steps)
        self._lines.extend(lines)
        while self._steps.n > MOST and self._steps.n > 2 * len(self._starts):
            self._keep(0, 2)
            self._every *= 2

    def _keep(self, session: int, every: int) -> None:
        """Keep every so many rows of the sessions from one on, and the first of each."""
        kept, columns = self.view(), (Column("int32"), Column("int32"))
        starts: list[int] = []
        for start, stop in list(zip(kept.starts, (*kept.starts[1:], len(kept.steps)), strict=True))[session:]:
            starts.append(columns[0].n)
            columns[0].extend(kept.steps[start:stop:every])  # type: ignore[arg-type]  # an array is as good
            columns[1].extend(kept.lines[start:stop:every])  # type: ignore[arg-type]
        (self._steps, self._lines), self._starts = columns, starts

    def view(self) -> Trail:
        """The rows so far."""
        self._settle()
        newest = (self._last, self._last_line) if self._last is not None else None
        return Trail(self._steps.view(), self._lines.view(), tuple(self._starts), self._every, newest)


class Origin:
    """Follows which line of its file each row of a source comes from."""

    def __init__(self) -> None:
        """Nothing read yet."""
        self._forget()

    def _forget(self) -> None:
        self._kinds: dict[str, _Kind] = {}
        self._read = Column("int32")
        self._waiting: list[int] = []
        self._last = 0

    def take(self, records: Iterable[Record]) -> None:
        """Take in what the source gave. Line numbers that go back are those of another file in its place."""
        for record in records:
            if not isinstance(record, Rows) or not len(record.lines):
                continue
            if record.lines[0] < self._last:
                self._forget()
            self._last = int(record.lines[-1])
            self._kinds.setdefault(record.x_kind, _Kind()).see(record)
            self._note(record.lines)

    def _note(self, lines: Sequence[int]) -> None:
        """These lines gave a row."""
        if len(lines) < _WAITING:
            self._waiting.extend(lines)
            if len(self._waiting) >= _WAITING:
                self._settle()
        else:
            self._settle()
            self._append(lines)

    def _settle(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._append(waiting)

    def _append(self, lines: Sequence[int]) -> None:
        self._read.extend(lines)
        if self._read.n > 2 * MOST_LINES:
            newest = self._read.view()[-MOST_LINES:]
            self._read = Column("int32")
            self._read.extend(newest)  # type: ignore[arg-type]  # an array is as good

    def view(self, path: Path, shift: float = 0.0) -> OriginView:
        """What is known by now of the file at a path, whose steps are `shift` behind those of the run."""
        self._settle()
        trails = {kind: rows.view() for kind, rows in self._kinds.items()}
        return OriginView(path, MappingProxyType(trails), shift, self._read.view())
