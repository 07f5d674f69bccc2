"""The answer on top of the Overview: one of four words, and why."""

from dataclasses import dataclass

from gradtop import report
from gradtop.clean import clean
from gradtop.finding import Finding, Standing
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.verdict import Verdict
from gradtop.view.header import verdict_word
from gradtop.view.tone import TONES, Tone


@dataclass(frozen=True, slots=True)
class Banner:
    """What the banner says."""

    tone: Tone
    word: str
    lines: tuple[str, ...] = ()
    """Sentences, most important first; wrapped to the screen, the last ones dropped where there is no room."""
    count: str = ""
    """`2 of 4 reasons to act`; empty without a checklist."""
    criteria: tuple[tuple[bool | None, str], ...] = ()
    """(met, short name) of each criterion."""
    next_step: str = ""
    more: bool = False
    """There is a checklist to open."""


def banner(snapshot: Snapshot, run: RunSnapshot | None) -> Banner:
    """The banner of a run, or of the search while there is none."""
    if run is None:
        return Banner(Tone.UNKNOWN, "UNKNOWN", ("Looking for runs." if snapshot.searching else "No run yet.",))
    judgement = run.judgement
    # Where all is well, a short spike of long ago is no reason to show a checklist.
    finding = judgement.primary if judgement.verdict is Verdict.KEEP_TRAINING else primary(run)
    return Banner(
        tone=TONES[judgement.verdict],
        word=verdict_word(run),
        lines=_lines(run, finding),
        count=f"{finding.met} of {len(finding.criteria)} reasons to act" if finding and finding.criteria else "",
        criteria=tuple((c.met, _short(c.id)) for c in finding.criteria) if finding else (),
        next_step=clean(judgement.next_step, 300),
        more=finding is not None,
    )


def primary(run: RunSnapshot) -> Finding | None:
    """The finding that the banner and the checklist speak of: the judgement's, else the newest that is open."""
    still_open = [f for f in run.findings if f.standing is Standing.OPEN] if not run.judgement.set_aside else []
    return run.judgement.primary or max(still_open, key=lambda f: f.raised_step, default=None)


def _lines(run: RunSnapshot, finding: Finding | None) -> tuple[str, ...]:
    summary = clean(report.summary(run), 600)
    message = clean(finding.message, 600) if finding is not None else ""
    if not message or message in summary:
        # Beside the first sentences, the others of the run have a line of their own.
        return (*_after(summary, message), *_troubles(run))
    if summary in message or run.judgement.verdict is not Verdict.UNKNOWN:
        return (message, *_troubles(run))
    return (summary, message, *_troubles(run))


def _after(summary: str, message: str) -> tuple[str, ...]:
    """The summary up to the end of the message, and the rest of it."""
    head, _, rest = summary.partition(message) if message else ("", "", summary)
    return tuple(filter(None, (f"{head}{message}", rest.strip())))


def _troubles(run: RunSnapshot) -> tuple[str, ...]:
    """What keeps a source from being read, where nothing else shows it: without rows, it stands below the banner."""
    if run.state is RunState.LOADING or not run.view.rows:
        return ()
    return tuple(clean(f"{s.path.name}: {s.problem}", 300) for s in run.sources if s.problem)[:1]


def _short(criterion: str) -> str:
    names = {"below_level": "below usual level", "above_level": "above usual level", "after_burn_in": "after warm-up"}
    return names.get(criterion, criterion.replace("_", " "))
