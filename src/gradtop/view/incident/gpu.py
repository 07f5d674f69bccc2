"""The GPUs around an incident: from series of the log, or else from samples of the machine."""

from collections.abc import Iterator

from gradtop.device import DEVICES, THROTTLE_REASONS, metric
from gradtop.finding import Finding
from gradtop.snapshot import RunSnapshot
from gradtop.throttle import said
from gradtop.view.incident.sample import MEASURES, Measured, around, measured, reach, slowed
from gradtop.view.incident.stream import Stream, trace_of
from gradtop.view.incident.stretch import BEFORE_ROWS, DURING_ROWS
from gradtop.view.incident.trace import MISSING, Trace, distance, number, when


def gpus(run: RunSnapshot, finding: Finding) -> Iterator[Trace]:
    """Of each measure of the driver the device that moved first, and what slowed devices down."""
    held = run.view.series
    known = False
    for name, label in MEASURES:
        found = [
            trace_of(run, finding, Stream((name,), f"GPU {i} {label}", ""), held[metric(i, name)])
            for i in range(DEVICES)
            if metric(i, name) in held
        ]
        if found:
            known = True
            yield min(found, key=lambda trace: trace.step if trace.step is not None else float("inf"))
    if known:
        yield from _throttled(run, finding)
    else:
        yield from _sampled(run, finding)


def _sampled(run: RunSnapshot, finding: Finding) -> Iterator[Trace]:
    """The same from the samples of the machine, which have times and no steps."""
    place = around(run, finding) if run.machine is not None else None
    if place is None:
        yield Trace("GPU", blind=MISSING if run.machine is None else "its rows have no times to find samples by")
        return
    found = [*measured(run, finding, place)]
    if not found:
        yield Trace("GPU", blind=reach(run, place) or "no sample of a GPU around it")
    for _, label in MEASURES:
        alike = [one for one in found if one.label.endswith(f" {label}")]
        if alike:
            one = min(alike, key=lambda m: m.step if m.step is not None else float("inf"))
            yield _of_device(run, finding, one)
    for index, time, why in slowed(run, place):
        step = place.step_at(time)
        at = distance(run, finding.first_step, step) if step is not None else "after"
        yield Trace(f"GPU {index} slowed", moved=f"{at}: {why}", step=step)


def _of_device(run: RunSnapshot, finding: Finding, one: Measured) -> Trace:
    show = _bytes if one.label.endswith("memory") else number
    before, during, after = (
        show(v) if v is not None else "–" for v in (one.found.before, one.found.during, one.found.after)
    )
    if one.found.early:
        return Trace(
            one.label, before, during, after, f"cannot tell: {one.found.rows_before} samples before", early=True
        )
    return Trace(one.label, before, during, after, when(run, finding, one.step, one.found), one.step)


def _bytes(value: float) -> str:
    return f"{value / 2**30:.1f} GiB"


def _throttled(run: RunSnapshot, finding: Finding) -> Iterator[Trace]:
    """What the driver says that slowed a device down around it."""
    last = max(finding.first_step, finding.last_step)
    for i in range(DEVICES):
        series = run.view.series.get(metric(i, THROTTLE_REASONS))
        if series is None or series.x_kind != run.view.x_kind:
            continue
        steps, values = series.stretch(finding.first_step, BEFORE_ROWS, DURING_ROWS)
        bits = [(s, int(v)) for s, v in zip(steps, values, strict=True) if s <= last and 0 <= v < 2**53]
        step = next((s for s, reasons in bits if said(reasons)), None)
        if step is not None:
            why = said(next(reasons for _, reasons in bits if said(reasons)))
            yield Trace(f"GPU {i} slowed", "", "", "", f"{distance(run, finding.first_step, step)}: {why}", step)
