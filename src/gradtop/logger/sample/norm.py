"""L2 norms of many tensors in one go, right to 1e-5 whatever their size, type and scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradtop.logger.notice import Notices

if TYPE_CHECKING:
    from torch import Tensor

DOUBLE = frozenset({"cuda"})
"""Devices whose fused norm accumulates in float64 while it reads, so that nothing can underflow or overflow."""
LARGE = 1 << 18
"""Elements up to which one fp32 sum is right to 1e-5 on the CPU: it is 3e-4 off at 10M, 8e-3 where all are equal."""
ROW = 1024
"""Elements that are summed in one go of a larger tensor: 5e-7 off at most, in the time of one plain sum."""
PIECE = 1 << 20
"""Elements of a tensor that are read at a time: 16-bit values are widened on the way, and have to stay in the cache."""
LEAST = 3e-17
"""A norm below this times the root of the number of elements may lack squares that fp32 took for 0 (below 1e-38)."""


@dataclass(frozen=True, slots=True)
class Norms:
    """The norms of some tensors, still on their devices."""

    vectors: tuple[Tensor, ...]
    """Norms of pieces, flat."""
    places: tuple[tuple[int, int, int] | None, ...]
    """Per tensor: the vector of its pieces, the first of them, the one behind the last. None: it has no norm."""
    exact: Mapping[int, float] = field(default_factory=dict)
    """Norms that were measured again, by tensor."""

    def squares(self, values: Sequence[Sequence[float]]) -> list[float | None]:
        """The squared norm of each tensor, from the values of the vectors."""
        return [self._square(index, place, values) for index, place in enumerate(self.places)]

    def _square(
        self, index: int, place: tuple[int, int, int] | None, values: Sequence[Sequence[float]]
    ) -> float | None:
        if place is None:
            return None
        vector, first, end = place
        norms = values[vector][first:end] if index not in self.exact else [self.exact[index]]
        return sum(norm * norm for norm in norms)


@dataclass(frozen=True, slots=True)
class Clipped:
    """The norms that clipping read: of the parameters with these ids, flat; without ids where 16 bits rounded them."""

    vector: Tensor
    ids: tuple[int, ...]


def norms(tensors: Sequence[Tensor | None], notices: Notices) -> Norms:
    """Queue the norms of tensors; nothing is read on the host, except on the CPU where fp32 is too narrow."""
    import torch

    with torch.no_grad():
        places: list[tuple[int, int, int] | None] = [None] * len(tensors)
        vectors: list[Tensor] = []
        exact: dict[int, float] = {}
        for members, group in _grouped(tensors, notices):
            vector, ends = _queued(group)
            for index, first, end in zip(members, [0, *ends], ends, strict=False):
                places[index] = len(vectors), first, end
            vectors.append(vector)
            if vector.device.type == "cpu" and "cpu" not in DOUBLE:
                exact.update(_second_look(members, group, vector.tolist(), ends))
        return Norms(tuple(vectors), tuple(places), exact)


def _grouped(tensors: Sequence[Tensor | None], notices: Notices) -> Iterator[tuple[list[int], list[Tensor]]]:
    """Tensors that can be measured, with their places, by device and type; whole kinds are taken as they are."""
    groups: dict[object, tuple[list[int], list[Tensor]]] = {}
    bare: dict[object, bool] = {}
    for index, tensor in enumerate(tensors):
        if tensor is None:
            continue
        key: object = (type(tensor), tensor.layout, tensor.device, tensor.dtype)
        if key not in bare:
            bare[key] = plain(tensor) and tensor.is_floating_point() and not tensor.is_meta
        if not bare[key]:
            tensor = real(tensor, notices)
            if tensor is None:
                continue
            key = tensor.device, tensor.dtype
        if key not in groups:
            groups[key] = [], []
        members, group = groups[key]
        members.append(index)
        group.append(tensor)
    yield from groups.values()


def clip(parameters: Iterable[Tensor], max_norm: float) -> tuple[Tensor, Clipped]:
    """Clip like `torch.nn.utils.clip_grad_norm_` (2-norm), to the same bits; the total norm before, and its parts."""
    import torch
    from torch.utils._foreach_utils import _group_tensors_by_device_and_dtype as grouped

    with torch.no_grad():
        having = [(id(parameter), parameter.grad) for parameter in parameters if parameter.grad is not None]
        if not having:
            return torch.tensor(0.0), Clipped(torch.zeros(0, device="cpu"), ())
        gradients = [gradient for _, gradient in having]
        groups = grouped([gradients], with_indices=True)  # type: ignore[list-item]
        parts: list[Tensor] = []
        order: list[int] = []
        narrow = any(dtype.itemsize < 4 for _, dtype in groups)
        for (members,), indices in groups.values():
            parts.extend(torch._foreach_norm(members, 2.0))  # type: ignore[arg-type]
            order.extend(indices)
        vector = torch.stack([part.to(gradients[0].device) for part in parts])
        total = torch.linalg.vector_norm(vector, 2.0)
        factor = torch.clamp(float(max_norm) / (total + 1e-6), max=1.0)
        for (device, _), ((members,), _) in groups.items():
            torch._foreach_mul_(members, factor.to(device))  # type: ignore[arg-type]
        return total, Clipped(vector, () if narrow else tuple(having[index][0] for index in order))


def real(tensor: Tensor, notices: Notices) -> Tensor | None:
    """The values of a tensor as a dense real one on the same device; None, with a notice, where it has none."""
    import torch

    if tensor.is_meta:
        notices.say("meta", "a parameter is on the meta device, without values: it is left out")
        return None
    if not plain(tensor):
        return _parts(tensor, notices)
    if tensor.is_complex():
        return torch.view_as_real(tensor.detach().resolve_conj())
    if not tensor.is_floating_point():
        notices.say("type", f"a parameter is of type {tensor.dtype}: it is left out")
        return None
    return tensor.detach()


def plain(tensor: Tensor) -> bool:
    """The tensor has memory of its own, unlike sparse ones and those that are made of others (quantized ones)."""
    import torch

    if tensor.layout is not torch.strided:
        return False
    return type(tensor) in (torch.Tensor, torch.nn.Parameter) or not _made_of_others(tensor)


def _made_of_others(tensor: Tensor) -> bool:
    from torch.utils._python_dispatch import is_traceable_wrapper_subclass

    return bool(is_traceable_wrapper_subclass(tensor))


def _parts(tensor: Tensor, notices: Notices) -> Tensor | None:
    """The values that a sparse tensor stores."""
    import torch

    if tensor.layout is torch.sparse_coo:
        return real(tensor.detach().coalesce().values(), notices)
    if tensor.layout in (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc):
        return real(tensor.detach().values(), notices)
    kind = type(tensor).__name__ if tensor.layout is torch.strided else str(tensor.layout)
    notices.say("kind", f"a parameter is of the kind {kind}: it is left out")
    return None


def flat(tensor: Tensor) -> Tensor:
    """One dimension of all elements, in the order of the memory: a view where the memory has no gaps."""
    if tensor.is_contiguous():
        return tensor.view(-1)
    straight = tensor.permute(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
    return straight.view(-1) if straight.is_contiguous() else tensor.reshape(-1)


def _queued(tensors: list[Tensor]) -> tuple[Tensor, list[int]]:
    """The norms of all pieces of tensors of one device and type, flat, and where each tensor's pieces end."""
    import torch

    wide = torch.float64 if tensors[0].device.type in DOUBLE or tensors[0].dtype is torch.float64 else torch.float32
    pieces: list[Tensor] = []
    ends: list[int] = []
    for tensor in tensors:
        if tensor.numel() > LARGE and wide is torch.float32:
            pieces.extend(_summands(flat(tensor)))
        elif tensor.numel():
            pieces.append(tensor)
        ends.append(len(pieces))
    if not pieces:
        return torch.zeros(0, device=tensors[0].device), ends
    return torch.stack(torch._foreach_norm(pieces, 2, wide)), ends


