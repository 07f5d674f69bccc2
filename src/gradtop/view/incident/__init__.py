"""The post-mortem of a spike: what else moved around it, when, and what this log cannot say."""

from collections.abc import Iterator

from gradtop import units
from gradtop.finding import Finding, FindingState
from gradtop.snapshot import RunSnapshot
from gradtop.view.entry import Entry
from gradtop.view.incident.gpu import gpus
from gradtop.view.incident.layer import knows_layers, layer_entries
from gradtop.view.incident.stream import streams
from gradtop.view.incident.stretch import BEFORE_ROWS, LASTING_ROWS, LASTING_Z, MOVED_Z
from gradtop.view.incident.trace import MISSING, Trace

__all__ = ["KINDS", "incident_entries", "traces_of"]

KINDS = frozenset(("loss_spike", "gradient_exploding", "nonfinite", "loss_divergence"))
"""Kinds of findings that a post-mortem is made of."""
_WIDTHS = 14, 9


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
    yield from layer_entries(run, finding)
    yield from _blind(traces, run)
    how = f"moved: {MOVED_Z:g} spreads from that, or {LASTING_Z:g} spreads in {LASTING_ROWS} rows in a row"
    yield Entry(f"before: median of up to {BEFORE_ROWS} rows; in it: the farthest value; {how}", "quiet", 2)


def _blind(traces: list[Trace], run: RunSnapshot) -> Iterator[Entry]:
    """What cannot be told, reason by reason."""
    blind = [(trace.label, trace.blind) for trace in traces if trace.blind]
    if not run.moves and not knows_layers(run):
        blind.append(("layers", MISSING))
    absent = [label for label, why in blind if why == MISSING]
    if absent:
        yield Entry(f"cannot tell: {', '.join(absent)} ({MISSING})", "unknown", 2, "?")
    yield from (Entry(f"cannot tell: {label} ({why})", "unknown", 2, "?") for label, why in blind if why != MISSING)


def _row(label: str, before: str, during: str, after: str, moved: str) -> str:
    first, width = _WIDTHS
    return f"{label:<{first}}{before:>{width}}{during:>{width}}{after:>{width}}  {moved}".rstrip()


def traces_of(run: RunSnapshot, finding: Finding) -> Iterator[Trace]:
    """Everything around a finding but its layers, with what the log lacks."""
    yield from streams(run, finding)
    yield from gpus(run, finding)


def _first(run: RunSnapshot, traces: list[Trace]) -> Iterator[Entry]:
    """Which of the streams moved first, in a sentence."""
    moved = sorted((trace.step, trace.label) for trace in traces if trace.step is not None)
    if not moved and all(trace.early or trace.blind for trace in traces):
        yield Entry("cannot tell what moved first: there is too little before it", "unknown", 2, "?")
        return
    if len(moved) < 2:
        yield Entry("Nothing else that is logged moved with it.", "plain", 2, "·")
        return
    word, step = run.view.x_kind.removesuffix("s"), moved[0][0]
    together = " and ".join(label for at, label in moved if at == step)
    later = [f"{label} at {units.count(at)}" for at, label in moved if at != step]
    then = f"; then {', '.join(later)}" if later else ""
    how = "first" if later else "together"
    yield Entry(f"{together} moved {how}, at {word} {units.count(step)}{then}.", "plain", 2, "·")
