"""Snapshots to what changed between them: verdicts of runs, and findings, each change once."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gradtop.clean import clean
from gradtop.finding import Finding, FindingState, Severity, Standing
from gradtop.report import finding_document, summary, whole
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.units import count
from gradtop.verdict import Verdict, short_spike

SCHEMA = "gradtop.change/1"


class What(StrEnum):
    """What happened."""

    RAISED = "raised"
    """A finding is new."""
    RECURRED = "recurred"
    """A finding of a kind that had recovered before, or one that had recovered itself."""
    ESCALATED = "escalated"
    """A finding is more severe than before."""
    EASED = "eased"
    """A finding is less severe than before, and still holds."""
    RECOVERED = "recovered"
    """A finding does not hold any more."""
    VERDICT = "verdict"
    """The verdict of the run is another one."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one run."""

    what: What
    run: RunSnapshot
    """The run after it."""
    step: float | None
    """Where it became known; the last step of a finding that recovered; None where the run has no row."""
    was: str = ""
    """The verdict or the severity before it; empty where there was none."""
    finding: Finding | None = None
    """The finding, or the primary cause of a verdict."""


class Changes:
    """Compares every snapshot with the one before it."""

    def __init__(self) -> None:
        """Nothing was seen yet: what there is at first is new."""
        self._verdicts: dict[str, Verdict] = {}
        self._seen: dict[str, dict[str, Finding]] = {}
        self._subjects: dict[str, set[tuple[str, str]]] = {}

    def see(self, snapshot: Snapshot) -> Iterator[Change]:
        """What is new in a snapshot, run by run, findings by step and before the verdict.

        A run is left out until its files have been read for the first time, and so are findings of muted kinds.
        """
        for run in snapshot.runs:
            if run.sources and run.state is not RunState.LOADING:
                yield from self._findings(run)
                yield from self._verdict(run)

    def _verdict(self, run: RunSnapshot) -> Iterator[Change]:
        was, verdict = self._verdicts.get(run.id), run.judgement.verdict
        if verdict is not was:
            self._verdicts[run.id] = verdict
            yield Change(What.VERDICT, run, run.view.last_step, was.value if was else "", run.judgement.primary)

    def _findings(self, run: RunSnapshot) -> list[Change]:
        seen = self._seen.get(run.id, {})
        told = [f for f in run.findings if f.standing is not Standing.MUTED]
        changes = [
            change
            for finding in sorted(told, key=lambda f: (f.raised_step, f.first_step))
            for change in self._finding(run, finding, seen.get(finding.id))
        ]
        self._seen[run.id] = {f.id: f for f in run.findings}
        changes += self._gone(run, seen)
        # A finding that was raised and is over already keeps the order of its two changes.
        return sorted(changes, key=lambda change: change.step if change.step is not None else 0.0)

    def _finding(self, run: RunSnapshot, finding: Finding, seen: Finding | None) -> Iterator[Change]:
        over = finding.state is FindingState.RECOVERED
        if seen is None:
            what = What.RECURRED if self._known(run.id, finding) else What.RAISED
            yield Change(what, run, finding.raised_step, "", finding)
        elif seen.state is FindingState.RECOVERED and not over:
            yield Change(What.RECURRED, run, finding.last_step, seen.severity.word, finding)
        elif finding.severity > seen.severity:
            yield Change(What.ESCALATED, run, finding.raised_step, seen.severity.word, finding)
        elif finding.severity < seen.severity and not over:
            yield Change(What.EASED, run, finding.raised_step, seen.severity.word, finding)
        if over and (seen is None or seen.state is FindingState.ACTIVE):
            yield Change(What.RECOVERED, run, finding.last_step, seen.severity.word if seen else "", finding)

    def _gone(self, run: RunSnapshot, seen: Mapping[str, Finding]) -> Iterator[Change]:
        """Findings that held and are not there any more: a silence that is over leaves nothing behind."""
        for finding in seen.values():
            if finding.counts and finding.id not in self._seen[run.id]:
                over = dataclasses.replace(finding, state=FindingState.RECOVERED)
                yield Change(What.RECOVERED, run, finding.last_step, finding.severity.word, over)

    def _known(self, run_id: str, finding: Finding) -> bool:
        """There was a finding of this kind and scope before; from now on there was one."""
        subjects = self._subjects.setdefault(run_id, set())
        known = (finding.kind, finding.scope) in subjects
        subjects.add((finding.kind, finding.scope))
        return known


def lines(changes: Iterable[Change]) -> Iterator[str]:
    """One line of plain text for each change of one look, cleaned for a terminal.

    Short loss spikes are left out, as runs have many. A notice that is over when it is raised is told once, and a
    verdict does not repeat the message of the fault that was told right before it.
    """
    told: Finding | None = None
    for change in changes:
        finding = change.finding
        if change.what is What.VERDICT:
            yield _line(change, _verdict_text(change, told))
        elif finding is not None and not short_spike(finding) and not _told_as_over(change):
            told = finding
            before = f" (was {change.was})" if change.what in (What.ESCALATED, What.EASED) else ""
            yield _line(change, f"{finding.severity.word}{before}  {finding.kind}: {finding.message}")


def _told_as_over(change: Change) -> bool:
    """It is the end of a notice whose beginning came with it."""
    notice = change.finding is not None and change.finding.severity is Severity.NOTICE
    return notice and change.what is What.RECOVERED and not change.was


def _verdict_text(change: Change, told: Finding | None) -> str:
    before = f" (was {change.was})" if change.was else ""
    why = summary(change.run)
    if told is not None and told is change.finding and told.counts and why == told.message:
        why = told.kind
    return f"{change.run.judgement.verdict.value}{before}: {why}"


def _line(change: Change, text: str) -> str:
    word = change.run.view.x_kind.removesuffix("s")
    where = f"{word} {count(change.step)}  " if change.step is not None else ""
    return clean(f"{change.run.name}  {where}{change.what.value}  {text}")


def document(change: Change) -> dict[str, Any]:
    """One line of `check --follow --json`; everything in it is strict JSON."""
    run, finding = change.run, change.finding
    verdict = change.what is What.VERDICT
    return {
        "schema": SCHEMA,
        "run": run.name,
        "path": str(run.path),
        "change": change.what.value,
        "step": whole(change.step),
        "was": change.was or None,
        "verdict": run.judgement.verdict.value,
        "message": summary(run) if verdict or finding is None else finding.message,
        "finding": finding_document(finding) if finding is not None else None,
    }
