"""Everything known of one training: its series, its sessions, its events and facts."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from gradtop.record import End, Event, Record, Restart, Rows, RunFacts
from gradtop.series import Series, SeriesView

MAX_ALARMS = 500
"""Alarms and crashes kept per run: the first ones, which say what began."""
MAX_EVENTS = 500
"""Other events kept per run: the newest ones."""
MAX_SERIES = 5000
"""Series kept per run; a log with more names than this is counted, not stored."""


@dataclass(frozen=True, slots=True)
class Session:
    """One launch of the training: from its first step until a later session began."""

    number: int
    """From 0."""
    first_step: float
    reason: str
    """Why it began: `start`, `step went back`, `truncated`, `replaced`, `resumed`."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Rows of one session, as the rules see them: in order, each step of the stream once."""

    rows: Rows
    session: Session


@dataclass(frozen=True, slots=True)
class RunView:
    """A run at one moment; nothing in it changes any more."""

    series: Mapping[str, SeriesView]
    sessions: tuple[Session, ...]
    events: tuple[Event, ...]
    facts: RunFacts
    end: End | None
    rows: int
    """Metric rows read, ghosts included."""
    first_step: float | None
    last_step: float | None
    """The newest step."""
    series_dropped: int
    """Metric names left out because there are more than `MAX_SERIES`."""


class Run:
    """The store of one run: records in, a frozen view out. One thread writes; views go anywhere."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        self._sessions: list[Session] = []
        self._alarms: list[tuple[int, Event]] = []
        self._events: deque[tuple[int, Event]] = deque(maxlen=MAX_EVENTS)
        self._event_count = 0
        self._facts = RunFacts()
        self._end: End | None = None
        self._rows = 0
        self._first_step: float | None = None
        self._last_step: float | None = None
        self._restart: str | None = None
        self._dropped: set[str] = set()

    def apply(self, record: Record) -> Iterator[Observation | RunFacts | Event | End]:
        """Take one record in; yield what the rules should see of it, in order. Facts come with all that is known."""
        match record:
            case Rows():
                yield from self._apply_rows(record)
            case RunFacts():
                self._facts = merged(self._facts, record)
                yield self._facts
            case Restart():
                self._restart = record.reason
            case Event():
                self._keep_event(record)
                yield record
            case End():
                self._end = record
                yield record

    def _apply_rows(self, rows: Rows) -> Iterator[Observation]:
        start = 0
        for stop in _session_ends(rows, self._last_step):
            if stop > start:
                yield self._store(rows if (start, stop) == (0, len(rows)) else cut(rows, start, stop))
            start = stop
            if start < len(rows):
                self._restart = self._restart or "step went back"
        self._end = None

    def _store(self, rows: Rows) -> Observation:
        session = self._session_for(float(rows.steps[0]))
        for name, values in rows.columns.items():
            if (series := self._series_for(name, rows.x_kind)) is not None:
                series.extend(rows.steps, values, session.number)
        self._rows += len(rows)
        self._last_step = float(rows.steps[-1])
        self._first_step = min(float(rows.steps[0]), self._first_step if self._first_step is not None else float("inf"))
        return Observation(rows, session)

    def _session_for(self, step: float) -> Session:
        if not self._sessions or self._restart is not None:
            reason = (self._restart or "start") if self._sessions else "start"
            self._sessions.append(Session(len(self._sessions), step, reason))
            self._restart = None
        return self._sessions[-1]

    def _series_for(self, name: str, x_kind: str) -> Series | None:
        series = self._series.get(name)
        if series is None:
            if len(self._series) >= MAX_SERIES:
                self._dropped.add(name) if len(self._dropped) < MAX_SERIES else None
                return None
            series = self._series[name] = Series(name, x_kind)
        return series

    def _keep_event(self, event: Event) -> None:
        self._event_count += 1
        if event.event not in ("alarm", "crash"):
            self._events.append((self._event_count, event))
        elif len(self._alarms) < MAX_ALARMS:
            self._alarms.append((self._event_count, event))

    def view(self) -> RunView:
        """The run as it is now."""
        return RunView(
            series=MappingProxyType({name: series.view() for name, series in self._series.items()}),
            sessions=tuple(self._sessions),
            events=tuple(event for _, event in sorted([*self._alarms, *self._events], key=lambda kept: kept[0])),
            facts=self._facts,
            end=self._end,
            rows=self._rows,
            first_step=self._first_step,
            last_step=self._last_step,
            series_dropped=len(self._dropped),
        )


def _session_ends(rows: Rows, last_step: float | None) -> Iterator[int]:
    """Indices at which the step goes back, and the end of the block."""
    previous = last_step
    for i, step in enumerate(rows.steps):
        if previous is not None and step < previous:
            yield i
        previous = step
    yield len(rows)


def cut(rows: Rows, start: int, stop: int) -> Rows:
    """The rows `start` to `stop` of a block."""
    return Rows(
        steps=rows.steps[start:stop],
        columns={name: values[start:stop] for name, values in rows.columns.items()},
        lines=rows.lines[start:stop],
        below=rows.below,
        x_kind=rows.x_kind,
    )


def merged(old: RunFacts, new: RunFacts) -> RunFacts:
    """Facts with the newer ones on top; a fact that is not given anew stays."""

    def over(a: dict[str, object], b: dict[str, object]) -> dict[str, object]:
        out = dict(a)
        for key, value in b.items():
            mine = out.get(key)
            out[key] = over(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
        return out

    return msgspec.convert(over(msgspec.to_builtins(old), msgspec.to_builtins(new)), RunFacts)
