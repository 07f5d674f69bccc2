"""The results as aligned text of at most 100 columns."""

import math
from collections.abc import Iterable, Sequence

from gradtop.finding import Severity

from .score import Alarm, Count, KindScore, Outcome, PeerScore, Rate, Score, quantile

WIDTH = 100
QUICK = ("nonfinite", "loss_spike", "lr_zero", "lr_jump", "gradient_exploding")
"""Causes with a target of 20 steps for the median delay."""
SLOW = ("gradient_vanishing", "frozen_layer", "dead_layer", "dead_units", "clip_saturation")
"""Causes with a target of 100 steps."""


def aligned(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as they need: numbers to the right, words to the left."""
    columns = list(zip(head, *rows, strict=True))
    cells = [_column(column) for column in columns]
    lines = ["  ".join(row).rstrip() for row in zip(*cells, strict=True)]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _column(cells: Sequence[str]) -> list[str]:
    width = max(map(len, cells))
    numbers = all(cell[:1] in "0123456789-" for cell in cells[1:])
    return [cell.rjust(width) if numbers else cell.ljust(width) for cell in cells]


def share(count: Count) -> str:
    """`0.95`, or a dash of none."""
    return f"{count.share:.2f}" if count.of else "-"


def of(count: Count) -> str:
    """`19/20`, or a dash of none."""
    return f"{count.some}/{count.of}" if count.of else "-"


def number(value: float, digits: int = 0) -> str:
    """A number, or a dash where there is none."""
    return f"{value:,.{digits}f}" if math.isfinite(value) else "-"


def rate(counted: Rate) -> str:
    """`0.12 per 10,000 (3 in 250,000; 95 % bound 0.31)`."""
    return (
        f"{number(counted.per_10k, 2)} per 10,000 ({counted.events:,} in {counted.steps:,};"
        f" 95 % bound {number(counted.bound, 2)})"
    )


def overview(result: Score) -> list[str]:
    """What matters most, one line each."""
    return [
        f"faults found            {share(result.found)}  ({of(result.found)})",
        f"cause named first       {share(result.named)}  ({of(result.named)}),"
        f" an accepted kind {share(result.in_family)}",
        f"healthy runs flagged    {of(result.flagged)}",
        f"false warnings          {rate(result.warnings)}",
        f"false criticals         {rate(result.criticals)}",
        f"alarms before an onset  {rate(result.early)}",
        f"time, memory            {result.us_per_row:.1f} us per row (median);"
        f" {result.state_bytes[0] / 1e3:,.0f} kB (median), {result.state_bytes[1] / 1e3:,.0f} kB (largest)",
        f"depends on the cutting  {result.unsteady} runs; {result.backdated} alarms told later than they say",
    ]


def kinds(result: Score) -> list[str]:
    """One line for each kind."""
    head = ("kind", "found", "recall", "named", "family", "delay", "p90", "raised", "right", "precision")
    return aligned(head, (_kind(kind) for kind in result.kinds))


def _kind(kind: KindScore) -> tuple[str, ...]:
    return (
        kind.kind,
        of(kind.found),
        share(kind.found),
        share(kind.named),
        share(kind.in_family),
        number(quantile(kind.delays, 0.5)),
        number(quantile(kind.delays, 0.9)),
        str(kind.right.of),
        str(kind.right.some),
        share(kind.right),
    )


def targets(result: Score) -> list[str]:
    """Each target, what was measured, and whether it is met."""
    causes = [kind for kind in result.kinds if kind.found.of]
    worst = min(causes, key=lambda kind: kind.found.share, default=None)
    lines = [
        _target("recall, all faults", result.found.share, 0.95, least=True),
        _target(f"recall, worst kind ({worst.kind})" if worst else "", worst.found.share if worst else 0, 0.85, True),
        _target("cause named first", result.named.share, 0.85, least=True),
        _target("false warnings per 10,000 steps", result.warnings.per_10k, 1.0, least=False),
        _target("false criticals", result.criticals.events, 0, least=False),
    ]
    for kind in causes:
        limit = 20 if kind.kind in QUICK else 100 if kind.kind in SLOW else None
        if limit is not None and kind.delays:
            lines.append(_target(f"median delay, {kind.kind}", quantile(kind.delays, 0.5), limit, least=False))
    return aligned(("target", "measured", "", "limit", "met"), lines)


def _target(name: str, measured: float, limit: float, least: bool) -> tuple[str, ...]:
    met = measured >= limit if least else measured <= limit
    return name, f"{measured:.3g}", ">=" if least else "<=", f"{limit:g}", "yes" if met else "NO"


def peers(scores: Sequence[tuple[PeerScore, Rate, Count]]) -> list[str]:
    """Rules beside each other: on the benchmark's runs, and on real healthy logs."""
    head = ("rule", "found", "early", "healthy flagged", "per 10,000", "real flagged", "per 10,000")
    return aligned(
        head,
        (
            (
                score.name,
                of(score.found),
                str(score.early.some),
                of(score.flagged),
                number(score.rate.per_10k, 1),
                of(flagged),
                number(real.per_10k, 1),
            )
            for score, real, flagged in scores
        ),
    )


def configurations(outcomes: Sequence[Outcome]) -> list[str]:
    """One line for each faulty configuration: found, named, and what was named instead."""
    by_name: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if not outcome.truth.healthy:
            by_name.setdefault(outcome.truth.name, []).append(outcome)
    return aligned(("faulty run", "cause", "found", "named", "delay", "named instead"), map(_line, by_name.values()))


def _line(runs: Sequence[Outcome]) -> tuple[str, ...]:
    others = sorted({run.primary or "nothing" for run in runs if not run.named})
    return (
        runs[0].truth.name,
        runs[0].truth.kinds[0],
        f"{sum(run.found for run in runs)}/{len(runs)}",
        f"{sum(run.named for run in runs)}/{len(runs)}",
        number(quantile([run.delay for run in runs if run.delay is not None], 0.5)),
        ", ".join(others),
    )


def complaints(outcomes: Sequence[Outcome]) -> list[str]:
    """Every false alarm with its message, every missed fault with what was said instead, and what is not consistent."""
    false = [(run, alarm) for run in outcomes for alarm in run.false_alarms]
    missed = [run for run in outcomes if not run.truth.healthy and not run.found]
    lines = [f"false alarms: {len(false)}"]
    for run, alarm in sorted(false, key=lambda pair: (pair[1].kind, pair[0].truth.name, pair[0].seed or 0)):
        early = f" (onset {run.truth.onset})" if not run.truth.healthy else ""
        lines.append(f"  {said(alarm)} in {run.label}{early}: {alarm.message}")
    lines.append(f"missed: {len(missed)}")
    for run in sorted(missed, key=lambda run: (run.truth.kinds, run.truth.name, run.seed or 0)):
        instead = "; ".join(said(alarm) for alarm in run.alarms[:6]) or "nothing"
        lines.append(f"  {run.label}, onset {run.truth.onset}: expected {', '.join(run.truth.kinds)}; said {instead}")
    lines.append(f"not consistent: {len(runs_that_differ(outcomes))}")
    for run in runs_that_differ(outcomes):
        cutting = "" if run.steady else ", depends on the cutting"
        lines.append(f"  {run.label}: {run.backdated} alarms told late{cutting}")
    return lines


def runs_that_differ(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Runs whose findings are not the same for everybody who reads their log."""
    return [run for run in outcomes if run.backdated or not run.steady]


def said(alarm: Alarm) -> str:
    """`watch loss_spike at step 31,220`."""
    return f"{Severity(alarm.severity).word} {alarm.kind} at step {alarm.step:,g}"
