"""What the user said of findings: one is known (acknowledged), or a kind does not count (muted)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from gradtop.errors import SourceError
from gradtop.finding import Finding, Severity, Standing

SCHEMA = "gradtop.attention/1"
MAX_BYTES = 256 * 1024
"""A larger file is not one of these."""
MAX_ENTRIES = 500
"""Entries kept for one directory; of more the oldest acknowledgements are dropped."""


class Acknowledged(msgspec.Struct, frozen=True, tag="acknowledged"):
    """One finding of one run is known."""

    run: str
    """A file of the run, from the directory of the page on."""
    finding: str
    """Its id."""
    severity: Literal["notice", "watch", "intervene"]
    """How severe it was: when it gets worse, it counts again."""
    at: float
    """Unix seconds."""

    @property
    def key(self) -> tuple[str, str]:
        """Entries of one key replace each other."""
        return self.run, self.finding


class Muted(msgspec.Struct, frozen=True, tag="muted"):
    """Findings of one kind do not count, in no run of the directory."""

    kind: str
    at: float
    """Unix seconds."""

    @property
    def key(self) -> tuple[str, str]:
        """Entries of one key replace each other; no file has an empty name."""
        return "", self.kind


Entry = Acknowledged | Muted
Changes = Mapping[tuple[str, str], Entry | None]
"""Entries by their keys; None takes one back."""


class Page(msgspec.Struct, frozen=True):
    """The file: what was said of the runs of one directory."""

    schema: str
    directory: str
    """For people: the name of the file is made of it."""
    entries: tuple[Entry, ...] = ()


class _Head(msgspec.Struct):
    schema: str


@dataclass(frozen=True, slots=True)
class Attention:
    """What was said of the findings of one run."""

    acknowledged: Mapping[str, Severity] = field(default_factory=dict)
    """Ids of findings, and the severity up to which each is known."""
    muted: frozenset[str] = frozenset()
    """Kinds that are muted in the run's directory."""
    everywhere: frozenset[str] = frozenset()
    """Kinds that the settings mute."""
    kept: str = ""
    """Where this is kept, or why it is not, in a sentence; empty where there is nothing to tell."""

    def weighed(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """The findings with their standing."""
        if not (self.acknowledged or self.muted or self.everywhere):
            return findings
        return tuple(
            found if (standing := self._standing(found)) is found.standing else replace(found, standing=standing)
            for found in findings
        )

    def _standing(self, finding: Finding) -> Standing:
        if finding.kind in self.muted or finding.kind in self.everywhere:
            return Standing.MUTED
        known = self.acknowledged.get(plain(finding.id)) if self.acknowledged else None
        return Standing.ACKNOWLEDGED if known is not None and finding.severity <= known else Standing.OPEN


def attention(
    entries: Iterable[Entry], names: Iterable[str], everywhere: frozenset[str] = frozenset(), kept: str = ""
) -> Attention:
    """What the entries of a directory say of the run with these files."""
    ours, found = set(names), list(entries)
    return Attention(
        {e.finding: Severity[e.severity.upper()] for e in found if isinstance(e, Acknowledged) and e.run in ours},
        frozenset(entry.kind for entry in found if isinstance(entry, Muted)),
        everywhere,
        kept,
    )


def plain(text: str) -> str:
    """Text that can be encoded: a file name need not be UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def changed(entries: Iterable[Entry], changes: Changes) -> tuple[Entry, ...]:
    """The entries with the changes made, oldest first; bounded in number."""
    found: dict[tuple[str, str], Entry | None] = {entry.key: entry for entry in entries}
    kept = [entry for entry in (found | dict(changes)).values() if entry is not None]
    return tuple(sorted(kept, key=lambda entry: (isinstance(entry, Muted), entry.at))[-MAX_ENTRIES:])


def encoded(directory: str, entries: tuple[Entry, ...]) -> bytes:
    """The file, at most `MAX_BYTES` long: of too many long entries the oldest are dropped."""
    page = Page(SCHEMA, plain(directory), entries)
    while len(data := msgspec.json.format(msgspec.json.encode(page), indent=1)) >= MAX_BYTES:
        page = Page(SCHEMA, page.directory, page.entries[(len(page.entries) + 1) // 2 :])
    return data + b"\n"


class NewerFile(SourceError):
    """A later gradtop wrote the file: it is to be left alone."""


def decoded(data: bytes) -> tuple[Entry, ...]:
    """The entries of a file.

    Raises:
        NewerFile: a later gradtop wrote it.
        SourceError: it is none of ours, or broken.
    """
    if len(data) > MAX_BYTES:
        raise SourceError("larger than what gradtop keeps there")
    try:
        name, _, version = msgspec.json.decode(data, type=_Head).schema.partition("/")
        ours, known = SCHEMA.split("/")
        if name == ours and version.isdecimal() and int(version) > int(known):
            raise NewerFile("written by a newer gradtop, and left as it is")
        return msgspec.json.decode(data, type=Page).entries
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SourceError("not what gradtop keeps there") from None
