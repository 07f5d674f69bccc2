"""Everything known of one training: its series, its sessions, its events and facts."""

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gradtop.grid import Grids, GridView
from gradtop.record import End, Event, Record, Restart, Rows, RunFacts, merged
from gradtop.series import Series, SeriesView, Spill, falls

MAX_ALARMS = 500
"""Alarms and crashes kept per run: the first ones, which say what began."""
MAX_EVENTS = 500
"""Other events kept per run: the newest ones."""
MAX_SERIES = 5000
"""Series kept per run; a log with more names than this is counted, not stored."""
KINDS = ("step", "tokens", "samples", "epoch", "row")
"""What rows count, the best first: where a metric comes in two kinds, the better one has the plain name."""
WIDE = 32
"""Columns from which on rows are stored together: one by one, a value of them would cost many times as much."""
MOST_WIDE = 1024
"""Such rows that wait to be stored."""
_JUDGED = ("loss", "grad_norm")
_TRAINING = ("loss", "grad_norm", "lr")


def trains(rows: Rows) -> bool:
    """The rows are of the training itself: they have a metric that it reports at its own newest step alone."""
    return any(name in rows.columns for name in _TRAINING)


def kind_rank(x_kind: str) -> int:
    """The place of a kind in `KINDS`; one that is not there counts something of its own, and goes before epochs."""
    return KINDS.index(x_kind) if x_kind in KINDS else KINDS.index("epoch")


