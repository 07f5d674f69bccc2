"""What a sampled step says of each layer: norm of the gradient, of the weights, and how far the step moved them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from gradtop.logger.notice import Notices
from gradtop.logger.ranks.shard import local, sharded, share
from gradtop.logger.readback import Readback
from gradtop.logger.sample.norm import Clipped, Norms, norms
from gradtop.logger.sample.table import Detail, Table
from gradtop.logger.sample.update import Change, Weights

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

_T = TypeVar("_T")

GRADIENT, GRADIENTS, UPDATE, REFERENCE, DOUBTS, WEIGHT, WEIGHTS = range(7)
"""The sums of a layer: squared gradient and tensors that had one; squared update, the squared weights that it was
measured against, and tensors whose 0 is in doubt; squared weights and tensors that were measured."""
FIELDS = 7


@dataclass(slots=True)
class _Part:
    """What was read around the step of one optimizer, per tensor."""

    tensors: tuple[int, ...]
    """Their ids."""
    layers: tuple[int, ...]
    shares: tuple[float, ...]
    """What each counts in a sum over all ranks."""
    present: int
    """Tensors that had a gradient."""
    clipped: bool
    """The norms of gradients are those that clipping read, before it clipped."""
    gradients: Norms
    weights: Norms | None
    scale: Tensor
    """What the gradients are still multiplied by, one element."""
    change: Change | None = None

    def vectors(self) -> list[Tensor]:
        """What has to be read on the host, in the order that `sums` takes it apart in."""
        weights = self.weights.vectors if self.weights is not None else ()
        change = self.change.vectors if self.change is not None else ()
        return [self.scale, *self.gradients.vectors, *weights, *change]

    def sums(self, values: list[Sequence[float]], sums: list[float], doubtful: set[int]) -> None:
        """Add the values of the vectors up by layer, and note which tensors seem not to change."""
        scale = values.pop(0)[0] or 1.0
        gradients = self.gradients.squares(_some(values, len(self.gradients.vectors)))
        none = [None] * len(gradients)
        weights = self.weights.squares(_some(values, len(self.weights.vectors))) if self.weights is not None else none
        changes = self.change.squares(values) if self.change is not None else none
        for row in zip(self.tensors, self.layers, self.shares, gradients, weights, changes, strict=True):
            tensor, layer, share, gradient, weight, change = row
            first = layer * FIELDS
            if not share:
                continue
            if gradient is not None:
                sums[first + GRADIENT] += share * gradient / (scale * scale)
                sums[first + GRADIENTS] += 1.0
            if weight is not None:
                sums[first + WEIGHT] += share * weight
                sums[first + WEIGHTS] += 1.0
            if change is not None:
                sums[first + UPDATE] += share * change.difference
                sums[first + REFERENCE] += share * change.weight
                sums[first + DOUBTS] += gradient is not None and change.doubtful
                (doubtful.add if change.difference == 0.0 else doubtful.discard)(tensor)


class Sample:
    """The values of one sampled step, on their way to the host."""

    def __init__(self, parts: Sequence[_Part], layers: int, doubtful: set[int]) -> None:
        """`layers`: their number; `doubtful` takes the ids of the tensors that seem not to change."""
        self.empty = not any(part.present for part in parts)
        """Not one parameter had a gradient."""
        self._parts, self._layers, self._doubtful = parts, layers, doubtful
        vectors = [vector for part in parts for vector in part.vectors()]
        packed, self._spans = _packed(vectors)
        self.readback = Readback(packed)
        self._sums: list[float] | None = None

    def sums(self) -> list[float]:
        """Sums of this rank, `FIELDS` per layer, that make those of the whole if added up over ranks; may wait."""
        if self._sums is None:
            read = self.readback.values()
            values: list[Sequence[float]] = [read[vector][first:end] for vector, first, end in self._spans]
            self._sums = [0.0] * (FIELDS * self._layers)
            for part in self._parts:
                part.sums(_some(values, len(part.vectors())), self._sums, self._doubtful)
        return self._sums

    def columns(self, sums: Sequence[float], factor: float = 1.0) -> tuple[dict[str, list[float | None]], float]:
        """Values per layer from the sums of all ranks, and the norm of all gradients.

        `factor` takes norms back to before clipping; where clipping itself read them they need none. None: no gradient
        in the whole layer, or a ratio that cannot be told.
        """
        factor = 1.0 if any(part.clipped for part in self._parts) else factor
        rows = [sums[first : first + FIELDS] for first in range(0, FIELDS * self._layers, FIELDS)]
        columns = {"grad_norm": [math.sqrt(row[GRADIENT]) * factor if row[GRADIENTS] else None for row in rows]}
        if any(part.change is not None for part in self._parts):
            columns["update_ratio"] = [_ratio(row) for row in rows]
        if any(part.weights is not None for part in self._parts):
            columns["weight_norm"] = [math.sqrt(row[WEIGHT]) if row[WEIGHTS] else None for row in rows]
        return columns, math.sqrt(sum(row[GRADIENT] for row in rows)) * factor


class Sampler:
    """Reads gradients and weights around the optimizers' steps that are sampled; nothing of it waits for a device."""

    def __init__(
        self, model: nn.Module | None, optimizers: Sequence[Optimizer], detail: Detail, notices: Notices
    ) -> None:
        """`optimizers` is kept: one that is added to it is read as well."""
        self.version = 0
        """Grows when names or sizes change."""
        self.reduced = False
        """Sums are added up over all ranks: what every rank holds alike counts on the first alone."""
        self._table = Table(model, optimizers, detail)
        self._notices = notices
        self._parts: dict[int, _Part] = {}
        self._weights: dict[int, Weights] = {}
        self._clipped: list[Clipped] = []
        self._doubtful: set[int] = set()
        self._looked_at: tuple[Tensor, ...] = ()
        self._spread = False

    @property
    def names(self) -> tuple[str, ...]:
        """The layers, in the model's order."""
        return self._table.names

    @property
    def numel(self) -> tuple[int, ...]:
        """Elements of each layer, over all ranks."""
        return self._table.numel

    def given(self, parameters: Sequence[Tensor], clipped: Clipped) -> None:
        """Take the norms that clipping has just read of `parameters`, instead of reading the gradients again."""
        self._clipped.append(clipped)

    def before(
        self, optimizer: Optimizer | None, scale: Tensor | float | None = None, *, weights: bool = False
    ) -> None:
        """Read the gradients that an optimizer (None: any) is about to use, and keep the weights that it will change.

        Args:
            optimizer: whose parameters; the first one of a sample takes along those that no optimizer has.
            scale: what the gradients are still multiplied by.
            weights: measure the weights too.
        """
        indices = self._indices(optimizer)
        tensors = [self._table.tensors[index] for index in indices]
        spread = self._is_spread()
        held = [local(tensor) for tensor in tensors] if spread else tensors
        gradients = [tensor.grad for tensor in tensors]
        shares = self._shares(tensors, gradients, spread)
        clipped, measured = self._gradients(tensors, gradients, spread)
        self._parts[id(optimizer)] = _Part(
            tensors=tuple(map(id, tensors)),
            layers=tuple(self._table.layers[index] for index in indices),
            shares=shares,
            present=sum(gradient is not None for gradient in gradients),
            clipped=clipped,
            gradients=measured,
            weights=norms(held, self._notices) if weights else None,
            scale=_scale(scale),
        )
        if optimizer is not None:
            self._watch(optimizer, held, gradients, tensors)

    def after(self, optimizer: Optimizer | None) -> None:
        """Read the sampled weights again, after the step."""
        part, weights = self._parts.get(id(optimizer)), self._weights.get(id(optimizer))
        if part is not None and part.change is None and weights is not None:
            part.change = weights.after()

    def take(self) -> Sample | None:
        """What was read since the last one; None where nothing was."""
        parts = list(self._parts.values())
        self._parts.clear()
        self._clipped.clear()
        return Sample(parts, len(self.names), self._doubtful) if parts else None

    def _indices(self, optimizer: Optimizer | None) -> tuple[int, ...]:
        """The tensors of an optimizer, in a table that is up to date."""
        table = self._table
        changed = not self._parts and table.refresh()
        if optimizer is not None and table.adopt(optimizer):
            changed = True
        if changed:
            self.version += 1
            self._parts.clear()
        if optimizer is None:
            return tuple(range(len(table.tensors)))
        return (*table.part(optimizer), *(table.orphans if not self._parts else ()))

    def _is_spread(self) -> bool:
        """Some tensor of the table is spread over ranks; looked up once per table."""
        if self._looked_at is not self._table.tensors:
            self._looked_at = self._table.tensors
            self._spread = sharded(self._looked_at)
        return self._spread

    def _shares(self, tensors: Sequence[Tensor], gradients: Sequence[Tensor | None], spread: bool) -> tuple[float, ...]:
        if not spread and not self.reduced:
            return (1.0,) * len(tensors)
        shares = [
            share(tensor if gradient is None else gradient, self.reduced)
            for tensor, gradient in zip(tensors, gradients, strict=True)
        ]
        if None in shares:
            self._notices.say("partial", "some gradients are partial sums on each rank: their norms are not known")
        return tuple(share or 0.0 for share in shares)

    def _gradients(
        self, tensors: Sequence[Tensor], gradients: Sequence[Tensor | None], spread: bool
    ) -> tuple[bool, Norms]:
        """The norms of gradients, and whether clipping has read some; the others are read now."""
        known: dict[int, tuple[int, int, int]] = {}
        for vector, clipped in enumerate(self._clipped):
            known.update({id: (vector, place, place + 1) for place, id in enumerate(clipped.ids)})
        given = [
            known.get(id(tensor)) if gradient is not None else None
            for tensor, gradient in zip(tensors, gradients, strict=True)
        ]
        unread = [None if place is not None else gradient for place, gradient in zip(given, gradients, strict=True)]
        if spread:
            unread = [None if gradient is None else local(gradient) for gradient in unread]
        read = norms(unread, self._notices)
        if not known:
            return False, read
        first = len(self._clipped)
        places = tuple(
            place if place is not None else (other[0] + first, *other[1:]) if other is not None else None
            for place, other in zip(given, read.places, strict=True)
        )
        vectors = (*(clipped.vector for clipped in self._clipped), *read.vectors)
        return any(given), Norms(vectors, places, read.exact)

    def _watch(
        self,
        optimizer: Optimizer,
        held: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        tensors: Sequence[Tensor],
    ) -> None:
        """Keep the weights before the step."""
        weights = self._weights.get(id(optimizer))
        if weights is None or not weights.stands(held):
            weights = self._weights[id(optimizer)] = Weights(held, self._notices)
        weights.before(
            (index, local(gradient))
            for index, (tensor, gradient) in enumerate(zip(tensors, gradients, strict=True))
            if gradient is not None and id(tensor) in self._doubtful
        )


