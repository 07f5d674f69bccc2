"""Which series of a run are drawn, and how."""

import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from gradtop import units
from gradtop.clean import clean
from gradtop.finding import Finding, Severity, Standing
from gradtop.plot import Columns, Mark, grown_end
from gradtop.plot.picture import ACT, NOTICE, PLAN, RESUME, WATCH
from gradtop.snapshot import RunSnapshot, RunState
from gradtop.view.note import note, warmup_end
from gradtop.view.unit import PLAIN, Unit, unit_of

if TYPE_CHECKING:
    from gradtop.run import RunView
    from gradtop.series import SeriesView

Band = tuple[tuple[float, float, float], ...]
"""(step, low, high) in order; NaN where no range is known from that step on."""

MAX_MARKS = 500
"""Findings marked on an axis; the newest ones."""


class Sampled(Protocol):
    """A series as a chart needs it."""

    def envelope(
        self,
        columns: int,
        first_step: float | None = None,
        last_step: float | None = None,
        edges: Sequence[float] | None = None,
    ) -> Columns:
        """The values between two steps as pixel columns, which begin at `edges` where those are given."""
        ...

    def at(self, step: float) -> float | None:
        """The value at a step or the nearest one before it."""
        ...

    def smooth(
        self,
        columns: int,
        first_step: float,
        last_step: float,
        edges: Sequence[float] | None = None,
        *,
        log: bool = False,
        part: bool = False,
    ) -> Sequence[float]:
        """The smoothed values of the same pixel columns; none where it is not smoothed."""
        ...

    def smooth_at(self, step: float, *, log: bool = False, part: bool = False) -> tuple[float, int] | None:
        """(smoothed value, rows of its span) at a step or the nearest one before it."""
        ...

    @property
    def span(self) -> int | None:
        """Rows that the newest smoothed value goes back; None where it is not smoothed."""
        ...

    def nearest_step(self, step: float) -> float | None:
        """The step of the nearest value."""
        ...

    def tail(self, n: int) -> Sequence[float]:
        """The last `n` values, oldest first."""
        ...

    def __len__(self) -> int:
        """Values in it."""
        ...


@dataclass(frozen=True, slots=True)
class Trace:
    """A further line of a chart: another run, or the validation of what is drawn."""

    label: str
    """Cleaned."""
    ink: str
    """`trace 1` to `trace 6`; each once in a chart."""
    data: Sampled = field(compare=False)
    rows: int
    """Values in it, which stand for `data` in comparisons."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. Two charts that are equal draw the same picture."""

    name: str
    """Of the series; stable, not shown."""
    label: str
    value: str
    """The newest value."""
    note: str
    """What else the title says: the trend, the share of warm-up."""
    rows: int
    """Values in the series: with `name` it says whether anything is new."""
    data: Sampled = field(compare=False)
    """Not part of equality: `rows` stands for it."""
    first_step: float
    last_step: float
    """The x axis at rest; a live run has room to grow into."""
    log: bool
    smooth: bool
    marks: tuple[Mark, ...] = ()
    ended: bool = True
    """The newest value is finite."""
    ratio: bool = False
    """Values below zero stand for none: `-1` before the first is known."""
    counts: str = ""
    """What the x axis counts; empty where all charts count steps."""
    others: tuple[Trace, ...] = ()
    """Further lines under the series itself, which count by the same steps; at most six are drawn."""
    signed: bool = False
    """Some values are zero or negative: a symlog axis shows what a log axis cannot."""
    apart: bool = False
    """The x axis is its own: the series counts something else than the run."""
    band: Band = field(default=(), compare=False)
    """The usual range behind the curve; it follows from the values."""
    unit: Unit = PLAIN
    """What its values are shown in; those of `data`, of the others and of the band are as in the log."""

    def shown(self, value: float | None) -> str:
        """A value of the series or of the further lines in the unit of the chart; empty for None."""
        return self.unit.text(value) if value is not None else ""


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    label: str
    log: bool = False
    smooth: bool = True
    chosen: bool = False
    """Somebody chose its values."""

    @property
    def ratio(self) -> bool:
        return _RATIO.search(self.name) is not None