@dataclass(frozen=True, slots=True)
class Session:
    """One launch of the training: from its first step until a later session began."""

    number: int
    """From 0."""
    first_step: float
    """Of the kind that the run counts by (`RunView.x_kind`), where the session has such a row."""
    reason: str
    """Why it began: `start`, `step went back`, `truncated`, `replaced`, `resumed`."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Rows of one session, as the rules see them: in order, each step of the stream once."""

    rows: Rows
    session: Session


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Metrics of rows that count something else than the run: the rules know of their names alone."""

    names: tuple[str, ...]
    x_kind: str


@dataclass(frozen=True, slots=True)
class RunView:
    """A run at one moment; nothing in it changes any more."""

    series: Mapping[str, SeriesView]
    sessions: tuple[Session, ...]
    events: tuple[Event, ...]
    facts: RunFacts
    end: End | None
    rows: int
    """Metric rows read that count by `x_kind`, ghosts included."""
    first_step: float | None
    last_step: float | None
    """The newest step."""
    series_dropped: int
    """Metric names left out because there are more than `MAX_SERIES`."""
    x_kind: str = "step"
    """What the run counts by: the kind of its training loss. Series of other kinds have steps of their own."""
    layers: Mapping[str, GridView] = field(default_factory=dict)
    """Per-layer values by their family: what is of a layer is no series."""

    def layered(self) -> Iterator[tuple[str, GridView, int]]:
        """(name, grid, place) of every metric that is of a layer, by the name that it would have as a series."""
        for key, grid in self.layers.items():
            aside = key.removeprefix(grid.family)
            yield from ((f"{grid.family}/{layer}{aside}", grid, i) for i, layer in enumerate(grid.names))

    @property
    def total(self) -> float | None:
        """The planned end in what the run counts by; None where it is not known, or was passed: no plan of this."""
        planned = self.facts.train.planned(self.x_kind)
        passed = planned is not None and self.last_step is not None and self.last_step > planned
        return None if passed else planned


@dataclass(slots=True)
class _Extent:
    """Rows of one kind: how many, and from where to where."""

    first: float
    last: float = 0.0
    rows: int = 0


@dataclass(slots=True)
class _Begun:
    """A session so far: the first and the newest step of each kind."""

    number: int
    reason: str
    first: dict[str, float] = field(default_factory=dict)
    newest: dict[str, float] = field(default_factory=dict)
    trained: bool = False
    """It has rows of the training itself."""

    def seen(self, x_kind: str) -> Session:
        """The session as one that counts by a kind sees it."""
        return Session(self.number, self.first.get(x_kind, next(iter(self.first.values()), 0.0)), self.reason)


class _Wide:
    """Rows of one session with the same many columns, one after the other, on their way to their series."""

    __slots__ = ("columns", "names", "series", "session", "steps", "values", "x_kind")

    def __init__(self, rows: Rows, session: int, series: Sequence[Series | None]) -> None:
        self.columns, self.names = [*rows.columns], frozenset(rows.columns)
        self.x_kind, self.session, self.series = rows.x_kind, session, series
        self.steps: list[float] = []
        self.values: list[list[float]] = []

    def takes(self, rows: Rows, session: int) -> bool:
        """The rows go with those that wait."""
        fits = rows.x_kind == self.x_kind and session == self.session and len(self.steps) < MOST_WIDE
        return fits and [*rows.columns] == self.columns

    def settle(self) -> None:
        """Store the rows."""
        for series, values in zip(self.series, zip(*self.values, strict=True), strict=True):
            if series is not None:
                series.extend(self.steps, values, self.session)


class Run:
    """The store of one run: records in, a frozen view out. One thread writes; views go anywhere.

    Samples of the machine have no steps and are kept apart (`gradtop.beside`).
    """

    def __init__(self, spill: Spill | None = None) -> None:
        """Nothing yet; series that get long lie on the disk of `spill`."""
        self._spill = spill
        self._series: dict[str, Series] = {}
        self._sessions: list[_Begun] = []
        self._alarms: list[tuple[int, Event]] = []
        self._events: deque[tuple[int, Event]] = deque(maxlen=MAX_EVENTS)
        self._event_count = 0
        self._facts = RunFacts()
        self._end: End | None = None
        self._extents: dict[str, _Extent] = {}
        self._restart: str | None = None
        self._dropped: set[str] = set()
        self._wide: _Wide | None = None
        self._grids = Grids(lambda a, b: kind_rank(a) < kind_rank(b))

    def apply(self, record: Record) -> Iterator[Observation | Uncounted | RunFacts | Event | End]:
        """Take one record in; yield what the rules should see of it, in order. Facts come with all that is known."""
        match record:
            case Rows():
                yield from self._apply_rows(record)
            case RunFacts():
                # What the log itself says goes before what was found beside it, whichever comes first.
                self._facts = merged(record, self._facts) if record.beside else merged(self._facts, record)
                yield self._facts
            case Restart():
                self._restart = record.reason
            case Event():
                self._keep_event(record)
                yield record
            case End():
                self._end = record
                yield record

    def _apply_rows(self, rows: Rows) -> Iterator[Observation | Uncounted]:
        if self._may_be_late(rows):
            for i in range(len(rows)):
                yield from self._apply_beside(cut(rows, i, i + 1))
        else:
            yield from self._apply_in_order(rows)
        self._end = None

    def _may_be_late(self, rows: Rows) -> bool:
        """A stream tells of something beside its training at an older step, say of an evaluation that took a while.

        Streams say by themselves when a session begins; a training row that goes back is a loop that was rewound.
        """
        if self._facts.session is None or self._restart is not None or not self._sessions or trains(rows):
            return False
        newest = self._sessions[-1].newest.get(rows.x_kind)
        return self._sessions[-1].trained and newest is not None and min(rows.steps) < newest

    def _apply_beside(self, row: Rows) -> Iterator[Observation | Uncounted]:
        """Take in a row that is perhaps late: it stands at its own step, and the rules hear of it at the newest."""
        session, kind, step = self._sessions[-1], row.x_kind, row.steps[0]
        if step >= session.newest[kind]:
            yield from self._apply_in_order(row)
            return
        self._settle()
        at = max(step, self._grids.reached(row, session.number))
        plain = self._grids.take(replace(row, steps=[at]), session.number)
        for name, values in ((name, row.columns[name]) for name in plain):
            if (series := self._series_for(name, kind)) is not None:
                series.extend([max(step, _reached(series, session.number))], values, session.number)
        extent = self._extents[kind]
        extent.first, extent.rows = min(step, extent.first), extent.rows + 1
        if kind == (counted := self._counted()):
            yield Observation(replace(row, steps=[session.newest[kind]]), session.seen(counted))
        else:
            yield Uncounted(tuple(row.columns), kind)

    def _apply_in_order(self, rows: Rows) -> Iterator[Observation | Uncounted]:
        start = 0
        newest = self._sessions[-1].newest.get(rows.x_kind) if self._sessions else None
        for stop in _session_ends(rows, newest):
            if stop > start:
                part = rows if (start, stop) == (0, len(rows)) else cut(rows, start, stop)
                session = self._store(part)
                if part.x_kind == (counted := self._counted()):
                    yield Observation(part, session.seen(counted))
                else:
                    yield Uncounted(tuple(part.columns), part.x_kind)
            start = stop
            if start < len(rows):
                self._restart = self._restart or "step went back"

    def _store(self, rows: Rows) -> _Begun:
        session, kind = self._session(), rows.x_kind
        first, last = float(rows.steps[0]), float(rows.steps[-1])
        per_layer = all("/" in name for name in rows.columns)
        plain = rows
        if any("/" in name for name in rows.columns):
            names = self._grids.take(rows, session.number)
            plain = replace(rows, columns={name: rows.columns[name] for name in names})
        if len(rows) == 1 and len(plain.columns) >= WIDE:
            self._store_wide(plain, session.number)
        else:
            self._store_columns(plain, session.number)
        # Values per layer come in lines of their own, behind the row of their step.
        further = per_layer and len(rows) == 1 and session.newest.get(kind) == first
        session.trained = session.trained or trains(rows)
        session.first.setdefault(kind, first)
        session.newest[kind] = last
        extent = self._extents.setdefault(kind, _Extent(first))
        extent.first, extent.last, extent.rows = min(first, extent.first), last, extent.rows + len(rows) - further
        return session

    def _store_columns(self, rows: Rows, session: int) -> None:
        if self._wide is not None and not self._wide.names.isdisjoint(rows.columns):
            self._settle()
        for name, values in rows.columns.items():
            if (series := self._series_for(name, rows.x_kind)) is not None:
                series.extend(rows.steps, values, session)

    def _store_wide(self, row: Rows, session: int) -> None:
        """Let a row of many columns wait for others like it."""
        if self._wide is None or not self._wide.takes(row, session):
            self._settle()
            series = [self._series_for(name, row.x_kind) for name in row.columns]
            self._wide = _Wide(row, session, series)
        self._wide.steps.append(row.steps[0])
        self._wide.values.append([value for (value,) in row.columns.values()])

    def _settle(self) -> None:
        """Store what waits, before anything else goes into its series."""
        wide, self._wide = self._wide, None
        if wide is not None:
            wide.settle()

    def _session(self) -> _Begun:
        if not self._sessions or self._restart is not None:
            reason = (self._restart or "start") if self._sessions else "start"
            self._sessions.append(_Begun(len(self._sessions), reason))
            self._restart = None
        return self._sessions[-1]

    def _series_for(self, name: str, x_kind: str) -> Series | None:
        """The series of this name and kind; of two kinds the worse one goes by `NAME by KIND`."""
        held = self._series.get(name)
        if held is None:
            return self._new_series(name, x_kind)
        if held.x_kind == x_kind:
            return held
        if kind_rank(x_kind) < kind_rank(held.x_kind):
            aside = f"{name} by {held.x_kind}"
            held.name = aside
            self._series[aside] = self._series.pop(name)
            return self._new_series(name, x_kind)
        aside = f"{name} by {x_kind}"
        return self._series.get(aside) or self._new_series(aside, x_kind)

    def _new_series(self, name: str, x_kind: str) -> Series | None:
        if len(self._series) >= MAX_SERIES:
            self._dropped.add(name) if len(self._dropped) < MAX_SERIES else None
            return None
        series = self._series[name] = Series(name, x_kind, self._spill)
        return series

    def _counted(self) -> str:
        """What the run counts by: the kind of its loss or else its grad norm, the best of its kinds without them."""
        held = next((self._series[name] for name in _JUDGED if name in self._series), None)
        return held.x_kind if held is not None else min(self._extents, key=kind_rank, default="step")

    def _keep_event(self, event: Event) -> None:
        self._event_count += 1
        if event.event not in ("alarm", "crash"):
            self._events.append((self._event_count, event))
        elif len(self._alarms) < MAX_ALARMS:
            self._alarms.append((self._event_count, event))

    @property
    def position(self) -> tuple[int, float]:
        """(number of the session, its newest step) of what was read last."""
        if not self._sessions:
            return 0, -math.inf
        return self._sessions[-1].number, self._sessions[-1].newest.get(self._counted(), -math.inf)

    def view(self) -> RunView:
        """The run as it is now."""
        self._settle()
        if self._spill is not None:
            self._spill.looked()
        counted = self._counted()
        extent = self._extents.get(counted)
        return RunView(
            series=MappingProxyType({name: series.view() for name, series in self._series.items()}),
            sessions=tuple(session.seen(counted) for session in self._sessions),
            events=tuple(event for _, event in sorted([*self._alarms, *self._events], key=lambda kept: kept[0])),
            facts=self._facts,
            end=self._end,
            rows=extent.rows if extent is not None else 0,
            first_step=extent.first if extent is not None else None,
            last_step=extent.last if extent is not None else None,
            series_dropped=len(self._dropped) + len(self._grids.dropped),
            x_kind=counted,
            layers=MappingProxyType(self._grids.view()),
        )


def _session_ends(rows: Rows, last_step: float | None) -> Iterator[int]:
    """Indices at which the step goes back, and the end of the block."""
    yield from falls(rows.steps, last_step)
    yield len(rows)


def _reached(series: Series, session: int) -> float:
    """The newest step of a series in a session, below all others where it has none."""
    view = series.view()
    last = view.last_step if view.segments and view.segments[-1].session == session else None
    return last if last is not None else -math.inf


def cut(rows: Rows, start: int, stop: int) -> Rows:
    """The rows `start` to `stop` of a block."""
    return Rows(
        steps=rows.steps[start:stop],
        columns={name: values[start:stop] for name, values in rows.columns.items()},
        lines=rows.lines[start:stop],
        below=rows.below,
        x_kind=rows.x_kind,
    )
