"""Which layers left the usual range of their gradients around an incident, how far, and when."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gradtop import units
from gradtop.clean import clean
from gradtop.finding import Finding
from gradtop.snapshot import RunSnapshot
from gradtop.view.entry import Entry
from gradtop.view.incident.stretch import BEFORE_ROWS, DURING_ROWS
from gradtop.view.incident.trace import distance

if TYPE_CHECKING:
    from gradtop.detect.perlayer import Move

ROWS_BEFORE, ROWS_AFTER = 30, 3
"""Rows around the start in which a layer that moved has to do with it, as for the rules."""
MOST_MOVES = 256
"""Moves that the rules keep: with so many, older ones may be missing."""
TOLD = 4
"""Layers, and rows, that are told."""


def knows_layers(run: RunSnapshot) -> bool:
    """The log has gradients per layer."""
    return any(grid.family == "grad_norm" for grid in run.view.layers.values())


def layer_entries(run: RunSnapshot, finding: Finding) -> Iterator[Entry]:
    """Which layers moved first, how far above their own usual, and when."""
    gap = _row_gap(run, finding)
    since, onset = finding.first_step - ROWS_BEFORE * gap, finding.first_step
    until = max(onset + ROWS_AFTER * gap, min(finding.last_step, onset + DURING_ROWS * gap))
    near = sorted((m for m in run.moves if since <= m.step <= until), key=lambda m: m.step)
    if not near and len(run.moves) >= MOST_MOVES and onset < min(m.step for m in run.moves):
        yield Entry("cannot tell: which layers moved so long ago is not kept", "unknown", 2, "?")
    elif not near and (run.moves or knows_layers(run)):
        yield Entry("No layer was seen to leave the usual range of its own gradient around it.", "plain", 2, "·")
    yield from (Entry(_move(run, onset, move), "plain", 2, "·") for move in near[:TOLD])
    if len(near) > TOLD:
        yield Entry(f"{len(near) - TOLD} more such rows up to {units.count(near[-1].step)}", "quiet", 4)


def _row_gap(run: RunSnapshot, finding: Finding) -> float:
    """Steps between two rows before it; 1 where that is not known."""
    series = next((run.view.series[name] for name in ("grad_norm", "loss") if name in run.view.series), None)
    steps = series.stretch(finding.first_step, BEFORE_ROWS, 1)[0] if series is not None else []
    return max(1.0, (steps[-1] - steps[0]) / (len(steps) - 1)) if len(steps) > 1 else 1.0


def _move(run: RunSnapshot, onset: float, move: "Move") -> str:
    where = f"{run.view.x_kind.removesuffix('s')} {units.count(move.step)} ({distance(run, onset, move.step)})"
    some = f"{move.layers} of {move.of} layers" if move.layers > 1 else clean(move.layer, 80)
    if not move.leaders:
        first = f", {clean(move.layer, 80)} nearest to the output" if move.layers > 1 else ""
        return f"{some}{first}: gradients not finite from {where}"
    # Where nearly all of them went, the farthest ones tell little.
    shown = move.leaders[: 2 if 2 * move.layers >= move.of else TOLD]
    leaders = ", ".join(
        f"{clean(layer, 80) + ' ' if move.layers > 1 else ''}{_above(z, decades)}" for layer, z, decades in shown
    )
    return f"{some} at {where}: {leaders} above {'their' if move.layers > 1 else 'its'} own usual"


def _above(z: float, decades: float) -> str:
    far = f"{decades:.1f} decades" if decades >= 0.95 else f"{10.0**decades:.2g}×"
    return f"{far} ({'over 1,000' if z > 1000 else f'{z:.0f}'} σ)"
