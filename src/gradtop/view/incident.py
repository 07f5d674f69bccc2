"""The post-mortem of a spike: what else moved around it, when, and what this log cannot say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtop import units
from gradtop.clean import clean
from gradtop.device import DEVICES, MEMORY_USED, POWER, TEMPERATURE, THROTTLE_REASONS, UTILIZATION
from gradtop.device import metric as gpu_metric
from gradtop.finding import Finding, FindingState
from gradtop.snapshot import RunSnapshot
from gradtop.throttle import said
from gradtop.view.entry import Entry
from gradtop.view.stretch import BEFORE_ROWS, DURING_ROWS, LEAST_ROWS, MOVED_Z, Stretch, stretch_of

if TYPE_CHECKING:
    from gradtop.detect.perlayer import Move
    from gradtop.series import SeriesView

KINDS = frozenset(("loss_spike", "gradient_exploding", "nonfinite", "loss_divergence"))
"""Kinds of findings that a post-mortem is made of."""
LAYER_ROWS_BEFORE, LAYER_ROWS_AFTER = 30, 3
"""Rows around the start in which a layer that moved has to do with it, as for the rules."""
LAYERS_TOLD = 4
MISSING = "not in this log"
_WIDTHS = 14, 9


@dataclass(frozen=True, slots=True)
class Trace:
    """One line of the post-mortem."""

    label: str
    before: str = ""
    during: str = ""
    after: str = ""
    moved: str = ""
    """`4 steps before`, `at its start`, `did not move`."""
    step: float | None = None
    """Where it moved."""
    blind: str = ""
    """Why nothing can be told; the rest is empty then."""


@dataclass(frozen=True, slots=True)
class _Stream:
    names: tuple[str, ...]
    """The first that the run has."""
    label: str
    missing: str
    ratio: bool = True
    chosen: bool = False
    """Somebody or a schedule sets it: it moves by plan, so any change counts that is larger than a schedule's."""


_STREAMS = (
    _Stream(("loss",), "loss", MISSING),
    _Stream(("grad_norm",), "grad norm", MISSING),
    _Stream(("lr",), "learning rate", MISSING, chosen=True),
    _Stream(("loss_scale",), "loss scale", MISSING, chosen=True),
    _Stream(("update_ratio",), "update ratio", ""),
    _Stream(("step_time_s",), "step time (s)", ""),
    _Stream(("tokens_per_s", "samples_per_s"), "throughput", ""),
)
"""What is looked at; of those without a word for it, a log that lacks it is none the worse."""
_GPU = ((UTILIZATION, "use"), (TEMPERATURE, "°C"), (POWER, "W"), (MEMORY_USED, "memory"))


def incident_entries(run: RunSnapshot, finding: Finding) -> Iterator[Entry]:
    """What else moved around a spike; nothing for findings of other kinds."""
    if finding.kind not in KINDS:
        return
    traces = [*traces_of(run, finding)]
    yield Entry("What else moved", "heading")
    word = "now" if finding.state is FindingState.ACTIVE else "after"
    yield Entry(_row("what", "before", "in it", word, "moved"), "quiet", 2)
    for trace in traces:
        if not trace.blind:
            yield Entry(_row(trace.label, trace.before, trace.during, trace.after, trace.moved), "plain", 2)
    yield from _first(run, traces)
    yield from _layers(run, finding)
    yield from _blind(traces, run)
    how = f"before: median of up to {BEFORE_ROWS} rows; in it: the farthest value; moved: {MOVED_Z:g} spreads from that"
    yield Entry(how, "quiet", 2)


def _blind(traces: list[Trace], run: RunSnapshot) -> Iterator[Entry]:
    """What cannot be told, reason by reason."""
    blind = [(trace.label, trace.blind) for trace in traces if trace.blind]
    if not run.moves and not _layered(run):
        blind.append(("layers", MISSING))
    absent = [label for label, why in blind if why == MISSING]
    if absent:
        yield Entry(f"cannot tell: {', '.join(absent)} ({MISSING})", "unknown", 2, "?")
    yield from (Entry(f"cannot tell: {label} ({why})", "unknown", 2, "?") for label, why in blind if why != MISSING)


