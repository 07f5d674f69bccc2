"""What is learnt about files from one search to the next: which run each is of, and which contradict each other."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gradtop.sources.rows.second import second_writer
from gradtop.sources.search.group import Filed, Group, grouped
from gradtop.sources.search.sample import compared, sampled

REGROWN = 2.0
"""Two files that had nothing in common are compared again when they have grown by this factor."""
TRIED_PAIRS = 20
"""Pairs of files that are compared in one search: each costs some milliseconds."""

_OUTER = re.compile(r"\A(?:logs?|wandb)\Z")
"""Folders that may hold logs of the run in the directory above them."""


class Ties:
    """Groups files, keeps every run under the name that it was first found by, and takes no contradiction back.

    `part` may be called while another thread groups.
    """

    def __init__(self) -> None:
        self._anchors: dict[Path, Path] = {}
        self._apart: dict[Path, int] = {}
        self._same: set[frozenset[Path]] = set()
        self._tried: dict[frozenset[Path], float] = {}

    def part(self, path: Path) -> None:
        """The file at `path` tells of another training than the others that it was grouped with."""
        self._apart[path] = self._apart.get(path, 0) + 1
        self._anchors.pop(path, None)

    def runs(self, files: Iterable[Filed]) -> list[tuple[Path, Group]]:
        """The files as runs, each with the file that it goes by."""
        groups = list(grouped(files, dict(self._apart)))
        return [(self._anchor(group), group) for group in self._joined(groups)]

    def _anchor(self, group: Group) -> Path:
        """The file that the run was first found by."""
        paths = [file.place.part.path for file in group]
        known = [anchor for path in paths if (anchor := self._anchors.get(path)) is not None]
        # Of runs that turn out to be one, the one with the most files is it.
        anchor = max(known, key=known.count) if known else paths[0]
        self._anchors.update(dict.fromkeys(paths, anchor))
        return anchor

    def _joined(self, groups: Sequence[Group]) -> Iterator[Group]:
        """The groups, those joined whose content proves that they are of one run where their names do not."""
        left = dict(enumerate(groups))
        tries = TRIED_PAIRS
        for i, j in list(_doubtful(groups)):
            if i not in left or j not in left:
                continue
            pair = frozenset((_first(left[i]), _first(left[j])))
            if pair not in self._same and tries > 0 and self._worth_a_try(pair, left[i][0], left[j][0]):
                tries -= 1
                self._compare(pair)
            if pair in self._same:
                left[i] = (*left[i], *left.pop(j))
        return iter(left.values())

    def _worth_a_try(self, pair: frozenset[Path], *files: Filed) -> bool:
        """The two were not compared yet, or have grown much since."""
        size = sum(file.size for file in files)
        if size < REGROWN * self._tried.get(pair, 0.0) or self._apart.keys() & pair:
            return False
        self._tried[pair] = max(1.0, size)
        return True

    def _compare(self, pair: frozenset[Path]) -> None:
        a, b = pair
        if compared(sampled(a), sampled(b)).same:
            self._same.add(pair)


def _first(group: Group) -> Path:
    return group[0].place.part.path


def _doubtful(groups: Sequence[Group]) -> Iterator[tuple[int, int]]:
    """Pairs of groups that may be one run: a name that says nothing beside one that does, logs below a run."""
    by_root: dict[Path, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        by_root[group[0].place.root].append(i)
    for root, here in by_root.items():
        # Two launches of one script with one seed say the same, and are two.
        two = any(second_writer(_first(groups[i]).name) for i in here)
        if len(here) == 2 and not two and any(not groups[i][0].place.key for i in here):
            yield here[0], here[1]
        outer = root.parent.parent if root.parent.name == "wandb" else root.parent
        if _OUTER.match(root.name) or outer != root.parent:
            yield from ((i, j) for i in by_root.get(outer, ()) for j in here)
