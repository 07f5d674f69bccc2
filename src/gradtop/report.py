"""Snapshot to the documented JSON (schema `gradtop.check/1`), to plain text, and to an exit code."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from gradtop.catalogue import KINDS, PRECEDENCE
from gradtop.clean import clean
from gradtop.coverage import REMEDY, blindness
from gradtop.finding import Coverage, Criterion, Finding, FindingState, Standing
from gradtop.record import Model, Train, json_value
from gradtop.snapshot import RunSnapshot, Snapshot
from gradtop.sources import SourceStatus
from gradtop.units import count, number
from gradtop.verdict import Verdict, short_spike

if TYPE_CHECKING:  # a screen is painted before numpy is there
    from gradtop.run import RunView
    from gradtop.series import SeriesView, Stats

SCHEMA = "gradtop.check/1"
EXIT_CODES = {Verdict.KEEP_TRAINING: 0, Verdict.WATCH: 1, Verdict.INTERVENE: 2, Verdict.UNKNOWN: 3}
"""The Nagios plugin convention: OK, WARNING, CRITICAL, UNKNOWN."""
WIDTH = 100
"""Columns of the text report, where words allow."""
LAYER_PREFIX = "grad_norm/"
_PER_LAYER = ("grad_norm", "weight_norm")
"""Metrics of each layer: one that never has a gradient has weights."""
_BLIND_ROOM = 150
"""Characters for kinds and reasons, so that what cannot be told takes no more than two lines."""
_REASONS_ROOM = 90
"""Characters for reasons alone, with a count of the kinds and of further reasons beside them."""
_ALIKE_SHOWN = 2
"""Findings of one kind that are told in a sentence each; of more only the newest is, and the rest are counted."""
_ONE_LOOK = "silence and processes are judged by --follow and by the app, not by one look"
"""Why the kinds that rows do not decide cannot be told."""
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
            "first": whole(view.first_step),
            "last": whole(view.last_step),
            "rows": view.rows,
            "sessions": len(view.sessions),
            "total": whole(view.total),
        },
        "facts": _facts(view),
        "metrics": dict(sorted(_metrics(view))),
        "layers": len(_layer_names(view)),
        "verdict": run.judgement.verdict.value,
        "summary": summary(run),
        "goal": run.goal or None,
        "findings": [finding_document(finding) for finding in run.findings],
        "rules": list(_rules(run)),
        "sources": [_source(source, run) for source in run.sources],
        "problems": [source.problem for source in run.sources if source.problem],
    }


def _rules(run: RunSnapshot) -> Iterator[dict[str, str]]:
    """Of every kind in their order of precedence, whether it is judged, muted, or cannot be told, and why."""
    known = {one.kind: one for one in run.coverage}
    for id in PRECEDENCE:
        if id in KINDS:
            one = known.get(id) or Coverage(id, _ONE_LOOK, KINDS[id].needs)
            state = "muted" if id in run.muted else "cannot_tell" if one.why else "judged"
            yield {"kind": id, "state": state, "why": one.why, "needs": one.needs}


def _source(source: SourceStatus, run: RunSnapshot) -> dict[str, Any]:
    rows = {one.path: one.rows for one in run.joined}
    return {
        "path": str(source.path),
        "format": source.format,
        "rows": rows.get(source.path, run.view.rows),
        "rejected": source.lines_rejected,
        "problem": source.problem or None,
    }


def _facts(view: "RunView") -> dict[str, Any]:
    """What the run says of itself, as in a `run` record of its own stream; `origin` says where it was read."""
    facts = view.facts
    warmup = {"warmup_steps": facts.train.warmup} if facts.train.warmup is not None else {}
    return {
        "model": _known(facts.model),
        "train": _known(facts.train) | warmup,
        "origin": {name: clean(origin) for name, origin in facts.origin.items()},
    }


def _known(facts: Model | Train) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(facts).items() if value is not None}


def _metrics(view: "RunView") -> Iterator[tuple[str, dict[str, float | int | str | None]]]:
    """All but the grad norms of layers."""
    yield from ((name, _metric(series.stats)) for name, series in view.series.items() if not layer_of(name))
    yield from ((name, _metric(grid.stats(i))) for name, grid, i in view.layered() if not layer_of(name))


def layer_of(name: str) -> str:
    """The layer whose grad norm a series is; empty for any other series."""
    return name.removeprefix(LAYER_PREFIX) if name.startswith(LAYER_PREFIX) else ""


def whole(step: float | None) -> float | int | None:
    """A step as JSON has it: whole numbers without a point."""
    return int(step) if step is not None and step == int(step) else step


def _metric(stats: "Stats") -> dict[str, float | int | str | None]:
    return {
        "count": stats.count,
        "first": json_value(stats.first),
        "last": json_value(stats.last),
        "min": stats.low if math.isfinite(stats.low) else None,
        "max": stats.high if math.isfinite(stats.high) else None,
        "nan": stats.nan,
        "inf": stats.inf,
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """A finding as it stands in the JSON document."""
    return {
        "id": finding.id,
        "kind": finding.kind,
        "scope": finding.scope,
        "severity": finding.severity.word,
        "state": finding.state.value,
        "standing": finding.standing.value,
        "first_step": whole(finding.first_step),
        "last_step": whole(finding.last_step),
        "raised_step": whole(finding.raised_step),
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
    return f"{word}  {clean(run.name)}: {clean(summary(run))}"


def summary(run: RunSnapshot) -> str:
    """The judgement in a sentence; of a run that gave nothing, what kept it from being read."""
    if run.view.rows or run.judgement.verdict is not Verdict.UNKNOWN:
        return run.judgement.summary
    why = next((found for source in run.sources if (found := source.problem or _unread(source, 0))), "")
    return f"Nothing read: {why}." if why else run.judgement.summary


def _run_lines(run: RunSnapshot) -> Iterator[str]:
    """The verdict, the numbers, what there is to act on, the primary cause in full, and the rest in a sentence each."""
    yield from _wrapped(headline(run), "", "  ")
    yield from _numbers(run)
    primary = run.judgement.primary
    told = primary.id if primary is not None and primary.message in run.judgement.summary else ""
    full = sorted((f for f in run.findings if f.counts or f is primary), key=lambda f: f is not primary)
    for finding in full:
        yield from finding_lines(finding, told=finding.id == told, brief=primary not in (None, finding))
    if others := dict.fromkeys(f.kind for f in full if primary is not None and f.causes != primary.causes):
        yield from _wrapped(f"Causes and checks of these: gradtop check --list-rules {' '.join(others)}", "  ", "    ")
    yield from _sentences(run, [f for f in run.findings if f not in full and not short_spike(f)])
    yield from _blind(run)


def _sentences(run: RunSnapshot, findings: Sequence[Finding]) -> Iterator[str]:
    """A sentence for each finding; where there are many of one kind, for the first of them and for all others."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((_standing(finding), finding.kind), []).append(finding)
    for (standing, kind), found in alike.items():
        shown = found if len(found) <= _ALIKE_SHOWN else found[:1]
        for finding in shown:
            yield from _wrapped(clean(finding.message), f"  {standing}  ", "    ")
        if more := found[len(shown) :]:
            since = f"{run.view.x_kind.removesuffix('s')} {count(min(f.first_step for f in more))}"
            yield f"  {standing}  {kind.replace('_', ' ')}: {len(more):,} more since {since}"


