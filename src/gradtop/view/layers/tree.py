"""Layers as lines: in which order, which of them, and modules that are folded into one line."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gradtop.depth import depth_of
from gradtop.filter import Filter
from gradtop.view.natural import natural

ORDERS = ("depth", "worst first", "name")
_PART = re.compile(r"[./]")
_NUMBERED = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One line: a layer, or a module with all of its layers."""

    key: str
    """The name as the log has it."""
    members: tuple[int, ...]
    """Places of its layers, from input to output."""
    folded: bool = False


@lru_cache(maxsize=8)
def depth_order(names: tuple[str, ...]) -> tuple[int, ...]:
    """Places of the layers from the input of the model to its output."""
    return depth_of(names).order


@lru_cache(maxsize=16384)
def modules(name: str) -> tuple[str, ...]:
    """What a layer is in, the outermost first: `a`, `a.b` of `a.b.c`."""
    return tuple(name[: match.start()] for match in _PART.finditer(name) if match.start())


@lru_cache(maxsize=16)
def in_depth(names: tuple[str, ...], folded: frozenset[str], found: Filter) -> tuple[LayerRow, ...]:
    """The lines from input to output. A filter is tried on the layer and on the module that it is folded into."""
    members: dict[str, list[int]] = {}
    for i in depth_order(names):
        key = next((module for module in modules(names[i]) if module in folded), names[i])
        if found.admits(names[i]):
            members.setdefault(key, []).append(i)
    return tuple(LayerRow(key, tuple(of), key in folded) for key, of in members.items())


def ordered(rows: Sequence[LayerRow], order: str, badness: Callable[[int], tuple[float, ...]]) -> tuple[LayerRow, ...]:
    """The lines in one of `ORDERS`; a folded one is as bad as the worst of its layers."""
    if order == "name":
        return tuple(sorted(rows, key=lambda row: natural(row.key)))
    if order == "worst first":
        return tuple(sorted(rows, key=lambda row: max(map(badness, row.members)), reverse=True))
    return tuple(rows)


@lru_cache(maxsize=8)
def _sizes(names: tuple[str, ...]) -> Mapping[str, int]:
    """How many layers are in each module."""
    sizes: dict[str, int] = {}
    for name in names:
        for module in modules(name):
            sizes[module] = sizes.get(module, 0) + 1
    return sizes


def folded_further(rows: Sequence[LayerRow], folded: frozenset[str], key: str) -> tuple[frozenset[str], str]:
    """(what is folded, the line to be on) when the innermost module around a line, with others in it, is folded."""
    for module in reversed(modules(key)):
        inside = [row for row in rows if module in modules(row.key)]
        if len(inside) > 1:
            return folded | {module}, module
    return folded, key


def unfolded(names: tuple[str, ...], folded: frozenset[str], key: str) -> tuple[frozenset[str], str]:
    """(what is folded, the line to be on) when one line is opened: to the modules in it, where it has some."""
    if key not in folded:
        return folded, key
    deep = len(modules(key))
    inside = [name for name in names if key in modules(name)]
    sizes = _sizes(names)
    inner = {m for name in inside for m in modules(name)[deep + 1 : deep + 2] if 1 < sizes[m] < len(inside)}
    first = next((name for name in (names[i] for i in depth_order(names)) if name in inside), key)
    opened = (folded - {key}) | inner
    return opened, next((module for module in modules(first) if module in opened), first)


def to_blocks(names: tuple[str, ...]) -> frozenset[str]:
    """What is folded when every numbered block is one line."""
    sizes = _sizes(names)
    blocks = (next((m for m in modules(name) if _NUMBERED.search(m)), "") for name in names)
    return frozenset(block for block in blocks if sizes.get(block, 0) > 1)
