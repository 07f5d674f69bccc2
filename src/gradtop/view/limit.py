"""The limits that a finding depends on: what they are, and where they are set."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from gradtop import units
from gradtop.catalogue import KINDS
from gradtop.clean import clean
from gradtop.config import AUTO, Limits, Settings
from gradtop.finding import Finding
from gradtop.listing import meanings
from gradtop.view.entry import Entry

_DEFAULTS = Limits()
_MEANING_CHARS = 200


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One limit of a kind of findings."""

    name: str
    value: str
    origin: str
    """`default`, `--grad-floor`, or `gradtop.toml, line 12`; clean."""
    default: str
    """What it would be; empty where it is that."""
    meaning: str
    """Empty where Python's sources are not installed."""


def limits_of(kind: str, settings: Settings) -> tuple[LimitRow, ...]:
    """The limits that a kind depends on, those that somebody set first."""
    names = KINDS[kind].limits if kind in KINDS else ()
    rows = [_row(name, settings) for name in names if _applies(name, settings)]
    return tuple(sorted(rows, key=lambda row: row.origin == "default"))


def _applies(name: str, settings: Settings) -> bool:
    """A choice that nobody made is no limit."""
    value = getattr(settings.limits, name)
    return name in settings.origins or value not in (None, AUTO)


def _row(name: str, settings: Settings) -> LimitRow:
    value, default = getattr(settings.limits, name), getattr(_DEFAULTS, name)
    set_in = settings.origins.get(name, "")
    # A value that was handed over without a word of where it is set is no default all the same.
    origin = clean(_place(set_in), 120) if set_in else "default" if value == default else "set"
    told = _value(default) if value != default else ""
    return LimitRow(name, _value(value), origin, told, meanings().get(name, ""))


def _place(origin: str) -> str:
    """The file by its name and the folder it lies in: the whole path is longer than a line of the screen."""
    path, comma, line = origin.partition(", line ")
    parts = PurePath(path).parts
    return "/".join(parts[-2:]) + comma + line if len(parts) > 2 else origin


def _value(value: float | str | None) -> str:
    if isinstance(value, str | None):
        return value or "none"
    return units.setting(value) if abs(value) < 1e6 else f"{value:g}"


def limit_entries(finding: Finding, settings: Settings) -> Iterator[Entry]:
    """The limits behind a finding, for people; nothing where its kind has none."""
    rows = limits_of(finding.kind, settings)
    if not rows:
        return
    yield Entry("The limits behind it, and where they are set", "heading")
    for row in rows:
        ink, told = ("plain", f" (default {row.default})" if row.default else "")
        yield Entry(f"{row.name} = {row.value}  {row.origin}{told}", ink, 2, "·")
        if row.meaning:
            yield Entry(_first_sentence(row.meaning), "quiet", 4)
    yield Entry(
        f"To change one: [limits] in gradtop.toml beside the log, e.g. {rows[0].name} = {rows[0].value}.", "quiet", 2
    )


def _first_sentence(text: str) -> str:
    head = text.split("; ")[0]
    return head if len(head) <= _MEANING_CHARS else head[: _MEANING_CHARS - 1] + "…"
