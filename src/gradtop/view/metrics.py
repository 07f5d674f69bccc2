"""Every series of a run as charts, each made when it is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from gradtop.filter import Filter
from gradtop.plot import TRACES
from gradtop.snapshot import RunSnapshot
from gradtop.view.charts import KNOWN, NOT_DRAWN, Chart, Trace, absent, charts_of, label_of, layers_of
from gradtop.view.natural import Natural, natural
from gradtop.view.overlay import Other, overlaid
from gradtop.view.pairs import Group, grouped

if TYPE_CHECKING:
    from gradtop.series import SeriesView

_Names = tuple[tuple[str, str], ...]
"""(name, what its steps count) of series."""


class MetricsView:
    """The charts of a run, and of what only those drawn over it have.

    Known metrics come first, then those without a folder, folder by folder, then those at rest. Layers have a room of
    their own. A chart costs nothing until it is asked for.
    """

    def __init__(self, run: RunSnapshot | None, found: Filter = Filter(), others: Sequence[Other] = ()) -> None:  # noqa: B008  # frozen
        """Those charts of a run that have a series which the filter admits, the `others` drawn over it."""
        self._run, self._others = run, others
        self._absent = _absent(run, others) if run is not None else {}
        series = {**self._absent, **_held(run)} if run is not None else {}
        # The time of each row is an x axis, and no metric.
        names = tuple((name, held.x_kind) for name, held in series.items() if name != "time")
        # Colours say one thing at a time: with other runs in the charts, validation has charts of its own.
        apart = any(other.run is not None for other in others)
        self._groups = _at_rest_last(_arranged(names, found, apart), series)
        self.of = len(_arranged(names, Filter(), apart))
        """How many charts there are without the filter."""

    def __len__(self) -> int:
        """Number of charts."""
        return len(self._groups)

    def name(self, i: int) -> str:
        """The series that a chart is of."""
        return self._groups[i].name

    def index(self, name: str | None) -> int | None:
        """Where the chart of a series is; None where there is none."""
        return next((i for i, group in enumerate(self._groups) if group.name == name), None)

    def charts(self, first: int, n: int) -> tuple[Chart, ...]:
        """Up to `n` charts from place `first` on."""
        if self._run is None:
            return ()
        groups = self._groups[first : first + n]
        own = iter(charts_of(self._run, [group.name for group in groups if group.name not in self._absent]))
        drawn = [absent(self._run, self._absent[g.name]) if g.name in self._absent else next(own) for g in groups]
        paired = [_paired(chart, group, self._run) for chart, group in zip(drawn, groups, strict=True)]
        return overlaid(paired, self._run, self._others)


def _held(run: RunSnapshot) -> "dict[str, SeriesView]":
    """The series of a run that have values."""
    return {name: series for name, series in run.view.series.items() if len(series)}


def _absent(run: RunSnapshot, others: Sequence[Other]) -> "dict[str, SeriesView]":
    """What only others have, of the first of them that has it, and that counts as this run does."""
    found: dict[str, SeriesView] = {}
    for other in others:
        theirs = _held(other.run) if other.run is not None else {}
        found = {name: series for name, series in theirs.items() if series.x_kind == run.view.x_kind} | found
    return {name: series for name, series in found.items() if not len(run.view.series.get(name, ()))}


def _paired(chart: Chart, group: Group, run: RunSnapshot) -> Chart:
    """The chart with the same quantity of other data as further lines."""
    if not group.others:
        return chart
    words = [word for word, _ in group.others]
    held = [(word if words.count(word) == 1 else label_of(name), run.view.series[name]) for word, name in group.others]
    traces = (Trace(label, f"trace {n}", series, len(series)) for n, (label, series) in zip(TRACES, held, strict=False))
    return replace(chart, others=tuple(traces))


@lru_cache(maxsize=8)
def _arranged(names: _Names, found: Filter, apart: bool) -> tuple[Group, ...]:
    """The series that a filter admits, in groups and in order. Remembered: names rarely change."""
    kept = [held for held in _without_layers(names) if found.admits(held[0], *_also(held[0]))]
    groups = (Group(name) for name, _ in kept) if apart else grouped(kept)
    return tuple(sorted(groups, key=lambda group: _place(group.name)))


@lru_cache(maxsize=8)
def _without_layers(names: _Names) -> _Names:
    layers = layers_of([name for name, _ in names])
    return tuple(held for held in names if held[0] not in layers)


@lru_cache(maxsize=8192)
def _also(name: str) -> tuple[str, ...]:
    """What else a series is called on the screen."""
    label = label_of(name)
    return (label,) if label != name else ()


def _place(name: str) -> tuple[int, int, Natural, Natural]:
    """What series are sorted by: counters and clocks last, known ones first, the others folder by folder."""
    if name in KNOWN:
        return 0, KNOWN.index(name), (), ()
    folder, _, last = name.rpartition("/")
    return 2 if name.lower() in NOT_DRAWN else 1, 0, natural(folder), natural(last)


def _at_rest_last(groups: Sequence[Group], series: "Mapping[str, SeriesView]") -> tuple[Group, ...]:
    """The groups in their order, those last that say nothing of the training: counters, constants, single values."""
    resting = [_rests(group, series) for group in groups]
    moving = (group for group, rests in zip(groups, resting, strict=True) if not rests)
    return *moving, *(group for group, rests in zip(groups, resting, strict=True) if rests)


def _rests(group: Group, series: "Mapping[str, SeriesView]") -> bool:
    if group.name.lower() in NOT_DRAWN:
        return True
    if group.name in KNOWN or group.others:
        return False
    stats = series[group.name].stats
    return not stats.nan + stats.inf and (stats.count == 1 or stats.low == stats.high)