def _ratio(row: Sequence[float]) -> float | None:
    """Norm of the update by norm of the weights; None without gradient or weights, or while a 0 is in doubt."""
    if not row[GRADIENTS] or not row[REFERENCE] or (row[UPDATE] == 0.0 and row[DOUBTS]):
        return None
    return math.sqrt(row[UPDATE] / row[REFERENCE])


def _scale(scale: Tensor | float | None) -> Tensor:
    """A copy on the same device: the scaler changes its own in place."""
    import torch

    if isinstance(scale, torch.Tensor):
        return scale.detach().reshape(1).float().clone()
    return torch.tensor([1.0 if scale is None else float(scale)], device="cpu")


def _packed(vectors: Sequence[Tensor]) -> tuple[list[Tensor], list[tuple[int, int, int]]]:
    """One vector per device, and where each of the given ones is: the vector, its first element, the one behind it."""
    import torch

    devices: dict[torch.device, list[Tensor]] = {}
    ends: dict[torch.device, int] = {}
    spans: list[tuple[int, int, int]] = []
    for vector in vectors:
        of_device = devices.setdefault(vector.device, [])
        first = ends.get(vector.device, 0)
        ends[vector.device] = first + vector.numel()
        spans.append((list(devices).index(vector.device), first, ends[vector.device]))
        of_device.append(vector)
    return [torch.cat(of_device) for of_device in devices.values()], spans


def _some(values: list[_T], count: int) -> list[_T]:
    """The first values, taken off."""
    taken, values[:count] = values[:count], []
    return taken
