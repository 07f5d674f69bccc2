"""The one line on top of every screen: which run, how it stands, how far it is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtop import units
from gradtop.clean import clean
from gradtop.finding import Severity, Standing
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.verdict import Verdict
from gradtop.view.tone import TONES

if TYPE_CHECKING:
    from gradtop.run import RunView

STATE_GLYPHS = {
    RunState.LOADING: "◌",
    RunState.LIVE: "●",
    RunState.STALLED: "◐",
    RunState.FINISHED: "■",
    RunState.CRASHED: "✕",
    RunState.QUIET: "○",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of the header."""

    text: str
    rank: int
    """0 stays on the narrowest screen; the highest rank is dropped first."""
    ink: str = "plain"
    """`brand`, `name`, `plain`, `quiet`, a tone, or the word of one."""
    short: str = ""
    """What is said where there is no room for the text; empty: the text."""


def header(
    snapshot: Snapshot, run: RunSnapshot | None, age_s: float | None, paused: bool, judged: bool = False
) -> tuple[Part, ...]:
    """The parts from left to right.

    Args:
        snapshot: all runs.
        run: the one that is open.
        age_s: how long ago its files changed; None where unknown.
        paused: the screen keeps what it shows.
        judged: say the verdict, where no banner does.
    """
    brand = Part("gradtop", 8, "brand")
    pause = (Part("❚❚ paused", 0, "watch"),) if paused else ()
    if run is None:
        return (brand, Part("looking for runs" if snapshot.searching else "no run yet", 0, "name"), *pause)
    word, tone = run.judgement.verdict.value.replace("_", " ").upper(), TONES[run.judgement.verdict]
    verdict = (Part(f" {word} ", 1, f"{tone} word"),) if judged else ()
    parts = [brand, Part(clean(run.name, 200), 0, "name"), *verdict, *pause, _state(run, age_s), *_progress(run)]
    if len(run.sources) > 1:
        parts.append(Part(f"{len(run.sources):,} files", 6, "quiet"))
    if len(snapshot.runs) > 1:
        parts.append(Part(f"{len(snapshot.runs):,} runs", 6, "quiet"))
    if snapshot.following.startswith("polling ("):
        parts.append(Part("polling", 7, "quiet"))
    return tuple(parts)


def _state(run: RunSnapshot, age_s: float | None) -> Part:
    word = state_word(run)
    ago = units.age(age_s) if age_s is not None and run.state is not RunState.LOADING else "now"
    since = "" if ago == "now" else f" {ago} ago"
    state = f"{STATE_GLYPHS[run.state]} {word}"
    return Part(f"{state}{since}", 0, state_ink(run.state), state)


def state_word(run: RunSnapshot) -> str:
    """How a run stands, in a word or two."""
    if run.state is RunState.LOADING:
        return f"reading {units.percent(run.read)}"
    never = run.changed_at is None and not run.view.rows and any(source.problem for source in run.sources)
    return "waiting" if never else run.state.value


def state_ink(state: RunState) -> str:
    """The ink of a state: a tone where it says something, quiet otherwise."""
    inks = {RunState.LIVE: "good", RunState.CRASHED: "act", RunState.STALLED: "watch", RunState.LOADING: "unknown"}
    return inks.get(state, "quiet")


def _progress(run: RunSnapshot) -> list[Part]:
    step, total = run.view.last_step, run.view.total
    if step is None:
        return []
    if total is not None and step > total:
        # What was taken for the run's end was that of a part of it.
        total = None
    parts = [Part(f"{run.view.x_kind} {units.count(step)}" + (f"/{units.count(total)}" if total else ""), 2)]
    if total and run.state is not RunState.FINISHED:
        parts.append(Part(units.percent(max(0.0, min(1.0, step / total))), 4, "quiet"))
    if run.rate is not None and run.state in (RunState.LIVE, RunState.LOADING, RunState.STALLED):
        word = "it" if run.view.x_kind == "step" else run.view.x_kind.removesuffix("s")
        parts.append(Part(units.rate(run.rate, word) + " seen" * run.rate_seen, 5, "quiet"))
    if run.eta_s is not None:
        parts.append(Part(f"eta {units.duration(run.eta_s)}", 3, "quiet"))
    warmup = warmup_of(run.view)
    if warmup and step < warmup:
        parts.append(Part(f"warm-up {units.percent(step / warmup)}", 7, "quiet"))
    return parts


def warmup_of(view: "RunView") -> float | None:
    """Where the warm-up ends, in what the run counts by; None where nothing says."""
    train = view.facts.train
    return {"step": train.warmup, "epoch": train.warmup_epochs}.get(view.x_kind)


def verdict_word(run: RunSnapshot) -> str:
    """The verdict of a run as a screen says it."""
    verdict, aside = run.judgement.verdict, run.judgement.set_aside
    words = verdict.value.replace("_", " ").upper()
    if verdict is Verdict.KEEP_TRAINING and aside:
        word = run.state.name if run.state in (RunState.FINISHED, RunState.CRASHED) else words
        said = ((s, sum(f.standing is s for f in aside)) for s in (Standing.ACKNOWLEDGED, Standing.MUTED))
        return ", ".join([word, *(f"{n} {standing.name}" for standing, n in said if n)])
    if verdict is Verdict.KEEP_TRAINING and run.state is RunState.FINISHED:
        had = any(finding.severity > Severity.NOTICE for finding in run.findings)
        return "FINISHED, RECOVERED" if had else "FINISHED, NO PROBLEM SEEN"
    return f"FINISHED, {words}" if run.state is RunState.FINISHED and verdict is not Verdict.UNKNOWN else words
