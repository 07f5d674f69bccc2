"""How the files of a run were understood: format, rules, names, the lines that were not read, and how they join."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gradtop.clean import clean, shorten
from gradtop.coverage import REMEDY, blindness
from gradtop.merge import Joined
from gradtop.record import Event
from gradtop.run import RunView
from gradtop.snapshot import RunSnapshot
from gradtop.sources import Source, SourceStatus
from gradtop.sources.reader import Account, NameUse, Tally
from gradtop.units import count, number

WIDTH = 80
"""Characters of a line that lists things; a sample may be longer."""
SAMPLE_WIDTH = 160
"""Characters of a sample line that are shown."""
SESSIONS_SHOWN = 8
"""Sessions that are listed; more are counted."""
_NAME_WIDTH = 26
_SAMPLES = 3
_SAMPLES_UNREAD = 5
_JUDGED = ("loss", "grad_norm")
_METRICS_SHOWN = 12


def explain(status: SourceStatus, account: Account | None, view: RunView) -> Iterator[str]:
    """The explanation of a lone file as lines of plain text, cleaned for a terminal."""
    yield f"{clean(str(status.path))}"
    yield from _file(status)
    yield from _run(view)
    yield from _lines(account)


def explain_run(path: Path, sources: Sequence[Source], joined: Sequence[Joined], view: RunView) -> Iterator[str]:
    """The explanation of a run that several files make: how they were joined, and then each of them."""
    yield f"{clean(str(path))}"
    yield _labelled("files", f"{len(sources)}, joined by step; the most precise one with a metric gives it")
    yield from _run(view)
    accounts = {source.status.path: source for source in sources}
    for one in joined:
        source = accounts[one.path]
        yield ""
        yield f"{clean(str(one.path))}"
        yield from _file(source.status)
        yield from _part(one)
        yield from _lines(source.account)


def explain_rules(run: RunSnapshot) -> Iterator[str]:
    """Which kinds of findings cannot be told of a run, why, and what its log needs so that they can."""
    if run.goal:
        yield from _filled(f"judged as {clean(run.goal)}; {REMEDY}", "")
    if run.muted:
        yield from _filled(f"muted: {', '.join(sorted(run.muted))}", "")
    blind = blindness(run.coverage)
    if not blind or not run.view.rows:
        return
    yield "cannot tell"
    for one in blind:
        yield from _filled(f"{', '.join(one.kinds)}: {clean(one.why)}", "  ")
        for needs in one.needs:
            yield from _filled(f"needs {needs}", "    ")


def _part(one: Joined) -> Iterator[str]:
    """What a file gives to its run, and what of it is left out."""
    if one.rows:
        yield _labelled("rows", f"{one.rows:,}" + (f", none counts: {clean(one.left_out)}" if one.left_out else ""))
    if one.offset:
        yield _labelled("steps", f"moved by {one.offset:+d}: it counts from another number than the other files")
    if one.by_epoch:
        yield _labelled("steps", "taken from another file that has the same epochs")
    if one.metrics:
        given = sorted(one.metrics.items(), key=lambda item: -item[1])
        told = [f"{clean(name)} ×{n:,}" for name, n in given[:_METRICS_SHOWN]]
        more = [f"{len(given) - _METRICS_SHOWN:,} more"] if len(given) > _METRICS_SHOWN else []
        yield from _wrapped("gives", ", ".join([*told, *more]))
    elif one.rows and not one.left_out:
        yield _labelled("gives", "no metric that a more precise file does not have")


def _file(status: SourceStatus) -> Iterator[str]:
    yield _labelled("format", status.format)
    if status.problem:
        yield _labelled("problem", clean(status.problem))
    partial = ", the last line has no end yet and is held back" if status.partial else ""
    yield _labelled("bytes", f"{status.offset:,} of {status.size:,} read{partial}")
    counts = (status.lines_read, status.lines_skipped, status.lines_rejected)
    yield _labelled("lines", "{:,} read, {:,} skipped, {:,} rejected".format(*counts))


def _lines(account: Account | None) -> Iterator[str]:
    """What was made of the lines of a file."""
    if account is None:
        return
    yield from _names(account)
    yield from _tallies("read, by rule", account.rules, _SAMPLES)
    yield from _tallies("rejected: these look like records and cannot be read", account.rejected, _SAMPLES_UNREAD)
    if account.skipped.count:
        yield "skipped: nothing in these lines is a metric or an event that gradtop knows"
        yield from _samples(account.skipped, _SAMPLES_UNREAD)
    if account.nuls:
        yield f"dropped: {account.nuls:,} NUL bytes before lines, as a truncation under an open writer leaves them"


def _labelled(label: str, text: str) -> str:
    return f"  {label:<8}  {text}"


def _wrapped(label: str, text: str) -> Iterator[str]:
    """A list in as many lines as it takes."""
    for line in textwrap.wrap(text, WIDTH - len(_labelled("", "")), break_long_words=False, break_on_hyphens=False):
        yield _labelled(label, line)
        label = ""


def _filled(text: str, indent: str) -> list[str]:
    """A sentence in as many lines as it takes, the later ones further in."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _run(view: RunView) -> Iterator[str]:
    if view.last_step is None or view.first_step is None:
        yield _labelled("steps", "none: no line gave a metric")
    else:
        extent = f"{count(view.first_step)} to {count(view.last_step)}, counted in {view.x_kind.removesuffix('s')}s"
        yield _labelled("steps", f"{extent}; {view.rows:,} rows")
        yield from _other_kinds(view)
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


