"""Sums of what was read around an optimizer's step, by layer; on the host, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from gradtop.logger.sample.norm import Norms

if TYPE_CHECKING:
    from torch import Tensor

    from gradtop.logger.sample.update import Change, Weights

_T = TypeVar("_T")

GRADIENT, GRADIENTS, UPDATE, REFERENCE, DOUBTS, WEIGHT, WEIGHTS = range(7)
"""The sums of a layer: squared gradient and tensors that had one; squared update, the squared weights that it was
measured against, and tensors whose 0 is in doubt; squared weights and tensors that were measured."""
FIELDS = 7


@dataclass(slots=True)
class Part:
    """What was read around the step of one optimizer, per tensor."""

    layers: Tensor
    """The layer of each tensor."""
    ids: Sequence[int]
    having: Sequence[bool]
    """Which tensors had a gradient."""
    shares: Tensor | None
    """What each counts in a sum over all ranks; None: in full."""
    clipped: bool
    """The norms of gradients are those that clipping read, before it clipped."""
    gradients: Norms
    weights: Norms | None
    scale: Tensor
    """What the gradients are still multiplied by, one element."""
    moving: Weights | None = None
    change: Change | None = None

    def vectors(self) -> list[Tensor]:
        """What has to be read on the host, in the order that `add` takes it apart in."""
        weights = self.weights.vectors if self.weights is not None else ()
        change = self.change.vectors if self.change is not None else ()
        return [self.scale, *self.gradients.vectors, *weights, *change]

    def add(self, values: list[Tensor], sums: Tensor, doubtful: set[int]) -> None:
        """Add the values of the vectors to the sums, a row for each field; note which tensors seem not to change."""
        scale = float(values.pop(0)[0]) or 1.0
        members, squares = self.gradients.squares(some(values, len(self.gradients.vectors)))
        self._count(members, squares if scale == 1.0 else squares.div_(scale * scale), sums[GRADIENT], sums[GRADIENTS])
        if self.weights is not None:
            members, squares = self.weights.squares(some(values, len(self.weights.vectors)))
            self._count(members, squares, sums[WEIGHT], sums[WEIGHTS])
        if self.change is not None:
            self._move(self.change, values, sums, doubtful)

    def _count(self, members: Tensor, squares: Tensor, total: Tensor, count: Tensor) -> None:
        members, squares = self._shared(members, squares)
        layers = self.layers.index_select(0, members)
        total.index_add_(0, layers, squares)
        count.index_add_(0, layers, squares.new_ones(()).expand_as(squares))

    def _shared(self, members: Tensor, *squares: Tensor) -> tuple[Tensor, ...]:
        """The tensors of which this rank's part counts, and that part of their squares."""
        if self.shares is None:
            return members, *squares
        shares = self.shares.index_select(0, members)
        counted = shares != 0.0
        return members[counted], *((shares * each)[counted] for each in squares)

    def _move(self, change: Change, values: Sequence[Tensor], sums: Tensor, doubtful: set[int]) -> None:
        still: set[int] = set()
        moved = change.moved(values)
        members, update, reference = self._shared(moved.members, moved.differences, moved.weights)
        layers = self.layers.index_select(0, members)
        sums[UPDATE].index_add_(0, layers, update)
        sums[REFERENCE].index_add_(0, layers, reference)
        for index, doubt in moved.rested.items():
            if self.shares is None or self.shares[index]:
                still.add(self.ids[index])
                sums[DOUBTS][self.layers[index]] += doubt and self.having[index]
        doubtful.difference_update(self.ids)
        doubtful.update(still)


def numbers(values: Sequence[float]) -> Tensor:
    """Numbers on the host: of places where they are whole, else in float64."""
    import torch

    whole = all(isinstance(value, int) for value in values)
    return torch.tensor(values, dtype=torch.int64 if whole else torch.float64, device="cpu")


def zeros(*sizes: int) -> Tensor:
    """Zeros on the host, in float64."""
    import torch

    return torch.zeros(*sizes, dtype=torch.float64, device="cpu")


def some(values: list[_T], count: int) -> list[_T]:
    """The first values, taken off."""
    taken, values[:count] = values[:count], []
    return taken
