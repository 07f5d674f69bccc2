"""The checklist behind a verdict: what was seen, which reasons to act hold, likely causes, what to check."""

from collections.abc import Iterator
from shlex import quote

from gradtop import units
from gradtop.catalogue import KINDS
from gradtop.clean import clean
from gradtop.config import Settings
from gradtop.finding import Criterion, Finding, FindingState, Severity, Standing
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.sources import SourceStatus
from gradtop.view.banner import primary
from gradtop.view.entry import MARKS, Entry

_WORDS = {True: "met", False: "not met", None: "cannot tell"}


def checklist(
    run: RunSnapshot | None, settings: Settings | None = None, chosen: str | None = None
) -> tuple[Entry, ...]:
    """A finding in full, then the others in one line each: the one with the id `chosen`, else the primary one."""
    if run is None:
        return (Entry("There is no run yet.", "quiet"),)
    finding = next((found for found in run.findings if found.id == chosen), None)
    finding = finding or primary(run) or next(iter(run.judgement.set_aside), None)
    if finding is None:
        return (
            Entry("No finding", "title"),
            Entry(clean(run.judgement.summary, 600)),
            Entry("A checklist opens here when something is found.", "quiet"),
        )
    settings = settings or Settings()
    full = described(run, finding, settings, changes=True)
    return (*full, *_others(run, finding))


def described(run: RunSnapshot, finding: Finding, settings: Settings, *, changes: bool = False) -> Iterator[Entry]:
    """A finding of a run in full: what goes with it, its checklist, numbers, likely causes and what to check.

    With `changes` also what would change the verdict.
    """
    # The first picture does not wait for them.
    from gradtop.view.incident import incident_entries
    from gradtop.view.limit import limit_entries

    yield Entry(title(finding), "title")
    yield Entry(_where(finding, run.view.x_kind.removesuffix("s")), "quiet")
    yield from _said(run, finding)
    yield Entry(clean(finding.message, 2000))
    yield from _beside(run, finding)
    if finding.criteria:
        yield Entry(f"{finding.met} of {len(finding.criteria)} reasons to act", "heading")
        for criterion in finding.criteria:
            yield from _criterion(criterion)
    if changes:
        yield from _changes(run, finding, settings)
    yield from incident_entries(run, finding)
    yield from _list(
        "What was measured", tuple(f"{k.replace('_', ' ')}: {_value(v)}" for k, v in finding.evidence.items())
    )
    yield from _list("Likely causes", finding.causes)
    yield from _list("Check next", (*_hints(run, finding), *finding.checks))
    yield from _list("What this log cannot say", finding.caveats)
    yield from limit_entries(finding, settings)


def _hints(run: RunSnapshot, finding: Finding) -> tuple[str, ...]:
    """What the System room says to it, where there is a sample."""
    if run.machine is None:
        return ()
    # The first picture does not wait for it.
    from gradtop.view.system.hint import machine_hints

    return machine_hints(run, finding)


def title(finding: Finding) -> str:
    """What a finding is called."""
    kind = KINDS.get(finding.kind)
    return kind.title if kind is not None else clean(finding.kind.replace("_", " "), 100)


def _said(run: RunSnapshot, finding: Finding) -> Iterator[Entry]:
    """What its user said of it, and how that is taken back."""
    if finding.standing is Standing.ACKNOWLEDGED:
        worse = f" unless it gets worse than {finding.severity.word}" if finding.severity < Severity.INTERVENE else ""
        yield Entry(f"Acknowledged: it does not count{worse}.", "quiet")
    elif finding.kind in run.attention.everywhere:
        yield Entry("Muted in the settings, by gradtop.toml, --rules or --mute: this kind counts in no run.", "quiet")
    elif finding.standing is Standing.MUTED:
        yield Entry("Muted: this kind does not count in the runs of this directory.", "quiet")


def _beside(run: RunSnapshot, finding: Finding) -> Iterator[Entry]:
    """What else there is to act on, where this is the finding that the verdict goes by."""
    if finding is run.judgement.primary and run.judgement.supporting:
        yield Entry("With it", "heading")
        for other in run.judgement.supporting[:20]:
            since = f"{run.view.x_kind.removesuffix('s')} {units.count(other.first_step)}"
            layer = other.scope.removeprefix("layer:")
            where = f" · {clean(layer, 100)}" if layer != other.scope else ""
            yield Entry(f"{title(other)}{where} since {since}: {other.severity.word}", "plain", 2, "●")


def _criterion(criterion: Criterion) -> Iterator[Entry]:
    ink = "watch" if criterion.met else "plain" if criterion.met is False else "unknown"
    yield Entry(f"{_WORDS[criterion.met]}: {clean(criterion.text, 300)}", ink, 2, MARKS[criterion.met])
    yield Entry(clean(criterion.evidence, 600), "quiet", 4)


