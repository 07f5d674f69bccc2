"""The training's own streams around an incident: loss, grad norm, learning rate, loss scale, clipping, speed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtop import units
from gradtop.finding import Finding
from gradtop.snapshot import RunSnapshot
from gradtop.view.incident.stretch import BEFORE_ROWS, DURING_ROWS, LEAST_ROWS, stretch_of
from gradtop.view.incident.trace import MISSING, Trace, number, when

if TYPE_CHECKING:
    from gradtop.series import SeriesView


@dataclass(frozen=True, slots=True)
class Stream:
    """Something that is logged row by row."""

    names: tuple[str, ...]
    """The first that the run has."""
    label: str
    missing: str
    ratio: bool = True
    chosen: bool = False
    """Somebody or a schedule sets it: it moves by plan, so any change counts that is larger than a schedule's."""


_STREAMS = (
    Stream(("loss",), "loss", MISSING),
    Stream(("grad_norm",), "grad norm", MISSING),
    Stream(("lr",), "learning rate", MISSING, chosen=True),
    Stream(("loss_scale",), "loss scale", MISSING, chosen=True),
    Stream(("update_ratio",), "update ratio", ""),
    Stream(("step_time_s",), "step time (s)", ""),
    Stream(("tokens_per_s", "samples_per_s"), "throughput", ""),
)
"""What is looked at; of those without a word for it, a log that lacks it is none the worse."""


def streams(run: RunSnapshot, finding: Finding) -> Iterator[Trace]:
    """The streams of a run around a finding, with what the log lacks."""
    for stream in _STREAMS:
        series = next((run.view.series[name] for name in stream.names if name in run.view.series), None)
        if series is not None and len(series):
            yield trace_of(run, finding, stream, series)
        elif stream.missing:
            yield Trace(stream.label, blind=stream.missing)
        if stream.label == "grad norm":
            yield _clip(run, finding, series)


def trace_of(run: RunSnapshot, finding: Finding, stream: Stream, series: "SeriesView") -> Trace:
    """A series around a finding, or why it cannot be compared."""
    if series.x_kind != run.view.x_kind:
        return Trace(stream.label, blind=f"it is logged by {series.x_kind}, the run by {run.view.x_kind}")
    found = stretch_of(series, finding, stream.ratio)
    show = _setting if stream.chosen else number
    before, during, after = (show(v) if v is not None else "–" for v in (found.before, found.during, found.after))
    if found.early:
        rows = f"{found.rows_before} row" + ("s" if found.rows_before != 1 else "")
        return Trace(stream.label, before, during, after, f"cannot tell: {rows} before", early=True)
    step = _changed(series, finding) if stream.chosen else found.moved
    return Trace(stream.label, before, during, after, when(run, finding, step, found), step)


def _setting(value: float) -> str:
    # A learning rate on its schedule has more digits than anybody reads; a loss scale is a power of two.
    return units.setting(value if abs(value) >= 1 else float(f"{value:.3g}"))


def _changed(series: "SeriesView", finding: Finding) -> float | None:
    """Where a value that is set jumped: by half as much again between two rows, or down by a third."""
    steps, values = series.stretch(finding.first_step, LEAST_ROWS, DURING_ROWS)
    last = max(finding.first_step, finding.last_step)
    pairs = zip(steps[1:], values[:-1], values[1:], strict=True)
    return next((s for s, a, b in pairs if s <= last and b != a and not (2 / 3 <= _quotient(b, a) <= 1.5)), None)


def _quotient(b: float, a: float) -> float:
    return b / a if a else float("inf")


def _clip(run: RunSnapshot, finding: Finding, norms: "SeriesView | None") -> Trace:
    """How often the norm exceeded the clip value."""
    clip = run.view.facts.train.clip_norm
    if not clip:
        return Trace("clipping", blind="the log does not say at which norm it clips")
    if norms is None or not len(norms):
        return Trace("clipping", blind=MISSING)
    last = max(finding.first_step, finding.last_step)
    steps, values = norms.stretch(finding.first_step, BEFORE_ROWS, DURING_ROWS)
    before = [v for s, v in zip(steps, values, strict=True) if s < finding.first_step]
    inside = [v for s, v in zip(steps, values, strict=True) if finding.first_step <= s <= last]

    def share(some: list[float]) -> str:
        return f"{sum(v > clip for v in some)}/{len(some)}" if some else "–"

    return Trace("clipped", share(before), share(inside), "", f"rows above clip {units.setting(clip)}")
