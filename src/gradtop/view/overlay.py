"""Other runs drawn over the open one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Self

from gradtop import units
from gradtop.clean import clean
from gradtop.plot import LETTERS, TRACES
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.view.charts import Chart, Trace, reach

MOST_MARKED = len(TRACES)
"""Runs that can be drawn over the open one: as many as there are colours that stay apart."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Runs that are marked to be compared. Each keeps its colour while it stays marked."""

    slots: tuple[str | None, ...] = (None,) * MOST_MARKED
    """The id of a run by colour; None where the colour is free."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The marked runs."""
        return tuple(run_id for run_id in self.slots if run_id is not None)

    @property
    def full(self) -> bool:
        """No colour is left."""
        return None not in self.slots

    def ink(self, run_id: str) -> str:
        """The ink of a run; empty where it is not marked."""
        return f"trace {TRACES[self.slots.index(run_id)]}" if run_id in self.slots else ""

    def toggled(self, run_id: str) -> Self:
        """With the run marked, or not any more; the same where no colour is left."""
        if run_id in self.slots:
            return type(self)(tuple(None if held == run_id else held for held in self.slots))
        if self.full:
            return self
        free = self.slots.index(None)
        return type(self)((*self.slots[:free], run_id, *self.slots[free + 1 :]))

    def memory(self) -> dict[str, str | float | bool | None]:
        """What to tell `recalled` the next time."""
        return {f"marked {n}": run_id for n, run_id in zip(TRACES, self.slots, strict=True) if run_id is not None}

    @classmethod
    def recalled(cls, memory: Mapping[str, object]) -> Self:
        """The marks as they were; what is no id is passed over, and so is one that comes twice."""
        found = (memory.get(f"marked {n}") for n in TRACES)
        slots: list[str | None] = []
        for held in found:
            slots.append(held if isinstance(held, str) and held and held not in slots else None)
        return cls(tuple(slots))


@dataclass(frozen=True, slots=True)
class Other:
    """A marked run beside the open one."""

    label: str
    """Cleaned."""
    ink: str
    letter: str
    """Stands at the end of its lines."""
    said: str = ""
    """What is to be said of it: why it is not drawn, or what is amiss with it."""
    run: RunSnapshot | None = None
    """What is drawn; None where it is not."""


def letter_of(ink: str) -> str:
    """What stands at the end of the lines in an ink."""
    return LETTERS[TRACES.index(ink[-1])]


def others_of(snapshot: Snapshot, opened: RunSnapshot | None, marks: Marks) -> tuple[Other, ...]:
    """The marked runs beside the one that is open."""
    wanted = [run_id for run_id in marks.ids if opened is None or run_id != opened.id]
    found = {run.id: run for run in snapshot.runs if run.id in wanted} if wanted else {}
    shared = shared_folders([run.name for run in (opened, *found.values()) if run is not None])
    return tuple(_other(run_id, found.get(run_id), opened, marks.ink(run_id), shared) for run_id in wanted)


def shared_folders(names: Sequence[str]) -> int:
    """Characters in front of all names, folders that tell no run from another: 5 of `logs/a` and `logs/b`."""
    if len(names) < 2:
        return 0
    folders = [name.split("/")[:-1] for name in names]
    same = takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))
    return sum(len(level[0]) + 1 for level in same)


def _other(run_id: str, run: RunSnapshot | None, opened: RunSnapshot | None, ink: str, shared: int) -> Other:
    label = clean(run.name[shared:] if run is not None else Path(run_id).name or run_id, 200)
    why_not = _why_not(run, opened)
    lost = next((s.problem for s in run.sources if s.problem), "") if run is not None else ""
    return Other(label, ink, letter_of(ink), why_not or clean(lost, 60), None if why_not else run)


def _why_not(run: RunSnapshot | None, opened: RunSnapshot | None) -> str:
    """Why a run is not drawn; empty where it is."""
    if run is None:
        return "gone"
    if run.state is RunState.LOADING:
        return f"reading {units.percent(run.read)}"
    if not run.view.rows:
        lost = next((source.problem for source in run.sources if source.problem), "")
        return clean(lost, 60) or ("no values" if run.sources else "not read yet")
    if opened is not None and opened.view.rows and run.view.x_kind != opened.view.x_kind:
        return f"counts by {run.view.x_kind}"
    return ""


def overlaid(charts: Sequence[Chart], run: RunSnapshot | None, others: Sequence[Other]) -> tuple[Chart, ...]:
    """The charts of a run with the same series of the others; each has room for what all of these runs reach."""
    drawn = [(other, other.run) for other in others if other.run is not None]
    if run is None or not drawn:
        return tuple(charts)
    return tuple(_overlaid(chart, run, drawn) for chart in charts)


def _overlaid(chart: Chart, run: RunSnapshot, others: Sequence[tuple[Other, RunSnapshot]]) -> Chart:
    own = run.view.series.get(chart.name)
    counts = own.x_kind if own is not None and len(own) else run.view.x_kind
    ends = [(chart.first_step, chart.last_step)]
    traces: list[Trace] = []
    for other, theirs in others:
        series = theirs.view.series.get(chart.name)
        same = series is not None and len(series) and series.x_kind == counts
        if counts == run.view.x_kind:
            # All charts of a screen that count by the run's own steps have one axis, whatever is drawn in them.
            ends.append(reach(theirs))
        elif series is not None and same:
            ends.append((series.first_step or 0.0, series.last_step or 0.0))
        if series is not None and same:
            traces.append(Trace(other.label, other.ink, series, len(series)))
    first, last = min(a for a, _ in ends), max(b for _, b in ends)
    return replace(chart, others=(*chart.others, *traces), first_step=first, last_step=last)
