"""How one file was understood: format, rules, names, and the lines that were not read."""

from collections.abc import Iterator

from gradtop.clean import clean
from gradtop.run import RunView
from gradtop.sources import SourceStatus
from gradtop.sources.reader import Account, Tally

SAMPLE_WIDTH = 160
"""Characters of a sample line that are shown."""


def explain(status: SourceStatus, account: Account | None, view: RunView) -> Iterator[str]:
    """The explanation as lines of plain text, cleaned for a terminal."""
    yield f"{clean(str(status.path))}"
    yield f"  format    {status.format}"
    if status.problem:
        yield f"  problem   {clean(status.problem)}"
    yield f"  bytes     {status.offset:,} of {status.size:,} read" + (
        ", last line not complete" if status.partial else ""
    )
    counts = (status.lines_read, status.lines_skipped, status.lines_rejected)
    yield "  lines     {:,} read, {:,} skipped, {:,} rejected".format(*counts)
    yield from _steps(view)
    if account is None:
        return
    yield from _names(account)
    yield from _tallies("read by rule", account.rules)
    yield from _tallies("rejected (should have been a record)", account.rejected)
    if account.skipped.count:
        yield from _tallies("skipped (nothing to read in it)", {"no metric": account.skipped})


def _steps(view: RunView) -> Iterator[str]:
    kinds = sorted({series.x_kind for series in view.series.values()})
    if view.last_step is None:
        yield "  steps     none: no line gave a metric"
        return
    yield f"  steps     {view.first_step:g} to {view.last_step:g}, counted in {', '.join(kinds)}; {view.rows:,} rows"
    for session in view.sessions:
        yield f"  session   {session.number + 1}: from step {session.first_step:g} ({clean(session.reason)})"
    facts = view.facts.train
    known = {
        "total steps": facts.total_steps,
        "warm-up": facts.warmup_steps,
        "clip": facts.clip_norm,
        "peak lr": facts.lr_max,
    }
    told = [f"{name} {value:g}" for name, value in known.items() if value is not None]
    if told:
        yield f"  facts     {', '.join(told)}"
    for event in view.events[:10]:
        where = f"line {event.line}: " if event.line is not None else ""
        yield f"  event     {where}{clean(event.event)}: {clean(event.message, SAMPLE_WIDTH)}"
    if len(view.events) > 10:
        yield f"            ... and {len(view.events) - 10} more events"


def _names(account: Account) -> Iterator[str]:
    if not account.names:
        return
    yield "names"
    width = min(40, max(len(clean(raw)) for raw in account.names))
    for raw, use in account.names.items():
        note = f"  ({use.unit})" if use.unit else ""
        known = "" if use.known else "  (kept under its own name)"
        yield f"  {clean(raw):<{width}} → {clean(use.canonical)}{note}{known}  ×{use.count:,}"


def _tallies(title: str, tallies: dict[str, Tally]) -> Iterator[str]:
    if not tallies:
        return
    yield title
    for rule, tally in tallies.items():
        yield f"  {clean(rule)}: {tally.count:,} lines"
        for line, text in tally.samples[:3]:
            yield f"    {line:>8}  {clean(text.strip(), SAMPLE_WIDTH)}"