def _row(label: str, before: str, during: str, after: str, moved: str) -> str:
    first, width = _WIDTHS
    return f"{label:<{first}}{before:>{width}}{during:>{width}}{after:>{width}}  {moved}".rstrip()


def traces_of(run: RunSnapshot, finding: Finding) -> Iterator[Trace]:
    """The streams of a run around a finding, with what the log lacks."""
    for stream in _STREAMS:
        series = next((run.view.series[name] for name in stream.names if name in run.view.series), None)
        if series is not None and len(series):
            yield _trace(run, finding, stream, series)
        elif stream.missing:
            yield Trace(stream.label, blind=stream.missing)
        if stream.label == "grad norm":
            yield _clip(run, finding, series)
    yield from _gpus(run, finding)


def _trace(run: RunSnapshot, finding: Finding, stream: _Stream, series: "SeriesView") -> Trace:
    if series.x_kind != run.view.x_kind:
        return Trace(stream.label, blind=f"it is logged by {series.x_kind}, the run by {run.view.x_kind}")
    found = stretch_of(series, finding, stream.ratio)
    show = units.setting if stream.chosen else _number
    before, during, after = (show(v) if v is not None else "–" for v in (found.before, found.during, found.after))
    if found.early:
        rows = f"{found.rows_before} row" + ("s" if found.rows_before != 1 else "")
        return Trace(stream.label, before, during, after, f"cannot tell: {rows} before")
    step = _changed(series, finding) if stream.chosen else found.moved
    return Trace(stream.label, before, during, after, _when(run, finding, step, found), step)


def _changed(series: "SeriesView", finding: Finding) -> float | None:
    """Where a value that is set jumped: by half as much again between two rows, or down by a third."""
    steps, values = series.stretch(finding.first_step, LEAST_ROWS, DURING_ROWS)
    last = max(finding.first_step, finding.last_step)
    pairs = zip(steps[1:], values[:-1], values[1:], strict=True)
    return next((s for s, a, b in pairs if s <= last and b != a and not (2 / 3 <= _quotient(b, a) <= 1.5)), None)


def _quotient(b: float, a: float) -> float:
    return b / a if a else float("inf")


def _when(run: RunSnapshot, finding: Finding, step: float | None, found: Stretch) -> str:
    if step is None:
        return "no row in it" if found.during is None else "did not move"
    return _distance(run, finding.first_step, step)


def _distance(run: RunSnapshot, onset: float, step: float) -> str:
    """`4 steps before`, `at its start`."""
    away = abs(step - onset)
    if not away:
        return "at its start"
    word = run.view.x_kind.removesuffix("s") + ("s" if away != 1 else "")
    return f"{units.count(away)} {word} {'before' if step < onset else 'after'}"


def _number(value: float) -> str:
    return units.number(value, 3)


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


def _gpus(run: RunSnapshot, finding: Finding) -> Iterator[Trace]:
    """Of each measure of the driver the device that moved first, and what slowed devices down."""
    held = run.view.series
    known = False
    for name, label in _GPU:
        found = [
            _trace(run, finding, _Stream((name,), f"GPU {i} {label}", ""), held[gpu_metric(i, name)])
            for i in range(DEVICES)
            if gpu_metric(i, name) in held
        ]
        if found:
            known = True
            yield min(found, key=lambda trace: trace.step if trace.step is not None else float("inf"))
    if not known:
        yield Trace("GPU", blind=MISSING)
    else:
        yield from _throttled(run, finding)


