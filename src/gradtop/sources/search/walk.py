"""The files below a directory that are named like logs. Bounded, and never through checkpoints or repositories."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gradtop.sources.follow.kind import by_name
from gradtop.sources.search.group import CHECKPOINT, STATE

MAX_DEPTH = 6
"""Directories below the given one that are entered."""
MAX_ENTRIES = 20_000
"""Entries of directories looked at in one search."""
LINKED_DEPTH = 3
"""Directories entered below a link that leads out of the given one: `logs` on another disk holds runs and versions."""
LINKED_ENTRIES = 2_000
"""Of the entries those that lie behind such links, so that a link to a whole disk costs little."""

_LOG = re.compile(
    r"\.(?:jsonl|ndjson|json|csv|tsv|log|out|err|txt)(?:[.-]?\w{1,12})?\Z|\A(?:stdout|stderr|nohup|output|log)\Z",
    re.IGNORECASE,
)
_PACKED = re.compile(r"\.(?:gz|zst|xz|bz2)\Z")
_CLOSED = re.compile(
    r"\A(?:\..*|node_modules|__pycache__|venv|site-packages|media|(?:tmp-)?(?:checkpoint|ckpt|global_step|iter|step)[-_]?\d+)\Z"
)


Step = Callable[[str], bool]
"""Told of every path before it is touched; False leaves the path out."""


def go_on(path: str) -> bool:
    """The step of a search that leaves nothing out."""
    return True


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is named like a log."""

    path: Path
    root: Path
    """The given directory that it lies in."""
    inode: tuple[int, int]
    """Device and number."""
    size: int
    modified: float
    """Unix seconds."""
    linked: bool
    """The path is a symbolic link to it."""

    @property
    def signature(self) -> tuple[tuple[int, int], int, float]:
        """Changes whenever the file does."""
        return self.inode, self.size, self.modified


@dataclass(slots=True)
class Seen:
    """Files by the name of what they are: how many, and one of them."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Path] = field(default_factory=dict)

    def add(self, name: str, path: Path) -> None:
        """Count one file."""
        self.counts[name] += 1
        self.examples.setdefault(name, path)


@dataclass(slots=True)
class Listing:
    """What one walk found."""

    files: dict[tuple[int, int], Entry] = field(default_factory=dict)
    """By device and number, so that a file with several names is there once."""
    entries: int = 0
    unread: Seen = field(default_factory=Seen)
    """Files whose name alone says that they are of a kind that is not read."""
    linked_entries: int = 0
    """Those behind links that lead out of the given directories."""
    closed: list[str] = field(default_factory=list)
    """Directories that could not be listed, with the reason."""

    @property
    def cut(self) -> bool:
        """There are more entries than were looked at."""
        return self.entries >= MAX_ENTRIES

    @property
    def linked_cut(self) -> bool:
        """There are more entries behind links that lead elsewhere than were looked at."""
        return self.linked_entries >= LINKED_ENTRIES

    def newest_first(self) -> list[Entry]:
        """The files in the order in which they are worth a look."""
        return sorted(self.files.values(), key=lambda entry: entry.modified, reverse=True)


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    root: Path
    linked: bool = False
    modified: float = 0.0
    reach: int = MAX_DEPTH
    """Levels below it that are entered."""
    elsewhere: bool = False
    """It lies behind a link that leads out of the given directory."""


def walk(roots: Sequence[Path], step: Step = go_on) -> Listing:
    """List the roots level by level, so that a bound cuts off what is deepest and oldest. `step` may leave out any."""
    listing = Listing()
    visited: set[tuple[int, int]] = set()
    level = [_Folder(os.fspath(root), root) for root in roots]
    while level:
        # A real directory goes before a link to it, a new one before an old one.
        level.sort(key=lambda folder: (folder.linked, -folder.modified))
        level = [below for folder in level for below in _enter(folder, listing, visited, step)]
    return listing


def _enter(folder: _Folder, listing: Listing, visited: set[tuple[int, int]], step: Step) -> list[_Folder]:
    """Take in the files of one directory; its directories, if it goes deeper."""
    below: list[_Folder] = []
    if not step(folder.path):
        return below
    try:
        info = os.stat(folder.path)
        if (info.st_dev, info.st_ino) in visited:
            return []
        visited.add((info.st_dev, info.st_ino))
        for entry in _entries(folder, listing, step):
            if (kind := by_name(entry.name)) is not None:
                if not _PACKED.search(entry.name) or _LOG.search(entry.name):
                    listing.unread.add(kind.name, Path(entry.path))
            elif _is_folder(entry):
                _take_state(entry, folder.root, listing)
                below += _below(entry, folder) if folder.reach and not _CLOSED.match(entry.name) else []
            elif _LOG.search(entry.name):
                _take(entry, folder.root, listing)
    except OSError as error:
        listing.closed.append(f"{folder.path}: {error.strerror}")
    return below


def _entries(folder: _Folder, listing: Listing, step: Step) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder.path) as entries:
        for entry in entries:
            if listing.cut or (folder.elsewhere and listing.linked_cut):
                return
            listing.entries += 1
            listing.linked_entries += folder.elsewhere
            if step(entry.path):
                yield entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads in a circle


def _below(entry: os.DirEntry[str], folder: _Folder) -> list[_Folder]:
    """A directory as the next to be entered; none for a link that leads up, or on from behind another link."""
    try:
        reach, elsewhere = folder.reach - 1, folder.elsewhere
        if entry.is_symlink():
            target, home = os.path.realpath(entry.path), os.path.realpath(folder.root)
            if elsewhere or _holds(target, home):
                return []
            elsewhere = not _holds(home, target)
            reach = min(reach, LINKED_DEPTH) if elsewhere else reach
        return [_Folder(entry.path, folder.root, entry.is_symlink(), entry.stat().st_mtime, reach, elsewhere)]
    except OSError:
        return []  # it was removed meanwhile


def _holds(above: str, path: str) -> bool:
    return path == above or path.startswith(above.rstrip("/") + "/")


def _take_state(entry: os.DirEntry[str], root: Path, listing: Listing) -> None:
    """The one log that lies in a checkpoint: the history of a trainer that has saved."""
    if not CHECKPOINT.match(entry.name):
        return
    path = Path(entry.path, STATE)
    try:
        info = path.stat()
    except OSError:
        return
    inode = (info.st_dev, info.st_ino)
    listing.files.setdefault(inode, Entry(path, root, inode, info.st_size, info.st_mtime, entry.is_symlink()))


def _take(entry: os.DirEntry[str], root: Path, listing: Listing) -> None:
    try:
        if not entry.is_file():
            return
        info = entry.stat()
    except OSError:
        return  # it was removed meanwhile
    inode = (info.st_dev, info.st_ino)
    known = listing.files.get(inode)
    if known is None or known.linked:
        linked = entry.is_symlink()
        listing.files[inode] = Entry(Path(entry.path), root, inode, info.st_size, info.st_mtime, linked)
