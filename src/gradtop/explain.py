"""How one file was understood: format, rules, names, and the lines that were not read."""

from collections.abc import Iterable, Iterator

from gradtop.clean import clean
from gradtop.record import Event
from gradtop.run import RunView
from gradtop.sources import SourceStatus
from gradtop.sources.reader import Account, NameUse, Tally
from gradtop.units import count, number

SAMPLE_WIDTH = 160
"""Characters of a sample line that are shown."""
SESSIONS_SHOWN = 8
"""Sessions that are listed; more are counted."""
_NAME_WIDTH = 40
_SAMPLES = 3
_SAMPLES_UNREAD = 5
_JUDGED = ("loss", "grad_norm")


def explain(status: SourceStatus, account: Account | None, view: RunView) -> Iterator[str]:
    """The explanation as lines of plain text, cleaned for a terminal."""
    yield f"{clean(str(status.path))}"
    yield _labelled("format", status.format)
    if status.problem:
        yield _labelled("problem", clean(status.problem))
    partial = ", the last line has no end yet and is held back" if status.partial else ""
    yield _labelled("bytes", f"{status.offset:,} of {status.size:,} read{partial}")
    counts = (status.lines_read, status.lines_skipped, status.lines_rejected)
    yield _labelled("lines", "{:,} read, {:,} skipped, {:,} rejected".format(*counts))
    yield from _run(view)
    if account is None:
        return
    yield from _names(account)
    yield from _tallies("read, by rule", account.rules, _SAMPLES)
    yield from _tallies("rejected: these look like records and cannot be read", account.rejected, _SAMPLES_UNREAD)
    if account.skipped.count:
        yield "skipped: nothing in these lines is a metric or an event that gradtop knows"
        yield from _samples(account.skipped, _SAMPLES_UNREAD)


def _labelled(label: str, text: str) -> str:
    return f"  {label:<8}  {text}"


def _run(view: RunView) -> Iterator[str]:
    if view.last_step is None or view.first_step is None:
        yield _labelled("steps", "none: no line gave a metric")
    else:
        kinds = ", ".join(sorted({series.x_kind for series in view.series.values()}))
        extent = f"{count(view.first_step)} to {count(view.last_step)}, counted in {kinds}s".replace("ss", "s")
        yield _labelled("steps", f"{extent}; {view.rows:,} rows")
        yield from _sessions(view)
        if not any(name in view.series for name in _JUDGED):
            yield _labelled("judged", "nothing: none of the names is the loss or the grad norm")
    if view.series_dropped:
        yield _labelled("dropped", f"{view.series_dropped:,} more names: there are too many to keep")
    yield from _facts(view)
    yield from _events(view.events)
    if view.end is not None:
        where = f" (line {view.end.line:,})" if view.end.line is not None else ""
        yield _labelled("end", f"{clean(view.end.status)}{where}")


def _sessions(view: RunView) -> Iterator[str]:
    for session in view.sessions[:SESSIONS_SHOWN]:
        yield _labelled("session", f"{session.number + 1}: from {count(session.first_step)} ({clean(session.reason)})")
    if (more := len(view.sessions) - SESSIONS_SHOWN) > 0:
        yield _labelled("", f"... and {more:,} more sessions")


def _facts(view: RunView) -> Iterator[str]:
    train, model = view.facts.train, view.facts.model
    counts = {"total steps": train.total_steps, "warm-up": train.warmup_steps, "parameters": model.params}
    counts["layers"] = model.layers
    values = {"clip": train.clip_norm, "peak lr": train.lr_max}
    told = [f"{name} {count(n)}" for name, n in counts.items() if n is not None]
    told += [f"{name} {number(value)}" for name, value in values.items() if value is not None]
    told += [clean(word, 40) for word in (train.optimizer, train.precision) if word]
    if told:
        yield _labelled("facts", ", ".join(told))


def _events(events: Iterable[Event]) -> Iterator[str]:
    """One line for each kind of event, with its first; a crash and what others complain about come first."""
    kinds: dict[str, list[Event]] = {}
    for event in sorted(events, key=lambda event: event.event not in ("crash", "alarm")):
        kinds.setdefault(event.event, []).append(event)
    for kind, found in kinds.items():
        where = f", line {found[0].line:,}" if found[0].line is not None else ""
        first = f"{'the first' if len(found) > 1 else 'at'}{where}".replace("at, ", "")
        said = clean(found[0].message, SAMPLE_WIDTH)
        yield _labelled("event", f"{clean(kind)} ×{len(found):,} ({first}): {said}")


def _names(account: Account) -> Iterator[str]:
    """Names in the file and what became of them, those of the synonym table first."""
    if not account.names:
        return
    yield "names"
    uses = sorted(account.names.items(), key=lambda item: not item[1].known)
    width = min(_NAME_WIDTH, max(len(clean(raw)) for raw, _ in uses))
    into = min(_NAME_WIDTH, max(len(clean(use.canonical)) for _, use in uses))
    for raw, use in uses:
        yield f"  {clean(raw):<{width}} → {clean(use.canonical):<{into}}  ×{use.count:<9,} {_note(use)}".rstrip()


def _note(use: NameUse) -> str:
    return use.unit if use.known else f"{use.unit} as it is: no known name".strip()


def _tallies(title: str, tallies: dict[str, Tally], samples: int) -> Iterator[str]:
    if not tallies:
        return
    yield title
    for rule, tally in tallies.items():
        yield f"  {clean(rule)}: {tally.count:,} line{'s' if tally.count != 1 else ''}"
        yield from _samples(tally, samples)


def _samples(tally: Tally, shown: int) -> Iterator[str]:
    for line, text in tally.samples[:shown]:
        yield f"    {line:>8,}  {clean(text.strip(), SAMPLE_WIDTH)}".rstrip()
    if (more := tally.count - min(shown, len(tally.samples))) > 0:
        yield f"    {'':>8}  ... and {more:,} more"
