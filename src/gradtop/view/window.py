"""The part of a series that a finding is about, to be drawn beside its words."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, floor, inf
from typing import TYPE_CHECKING

from gradtop.clean import clean
from gradtop.finding import Finding, FindingState, Severity, Standing
from gradtop.plot import Mark
from gradtop.plot.picture import ACT, NOTICE, RESUME, WATCH
from gradtop.snapshot import RunSnapshot
from gradtop.view.charts import Sampled
from gradtop.view.unit import PLAIN, Unit, unit_of

if TYPE_CHECKING:
    pass

CONTEXT_ROWS = 40
"""Rows shown on each side of a finding at least, where there are so many."""
_LEAST_PART = 0.5
"""Part of the length of a finding that is shown on each side of it as well."""
_LOGS = frozenset(("grad_norm", "update_ratio", "loss_scale"))
_GRADIENT = ("grad_norm", "loss")
_LOSS = ("loss", "grad_norm")
_ABOUT: dict[str, tuple[str, ...]] = {
    "gradient_vanishing": _GRADIENT, "gradient_exploding": _GRADIENT, "measurement_suspect": _GRADIENT,
    "clip_saturation": _GRADIENT, "empty_batch": _LOSS, "nonfinite": _LOSS, "loss_spike": _LOSS,
    "loss_divergence": _LOSS, "no_learning": _LOSS, "loss_plateau": _LOSS, "oscillation": _LOSS,
    "lr_zero": ("lr", "loss"), "lr_jump": ("lr", "loss"), "update_ratio": ("update_ratio", "loss"),
    "amp_overflow": ("loss_scale", "grad_norm"), "amp_skip_storm": ("loss_scale", "skipped", "grad_norm"),
    "amp_scale_collapse": ("loss_scale", "grad_norm"), "overfitting": ("val_loss", "loss"),
    "throughput_drop": ("step_time_s", "tokens_per_s"), "gpu_throttled": ("step_time_s", "tokens_per_s"),
    "gpu_starved": ("data_time_s", "step_time_s"),
}  # fmt: skip
_LAYERED: dict[str, tuple[str, ...]] = {
    "dead_units": ("dead_fraction", "zero_fraction"),
    "activation_growth": ("max_attention_logit", "activation_rms"),
    "frozen_layer": ("update_ratio", "weight_norm", "grad_norm"),
    "update_ratio": ("update_ratio",),
}
_LABELS = {"grad_norm": "grad norm", "lr": "learning rate", "val_loss": "validation loss", "loss_scale": "loss scale"}


@dataclass(frozen=True, slots=True)
class Window:
    """A series around a finding. Two windows that are equal draw the same picture."""

    label: str
    """Clean."""
    value: str
    """What it was at the start of the finding."""
    rows: int
    data: Sampled = field(compare=False)
    """Not part of equality: `rows` stands for it."""
    first_step: float
    last_step: float
    log: bool
    onset: float
    """Where the finding begins, for the cursor."""
    marks: tuple[Mark, ...] = ()
    """Where it begins and where it held last, other findings and resumes in between."""
    unit: Unit = PLAIN
    """What the values are shown in."""


def window_of(run: RunSnapshot | None, finding: Finding | None) -> Window | None:
    """The window of a finding; None where the run has no series that it is about."""
    if run is None or finding is None:
        return None
    found = next((one for name in _names(finding) if (one := _curve(run, name)) is not None), None)
    if found is None:
        return None
    name, data, log = found
    first, last = _extent(run, finding)
    at = data.at(finding.first_step)
    unit = unit_of(name, run.view.series[name]) if name in run.view.series else PLAIN
    return Window(
        label=clean(_label(name), 200),
        value=unit.text(at) if at is not None else "",
        rows=len(data),
        data=data,
        first_step=first,
        last_step=last,
        log=log,
        onset=finding.first_step,
        marks=tuple(_marks(run, finding, first, last)),
        unit=unit,
    )


def _curve(run: RunSnapshot, name: str) -> tuple[str, Sampled, bool] | None:
    """(name, values, log axis) of a series or of one layer of a grid; None where there is nothing to draw."""
    family, slash, layer = name.partition("/")
    if slash:
        for grid in run.view.layers.values():
            # A finding quotes the name as it can be shown.
            place = next((i for i, own in enumerate(grid.names) if layer in (own, clean(own))), None)
            if grid.family == family and place is not None and grid.x_kind == run.view.x_kind:
                curve = grid.layer(place)
                return name, curve, any(0 < value < inf for value in curve.tail(len(curve)))
    series = run.view.series.get(name)
    if series is None or not len(series) or series.x_kind != run.view.x_kind:
        return None
    return name, series, family in _LOGS and series.stats.high > 0


def _names(finding: Finding) -> tuple[str, ...]:
    layer = finding.scope.removeprefix("layer:")
    own = tuple(f"{family}/{layer}" for family in _LAYERED.get(finding.kind, ("grad_norm",)))
    about = _ABOUT.get(finding.kind, _LOSS)
    # A scope is a metric where it is no layer: `grad_norm`, `rss_bytes`.
    return (*(own if layer != finding.scope else ()), finding.scope, *about, *_LOSS, "lr")


def _label(name: str) -> str:
    family, slash, layer = name.partition("/")
    return f"{family.replace('_', ' ')} of {layer}" if slash else _LABELS.get(name, name.replace("_", " "))


def _extent(run: RunSnapshot, finding: Finding) -> tuple[float, float]:
    """As many rows on each side as tell what was usual, and more of a long finding."""
    onset, last = finding.first_step, max(finding.first_step, finding.last_step)
    before, after = _rows_around(run, onset, last)
    side = _LEAST_PART * (last - onset)
    lowest = run.view.first_step if run.view.first_step is not None else onset
    highest = run.view.last_step if run.view.last_step is not None else last
    # Half a step is nothing that an axis should name.
    first = max(lowest, min(before, floor(onset - side) if side >= 1 else onset - side))
    return first, max(first, min(highest, max(after, ceil(last + side) if side >= 1 else last + side)))


def _rows_around(run: RunSnapshot, onset: float, last: float) -> tuple[float, float]:
    """The steps of the first and the last row that are shown beside a finding at least."""
    series = next((s for s in run.view.series.values() if s.x_kind == run.view.x_kind and len(s)), None)
    series = next((run.view.series[name] for name in _LOSS if _curve(run, name) is not None), series)
    if series is None:
        return onset, last
    before, after = series.stretch(onset, CONTEXT_ROWS, 1)[0], series.stretch(last, 0, CONTEXT_ROWS)[0]
    return before[0] if before else onset, after[-1] if after else last


def _marks(run: RunSnapshot, finding: Finding, first: float, last: float) -> Iterator[Mark]:
    inks = {Severity.NOTICE: NOTICE, Severity.WATCH: WATCH, Severity.INTERVENE: ACT}
    for other in run.findings:
        if other is not finding and first <= other.first_step <= last:
            yield Mark(other.first_step, NOTICE)
    for session in run.view.sessions[1:]:
        if first <= session.first_step <= last:
            yield Mark(session.first_step, RESUME)
    ink = inks[finding.severity] if finding.standing is Standing.OPEN else NOTICE
    yield Mark(finding.first_step, ink)
    if finding.state is FindingState.RECOVERED:
        yield Mark(finding.last_step, ink)
