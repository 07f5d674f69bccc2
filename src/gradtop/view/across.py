"""What the x axis of all charts of a screen counts: the run's steps, the time, or epochs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from gradtop import units
from gradtop.plot import grown_end
from gradtop.plot.axis import Labels, placed, step_labels
from gradtop.plot.rounding import nice_step
from gradtop.snapshot import RunSnapshot, RunState
from gradtop.view.overlay import Other

if TYPE_CHECKING:
    from gradtop.run import RunView
    from gradtop.series import SeriesView

STEP, TIME, EPOCH = "step", "time", "epoch"
KINDS = (STEP, TIME, EPOCH)
"""In the order in which they are offered."""
_ELAPSED = ("elapsed_time", "bar_elapsed_s", "time_s", "elapsed_s", "elapsed", "time_elapsed", "time/time_elapsed")
_SERIES = {TIME: ("time", *_ELAPSED), EPOCH: ("epoch",)}
"""What tells of them, the best first."""
_UNIX = (3e7, 2.5e11)
"""Values between these are Unix seconds (years 1971 to 9999), others count from some start."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_EVERY_S = (
    *(1, 2, 5, 10, 15, 30),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14, 28, 91, 365, 3650)),
)
_LABEL_CELLS = 14


class _Places(Protocol):
    """Steps to places on the axis and back."""

    @property
    def first(self) -> float: ...

    @property
    def last(self) -> float: ...

    @property
    def of(self) -> "SeriesView": ...

    @property
    def usable(self) -> bool: ...

    def places(self, steps: Sequence[float]) -> list[float]: ...

    def steps(self, places: Sequence[float]) -> list[float]: ...


@dataclass(frozen=True, slots=True)
class Beside:
    """Another run on the axis: it goes by its own time since its start, or by its own epochs."""

    ink: str
    """Of its lines."""
    places: _Places
    shift: float
    """Where it is when the open run is at 0."""


@dataclass(frozen=True, slots=True)
class Across:
    """An x axis that counts something else than steps. Two that are equal lay a chart out in the same way."""

    kind: str
    """`TIME` or `EPOCH`."""
    rows: int
    """Values of the series that it goes by, which stand for it in comparisons."""
    places: _Places = field(compare=False)
    first_step: float
    """The left end of the axis at rest, as a step of the open run."""
    last_step: float
    """The right end."""
    beside: tuple[Beside, ...] = field(default=(), compare=False)
    """Other runs that tell of this kind."""
    besides: tuple[tuple[str, int], ...] = ()
    """Inks and values of those, which stand for them in comparisons."""
    missing: frozenset[str] = frozenset()
    """Inks of other runs that do not tell of this kind: they have no place on this axis."""

    def theirs(self, ink: str) -> Beside | None:
        """The other run with lines in an ink; None where there is none on the axis."""
        return next((other for other in self.beside if other.ink == ink), None)

    def step_beside(self, ink: str, step: float) -> float:
        """The step at which the run of an ink is where the open one is at `step`."""
        other = self.theirs(ink)
        return other.places.steps((self.places.places((step,))[0] + other.shift,))[0] if other is not None else step

    def edges_beside(self, ink: str, first_step: float, last_step: float, columns: int) -> list[float]:
        """`edges` as steps of the run of an ink, and the step at the right edge of the last column."""
        first, last = self.places.places((first_step, last_step))
        other = self.theirs(ink)
        shift, places = (other.shift, other.places) if other is not None else (0.0, self.places)
        return places.steps([first + shift + (last - first) * k / columns for k in range(columns + 1)])

    def edges(self, first_step: float, last_step: float, columns: int) -> list[float]:
        """The steps at the left edges of pixel columns that are equally wide on this axis."""
        first, last = self.places.places((first_step, last_step))
        return self.places.steps([first + (last - first) * k / columns for k in range(columns)])

    def zoomed(self, window: tuple[float, float], around: float, factor: float) -> tuple[float, float]:
        """The steps of a window `factor` times smaller on this axis, with a step where it was."""
        first, last, middle = self.places.places((*window, around))
        a, b = self.places.steps((middle - (middle - first) / factor, middle + (last - middle) / factor))
        return a, b

    def moved(self, window: tuple[float, float], part: float) -> tuple[float, float]:
        """The steps of a window moved by a part of its width on this axis."""
        first, last = self.places.places(window)
        by = (last - first) * part
        a, b = self.places.steps((first + by, last + by))
        return a, b

    def step_at(self, window: tuple[float, float], part: float) -> float:
        """The step at a part of the width of a window."""
        first, last = self.places.places(window)
        return self.places.steps((first + (last - first) * part,))[0]

    def labels(self, first_step: float, last_step: float, width: int) -> Labels:
        """(cell, text) along the axis."""
        first, last = self.places.places((first_step, last_step))
        if self.kind == EPOCH or not last > first:
            return step_labels(round(first, 3), round(last, 3), width)
        if self.beside:
            # A time of day would be that of one run among several.
            first, last = first - _start(self.places, self.kind), last - _start(self.places, self.kind)
        clock = _is_clock(first, last)
        apart = (last - first) / max(1, width / _LABEL_CELLS)
        every = next((s for s in _EVERY_S if s >= apart), nice_step(apart))
        start, end = (_clock(at, every) if clock else units.duration(at) for at in (first, last))
        return placed(first, last, width, _ticks(first, last, every, clock), start, end)