def _summands(whole: Tensor) -> Iterator[Tensor]:
    """Tensors of few elements whose norms make up the norm of a large one: norms of rows, and what is left over."""
    import torch

    for piece in torch.split(whole, PIECE):
        even = piece.numel() // ROW * ROW
        if even:
            yield torch.linalg.vector_norm(piece[:even].view(-1, ROW), dim=1, dtype=torch.float32)
        if even < piece.numel():
            yield piece[even:].float()


def _second_look(
    members: Sequence[int], tensors: Sequence[Tensor], norms: Sequence[float], ends: Sequence[int]
) -> Iterator[tuple[int, float]]:
    """Measure again, on the CPU, what is 0, infinite or so small that fp32 may have lost squares."""
    widest = max((tensor.numel() for tensor in tensors), default=0)
    if min(norms, default=0.0) > LEAST * math.sqrt(widest) and max(norms) < math.inf:
        return
    first = 0
    for index, tensor, end in zip(members, tensors, ends, strict=True):
        norm = math.hypot(*norms[first:end])
        first = end
        if norm == math.inf or norm < LEAST * math.sqrt(tensor.numel()):
            largest = max(float(tensor.max()), -float(tensor.min())) if tensor.numel() else 0.0
            yield index, _double(tensor) if 0.0 < largest < math.inf else largest


def _double(tensor: Tensor) -> float:
    """The norm in float64, a piece at a time."""
    import torch

    pieces = torch.split(flat(tensor), PIECE)
    return math.hypot(*(float(torch.linalg.vector_norm(piece, dtype=torch.float64)) for piece in pieces))