_RATIO = re.compile(
    r"(?:^|[^a-z])(?:[mh]fu|acc|accuracy|m?ap[\d_-]*|f1|m?iou|auc|precision|recall)(?:$|[^a-z])", re.IGNORECASE
)
"""Names of ratios, which have no negative values."""
_KNOWN = (
    _Kind("grad_norm", "grad norm", log=True),
    _Kind("loss", "loss"),
    _Kind("lr", "learning rate", smooth=False, chosen=True),
    _Kind("val_loss", "validation loss", smooth=False),
    _Kind("update_ratio", "update ratio", log=True),
    _Kind("accuracy", "accuracy"),
    _Kind("tokens_per_s", "tokens/s"),
    _Kind("samples_per_s", "samples/s"),
    _Kind("step_time_s", "step time"),
    _Kind("loss_scale", "loss scale", log=True, smooth=False, chosen=True),
    _Kind("param_norm", "parameter norm"),
    _Kind("mfu", "MFU"),
)
_KINDS = {kind.name: kind for kind in _KNOWN}
KNOWN = tuple(_KINDS)
"""Series that many trainings have, the most telling ones first."""
_COUNTERS = ("epoch", "step", "tokens", "samples", "skipped", "nan_iters", "num_zeros", "total_steps", "percentage")
_CLOCKS = (
    *("time", "time_s", "elapsed_time", "remaining_time", "eta", "bar_elapsed_s", "elapsed_s", "elapsed"),
    *("time_elapsed", "time/time_elapsed"),
)
NOT_DRAWN = frozenset((*_COUNTERS, *_CLOCKS))
"""They rise with the step and say nothing about the training."""
_LAYER = re.compile(r"/.*\b[a-z]\w*[./]\d+(?:[./]|$)|/.*\b(?:weight|bias)$", re.IGNORECASE)
"""Names of single layers (`gradients/layers.0.weight`); there may be thousands."""
_OF_LAYERS = re.compile(r"^[^/]*(?:norm|grad|param|weight|update)[^/]*/", re.IGNORECASE)
"""Names that begin with what is measured of every layer."""
_QUALITY = re.compile(r"acc|\bm?ap|\bf1|iou|auc|score|reward|bleu|rouge|psnr|ssim|fid\b|[wc]er\b|ppl", re.IGNORECASE)
_COST = re.compile(r"time|mem|_per_s|runtime|throughput|speed", re.IGNORECASE)


def charts(run: RunSnapshot | None, most: int) -> tuple[Chart, ...]:
    """At most `most` charts: grad norm, loss and learning rate first, then what else the run has."""
    if run is None or run.view.last_step is None:
        return ()
    return charts_of(run, _names(run.view)[:most])


def charts_of(run: RunSnapshot, names: Sequence[str]) -> tuple[Chart, ...]:
    """The charts of these series of the run, none of them empty."""
    first, last = reach(run)
    marks = _marks(run.findings, run.view)
    kinds = [_kind_of(name) for name in names]
    drawn = tuple(_chart(kind, run, *_extent(kind, run.view, first, last), marks) for kind in kinds)
    return tuple(replace(chart, counts="") for chart in drawn) if {c.counts for c in drawn} == {"step"} else drawn


def absent(run: RunSnapshot, theirs: "SeriesView") -> Chart:
    """The chart of a series that only another run has, still without its line; it counts as the run does."""
    from gradtop.series import Series  # numpy: not before the first picture

    kind, (first, last) = _kind_of(theirs.name), reach(run)
    return Chart(
        name=kind.name,
        label=kind.label,
        value="not in this run",
        note="",
        rows=0,
        data=Series(kind.name, theirs.x_kind).view(),
        first_step=first,
        last_step=last,
        log=kind.log,
        smooth=kind.smooth,
        marks=_marks(run.findings, run.view),
        ratio=kind.ratio,
        signed=theirs.stats.low <= 0,
        unit=unit_of(kind.name, theirs, kind.chosen),
    )


def label_of(name: str) -> str:
    """What a series of this name is called, cleaned."""
    return _kind_of(name).label


def _kind_of(name: str) -> _Kind:
    return _KINDS.get(name) or _Kind(name, clean(name, 200))


def _names(view: "RunView") -> Sequence[str]:
    """What is drawn of a run, in this order; of its layers nothing is."""
    return _ordered(tuple(name for name, series in view.series.items() if len(series)))


@lru_cache(maxsize=8)
def _ordered(names: tuple[str, ...]) -> Sequence[str]:
    """Remembered: thousands of names would be looked through for every picture, and they rarely change."""
    skip = layers_of(names)
    others = (name for name in names if name not in skip and name.lower() not in NOT_DRAWN and name not in _KINDS)
    return *(name for name in KNOWN if name in names), *sorted(others, key=_place)


def layers_of(names: Collection[str]) -> set[str]:
    """Those of the names that tell of a single layer; there may be thousands."""
    layers = {name for name in names if _LAYER.search(name)}
    # `grad_norm/embed` beside `grad_norm/layers.0` is one of them.
    families = {name.partition("/")[0] for name in layers if _OF_LAYERS.search(name)}
    return layers | {name for name in names if "/" in name and name.partition("/")[0] in families}


