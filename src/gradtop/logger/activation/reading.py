"""What the forward passes of one step told per layer, on its way from the devices to the stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradtop.logger.activation.attention import MASKED
from gradtop.logger.activation.outline import Node

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SIZE, DEAD, LOGIT = "activation_rms", "dead_fraction", "max_attention_logit"
"""The columns: root of the mean square of an output; share of units that were 0 everywhere; largest logit."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one number of a vector is."""

    column: str
    layer: int
    count: int = 0
    """Elements of the output that it is the norm of."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What one step's forward passes gave, still on the devices."""

    names: tuple[str, ...]
    vectors: tuple[Tensor, ...]
    """One-dimensional, float32, one for each device."""
    entries: tuple[tuple[Entry, ...], ...]
    """What the numbers of each vector are."""
    cost_s: float
    """Time that this took on the host, without the overhead of the mode and the hooks themselves."""

    def columns(self, values: Sequence[Sequence[float]]) -> dict[str, list[float | None]]:
        """The columns that have a value, in the order of the names, from the `vectors` as numbers.

        None is a layer that a column does not apply to, or whose attention was masked everywhere.
        """
        found: dict[tuple[str, int], list[tuple[float, int]]] = {}
        for entries, numbers in zip(self.entries, values, strict=True):
            for entry, number in zip(entries, numbers, strict=True):
                found.setdefault((entry.column, entry.layer), []).append((number, entry.count))
        columns: dict[str, list[float | None]] = {}
        for (column, layer), some in found.items():
            if (value := _POOLED[column](some)) is not None:
                columns.setdefault(column, [None] * len(self.names))[layer] = value
        return columns


def _rms(norms: Sequence[tuple[float, int]]) -> float:
    return math.sqrt(sum(norm * norm for norm, _ in norms) / sum(count for _, count in norms))


def _most(logits: Sequence[tuple[float, int]]) -> float | None:
    seen = [logit for logit, _ in logits if not logit <= MASKED]
    return next((logit for logit in seen if math.isnan(logit)), max(seen)) if seen else None


_POOLED: Mapping[str, Callable[[Sequence[tuple[float, int]]], float | None]] = {
    SIZE: _rms, DEAD: lambda some: some[-1][0], LOGIT: _most
}  # fmt: skip
"""How the numbers of several forward passes become one."""


@dataclass(slots=True)
class Tally:
    """What was seen since the watch began."""

    sizes: dict[Node, list[tuple[Tensor, int]]] = field(default_factory=dict)
    units: dict[Node, Tensor | None] = field(default_factory=dict)
    """Which units were ever above 0; None where their number is not the same each time."""
    logits: dict[Node, list[Tensor]] = field(default_factory=dict)
    cost_s: float = 0.0

    def see_logit(self, node: Node, logit: Tensor) -> None:
        """Take in the largest logit of one attention."""
        self.logits.setdefault(node, []).append(logit)

    def see_units(self, node: Node, alive: Tensor) -> None:
        """Take in which units of a forward pass are alive."""
        before = self.units.setdefault(node, alive)
        if before is not None and before is not alive:
            self.units[node] = before | alive if before.shape == alive.shape else None

    def readings(self) -> Readings | None:
        """All of it, stacked for the way to the host; None if there is nothing."""
        import torch

        nodes = sorted({*self.sizes, *self.units, *self.logits}, key=lambda node: node.order)
        layers: dict[str, int] = {}
        for node in nodes:
            layers.setdefault(node.name, len(layers))
        found: dict[torch.device, list[tuple[Entry, Tensor]]] = {}
        for node in nodes:
            at = layers[node.name]
            for norm, count in self.sizes.get(node, ()):
                found.setdefault(norm.device, []).append((Entry(SIZE, at, count), norm))
            if (alive := self.units.get(node)) is not None:
                found.setdefault(alive.device, []).append((Entry(DEAD, at), 1.0 - alive.float().mean()))
            for logit in self.logits.get(node, ()):
                found.setdefault(logit.device, []).append((Entry(LOGIT, at), logit))
        if not found:
            return None
        vectors = tuple(torch.stack([value.float() for _, value in some]) for some in found.values())
        entries = tuple(tuple(entry for entry, _ in some) for some in found.values())
        return Readings(tuple(layers), vectors, entries, self.cost_s)
