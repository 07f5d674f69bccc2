"""The per-layer values of a row as arrays, one place per layer, in the order of depth."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FAMILIES = (
    "grad_norm", "weight_norm", "update_ratio", "update_norm", "dead_fraction", "zero_fraction", "activation_rms",
    "max_attention_logit",
)  # fmt: skip
"""What a log can have per layer; `grad_norm/layers.0.attn` is a value of the family `grad_norm`."""
PATTERNS = tuple(f"{family}/*" for family in FAMILIES)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_NUMBER = re.compile(r"(\d+)")
_FIRST = re.compile(
    r"(?:^|[._/])(?:wte|wpe|embed\w*|\w*_?embeddings?|stem|patch_embed|tok_embeddings|conv_?in)(?:[._/]|$)"
)
_LAST = re.compile(
    r"(?:^|[._/])(?:lm_head|head|classifier|unembed\w*|output|final_\w+|ln_f|norm_f|fc_?out|conv_?out)(?:[._/]|$)"
)


@dataclass(frozen=True, slots=True)
class Block:
    """The per-layer columns of some rows."""

    values: Mapping[str, Floats]
    """Family → (rows, layers); NaN where a row does not have it."""
    named: Mapping[str, Flags]
    """Family → (layers,): the rows have a value of it, whatever it is."""


class Layers:
    """All layers of a run, and what the newest row with per-layer values says of them."""

    __slots__ = ("_at", "_block", "_index", "_ordered", "names")

    def __init__(self) -> None:
        """No layer seen yet."""
        self.names: list[str] = []
        """Layers in the order in which they turned up; a place in it is theirs for good."""
        self._index: dict[str, int] = {}
        self._block = Block({}, {})
        self._at = 0
        self._ordered: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.names)

    def block(self, columns: Mapping[str, Sequence[float]]) -> bool:
        """Take in the columns of some rows; False where none of them is of a layer."""
        found: dict[str, dict[str, Sequence[float]]] = {}
        for name, column in columns.items():
            family, _, layer = name.partition("/")
            if layer and family in FAMILIES:
                found.setdefault(family, {})[layer] = column
        for layers in found.values():
            for layer in layers:
                if layer not in self._index:
                    self._index[layer] = len(self.names)
                    self.names.append(layer)
        self._block = Block(
            {family: self._matrix(layers) for family, layers in found.items()},
            {family: self._flags(layers) for family, layers in found.items()},
        )
        return bool(found)

    def _matrix(self, layers: Mapping[str, Sequence[float]]) -> Floats:
        rows = len(next(iter(layers.values())))
        matrix = np.full((rows, len(self.names)), np.nan)
        matrix[:, [self._index[layer] for layer in layers]] = np.array(list(layers.values()), dtype=np.float64).T
        return matrix

    def _flags(self, layers: Iterable[str]) -> Flags:
        flags = np.zeros(len(self.names), dtype=np.bool_)
        flags[[self._index[layer] for layer in layers]] = True
        return flags

    def at(self, row: int) -> None:
        """Stand at a row of the block."""
        self._at = row

    def row(self, family: str) -> Floats | None:
        """The values of the row, one per layer, NaN where it has none; None where no layer has one."""
        matrix = self._block.values.get(family)
        return matrix[self._at] if matrix is not None else None

    def named(self, family: str) -> Flags:
        """Which layers the row has a value of, be it NaN."""
        flags = self._block.named.get(family)
        return flags if flags is not None else np.zeros(len(self.names), dtype=np.bool_)

    @property
    def update_ratio(self) -> Floats | None:
        """The update ratio of each layer: as it was logged, or update norm over weight norm."""
        ratio = self.row("update_ratio")
        if ratio is not None:
            return ratio
        update, weight = self.row("update_norm"), self.row("weight_norm")
        if update is None or weight is None:
            return None
        return np.divide(update, weight, out=np.full_like(update, np.nan), where=weight > 0)

    @property
    def order(self) -> Sequence[int]:
        """The places of the layers from the input of the model to its output, as far as their names tell."""
        if len(self._ordered) != len(self.names):
            self._ordered = sorted(range(len(self.names)), key=lambda i: depth_key(self.names[i]))
        return self._ordered


def depth_key(name: str) -> tuple[int, tuple[tuple[int, int, str], ...]]:
    """What layers are sorted by: embeddings, then numbers as numbers, then heads."""
    last, first = bool(_LAST.search(name)), bool(_FIRST.search(name))
    numbered = bool(_NUMBER.search(name))
    group = 0 if first and not numbered else 2 if last and not numbered else 1
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in _NUMBER.split(name) if part)
    return group, parts


def grown(values: NDArray[np.generic], n: int, fill: float) -> NDArray[np.generic]:
    """An array of one place per layer, with places for layers that turned up since."""
    if len(values) == n:
        return values
    wider = np.full(n, fill, dtype=values.dtype)
    wider[: len(values)] = values
    return wider