def _changes(run: RunSnapshot, finding: Finding, settings: Settings) -> Iterator[Entry]:
    """What would make the verdict worse or better, as far as this finding decides it."""
    yield Entry("What would change the verdict", "heading")
    kind, holds = KINDS.get(finding.kind), finding.state is FindingState.ACTIVE
    if kind is not None:
        yield Entry(f"How it is judged: {kind.severity}.", "plain", 2, "·")
    missing = [c for c in finding.criteria if c.met is not True]
    if holds and finding.severity < Severity.INTERVENE:
        yield from (Entry(f"Worse if: {_lower(clean(c.text, 300))}", "plain", 2, MARKS[c.met]) for c in missing)
    if holds and kind is not None and "clear_rows" in kind.limits:
        yield Entry(f"Over after {settings.limits.clear_rows} rows without it.", "plain", 2, "·")
    if not holds:
        yield Entry("It is over and does not count; it counts again if it comes back.", "plain", 2, "·")
    main = run.judgement.primary
    if main is not None and main.id != finding.id:
        yield Entry(f"The verdict goes by another finding: {_lower(title(main))}.", "plain", 2, "·")
    if finding.counts:
        yield Entry("In Findings (4), a says that it is known and m that its kind does not count.", "quiet", 2, "·")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _list(heading: str, items: tuple[str, ...]) -> Iterator[Entry]:
    if items:
        yield Entry(heading, "heading")
        yield from (Entry(clean(item, 1000), "plain", 2, "·") for item in items)


def _where(finding: Finding, counts: str) -> str:
    steps = units.count(finding.first_step)
    if finding.last_step != finding.first_step:
        steps += f" to {units.count(finding.last_step)}"
    rows = f"{finding.count:,} row" + ("s" if finding.count != 1 else "")
    scope = "" if finding.scope == "total" else f" · {clean(finding.scope.replace('layer:', 'layer '), 200)}"
    return f"{finding.severity.word} · {finding.state.value} · {counts} {steps} · {rows}{scope}"


def _value(value: float | str) -> str:
    if isinstance(value, str):
        return clean(value, 200)
    return units.count(value) if value == round(value, 0) and abs(value) < 1e9 else units.number(value)


def _others(run: RunSnapshot, shown: Finding) -> Iterator[Entry]:
    others = [f for f in run.findings if f.id != shown.id]
    if others:
        yield Entry(f"Other findings ({len(others)})", "heading")
        for finding in others[:50]:
            mark = "●" if finding.state is FindingState.ACTIVE else "○"
            said = f" ({finding.standing.value})" if finding.standing is not Standing.OPEN else ""
            yield Entry(f"{title(finding)}{said}: {clean(finding.message, 300)}", "quiet", 2, mark)


def waiting_for(snapshot: Snapshot, run: RunSnapshot | None) -> tuple[Entry, ...]:
    """What stands where charts would be: what was looked for, or why the run has nothing to draw yet."""
    if run is None:
        lead = "Looking for runs ..." if snapshot.searching else "Nothing to show yet. A run appears here by itself."
        notes = [Entry(clean(note, 1000)) for note in snapshot.notes]
        return (Entry(lead, "title"), *notes, *(() if snapshot.searching else _WAYS))
    # What is said of the run's own files is not said twice.
    notes = [Entry(clean(note, 1000)) for note in snapshot.notes if not note.startswith(str(run.path))]
    lines = [Entry(f"{clean(s.path.name, 200)}: {clean(_standing(s), 300)}", "plain", 2, "·") for s in run.sources]
    ways = _ways_to_read(run) if run.state is not RunState.LOADING else ()
    return (Entry(f"{clean(run.name, 200)} has no values yet", "title"), *lines, *notes, *ways)


_WAYS = (
    Entry("Watch a training that has no log", "heading"),
    Entry("python train.py 2>&1 | gradtop -", "value", 2),
    Entry("gradtop run --ui -- python train.py   # records its layers, too", "value", 2),
    Entry("See a recorded run", "heading"),
    Entry("gradtop demo", "value", 2),
)
"""What to do where there is no run."""


def _ways_to_read(run: RunSnapshot) -> tuple[Entry, ...]:
    """What to do where a log has lines, and none of them was read."""
    unread = next((s for s in run.sources if not s.problem and s.lines_skipped + s.lines_rejected), None)
    if unread is None:
        return ()
    return (
        Entry("See how its lines were understood", "heading"),
        Entry(f"gradtop explain {clean(quote(str(unread.path)), 500)}", "value", 2),
        Entry("Have the lines of your own loop read: in gradtop.toml beside the log", "heading"),
        Entry("[[profile]]", "value", 2),
        Entry('name = "my loop"', "value", 2),
        Entry(r"regex = '^\[(?P<step>\d+)\] L=(?P<loss>\S+)'", "value", 2),
        Entry('sample = "[12] L=2.51"', "value", 2),
        Entry("Or let gradtop record the training, without a change to it", "heading"),
        Entry("gradtop run -- python train.py", "value", 2),
    )


def _standing(source: SourceStatus) -> str:
    if source.problem:
        return source.problem
    lines = source.lines_skipped + source.lines_rejected
    return f"{source.size:,} bytes, {lines:,} line{'s' if lines != 1 else ''} without a metric so far"