def _blind(run: RunSnapshot) -> Iterator[str]:
    """What cannot be told of a run that has rows: the kinds by reason, or where there are many the reasons alone."""
    reasons = [one for one in blindness(run.coverage) if not (run.goal and one.why.startswith(run.goal))]
    if not reasons or not run.view.rows:
        return
    whys = [clean(one.why.removesuffix(" in this log"), 200) for one in reasons]
    told = "; ".join(f"{', '.join(one.kinds)} ({why})" for one, why in zip(reasons, whys, strict=True))
    if len(told) > _BLIND_ROOM:
        told = f"{sum(len(one.kinds) for one in reasons)} of {len(KINDS)} kinds of findings ({_some(whys)})"
    yield from _wrapped(f"cannot tell: {told}. gradtop explain says what is missing.", "  ", "    ")


def _some(whys: Sequence[str]) -> str:
    """As many reasons as there is room for, at least one, and how many more there are."""
    n = 1
    while n < len(whys) and len("; ".join(whys[: n + 1])) <= _REASONS_ROOM:
        n += 1
    more = [f"{_count_of('more reason', len(whys) - n)}"] if n < len(whys) else []
    return "; ".join([*whys[:n], *more])


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _labelled(label: str, text: str) -> str:
    return f"  {label:<10} {text}"