def across(
    run: RunSnapshot | None, kind: str, before: Across | None = None, others: Sequence[Other] = ()
) -> Across | None:
    """The axis of a kind, with room for `others`; None where it is that of steps, or the run does not tell."""
    if run is None or (places := _places(run.view, kind, before.places if before is not None else None)) is None:
        return None
    first, last = run.view.first_step or 0.0, run.view.last_step or 0.0
    if _goes_on(run):
        last = max(last, places.steps((_grown(places.first, places.last, kind),))[0])
    drawn = [(other.ink, other.run) for other in others if other.run is not None]
    beside = tuple(found for ink, theirs in drawn if (found := _beside(ink, theirs, kind, places, before)) is not None)
    for other in beside:
        low, high = (end - other.shift for end in (other.places.first, other.places.last))
        first = min(first, places.steps((low,))[0]) if low < places.first else first
        last = max(last, places.steps((high,))[0]) if high > places.last else last
    missing = frozenset(ink for ink, _ in drawn) - {other.ink for other in beside}
    rows = tuple((other.ink, len(other.places.of)) for other in beside)
    return Across(kind, len(places.of), places, first, last, beside, rows, missing)


def _beside(ink: str, run: RunSnapshot, kind: str, own: _Places, before: Across | None) -> Beside | None:
    known = before.theirs(ink) if before is not None and before.kind == kind else None
    places = _places(run.view, kind, known.places if known is not None else None)
    return Beside(ink, places, _start(places, kind) - _start(own, kind)) if places is not None else None


def _start(places: _Places, kind: str) -> float:
    """Where a run begins: epochs and elapsed times count from 0, the time of day from the first row."""
    return places.first if kind == TIME and _is_clock(places.first, places.last) else 0.0


def _is_clock(first: float, last: float) -> bool:
    return _UNIX[0] < first and last < _UNIX[1]


def _goes_on(run: RunSnapshot) -> bool:
    return run.state in (RunState.LIVE, RunState.LOADING, RunState.STALLED)


def offered(run: RunSnapshot | None) -> tuple[str, ...]:
    """The kinds that a run tells of."""
    return tuple(kind for kind in KINDS if kind == STEP or across(run, kind) is not None)


def _places(view: "RunView", kind: str, known: _Places | None) -> _Places | None:
    """By the first series that tells of this kind; what is known is kept while its series is the same."""
    from gradtop.series.rising import Rising  # numpy: not before the first picture

    spelt = _spelt(tuple(view.series)) if kind != view.x_kind else {}
    for name in _SERIES.get(kind, ()):
        series = view.series.get(spelt.get(name, ""))
        if series is not None and series.x_kind == view.x_kind and len(series):
            places = known if known is not None and known.of is series else Rising(series)
            if places.usable:
                return places
    return None


@lru_cache(maxsize=8)
def _spelt(names: tuple[str, ...]) -> dict[str, str]:
    """Names in lower case, and as they are spelt."""
    return {name.lower(): name for name in names}


def _grown(first: float, last: float, kind: str) -> float:
    """Room to grow into: counted from the start, as a round distance from the year 1970 says nothing."""
    if kind == EPOCH:
        return first + (last - first) * 1.25
    return first + grown_end(0.0, last - first)


def _ticks(first: float, last: float, every: float, clock: bool) -> Iterator[tuple[float, str]]:
    """Round times of day, or round spans since the start."""
    shift = _offset_s(first) if clock else 0.0
    for n in range(math.ceil((first + shift) / every), math.floor((last + shift) / every) + 1):
        at = n * every - shift
        yield at, _clock(at, every) if clock else units.duration(at)


def _offset_s(unix: float) -> float:
    """Seconds by which local time is ahead of UTC."""
    offset = datetime.fromtimestamp(unix).astimezone().utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def _clock(unix: float, every: float) -> str:
    """A local time, as exact as labels that far apart need it."""
    when = datetime.fromtimestamp(unix)
    if every >= _DAY:
        return when.strftime("%Y-%m-%d" if every >= 28 * _DAY else "%b %d")
    if every >= _HOUR and (when.hour, when.minute) == (0, 0):
        return when.strftime("%b %d")
    return when.strftime("%H:%M:%S" if every < _MINUTE else "%H:%M")
