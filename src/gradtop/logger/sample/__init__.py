"""What a sampled step says of each layer: norm of the gradient, of the weights, and how far the step moved them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gradtop.logger.notice import Notices
from gradtop.logger.ranks.shard import local, sharded, share
from gradtop.logger.readback import Readback
from gradtop.logger.sample.norm import Clipped, Norms, Reader
from gradtop.logger.sample.sums import (
    DOUBTS,
    FIELDS,
    GRADIENT,
    GRADIENTS,
    REFERENCE,
    UPDATE,
    WEIGHT,
    WEIGHTS,
    Part,
    numbers,
    some,
    zeros,
)
from gradtop.logger.sample.table import Detail, Table
from gradtop.logger.sample.update import Weights

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


class _Plan:
    """What stays the same from one sample of an optimizer to the next."""

    def __init__(self, table: Table, indices: tuple[int, ...], notices: Notices) -> None:
        """`indices`: the optimizer's tensors in the table."""
        self._all, self._indices = table.tensors, indices
        self.tensors = [table.tensors[index] for index in indices]
        self.ids = [id(tensor) for tensor in self.tensors]
        self.layers = numbers([table.layers[index] for index in indices])
        self.gradients, self.weights = Reader(notices), Reader(notices)
        self.moving: Weights | None = None

    def stands(self, table: Table, indices: tuple[int, ...]) -> bool:
        """The optimizer still has the same tensors of the same table."""
        return self._all is table.tensors and self._indices == indices