def _numbers(run: RunSnapshot) -> Iterator[str]:
    view = run.view
    yield _labelled("path", clean(str(run.path)))
    if view.first_step is not None and view.last_step is not None:
        yield _labelled("state", f"{_state(run)}, {_extent(view, view.first_step, view.last_step)}")
    if run.goal:
        yield from _wrapped(
            f"{clean(run.goal)}: rules for a loss that has to fall are off; {REMEDY}", _labelled("goal", ""), " " * 13
        )
    for name in _HEADINGS:
        if (series := view.series.get(name)) is not None:
            yield _labelled(name, _range(series))
    yield from _layers(view)
    for source in run.sources:
        if source.problem:
            yield _labelled("problem", clean(source.problem))
        if unread := _unread(source, view.rows):
            yield _labelled("unread", f"{unread}: see gradtop explain {clean(str(source.path))}")


def _layers(view: "RunView") -> Iterator[str]:
    """How many layers have values, and where the newest of them stand."""
    steps = [
        step for grid in view.layers.values() if grid.family in _PER_LAYER and (step := grid.last_step) is not None
    ]
    if steps:
        at = f"{view.x_kind.removesuffix('s')} {count(max(steps))}"
        yield _labelled("layers", f"{len(_layer_names(view)):,}, newest values at {at}")


def _layer_names(view: "RunView") -> set[str]:
    return {name for grid in view.layers.values() if grid.family in _PER_LAYER for name in grid.names}


def _state(run: RunSnapshot) -> str:
    end = run.view.end
    return "stopped" if end is not None and end.status == "aborted" else run.state.value


def _extent(view: "RunView", first: float, last: float) -> str:
    """`steps 1 to 500 of 20,000, 500 rows`, in what the log counts."""
    total = f" of {count(view.total)}" if view.total else ""
    counts = [len(series) for series in view.series.values() if series.x_kind == view.x_kind]
    counts += [grid.most for grid in view.layers.values() if grid.x_kind == view.x_kind]
    rows = max(counts, default=0)
    sessions = f", {len(view.sessions):,} sessions" if len(view.sessions) > 1 else ""
    word, steps = view.x_kind.removesuffix("s"), count(first)
    extent = f"{word} {steps}" if first == last else f"{word}s {steps} to {count(last)}"
    return f"{extent}{total}, {_count_of('row', rows)}{sessions}"


def _count_of(word: str, n: int) -> str:
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def _unread(source: SourceStatus, rows: int) -> str:
    """What of a source is no metric although it may have been meant as one."""
    if source.lines_rejected:
        why = f" ({clean(source.rejected_why, 100)})" if source.rejected_why else ""
        return f"{_count_of('line', source.lines_rejected)} could not be understood{why}"
    if not rows and source.lines_skipped:
        return f"{_count_of('line', source.lines_skipped)}, none with a metric that gradtop knows"
    return ""


def _range(series: "SeriesView") -> str:
    stats = series.stats
    odd = [f"{count(n)} {word}" for n, word in ((stats.nan, "NaN"), (stats.inf, "Inf")) if n]
    return f"{number(stats.first)} → {number(stats.last)}" + (f", {', '.join(odd)}" if odd else "")


def _standing(finding: Finding) -> str:
    over = ", over" if finding.state is not FindingState.ACTIVE else ""
    said = f", {finding.standing.value}" if finding.standing is not Standing.OPEN else ""
    return f"{finding.severity.word.upper()}{over}{said}"


def finding_lines(finding: Finding, told: bool = False, brief: bool = False) -> Iterator[str]:
    """A finding with its checklist, as plain text; with causes and next checks where there is something to act on.

    Args:
        finding: the finding.
        told: its message stands above already.
        brief: it goes with another finding, which says what to do; its own causes and checks are left out.
    """
    kind = clean(finding.kind.replace("_", " "))
    reasons = f": {finding.met} of {len(finding.criteria)} reasons to act" if finding.criteria else ""
    yield f"  {_standing(finding)}  {kind}{reasons}" + ("  (● met  ○ not met  ? cannot tell)" if reasons else "")
    if not told:
        yield from _wrapped(clean(finding.message), "    ", "    ")
    for criterion in finding.criteria:
        yield from _wrapped(_criterion(criterion), "    ", "      ")
    if finding.counts and not brief:
        yield from _list("cause", finding.causes)
        yield from _list("next", finding.checks)
    yield from _list("note", finding.caveats)


def _list(label: str, texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        yield from _wrapped(clean(text), f"    {label:<5}  ", " " * 11)


def _criterion(criterion: Criterion) -> str:
    return f"{_MARKS[criterion.met]} {clean(criterion.text)}: {clean(criterion.evidence)}"
