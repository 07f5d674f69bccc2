"""Directories to runs: candidates by name, then by content, the newest first.

A search is bounded and remembers what it has looked into, so that a directory with thousands of runs opens as fast as
one with three, and looking again costs little.
"""

import math
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gradtop.record import Rows
from gradtop.sources.follow.compressed import bare_name, unpacker
from gradtop.sources.follow.intake import reader_for
from gradtop.sources.follow.kind import HEAD_BYTES, Kind, recognise
from gradtop.sources.reader import Line
from gradtop.sources.search.group import STATE, Filed, Part, of_samples, place_of
from gradtop.sources.search.ties import Ties
from gradtop.sources.search.walk import LINKED_ENTRIES, MAX_DEPTH, MAX_ENTRIES, Entry, Listing, Seen, Step, go_on, walk

if TYPE_CHECKING:  # a run of rows does not wait for what reads text
    from gradtop.sources.text.reader import Rule

LOOK_S = 0.15
"""Seconds of looking into files in one look; what is left is looked into in the next one."""
WALK_S = 2.0
"""Seconds after which directories are listed again although not every file has been looked into."""
WALK_SHARE = 10
"""But not before this many times the seconds that it took: thousands of directories are not listed over and over."""
TEXT_ROWS = 2
"""Rows with a metric that make a text file a training log: prose may hold one by chance."""
END_BYTES = 16 * 1024
LONG_ROW_BYTES = 1 << 20
"""Bytes read where the first row is longer than the head of a file."""
"""Bytes of each end of a text file that are searched for rows; the last ones first, as a training log ends in rows."""
TRIED_LINES = 16
"""Lines read at a time: most logs that have rows show them in the first few."""
REGROWN = 16
"""A file without metrics is looked into again when it has changed by this part of its size."""
DENIED_LOOKS = 20
"""Files without metrics whose permission is looked at, to say why there is nothing to see."""
LOOKED_FOR = "metric rows in *.jsonl, *.csv, *.json, *.log, *.out, *.err and *.txt"

_PLAIN = frozenset(("step", "epoch", "time", "total_steps", "samples", "tokens", "row"))
"""Names that count or date rows: they alone are no metric."""


STATE_HEAD_BYTES = 4096
"""Bytes of a trainer's state that say how far it goes; its history comes after them."""
_STATE_STEP = re.compile(rb'"global_step":\s*(\d+)')


@dataclass(frozen=True, slots=True)
class Candidate:
    """Files that are, or will be, a run."""

    path: Path
    """Its first file when it was found: what the run goes by from then on."""
    name: str
    """What to call it: its directory where that holds no other run, else the file. Foreign text."""
    root: Path
    """The path that was given."""
    modified: float
    """Unix seconds of its last change; infinite for a given file that is not there yet."""
    parts: tuple[Part, ...] = ()
    """Its files."""
    folder: Path | None = None
    """The directory of the run; None for a file that was named."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files."""
        return tuple(part.path for part in self.parts)


@dataclass(frozen=True, slots=True)
class Found:
    """What one look gave."""

    candidates: tuple[Candidate, ...] = ()
    """Newest first."""
    notes: tuple[str, ...] = ()
    """For the user: where was looked for what, and what was seen and is not read. Holds foreign names."""
    complete: bool = True
    """Everything that was found has been looked into."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What a file showed when it was looked into."""

    entry: Entry
    kind: Kind | None
    """A format with metrics, or a kind that is not read; None where there is no metric (yet)."""

    def holds_for(self, entry: Entry) -> bool:
        """It would show the same now."""
        if self.entry.signature == entry.signature:
            return True
        if self.entry.inode != entry.inode or entry.size < self.entry.size:
            return False
        grown = entry.size - self.entry.size
        return self.kind is not None or (entry.size > END_BYTES and grown * REGROWN < self.entry.size)


