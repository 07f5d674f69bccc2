"""Which files belong to one run, told by where they lie and what they are called.

Names prove a lot: the parts of a known layout, one stem with several endings, the ranks of one launch. Files that lie
side by side with names that tell them apart are runs of their own.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

STATE = "trainer_state.json"
"""What a Hugging Face trainer rewrites at every save: the whole history, in the output directory and in checkpoints."""
CHECKPOINT = re.compile(r"\Acheckpoint-\d+\Z")
"""A folder of that trainer with such a copy."""
MAX_PARTS = 32
"""Files of one run that are read; of the ranks of a large launch the last ones are left out."""

_INNER = frozenset(("vis_data", "structured_logs", "csv"))
"""Folders in which a run keeps files of its own."""

_WANDB_RUN = re.compile(r"\A(?:offline-)?run-\d{8}_\d{6}-\w+\Z")
_ATTEMPT = re.compile(r"\Aattempt_(\d+)\Z")
_RANK = re.compile(r"(?:^|(?<=[-_. ]))(?:global|local)?rank[-_]?(\d+)(?=$|[-_. ])", re.IGNORECASE)
_ROTATED = re.compile(r"(\.(?:log|txt|out|err|csv|jsonl?))\.\d{1,3}(?=\.(?:gz|xz|bz2)\Z|\Z)", re.IGNORECASE)
_ONE_METRIC = re.compile(r"\A(?:Train|Validation|Eval)_\w+\.csv\Z")
"""DeepSpeed's monitor writes one table for each metric, named after it."""
_SAMPLES = re.compile(r"(?:\A|[-_. ])machine(?=\.jsonl\Z)")
_SPLIT = re.compile(r"[-_. ]+")
_PLAIN = re.compile(
    r"(?:train(?:er|ing)?|logs?|logging|metrics?|output|out|err|errors?|std|stdout|stderr|console|progress|results?"
    r"|summary|history|stats|scalars?|run|running|main|state|nohup|events?|eval|evaluation|val|valid|validation|test"
    r"|loss|debug|info|screen|monitor|rank|jsonl?|ndjson|csv|tsv|txt|gz|xz|bz2)\Z",
    re.IGNORECASE,
)
"""Words that say what a file holds and not which run it is of."""
_CONSOLE = re.compile(r"\.(?:log|out|err|txt)\Z|\A(?:stdout|stderr|nohup)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a run."""

    path: Path
    kin: str = ""
    """Files of different ranks with the same kin say the same: the lowest rank with metrics is the one to listen to."""
    rank: int | None = None
    """The rank that wrote it; None where the name does not say."""
    launch: int = 0
    """Which launch it belongs to, where every launch has files of its own."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file belongs, by its path alone."""

    part: Part
    root: Path
    """The directory of its run."""
    key: str
    """What tells it apart from other runs in that directory; empty where its name says nothing of the kind."""
    family: str = ""
    """Copies of one document: only the newest is read."""

    @property
    def console(self) -> bool:
        """It is named like what a terminal would show, which is worth following even without metrics."""
        return bool(_CONSOLE.search(self.part.path.name))


@lru_cache(maxsize=32768)
def place_of(path: Path, top: Path) -> Place:
    """Where the file at `path` belongs; a run never reaches above `top`, the directory that was given."""
    name, folder = path.name, path.parent
    if folder != top and (attempt := _ATTEMPT.match(folder.parent.name)) is not None and folder.name.isdigit():
        root = folder.parent if folder.parent == top else folder.parent.parent
        return Place(Part(path, "attempt", int(folder.name), int(attempt[1])), root, "")
    root = _root(folder, top, name)
    if name == STATE:
        return Place(Part(path), root, "", STATE)
    found = _RANK.search(name)
    rank = int(found[1]) if found is not None else None
    plain = _ROTATED.sub(r"\1", _RANK.sub("", _SAMPLES.sub("", name)))
    key = "" if _ONE_METRIC.match(name) else _key(plain)
    kin = "-".join(word for word in _SPLIT.split(plain) if word)
    return Place(Part(path, kin, rank), root, "" if key == _key(root.name) else key)


def _root(folder: Path, top: Path, name: str) -> Path:
    """The directory of a run from the directory of one of its files."""
    while folder != top and folder != folder.parent:
        inner = folder.name in _INNER or (folder.name == "files" and _WANDB_RUN.match(folder.parent.name))
        if not inner and not (name == STATE and CHECKPOINT.match(folder.name)):
            break
        folder = folder.parent
    return folder


def of_samples(path: Path) -> bool:
    """It is called like a recording of what the machine does, `machine.jsonl` or `NAME.machine.jsonl`.

    Such a file is a part of its run and makes none by itself, and it grows whatever the run does.
    """
    return _SAMPLES.search(path.name) is not None


def _key(name: str) -> str:
    """The words of a name that are not plain."""
    return "-".join(word for word in _SPLIT.split(name) if word and not _PLAIN.match(word))


@dataclass(frozen=True, slots=True)
class Filed:
    """A file that may be part of a run."""

    place: Place
    modified: float
    """Unix seconds."""
    size: int
    """Bytes."""
    metrics: bool
    """It has rows with metrics."""
    step: int = 0
    """Of a document of a family: how far its history goes."""


Group = tuple[Filed, ...]
"""The files of one run, those with metrics first."""


def grouped(files: Iterable[Filed], apart: Mapping[Path, int]) -> Iterator[Group]:
    """The files as runs, by their names; each has at least one file with metrics.

    Args:
        files: what was found.
        apart: files that contradict the others of their run, by the run of their own that they make.
    """
    together: dict[tuple[Path, str, int], list[Filed]] = defaultdict(list)
    for file in files:
        together[file.place.root, file.place.key, apart.get(file.place.part.path, 0)].append(file)
    for found in together.values():
        group = tuple(_in_order(_newest_of_families(found)))
        if group and group[0].metrics:
            yield group


def _newest_of_families(found: Sequence[Filed]) -> Iterator[Filed]:
    """Of the copies of one document only the newest; the one that goes furthest where they were copied together."""
    families: dict[str, Filed] = {}
    for file in found:
        family = file.place.family
        if not family:
            if file.metrics or file.place.console or of_samples(file.place.part.path):
                yield file
        elif file.metrics and (held := families.get(family)) is not None:
            families[family] = max(held, file, key=lambda f: f.step) if _same_time(held, file) else _newer(held, file)
        elif file.metrics:
            families[family] = file
    yield from families.values()


COPIED_S = 60.0
"""Seconds within which files of one family were copied rather than written one after the other."""


def _same_time(a: Filed, b: Filed) -> bool:
    return abs(a.modified - b.modified) <= COPIED_S


def _newer(a: Filed, b: Filed) -> Filed:
    return max(a, b, key=lambda f: f.modified)


def _in_order(found: Iterable[Filed]) -> list[Filed]:
    """The files in an order of their own: metrics first, lower ranks first, then by path."""

    def order(file: Filed) -> tuple[bool, int, int, str]:
        part = file.place.part
        return not file.metrics, part.launch, part.rank if part.rank is not None else -1, str(part.path)

    return sorted(found, key=order)[:MAX_PARTS]
