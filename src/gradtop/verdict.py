"""Findings to one verdict for the run, its primary cause and what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gradtop.catalogue import PRECEDENCE
from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import End
from gradtop.units import count, percent

MIN_ROWS = 5
"""Rows with a loss or a grad norm below which nothing is said of a run, unless it crashed or trains nothing."""
_CERTAIN = ("crashed", "nonfinite", "amp_skip_storm", "amp_scale_collapse")


class Verdict(StrEnum):
    """The answer to: is this run fine, or do I have to act?"""

    KEEP_TRAINING = "keep_training"
    WATCH = "watch"
    INTERVENE = "intervene"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of one run."""

    verdict: Verdict
    summary: str
    """One sentence: the worst finding, or that all is well, or why nothing can be said."""
    primary: Finding | None = None
    """The finding that explains the others, by precedence of the catalogue."""
    next_step: str = ""
    """What to do or look at next; empty where there is nothing to do."""


def judge(
    findings: Sequence[Finding],
    *,
    rows: int,
    ended: End | None,
    loading: float | None,
    planned: float | None = None,
    counts: str = "step",
    growing: bool = True,
) -> Judgement:
    """The verdict: the severity of the worst active finding, unknown while there is too little to go by.

    Args:
        findings: active and recovered findings of the run.
        rows: rows with a loss or a grad norm.
        ended: the run's own end, if it has one.
        loading: the part of its files that has been read, 0 to 1, while that goes on.
        planned: the planned end of the run, in what it counts.
        counts: what that is, in the singular.
        growing: more rows can be expected: the run is being written.
    """
    active = [f for f in findings if f.state is FindingState.ACTIVE]
    worst = max((f.severity for f in active), default=Severity.NOTICE)
    primary = _primary(active, worst) if worst > Severity.NOTICE else _newest(findings)
    if loading is not None:
        so_far = f" So far: {primary.message}" if primary is not None and worst > Severity.NOTICE else ""
        return Judgement(Verdict.UNKNOWN, f"Still reading the log, {percent(loading)} done.{so_far}", primary)
    certain = worst > Severity.NOTICE and any(f.kind in _CERTAIN and f.severity > Severity.NOTICE for f in active)
    if rows < MIN_ROWS and not certain:
        return Judgement(Verdict.UNKNOWN, _too_few(rows, primary, growing), primary)
    if primary is None or worst is Severity.NOTICE:
        spikes = sum(f.count for f in findings if short_spike(f))
        return Judgement(
            Verdict.KEEP_TRAINING,
            primary.message if primary is not None else _all_well(rows, ended, spikes, planned, counts),
            primary,
        )
    verdict = Verdict.WATCH if worst is Severity.WATCH else Verdict.INTERVENE
    return Judgement(verdict, primary.message, primary, primary.checks[0] if primary.checks else "")


def _primary(active: Sequence[Finding], worst: Severity) -> Finding:
    """Of the worst findings the one that explains the others; of one kind the newest."""
    return min((f for f in active if f.severity is worst), key=lambda f: (PRECEDENCE.index(f.kind), -f.raised_step))


def _newest(findings: Sequence[Finding]) -> Finding | None:
    """What is worth telling of a healthy run: what holds now, else the worst that is over, else the newest.

    A short loss spike is none of it, unless the log itself complains: long runs have many.
    """
    worth = [f for f in findings if not short_spike(f)]
    return max(worth, key=lambda f: (f.state is FindingState.ACTIVE, f.severity, f.raised_step, f.kind), default=None)


def short_spike(finding: Finding) -> bool:
    """A loss spike of single rows, of which long runs have many, and of which the log does not complain itself."""
    return finding.kind == "loss_spike" and finding.severity is Severity.NOTICE and "log_alarm" not in finding.evidence


def _too_few(rows: int, primary: Finding | None, growing: bool) -> str:
    seen = f"{rows} row{'s' if rows > 1 else ''}{' so far' if growing else ''}: too few to judge"
    if not rows:
        seen = f"No row with a loss or a grad norm{' yet' if growing else ''}: nothing to judge"
    return f"{seen}. {primary.message}" if primary is not None else f"{seen}."


def _all_well(rows: int, ended: End | None, spikes: int, planned: float | None, counts: str) -> str:
    short = f"; {count(spikes)} short loss spike{'s' if spikes > 1 else ''}" if spikes else ""
    if ended is not None and ended.status == "finished":
        return f"Finished, no problem seen in {count(rows)} rows{short}."
    if ended is not None and ended.status == "aborted":
        where = f" at step {count(ended.step)}" if ended.step is not None else ""
        return f"Stopped by its user{where}, no problem seen in {count(rows)} rows{short}."
    plan = f" of a run planned for {count(planned)} {counts}s" if planned else ""
    return f"No problem seen in {count(rows)} rows{plan}{short}."
