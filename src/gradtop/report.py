"""Snapshot to the documented JSON (schema `gradtop.check/1`), to plain text, and to an exit code."""

import math
from collections.abc import Iterator
from typing import Any

from gradtop.clean import clean
from gradtop.finding import Criterion, Finding, FindingState
from gradtop.record import json_value
from gradtop.series import SeriesView
from gradtop.snapshot import RunSnapshot, Snapshot
from gradtop.units import number
from gradtop.verdict import Verdict

SCHEMA = "gradtop.check/1"
EXIT_CODES = {Verdict.KEEP_TRAINING: 0, Verdict.WATCH: 1, Verdict.INTERVENE: 2, Verdict.UNKNOWN: 3}
"""The Nagios plugin convention: OK, WARNING, CRITICAL, UNKNOWN."""
LAYER_PREFIX = "grad_norm/"
_BADNESS = (Verdict.KEEP_TRAINING, Verdict.UNKNOWN, Verdict.WATCH, Verdict.INTERVENE)
_MARKS = {True: "●", False: "○", None: "?"}
_HEADINGS = ("loss", "grad_norm", "lr", "val_loss")


def overall(snapshot: Snapshot) -> Verdict:
    """The worst verdict of all runs; unknown where there is none. A known fault is worse than not knowing."""
    return max((run.judgement.verdict for run in snapshot.runs), key=_BADNESS.index, default=Verdict.UNKNOWN)


def report(snapshot: Snapshot) -> dict[str, Any]:
    """The `check --json` document; everything in it is strict JSON."""
    return {"schema": SCHEMA, "verdict": overall(snapshot).value, "runs": [_run(run) for run in snapshot.runs]}


def _run(run: RunSnapshot) -> dict[str, Any]:
    view = run.view
    return {
        "run": run.name,
        "path": str(run.path),
        "format": sorted({source.format for source in run.sources}),
        "state": run.state.value,
        "steps": {
            "first": _step(view.first_step),
            "last": _step(view.last_step),
            "rows": view.rows,
            "sessions": len(view.sessions),
            "total": view.facts.train.total_steps,
        },
        "metrics": {name: _metric(series) for name, series in sorted(view.series.items()) if not layer_of(name)},
        "layers": sum(1 for name in view.series if layer_of(name)),
        "verdict": run.judgement.verdict.value,
        "summary": run.judgement.summary,
        "findings": [_finding(finding) for finding in run.findings],
        "problems": [source.problem for source in run.sources if source.problem],
    }


def layer_of(name: str) -> str:
    """The layer whose grad norm a series is; empty for any other series."""
    return name.removeprefix(LAYER_PREFIX) if name.startswith(LAYER_PREFIX) else ""


def _step(step: float | None) -> float | int | None:
    return int(step) if step is not None and step == int(step) else step


def _metric(series: SeriesView) -> dict[str, float | int | str | None]:
    stats = series.stats
    return {
        "count": stats.count,
        "first": json_value(stats.first),
        "last": json_value(stats.last),
        "min": stats.low if math.isfinite(stats.low) else None,
        "max": stats.high if math.isfinite(stats.high) else None,
        "nan": stats.nan,
        "inf": stats.inf,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "kind": finding.kind,
        "scope": finding.scope,
        "severity": finding.severity.word,
        "state": finding.state.value,
        "first_step": _step(finding.first_step),
        "last_step": _step(finding.last_step),
        "raised_step": _step(finding.raised_step),
        "count": finding.count,
        "message": finding.message,
        "evidence": {k: json_value(v) if isinstance(v, float) else v for k, v in finding.evidence.items()},
        "criteria": [{"id": c.id, "text": c.text, "met": c.met, "evidence": c.evidence} for c in finding.criteria],
        "causes": list(finding.causes),
        "checks": list(finding.checks),
        "caveats": list(finding.caveats),
    }


def lines(snapshot: Snapshot) -> Iterator[str]:
    """The report as plain text for people, cleaned for a terminal."""
    for run in snapshot.runs:
        yield from _run_lines(run)
    if not snapshot.runs:
        yield "UNKNOWN  nothing to judge"
        yield from (f"  {clean(note)}" for note in snapshot.notes)


def headline(run: RunSnapshot) -> str:
    """One line: the verdict of a run and why."""
    word = run.judgement.verdict.value.replace("_", " ").upper()
    return f"{word}  {clean(run.name)}: {clean(run.judgement.summary)}"


def _run_lines(run: RunSnapshot) -> Iterator[str]:
    view = run.view
    yield headline(run)
    yield f"  {clean(str(run.path))}"
    total = f" of {view.facts.train.total_steps}" if view.facts.train.total_steps else ""
    if view.last_step is not None:
        yield f"  {run.state.value}, steps {view.first_step:g} to {view.last_step:g}{total}, {view.rows} rows"
    for name in _HEADINGS:
        if (series := view.series.get(name)) is not None:
            yield f"  {name:<10} {_range(series)}"
    for source in run.sources:
        if source.problem:
            yield f"  {clean(source.problem)}"
    for finding in run.findings:
        yield from finding_lines(finding)


def _range(series: SeriesView) -> str:
    stats = series.stats
    odd = [f"{count} {word}" for count, word in ((stats.nan, "NaN"), (stats.inf, "Inf")) if count]
    return f"{number(stats.first)} → {number(stats.last)}" + (f", {', '.join(odd)}" if odd else "")


def finding_lines(finding: Finding) -> Iterator[str]:
    """A finding with its checklist, as plain text."""
    state = "" if finding.state is FindingState.ACTIVE else ", over"
    yield f"  {finding.severity.word.upper()}{state}: {clean(finding.message)}"
    if finding.criteria:
        yield f"    {finding.met} of {len(finding.criteria)} reasons to act"
    yield from (f"    {_criterion(criterion)}" for criterion in finding.criteria)
    yield from (f"    cause: {clean(cause)}" for cause in finding.causes[:3])
    yield from (f"    check: {clean(check)}" for check in finding.checks[:3])
    yield from (f"    note: {clean(caveat)}" for caveat in finding.caveats)


def _criterion(criterion: Criterion) -> str:
    return f"{_MARKS[criterion.met]} {clean(criterion.text)}: {clean(criterion.evidence)}"