def _throttled(run: RunSnapshot, finding: Finding) -> Iterator[Trace]:
    """What the driver says that slowed a device down around it."""
    last = max(finding.first_step, finding.last_step)
    for i in range(DEVICES):
        series = run.view.series.get(gpu_metric(i, THROTTLE_REASONS))
        if series is None or series.x_kind != run.view.x_kind:
            continue
        steps, values = series.stretch(finding.first_step, BEFORE_ROWS, DURING_ROWS)
        bits = [(s, int(v)) for s, v in zip(steps, values, strict=True) if s <= last and 0 <= v < 2**53]
        step = next((s for s, reasons in bits if said(reasons)), None)
        if step is not None:
            why = said(next(reasons for _, reasons in bits if said(reasons)))
            yield Trace(f"GPU {i} slowed", "", "", "", f"{_distance(run, finding.first_step, step)}: {why}", step)


def _first(run: RunSnapshot, traces: list[Trace]) -> Iterator[Entry]:
    """Which of the streams moved first, in a sentence."""
    moved = sorted((trace.step, trace.label) for trace in traces if trace.step is not None)
    if len(moved) < 2:
        yield Entry("Nothing else that is logged moved with it.", "plain", 2, "·")
        return
    word, step = run.view.x_kind.removesuffix("s"), moved[0][0]
    together = " and ".join(label for at, label in moved if at == step)
    later = [f"{label} at {units.count(at)}" for at, label in moved if at != step]
    then = f"; then {', '.join(later)}" if later else ""
    yield Entry(f"{together} moved first, at {word} {units.count(step)}{then}.", "plain", 2, "·")


def _layered(run: RunSnapshot) -> bool:
    return any(name.startswith("grad_norm/") for name in run.view.series)


def _layers(run: RunSnapshot, finding: Finding) -> Iterator[Entry]:
    """Which layers moved first, how far above their own usual, and when."""
    gap = _row_gap(run, finding)
    since, onset = finding.first_step - LAYER_ROWS_BEFORE * gap, finding.first_step
    until = max(onset + LAYER_ROWS_AFTER * gap, min(finding.last_step, onset + DURING_ROWS * gap))
    near = sorted((m for m in run.moves if since <= m.step <= until), key=lambda m: m.step)
    if not near and (run.moves or _layered(run)):
        yield Entry("No layer left the usual range of its own gradient around it.", "plain", 2, "·")
    yield from (Entry(_move(run, onset, move), "plain", 2, "·") for move in near[:LAYERS_TOLD])
    if len(near) > LAYERS_TOLD:
        yield Entry(f"{len(near) - LAYERS_TOLD} more such rows up to {units.count(near[-1].step)}", "quiet", 4)


def _row_gap(run: RunSnapshot, finding: Finding) -> float:
    """Steps between two rows before it; 1 where that is not known."""
    series = next((run.view.series[name] for name in ("grad_norm", "loss") if name in run.view.series), None)
    steps = series.stretch(finding.first_step, BEFORE_ROWS, 1)[0] if series is not None else []
    return max(1.0, (steps[-1] - steps[0]) / (len(steps) - 1)) if len(steps) > 1 else 1.0


def _move(run: RunSnapshot, onset: float, move: "Move") -> str:
    where = f"{run.view.x_kind.removesuffix('s')} {units.count(move.step)} ({_distance(run, onset, move.step)})"
    some = f"{move.layers} of {move.of} layers" if move.layers > 1 else clean(move.layer, 80)
    if not move.leaders:
        first = f", {clean(move.layer, 80)} nearest to the output" if move.layers > 1 else ""
        return f"{some}{first}: gradients not finite from {where}"
    # Where nearly all of them went, the farthest ones tell little.
    shown = move.leaders[: 2 if 2 * move.layers >= move.of else LAYERS_TOLD]
    leaders = ", ".join(
        f"{clean(layer, 80) + ' ' if move.layers > 1 else ''}{_above(z, decades)}" for layer, z, decades in shown
    )
    return f"{some} at {where}: {leaders} above {'their' if move.layers > 1 else 'its'} own usual"


def _above(z: float, decades: float) -> str:
    far = f"{decades:.1f} decades" if decades >= 0.95 else f"{10.0**decades:.2g}×"
    return f"{far} ({'over 1,000' if z > 1000 else f'{z:.0f}'} σ)"