class Search:
    """Looks for runs under some paths, again and again."""

    def __init__(
        self,
        paths: Sequence[Path],
        clock: Callable[[], float] = time.monotonic,
        step: Step = go_on,
        ties: Ties | None = None,
        profiles: "Sequence[Rule]" = (),
    ) -> None:
        """Search `paths`: directories, and files that are runs by being named.

        `clock` is seconds from any origin; `step` is told of every path before it is touched, and may leave it out;
        `ties` is what an earlier search of the same paths has learnt; `profiles` are the user's own rules for text.
        """
        self._paths = tuple(paths)
        self._ties = ties if ties is not None else Ties()
        self._clock, self._step = clock, step
        self._profiles = profiles
        self._listing = Listing()
        self._walked_at = -math.inf
        self._walk_s = 0.0
        self._left: list[Entry] = []
        self._looks: dict[Path, _Look] = {}

    def look(self) -> Found:
        """Search for about `LOOK_S` beside the listing of directories; the newest files are looked into first."""
        folders = [path for path in self._paths if self._step(str(path)) and path.is_dir()]
        started = self._clock()
        if not self._left or started - self._walked_at > max(WALK_S, WALK_SHARE * self._walk_s):
            self._walk(folders)
            self._walk_s = self._clock() - started
        self._probe(self._clock() + LOOK_S)
        given = [f for path in self._paths if path not in folders and (f := _given(path, self._step)) is not None]
        paths = {file.place.part.path for file in given}
        found = [file for file in self._filed() if file.place.part.path not in paths]
        below = list(self._candidates(found))
        candidates = [*self._candidates(given, named=True), *_named(below)]
        candidates.sort(key=lambda candidate: candidate.modified, reverse=True)
        return Found(tuple(candidates), tuple(self._notes(folders, bool(below))), not self._left)

    def _walk(self, folders: Sequence[Path]) -> None:
        self._listing, self._walked_at = walk(folders, self._step), self._clock()
        entries = self._listing.newest_first()
        old = self._looks
        self._looks = {e.path: look for e in entries if (look := old.get(e.path)) is not None and look.holds_for(e)}
        self._left = [entry for entry in reversed(_by_run(entries)) if entry.path not in self._looks]

    def _probe(self, deadline: float) -> None:
        """Look into what is left until the time is up, into one file at the least."""
        while self._left:
            entry = self._left.pop()
            kind = probe(entry.path, entry.size, self._profiles) if self._step(str(entry.path)) else None
            self._looks[entry.path] = _Look(entry, kind)
            # A run is found with all of its files, so that they are read together from the start.
            if self._clock() > deadline and not (self._left and _run_of(self._left[-1]) == _run_of(entry)):
                return

    def _filed(self) -> Iterator[Filed]:
        """The files that may be parts of runs."""
        for entry in self._listing.files.values():
            look = self._looks.get(entry.path)
            if look is not None and (look.kind is None or look.kind.readable):
                step = _state_step(entry.path) if entry.path.name == STATE else 0
                place = place_of(entry.path, entry.root)
                metrics = look.kind is not None and not (look.kind.format == "gradtop" and of_samples(entry.path))
                yield Filed(place, entry.modified, entry.size, metrics, step)

    def _candidates(self, files: Sequence[Filed], named: bool = False) -> Iterator[Candidate]:
        """The files as runs; those that were `named` keep their own names."""
        roots = {entry.path: entry.root for entry in self._listing.files.values()}
        for anchor, group in self._ties.runs(files):
            parts = tuple(file.place.part for file in group)
            folder = group[0].place.root
            yield Candidate(
                path=anchor,
                name=folder.absolute().name if named and len(parts) > 1 else parts[0].path.name,
                root=roots.get(parts[0].path, parts[0].path),
                modified=max(file.modified for file in group),
                parts=parts,
                folder=None if named and len(parts) == 1 else folder,
            )

    def _notes(self, folders: Sequence[Path], found: bool) -> Iterator[str]:
        missing = [path for path in self._paths if self._step(str(path)) and not path.exists()]
        yield from (f"{path} is not there" for path in missing)
        if not folders:
            return
        n = self._listing.entries
        entries = (
            f"the first {MAX_ENTRIES:,} entries" if self._listing.cut else f"{n:,} {'entry' if n == 1 else 'entries'}"
        )
        where = ", ".join(str(folder.absolute()) for folder in folders)
        yield f"looked in {where}, {MAX_DEPTH} levels deep, {entries}"
        if self._listing.cut:
            yield "there are more: name a directory closer to the run"
        elif self._listing.linked_cut:
            yield f"behind links that lead elsewhere, only the first {LINKED_ENTRIES:,} entries were looked at"
        if not found:
            yield f"looked for {LOOKED_FOR}; there is no run"
        yield from _seen_notes(self._unread())
        quiet = [path for path, look in self._looks.items() if look.kind is None]
        if quiet and not found:
            denied = next((path for path in quiet[:DENIED_LOOKS] if not os.access(path, os.R_OK)), None)
            files = "1 file that is" if len(quiet) == 1 else f"{len(quiet):,} files that are"
            yield f"no metric in {files} named like a log, e.g. {quiet[0]}"
            if denied is not None:
                yield f"cannot be read: {denied}: permission denied"
        yield from (f"cannot be listed: {reason}" for reason in self._listing.closed[:3])

    def _unread(self) -> Seen:
        seen = Seen(self._listing.unread.counts.copy(), dict(self._listing.unread.examples))
        for path, look in self._looks.items():
            if look.kind is not None and not look.kind.readable:
                seen.add(look.kind.name, path)
        return seen


def discover(paths: Sequence[Path]) -> Found:
    """Search once, until everything has been looked into."""
    search = Search(paths)
    found = search.look()
    while not found.complete:
        found = search.look()
    return found