def _other_kinds(view: RunView) -> Iterator[str]:
    """Series that count something else than the run."""
    kinds = {name: series.x_kind for name, series in view.series.items()}
    kinds |= {name: grid.x_kind for name, grid, _ in view.layered()}
    for kind in sorted({*kinds.values()} - {view.x_kind}):
        names = [clean(name) for name, of in kinds.items() if of == kind]
        more = f" and {len(names) - _METRICS_SHOWN:,} more" if len(names) > _METRICS_SHOWN else ""
        yield from _wrapped("", f"by {kind.removesuffix('s')}: {', '.join(names[:_METRICS_SHOWN])}{more}")


def _sessions(view: RunView) -> Iterator[str]:
    for session in view.sessions[:SESSIONS_SHOWN]:
        yield _labelled("session", f"{session.number + 1}: from {count(session.first_step)} ({clean(session.reason)})")
    if (more := len(view.sessions) - SESSIONS_SHOWN) > 0:
        yield _labelled("", f"... and {more:,} more sessions")


def _facts(view: RunView) -> Iterator[str]:
    """One line for each fact, with where it was read."""
    train, model = view.facts.train, view.facts.model
    told: dict[str, tuple[str, float | str | None]] = {
        "total steps": ("total_steps", train.total_steps),
        "epochs": ("epochs", train.epochs),
        "warm-up steps": ("warmup_steps", train.warmup if train.warmup else None),
        "warm-up epochs": ("warmup_epochs", train.warmup_epochs or None if not train.warmup else None),
        "peak lr": ("lr_max", train.lr_max),
        "clip": ("clip_norm", train.clip_norm),
        "accumulation": ("accumulation", train.accumulation),
        "batch": ("batch_size", train.batch_size),
        "batch per device": ("micro_batch_size", train.micro_batch_size),
        "tokens per step": ("batch_tokens", train.batch_tokens),
        "optimizer": ("optimizer", train.optimizer),
        "precision": ("precision", train.precision),
        "parameters": ("params", model.params),
        "trained": ("trainable", model.trainable),
        "layers": ("layers", model.layers),
    }
    label = "facts"
    for name, (field, value) in told.items():
        if value is None:
            continue
        # A warm-up may have been worked out from a part of the total.
        fields = (field, "warmup_ratio", "warmup_epochs") if field == "warmup_steps" else (field,)
        origin = next((view.facts.origin[f] for f in fields if f in view.facts.origin), "")
        where = f" ({clean(origin, 80)})" if origin else ""
        yield _labelled(label, f"{name} {_fact(value)}{where}")
        label = ""


def _fact(value: float | str) -> str:
    if isinstance(value, str):
        return clean(value, 40)
    return count(value) if value == round(value) else number(value)


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
    yield "names" + " (as it is: no name that gradtop knows)" * any(not use.known for use in account.names.values())
    uses = sorted(account.names.items(), key=lambda item: not item[1].known)
    told = [(_name(account.groups.get(raw, raw)), _name(use.canonical), use) for raw, use in uses]
    width, into = max(len(raw) for raw, _, _ in told), max(len(canonical) for _, canonical, _ in told)
    for raw, canonical, use in told:
        yield f"  {raw:<{width}} → {canonical:<{into}}  ×{use.count:<9,} {_note(use)}".rstrip()


def _name(raw: str) -> str:
    """A name as it is shown, long ones cut in the middle; one without a letter in quotes."""
    return shorten(clean(raw), _NAME_WIDTH) if raw.strip() else f'"{clean(raw)}"'


def _note(use: NameUse) -> str:
    return use.unit if use.known else f"{use.unit} as it is".strip()


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