def _place(name: str) -> int:
    """Where an unknown name comes: how good the model is, then what else is measured, then what it costs."""
    if _COST.search(name):
        return 2
    return 0 if _QUALITY.search(name) else 1


def reach(run: RunSnapshot) -> tuple[float, float]:
    """The x axis of a run at rest; one that goes on has room to grow into."""
    first, last = run.view.first_step or 0.0, run.view.last_step or 0.0
    growing = run.state in (RunState.LIVE, RunState.LOADING, RunState.STALLED)
    # A single row stands at the left edge, where its step is.
    return first, grown_end(first, last) if growing else last if last > first else first + 1


def _extent(kind: _Kind, view: "RunView", first: float, last: float) -> tuple[float, float]:
    """The x axis of a chart: the run's, or the series' own where that counts something else."""
    series = view.series[kind.name]
    if series.x_kind == view.x_kind:
        return first, last
    first, last = series.first_step or 0.0, series.last_step or 0.0
    return first, last if last > first else first + 1


def _chart(kind: _Kind, run: RunSnapshot, first: float, last: float, marks: tuple[Mark, ...]) -> Chart:
    view, series = run.view, run.view.series[kind.name]
    newest, apart = series.stats.last, series.x_kind != run.view.x_kind
    usual = run.course.usual if run.course is not None and not apart else {}
    unit = unit_of(kind.name, series, kind.chosen)
    return Chart(
        name=kind.name,
        label=_label(kind, series.x_kind, view.x_kind),
        value="not known" if kind.ratio and newest < 0 else unit.text(newest),
        note=note(kind.name, series, run),
        rows=len(series),
        data=series,
        first_step=first,
        last_step=last,
        log=kind.log,
        smooth=kind.smooth,
        marks=() if apart else (*marks, *_plans(run)) if kind.name == "lr" else marks,
        ended=math.isfinite(newest),
        ratio=kind.ratio,
        counts=series.x_kind,
        signed=series.stats.low <= 0,
        apart=apart,
        band=usual.get(kind.name, ()),
        unit=unit,
    )


def _label(kind: _Kind, counts: str, usual: str) -> str:
    by = f" by {counts.removesuffix('s')}"
    return kind.label if counts == usual or kind.label.endswith((by, f"{by}s")) else kind.label + by


def _marks(findings: Sequence[Finding], view: "RunView") -> tuple[Mark, ...]:
    inks = {Severity.NOTICE: NOTICE, Severity.WATCH: WATCH, Severity.INTERVENE: ACT}
    newest = sorted(findings, key=lambda f: f.first_step)[-MAX_MARKS:]
    resumes = [Mark(session.first_step, RESUME) for session in view.sessions[1:][-MAX_MARKS:]]
    found = ((f, inks[f.severity] if f.standing is Standing.OPEN else NOTICE) for f in newest)
    return (*(Mark(f.first_step, ink) for f, ink in found), *resumes)


def _plans(run: RunSnapshot) -> tuple[Mark, ...]:
    """Where the warm-up ends and where the run is planned to end."""
    ends = (warmup_end(run), run.view.total)
    return tuple(Mark(end, PLAN) for end in ends if end)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the cursor reads out of one chart."""

    step: str
    value: str
    """Empty where the series has no value there."""
    time: str
    """Local time of day of that step; empty where the run has no times."""
    others: tuple[str, ...] = ()
    """The values of the further lines, in their order."""
    finite: bool = True
    """False where the value is NaN or infinite."""


def reading(
    chart: Chart, step: float, times: Sampled | None, beside: Callable[[str, float], float] | None = None
) -> Reading:
    """The newest value of a chart at or before a step; `beside` gives (ink, step) the step of a further line."""
    at = beside or (lambda _, step: step)
    value = chart.data.at(step)
    when = times.at(step) if times is not None else None
    return Reading(
        step=units.count(step),
        value=chart.shown(value),
        time=_time_of_day(when) if when is not None else "",
        others=tuple(chart.shown(trace.data.at(at(trace.ink, step))) for trace in chart.others),
        finite=value is None or math.isfinite(value),
    )


def copied(chart: Chart, step: float | None) -> tuple[str, str] | None:
    """(the value at a step, or the newest, with all its digits; what it is); None where there is none."""
    value = chart.data.at(step) if step is not None else next(iter(chart.data.tail(1)), None)
    if value is None:
        return None
    where = f" at {units.count(step)}" if step is not None else ""
    return units.exact(value), f"{chart.label} {units.exact(value)}{where}"


def _time_of_day(unix: float) -> str:
    # Years 1971 to 9999: what is outside is not a Unix time.
    return datetime.fromtimestamp(unix).strftime("%H:%M:%S") if 3e7 < unix < 2.5e11 else ""
