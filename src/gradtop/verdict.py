"""Findings to one verdict for the run, its primary cause and what to do next."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gradtop.catalogue import KINDS, PRECEDENCE
from gradtop.finding import Finding, FindingState, Severity, Standing
from gradtop.record import End
from gradtop.units import count, percent

MIN_ROWS = 5
"""Rows with a loss or a grad norm below which nothing is said of a run, unless it crashed or trains nothing."""
MOST_NAMED = 3
"""Kinds of findings that a summary names beside the primary one."""
_CERTAIN = ("crashed", "process_gone", "nonfinite", "amp_skip_storm", "amp_scale_collapse")

_SPIKES = ("loss_spike", "gradient_exploding")
_DAMAGE = (
    "nonfinite", "amp_scale_collapse", "amp_skip_storm", "loss_divergence", "gradient_exploding", "loss_spike",
    "gradient_vanishing", "layer_imbalance", "dead_layer", "dead_units", "frozen_layer", "activation_growth",
    "update_ratio", "clip_saturation", "no_learning", "oscillation",
)  # fmt: skip
"""What too large a step can do to a model."""
_LEADS_TO = {
    "lr_jump": _DAMAGE,
    "measurement_suspect": ("gradient_exploding", "gradient_vanishing"),
    "amp_scale_collapse": ("nonfinite",),
    "amp_skip_storm": ("nonfinite",),
    "frozen_layer": ("gradient_exploding", "gradient_vanishing"),
    "dead_layer": ("gradient_vanishing",),
    "dead_units": ("dead_layer", "gradient_vanishing", "update_ratio", "no_learning"),
    "layer_imbalance": ("frozen_layer", "dead_layer", "gradient_vanishing", "update_ratio"),
    "loss_divergence": ("dead_layer", "dead_units", "frozen_layer", "layer_imbalance", "activation_growth"),
    "gradient_exploding": ("gradient_vanishing",),
    "loss_spike": ("gradient_vanishing",),
    "activation_growth": ("nonfinite", "loss_divergence", "gradient_exploding", "loss_spike", "layer_imbalance"),
    "update_ratio": ("loss_divergence", "gradient_exploding", "dead_layer", "dead_units"),
    "oscillation": ("loss_divergence", "gradient_exploding", "loss_spike", "update_ratio"),
    "gpu_throttled": ("throughput_drop",),
    "gpu_starved": ("throughput_drop",),
}
"""What explains another finding that goes before it by precedence or is worse, where it was there first."""


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
    """The primary finding and what goes with it, or that all is well, or why nothing can be said."""
    primary: Finding | None = None
    """The finding that explains the others, by precedence of the catalogue."""
    next_step: str = ""
    """What to do or look at next; empty where there is nothing to do."""
    supporting: tuple[Finding, ...] = ()
    """The other findings to act on, the worst first."""
    set_aside: tuple[Finding, ...] = ()
    """Findings above a notice that do not count, as they were acknowledged or muted; those that hold first."""


def judge(
    findings: Sequence[Finding],
    *,
    rows: int,
    ended: End | None,
    loading: float | None,
    planned: float | None = None,
    counts: str = "step",
    newest: float | None = None,
    growing: bool = True,
) -> Judgement:
    """The verdict: the severity of the worst finding that counts, unknown while there is too little to go by.

    Args:
        findings: active and recovered findings of the run.
        rows: rows with a loss or a grad norm.
        ended: the run's own end, if it has one.
        loading: the part of its files that has been read, 0 to 1, while that goes on.
        planned: the planned end of the run, in what it counts.
        counts: what that is, in the singular.
        newest: the newest step of the run.
        growing: more rows can be expected: the run is being written.
    """
    to_act_on = [f for f in findings if f.counts]
    worst = max((f.severity for f in to_act_on), default=Severity.NOTICE)
    primary = cause(to_act_on) if to_act_on else _newest(findings)
    supporting = tuple(sorted((f for f in to_act_on if f is not primary), key=lambda f: (-f.severity, f.first_step)))
    aside = tuple(_set_aside(findings))

    def judgement(verdict: Verdict, *sentences: str, next_step: str = "") -> Judgement:
        return Judgement(verdict, " ".join(filter(None, sentences)), primary, next_step, supporting, aside)

    also = f"Also: {', '.join(_named(supporting, counts))}." if supporting else ""
    if loading is not None:
        so_far = f"So far: {primary.message}" if primary is not None and to_act_on else ""
        return judgement(Verdict.UNKNOWN, f"Still reading the log, {percent(loading)} done.", so_far, also)
    if rows < MIN_ROWS and not any(f.kind in _CERTAIN for f in to_act_on):
        return judgement(Verdict.UNKNOWN, _too_few(rows, primary, growing), also, _told(aside, counts))
    if primary is None or not to_act_on:
        end = _ended(ended)
        if primary is not None:
            return judgement(Verdict.KEEP_TRAINING, _told(aside, counts), end and f"{end}.", primary.message)
        plan = _planned(planned, newest, counts) if planned and not end else ""
        well = _all_well(findings, rows, end, plan, other=bool(aside))
        return judgement(Verdict.KEEP_TRAINING, _told(aside, counts), well)
    verdict = Verdict.WATCH if worst is Severity.WATCH else Verdict.INTERVENE
    next_step = primary.checks[0] if primary.checks else ""
    return judgement(verdict, primary.message, also, _told(aside, counts), next_step=next_step)


def cause(found: Sequence[Finding]) -> Finding:
    """What explains the others: the first by precedence of the worst, or what led to it, step by step back."""

    def rank(finding: Finding) -> tuple[int, float]:
        return PRECEDENCE.index(finding.kind), -finding.raised_step

    worst = max(f.severity for f in found)
    first = min((f for f in found if f.severity is worst), key=rank)
    known = {first.kind}
    while led := [f for f in found if f.kind not in known and _led_to(f, first)]:
        first = min(led, key=rank)
        known.add(first.kind)
    return first


def _led_to(earlier: Finding, later: Finding) -> bool:
    """One finding explains another: it is of a kind that can, and was there when the other one was raised."""
    if later.kind not in _LEADS_TO.get(earlier.kind, ()):
        return False
    if earlier.kind == "loss_divergence":
        # It has to be known before what it is to explain begins: the two often come of one fault.
        return earlier.raised_step <= later.first_step
    return earlier.first_step <= later.raised_step


def _set_aside(findings: Iterable[Finding]) -> Iterator[Finding]:
    """What would count, or would have counted, if its user had not said otherwise."""
    found = [f for f in findings if f.standing is not Standing.OPEN and f.severity > Severity.NOTICE]
    yield from sorted(found, key=lambda f: (f.state is not FindingState.ACTIVE, -f.severity, f.first_step))


def _told(aside: Sequence[Finding], counts: str) -> str:
    """`2 findings acknowledged: loss divergence since step 300, crashed since step 512. 1 finding muted: ...`."""
    sentences = []
    for standing in (Standing.ACKNOWLEDGED, Standing.MUTED):
        if found := [f for f in aside if f.standing is standing]:
            some = f"{len(found)} finding{'s' if len(found) > 1 else ''}"
            sentences.append(f"{some} {standing.value}: {', '.join(_named(found, counts))}.")
    return " ".join(sentences)


def _named(findings: Sequence[Finding], counts: str) -> Iterator[str]:
    """`loss divergence since step 300`, each kind once and no more than a few."""
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding)
    for kind, found in list(kinds.items())[:MOST_NAMED]:
        times = f" ({len(found)})" if len(found) > 1 else ""
        over = "" if any(f.state is FindingState.ACTIVE for f in found) else ", over"
        since = "at" if over else "since"
        yield f"{_called(kind)}{times} {since} {counts} {count(min(f.first_step for f in found))}{over}"
    if len(kinds) > MOST_NAMED:
        yield f"{len(kinds) - MOST_NAMED} more"


def _called(kind: str) -> str:
    """The title of a kind inside a sentence: `slower steps`, `NaN or Inf`."""
    title = KINDS[kind].title
    return title[0].lower() + title[1:] if title[1:3].islower() else title


def _newest(findings: Sequence[Finding]) -> Finding | None:
    """What is worth telling of a healthy run: what holds now, else the worst that is over, else the newest.

    A short spike is none of it, unless the log itself complains: long runs have many.
    """
    worth = [f for f in findings if f.standing is Standing.OPEN and not short_spike(f) and not _all_skipped(f)]
    return max(worth, key=lambda f: (f.state is FindingState.ACTIVE, f.severity, f.raised_step, f.kind), default=None)


def short_spike(finding: Finding) -> bool:
    """A spike of single rows, of which long runs have many, and of which the log does not complain itself."""
    spike = finding.kind in _SPIKES and finding.severity is Severity.NOTICE
    return spike and "log_alarm" not in finding.evidence


def _all_skipped(finding: Finding) -> bool:
    """NaN and Inf of steps that mixed precision skipped, and that are over: so it searches its scale."""
    skipped = finding.evidence.get("skipped", 0.0)
    return (
        finding.kind == "nonfinite"
        and finding.severity is Severity.NOTICE
        and finding.state is FindingState.RECOVERED
        and "log_alarm" not in finding.evidence
        and skipped == finding.count
    )


def _too_few(rows: int, primary: Finding | None, growing: bool) -> str:
    seen = f"{rows} row{'s' if rows > 1 else ''}{' so far' if growing else ''}: too few to judge"
    if not rows:
        seen = f"No row with a loss or a grad norm{' yet' if growing else ''}: nothing to judge"
    return f"{seen}. {primary.message}" if primary is not None else f"{seen}."


def _all_well(findings: Iterable[Finding], rows: int, ended: str, plan: str, *, other: bool) -> str:
    """Nothing was seen but short spikes; `ended`: how the run did; `other`: than what was said before."""
    seen = f"{'no other' if other else 'no'} problem seen in {count(rows)} rows"
    text = f"{ended}, {seen}" if ended else f"{seen[0].upper()}{seen[1:]}{plan}"
    return f"{text}{_spikes(findings)}."


def _planned(planned: float, newest: float | None, counts: str) -> str:
    if newest is not None and newest >= planned:
        return f", up to the planned end at {counts} {count(planned)}"
    return f" of a run planned for {count(planned)} {counts}s"


def _spikes(findings: Iterable[Finding]) -> str:
    """`; 10 short loss spikes, 1 of the grad norm`; empty where there are none."""
    spikes = Counter[str]()
    for finding in findings:
        if short_spike(finding):
            spikes[finding.kind] += finding.count
    of_loss, of_norm = (spikes[kind] for kind in _SPIKES)
    loss = f"{count(of_loss)} short loss spike{'s' if of_loss > 1 else ''}" if of_loss else ""
    short = "" if loss else f"short spike{'s' if of_norm > 1 else ''} "
    norm = f"{count(of_norm)} {short}of the grad norm"
    return f"; {', '.join(filter(None, (loss, norm if of_norm else '')))}" if spikes else ""


def _ended(ended: End | None) -> str:
    """How the run ended, where that was in order."""
    if ended is None or ended.status not in ("finished", "aborted"):
        return ""
    where = f" at step {count(ended.step)}" if ended.step is not None else ""
    return "Finished" if ended.status == "finished" else f"Stopped by its user{where}"