def probe(path: Path, size: int, profiles: "Sequence[Rule]" = ()) -> Kind | None:
    """What a file is, if it has metrics or is of a kind with a name; None where there is no metric (yet).

    Reads a bounded part of each end, and stops at the first rows.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return _looked_into(path.name, fd, size, profiles)
        finally:
            os.close(fd)
    except OSError:
        return None


def _looked_into(name: str, fd: int, size: int, profiles: "Sequence[Rule]") -> Kind | None:
    head = os.pread(fd, HEAD_BYTES, 0)
    kind = recognise(name, head, ended=size <= HEAD_BYTES)
    if kind.format == "packed":
        return _looked_inside(name, kind.packing, head)
    if not kind.readable:
        # A document may be a configuration: there are many of them beside a run, and none is missed.
        return kind if kind.format == "unread" and not kind.name.startswith("one JSON") else None
    if kind.format in ("gradtop", "json"):
        return kind
    if kind.format != "text":
        if b"\n" not in head and size > len(head):
            # A row of thousands of metrics.
            head = os.pread(fd, LONG_ROW_BYTES, 0)
        return kind if _has_rows(kind, _lines(head, size), 1) else None
    start = max(0, size - END_BYTES)
    # The first line of the end may be a piece.
    last = _lines(os.pread(fd, END_BYTES, start), END_BYTES)[1 if start else 0 :]
    first = _lines(head[: min(END_BYTES, start)], size)
    return kind if any(_has_rows(kind, lines, TEXT_ROWS, profiles) for lines in (last, first)) else None


def _looked_inside(name: str, packing: str, head: bytes) -> Kind | None:
    """What the beginning of a packed file shows."""
    data = unpacker(packing).take(head)[:HEAD_BYTES]
    kind = recognise(bare_name(name), data, ended=True)
    if not kind.readable or kind.format in ("gradtop", "json"):
        return kind if kind.readable else None
    return kind if _has_rows(kind, _lines(data, len(data) + 1), TEXT_ROWS if kind.format == "text" else 1) else None


def _lines(data: bytes, size: int) -> list[Line]:
    """Lines, the last one too where the data go to the end of the file."""
    pieces = data.split(b"\n")
    whole = pieces if len(data) >= size else pieces[:-1] or pieces
    return [Line(number, piece.removesuffix(b"\r")) for number, piece in enumerate(whole, 1)]


def _has_rows(kind: Kind, lines: list[Line], needed: int, profiles: "Sequence[Rule]" = ()) -> bool:
    """The lines hold as many rows, and a metric."""
    reader = reader_for(kind.format, profiles)
    found = 0
    for start in range(0, len(lines) + 1, TRIED_LINES):
        records = reader.feed(lines[start : start + TRIED_LINES]) if start < len(lines) else reader.finish()
        found += sum(len(record) for record in records if isinstance(record, Rows))
        names = {use.canonical for use in reader.account.names.values() if use.known}
        own = any(rule.name in reader.account.rules for rule in profiles)
        if found >= needed and (names - _PLAIN or own):
            return True
    return False


def _by_run(entries: Sequence[Entry]) -> list[Entry]:
    """The entries, newest first, those of one run together."""
    runs: dict[tuple[Path, str], list[Entry]] = {}
    for entry in entries:
        runs.setdefault(_run_of(entry), []).append(entry)
    return [entry for run in runs.values() for entry in run]


def _run_of(entry: Entry) -> tuple[Path, str]:
    place = place_of(entry.path, entry.root)
    return place.root, place.key


def _state_step(path: Path) -> int:
    """How far the history of a trainer's state goes; 0 where its head does not say."""
    try:
        with path.open("rb") as file:
            found = _STATE_STEP.search(file.read(STATE_HEAD_BYTES))
    except OSError:
        return 0
    return int(found[1]) if found is not None else 0


def _given(path: Path, step: Step) -> Filed | None:
    """A file that was named is a run, whatever is in it; None while a directory may still appear there."""
    info = None
    with suppress(OSError):
        info = path.stat() if step(str(path)) else None
    if info is None and not path.suffix:
        return None
    modified, size = (info.st_mtime, info.st_size) if info is not None else (math.inf, 0)
    return Filed(place_of(path, Path(path.anchor)), modified, size, metrics=True)


def _seen_notes(seen: Seen) -> Iterator[str]:
    for name, count in seen.counts.most_common():
        yield f"seen and not read: {count:,} × {name}, e.g. {seen.examples[name]}"


def _named(found: Sequence[Candidate]) -> list[Candidate]:
    """The candidates with names that tell them apart: as little of their paths as does it."""
    siblings = Counter(candidate.folder for candidate in found)
    alone = {c.path: siblings[c.folder] == 1 and c.folder is not None for c in found}
    names = {c.path: (c.folder.absolute().name if c.folder and alone[c.path] else "") or c.name for c in found}
    shared = Counter(names.values())
    named = []
    for c in found:
        name = names[c.path]
        if shared[name] > 1:
            place = c.folder if c.folder is not None and alone[c.path] else c.parts[0].path
            name = str(place.relative_to(c.root)) if place != c.root else c.name
        named.append(replace(c, name=name))
    return named
