"""The part of a series that a finding is about, to be drawn beside its words."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradtop import units
from gradtop.clean import clean
from gradtop.finding import Finding, FindingState, Severity, Standing
from gradtop.plot import Mark
from gradtop.plot.picture import ACT, NOTICE, RESUME, WATCH
from gradtop.snapshot import RunSnapshot
from gradtop.view.charts import Sampled

if TYPE_CHECKING:
    from gradtop.series import SeriesView

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


def window_of(run: RunSnapshot | None, finding: Finding | None) -> Window | None:
    """The window of a finding; None where the run has no series that it is about."""
    if run is None or finding is None:
        return None
    name = next((name for name in _names(finding) if _drawable(run, name)), None)
    if name is None:
        return None
    series = run.view.series[name]
    first, last = _extent(series, finding)
    at = series.at(finding.first_step)
    return Window(
        label=clean(_label(name), 200),
        value=units.number(at) if at is not None else "",
        rows=len(series),
        data=series,
        first_step=first,
        last_step=last,
        log=name.partition("/")[0] in _LOGS and series.stats.high > 0,
        onset=finding.first_step,
        marks=tuple(_marks(run, finding, first, last)),
    )


def _names(finding: Finding) -> tuple[str, ...]:
    layer = finding.scope.removeprefix("layer:")
    own = tuple(f"{family}/{layer}" for family in _LAYERED.get(finding.kind, ("grad_norm",)))
    about = _ABOUT.get(finding.kind, _LOSS)
    # A scope is a metric where it is no layer: `grad_norm`, `rss_bytes`.
    return (*(own if layer != finding.scope else ()), finding.scope, *about, *_LOSS, "lr")


def _drawable(run: RunSnapshot, name: str) -> bool:
    series = run.view.series.get(name)
    return series is not None and len(series) > 0 and series.x_kind == run.view.x_kind


def _label(name: str) -> str:
    family, slash, layer = name.partition("/")
    return f"{family.replace('_', ' ')} of {layer}" if slash else _LABELS.get(name, name.replace("_", " "))


def _extent(series: "SeriesView", finding: Finding) -> tuple[float, float]:
    """As many rows on each side as tell what was usual, and more of a long finding."""
    onset, last = finding.first_step, max(finding.first_step, finding.last_step)
    before, _ = series.stretch(onset, CONTEXT_ROWS, 1)
    after, _ = series.stretch(last, 0, CONTEXT_ROWS)
    side = _LEAST_PART * (last - onset)
    lowest, highest = series.first_step or 0.0, series.last_step or 0.0
    first = max(lowest, min(before[0] if before else onset, onset - side))
    return first, max(first, min(highest, max(after[-1] if after else last, last + side)))


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
