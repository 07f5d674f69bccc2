"""Where it is kept what the user said of findings: one small file per log directory, in the user's state directory."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gradtop.attention import (
    MAX_BYTES,
    Acknowledged,
    Attention,
    Changes,
    Entry,
    Muted,
    NewerFile,
    attention,
    changed,
    decoded,
    encoded,
    plain,
)
from gradtop.errors import SourceError
from gradtop.finding import Severity
from gradtop.shelf import absolute, alone, file_for, make, prune, replace
from gradtop.sources.follow.lane import STALLED_S, Lane, Threads

SUFFIX = ".json"
MAX_PAGES = 1000
"""Files kept: of more, those that were not changed for the longest time are removed."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a read or a write came to."""

    entries: tuple[Entry, ...] | None
    """What is in the file now; None where it could not be read or written."""
    problem: str = ""


@dataclass(slots=True)
class _Page:
    """What is known of one directory."""

    directory: str
    path: Path | None
    """Its file; None: nothing is kept."""
    entries: tuple[Entry, ...] = ()
    unsaved: dict[tuple[str, str], Entry | None] = field(default_factory=dict)
    """What was said since, and is not in the file yet."""
    due: bool = False
    """It is to be written."""
    answer: Future[_Answer] | None = None
    """What is under way. One thing at a time, so that little piles up before a dead disk."""
    asked_at: float = 0.0
    problem: str = ""


class Ledger:
    """What was said of the runs under watch. Files are read and written in a lane: a dead disk holds up nothing.

    Any thread may call it.
    """

    def __init__(
        self,
        folder: Path | None,
        threads: Threads,
        *,
        everywhere: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Keep files in `folder`, or nothing where it is None; kinds `everywhere` are muted in every run."""
        self._folder, self._everywhere = folder, everywhere
        self._lane, self._clock, self._now = Lane(threads), clock, now
        self._lock = threading.Lock()
        self._pages: dict[Path | None, _Page] = {}

    def open(self, directory: Path | None) -> None:
        """Begin to read what was said of runs in a directory, unless that was done; None: of runs in no directory."""
        with self._lock:
            self._page(directory)

    def of(self, directory: Path | None, paths: Sequence[Path]) -> Attention:
        """What was said of the run with these files, by what is known now."""
        with self._lock:
            page = self._page(directory)
            self._go_on(page)
            names = _names(directory, paths) if page.entries else ()
            return attention(page.entries, names, self._everywhere, self._kept(page))

    def acknowledge(self, directory: Path | None, paths: Sequence[Path], finding: str, upto: Severity | None) -> None:
        """A finding of the run with these files is known up to a severity; None takes that back."""
        names, finding = _names(directory, paths), plain(finding)
        changes: dict[tuple[str, str], Entry | None] = {(name, finding): None for name in names}
        if upto is not None:
            changes[names[0], finding] = Acknowledged(names[0], finding, _WORDS[upto], self._now())
        self._say(directory, changes)

    def mute(self, directory: Path | None, kind: str, on: bool) -> None:
        """Findings of a kind do not count in this directory; `on` False takes that back."""
        self._say(directory, {("", kind): Muted(kind, self._now()) if on else None})

    @property
    def awaited(self) -> list[Future[_Answer]]:
        """What is under way and worth waiting for; nothing once the disk is called stalled."""
        with self._lock:
            pages = [page for page in self._pages.values() if page.answer is not None and not page.answer.done()]
            if any(self._stalled(page) for page in pages):
                return []
            return [page.answer for page in pages if page.answer is not None]

    def _page(self, directory: Path | None) -> _Page:
        page = self._pages.get(directory)
        if page is None:
            page = self._pages[directory] = self._new_page(directory)
            if (path := page.path) is not None:
                self._ask(page, lambda: _read(path))
        return page

    def _new_page(self, directory: Path | None) -> _Page:
        name = absolute(directory) if directory is not None else ""
        kept = self._folder is not None and directory is not None
        return _Page(name, file_for(self._folder, name, SUFFIX) if kept and self._folder is not None else None)

    def _say(self, directory: Path | None, changes: Changes) -> None:
        with self._lock:
            page = self._page(directory)
            page.entries = changed(page.entries, changes)
            page.unsaved |= changes
            page.due = page.path is not None
            self._go_on(page)

    def _go_on(self, page: _Page) -> None:
        """Take in what is answered, and write what is due."""
        if page.answer is not None and page.answer.done():
            answer, page.answer = page.answer.result(), None
            page.problem = answer.problem
            if answer.entries is not None:
                saved = {entry.key: entry for entry in answer.entries}
                page.unsaved = {key: entry for key, entry in page.unsaved.items() if saved.get(key) != entry}
                page.entries = changed(answer.entries, page.unsaved)
        if page.due and page.answer is None and (path := page.path) is not None:
            changes, page.due = dict(page.unsaved), False
            self._ask(page, lambda: _write(path, page.directory, changes))

    def _stalled(self, page: _Page) -> bool:
        return page.answer is not None and not page.answer.done() and self._clock() - page.asked_at >= STALLED_S

    def _kept(self, page: _Page) -> str:
        """Where it is kept, or why it is not."""
        problem = f"{self._folder}: its disk does not answer" if self._stalled(page) else page.problem
        if problem and not page.unsaved:
            return f"What was acknowledged and muted here before is not known: {problem}."
        if problem:
            return f"Kept until gradtop ends: {problem}."
        if not page.entries:
            return ""
        if page.path is not None:
            return f"Kept in {self._folder}."
        nowhere = ": neither XDG_STATE_HOME nor HOME says where to keep it" if self._folder is None else ""
        return f"Kept until gradtop ends{nowhere}."

    def _ask(self, page: _Page, work: Callable[[], _Answer]) -> None:
        page.answer, page.asked_at = self._lane.do(work), self._clock()


_WORDS: dict[Severity, Literal["notice", "watch", "intervene"]] = {
    Severity.NOTICE: "notice",
    Severity.WATCH: "watch",
    Severity.INTERVENE: "intervene",
}


def _names(directory: Path | None, paths: Sequence[Path]) -> tuple[str, ...]:
    """Files from their directory on; those that are not in it by their paths."""

    def name(path: Path) -> Path:
        return path.relative_to(directory) if directory is not None and path.is_relative_to(directory) else path

    return tuple(plain(str(name(path))) for path in paths)


def _read(path: Path) -> _Answer:
    try:
        return _Answer(_entries(path))
    except OSError as error:
        return _Answer(None, f"{path}: {error.strerror}")
    except SourceError as error:
        return _Answer(None, f"{path}: {error}")


def _entries(path: Path) -> tuple[Entry, ...]:
    try:
        with path.open("rb") as file:
            return decoded(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        return ()


def _write(path: Path, directory: str, changes: Changes) -> _Answer:
    """Make the changes in what is in the file by now: another gradtop may have written it since it was read."""
    try:
        make(path.parent)
        with alone(path.parent):
            entries = changed(_kept_aside(path), changes)
            replace(path, encoded(directory, entries))
            prune(path.parent, SUFFIX, MAX_PAGES)
    except OSError as error:
        return _Answer(None, f"{path}: {error.strerror}")
    except NewerFile as error:
        return _Answer(None, f"{path}: {error}")
    return _Answer(entries)


def _kept_aside(path: Path) -> tuple[Entry, ...]:
    """The entries of the file; one that is broken is kept under another name, and there are none."""
    try:
        return _entries(path)
    except NewerFile:
        raise
    except SourceError:
        path.replace(path.with_suffix(".bad"))
        return ()