class Sample:
    """The values of one sampled step, on their way to the host."""

    def __init__(self, parts: Sequence[Part], layers: int, doubtful: set[int]) -> None:
        """`layers`: their number; `doubtful` takes the ids of the tensors that seem not to change."""
        self.empty = not any(any(part.having) for part in parts)
        """Not one parameter had a gradient."""
        self.clipped = any(part.clipped for part in parts)
        """Clipping read the norms, before it clipped."""
        self._parts, self._layers, self._doubtful = parts, layers, doubtful
        vectors = [vector for part in parts for vector in part.vectors()]
        packed, self._spans = _packed(vectors)
        self.readback = Readback(packed)
        self._sums: list[float] | None = None

    def sums(self) -> list[float]:
        """Sums of this rank by layer, one of the `FIELDS` after the other; may wait.

        Added up over ranks they make those of the whole.
        """
        if self._sums is None:
            read = [vector.double() for vector in self.readback.arrived()]
            values = [read[vector][first:end] for vector, first, end in self._spans]
            sums = zeros(FIELDS, self._layers)
            for part in self._parts:
                part.add(some(values, len(part.vectors())), sums, self._doubtful)
            self._sums = sums.flatten().tolist()
        return self._sums

    def columns(self, sums: Sequence[float], factor: float = 1.0) -> tuple[dict[str, list[float | None]], float]:
        """Values per layer from the sums of all ranks, and the norm of all gradients.

        `factor` takes norms back to before clipping; where clipping itself read them they need none. None: no gradient
        in the whole layer, or a ratio that cannot be told.
        """
        factor = 1.0 if self.clipped else factor
        fields = [sums[field * self._layers : (field + 1) * self._layers] for field in range(FIELDS)]
        columns = {"grad_norm": _roots(fields[GRADIENT], fields[GRADIENTS], factor)}
        if any(part.change is not None for part in self._parts):
            moves = (fields[field] for field in (GRADIENTS, UPDATE, REFERENCE, DOUBTS))
            columns["update_ratio"] = [*map(_ratio, *moves)]
        if any(part.weights is not None for part in self._parts):
            columns["weight_norm"] = _roots(fields[WEIGHT], fields[WEIGHTS], 1.0)
        return columns, math.sqrt(sum(fields[GRADIENT])) * factor


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
        self._parts: dict[int, Part] = {}
        self._plans: dict[int, _Plan] = {}
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

    def read_later(self, tensors: Iterable[Tensor]) -> None:
        """Read these only when an optimizer that has them steps, even while it is not known."""
        self._table.read_later(tensors)

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
        plan = self._plan(optimizer)
        tensors, spread = plan.tensors, self._is_spread()
        gradients = [tensor.grad for tensor in tensors]
        shares = self._shares(plan, gradients, spread)
        held = [local(tensor) for tensor in tensors] if spread else tensors
        if spread:
            gradients = [None if gradient is None else local(gradient) for gradient in gradients]
        clipped, measured = self._gradients(plan, gradients)
        part = self._parts[id(optimizer)] = Part(
            layers=plan.layers,
            ids=plan.ids,
            having=[gradient is not None for gradient in gradients],
            shares=numbers(shares) if shares is not None else None,
            clipped=clipped,
            gradients=measured,
            weights=plan.weights.read(held) if weights else None,
            scale=_scale(scale),
        )
        if optimizer is not None:
            self._watch(plan, held, gradients)
            part.moving = plan.moving

    def after(self, optimizer: Optimizer | None) -> None:
        """Read the sampled weights again, after the step."""
        part = self._parts.get(id(optimizer))
        if part is not None and part.change is None and part.moving is not None:
            part.change = part.moving.after()

    def take(self) -> Sample | None:
        """What was read since the last one; None where nothing was."""
        parts = list(self._parts.values())
        self._parts.clear()
        self._clipped.clear()
        return Sample(parts, len(self.names), self._doubtful) if parts else None

    def _plan(self, optimizer: Optimizer | None) -> _Plan:
        """How an optimizer is read; made anew when its tensors are others."""
        indices = self._indices(optimizer)
        plan = self._plans.get(id(optimizer))
        if plan is None or not plan.stands(self._table, indices):
            plan = self._plans[id(optimizer)] = _Plan(self._table, indices, self._notices)
        return plan

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

    def _shares(self, plan: _Plan, gradients: Sequence[Tensor | None], spread: bool) -> Sequence[float] | None:
        """What each tensor counts in a sum over all ranks; None: in full."""
        if not spread and not self.reduced:
            return None
        shares = [
            share(tensor if gradient is None else gradient, self.reduced)
            for tensor, gradient in zip(plan.tensors, gradients, strict=True)
        ]
        if None in shares:
            self._notices.say("partial", "some gradients are partial sums on each rank: their norms are not known")
        return [share or 0.0 for share in shares]

    def _gradients(self, plan: _Plan, gradients: Sequence[Tensor | None]) -> tuple[bool, Norms]:
        """The norms of gradients, and whether clipping has read some; the others are read now."""
        if not self._clipped:
            return False, plan.gradients.read(gradients)
        having = {id: index for index, id in enumerate(plan.ids) if gradients[index] is not None}
        given = [tuple(having.pop(id, None) for id in clipped.ids) for clipped in reversed(self._clipped)][::-1]
        unread = set(having.values())
        read = plan.gradients.read([each if index in unread else None for index, each in enumerate(gradients)])
        vectors = (*(clipped.vector[: len(clipped.ids)] for clipped in self._clipped), *read.vectors)
        known = any(place is not None for places in given for place in places)
        members = (numbers([-1 if place is None else place for place in places]) for places in given)
        return known, Norms(vectors, (*members, *read.members), read.exact, elsewhere=True)

    def _watch(self, plan: _Plan, held: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        """Keep the weights before the step."""
        if plan.moving is None or not plan.moving.stands(held):
            plan.moving = Weights(held, self._notices)
        doubtful = self._doubtful.intersection(plan.ids)
        places = [index for index, id in enumerate(plan.ids) if id in doubtful] if doubtful else []
        plan.moving.before((index, each) for index in places if (each := gradients[index]) is not None)


def _roots(squares: Sequence[float], counts: Sequence[float], factor: float) -> list[float | None]:
    """Norms from their squares; None where nothing was counted."""
    return [math.sqrt(square) * factor if count else None for square, count in zip(squares, counts, strict=True)]


def _ratio(gradients: float, update: float, reference: float, doubts: float) -> float | None:
    """Norm of the update by norm of the weights; None without gradient or weights, or while a 0 is in doubt."""
    if not gradients or not reference or (update == 0.0 and doubts):
        return None
    return math.sqrt(update / reference)


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
