"""L2 norms of many tensors in one go, right to 1e-5 whatever their size, type and scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

from gradtop.logger.notice import Notices

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DOUBLE = frozenset({"cuda"})
"""Devices whose fused norm accumulates in float64 while it reads, so that nothing can underflow or overflow."""
SMALL = 1 << 12
"""Elements up to which tensors of the same shape are put together and read in one go: 2 to 9 times as fast there."""
LARGE = 1 << 14
"""Elements up to which one fp32 sum is right to 1e-5 on the CPU even where all are equal; 2e-3 off at 4M elements."""
ROW = 1 << 12
"""Elements that are summed in one go of a larger tensor: 2e-6 off at most, in the time of one plain norm."""
PIECE = 1 << 20
"""Elements of a tensor that are read at a time: 16-bit values are widened on the way, and have to stay in the cache."""
LEAST = 3e-17
"""A norm below this times the root of the number of elements may lack squares that fp32 took for 0 (below 1e-38)."""


@dataclass(frozen=True, slots=True)
class Norms:
    """The norms of some tensors, still on their devices."""

    vectors: tuple[Tensor, ...]
    members: tuple[Tensor, ...]
    """Per vector, on the host: the tensor that each of its norms is of; -1: it is of no tensor here."""
    exact: Mapping[int, float] = field(default_factory=dict)
    """Norms that were measured again, or are known, by tensor."""
    elsewhere: bool = False
    """Some norm may be of no tensor here."""

    def squares(self, read: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The tensors that have a norm, and their squared norms, from the values of the vectors in float64."""
        import torch

        if not read:
            return torch.zeros(0, dtype=torch.int64, device="cpu"), torch.zeros(0, dtype=torch.float64, device="cpu")
        members, norms = torch.cat(self.members), torch.cat([*read])
        for index, norm in self.exact.items():
            norms[members == index] = norm
        squares = norms.mul_(norms)
        if not self.elsewhere:
            return members, squares
        here = members >= 0
        return members[here], squares[here]


@dataclass(frozen=True, slots=True)
class Clipped:
    """The norms before clipping: of the parameters with these ids, flat; without ids where 16 bits rounded them."""

    vector: Tensor
    ids: tuple[int, ...]


_LOOK = attrgetter("shape", "dtype", "layout", "device")


class Reader:
    """Reads the norms of tensors that mostly look alike from one time to the next: how they are read is kept."""

    def __init__(self, notices: Notices) -> None:
        """Nothing read yet."""
        self._notices = notices
        self._looks: list[object] = []
        self._batches: tuple[_Batch, ...] = ()
        self._odd: frozenset[int] = frozenset()

    def read(self, tensors: Sequence[Tensor | None]) -> Norms:
        """Queue the norms of tensors; nothing is read on the host, except on the CPU where fp32 is too narrow."""
        import torch

        with torch.no_grad():
            there = [tensor for tensor in tensors if tensor is not None]
            looks = [*map(type, tensors), *map(_LOOK, there)]
            if looks != self._looks:
                self._batches, self._odd = _planned(tensors, self._notices)
                self._looks = looks
            values = list(tensors)
            for index in self._odd:
                values[index] = _real(tensors[index], self._notices)
            exact: dict[int, float] = {}
            vectors = tuple(batch.read(values, exact) for batch in self._batches)
        return Norms(vectors, tuple(batch.places for batch in self._batches), exact)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Tensors of one device and type."""

    members: tuple[int, ...]
    """Their places, in the order of the vector: first the piles, then the others."""
    places: Tensor
    """The same, as numbers on the host."""
    piles: tuple[int, ...]
    """How many small tensors of the same shape are read together, by pile."""

    def read(self, values: Sequence[Tensor | None], exact: dict[int, float]) -> Tensor:
        """The norm of each member; `exact` takes those that have to be measured again."""
        import torch

        tensors = [value for index in self.members if (value := values[index]) is not None]
        wide = _accumulated(tensors[0])
        parts: list[Tensor] = []
        first = 0
        for count in self.piles:
            pile = torch.cat(tensors[first : first + count]).reshape(count, -1)
            parts.append(torch.linalg.vector_norm(pile, dim=1, dtype=wide))
            first += count
        if first < len(tensors):
            parts.append(torch.stack(_singles(tensors[first:])))
        vector = torch.cat(parts) if len(parts) > 1 else parts[0]
        if vector.device.type == "cpu" and "cpu" not in DOUBLE:
            exact.update(_second_look(self.members, tensors, vector.tolist()))
        return vector


def _planned(tensors: Sequence[Tensor | None], notices: Notices) -> tuple[tuple[_Batch, ...], frozenset[int]]:
    """The tensors that can be measured by device and type, and those of them whose values have to be taken out."""
    groups: dict[tuple[object, object], dict[object, list[int]]] = {}
    odd: set[int] = set()
    for index, tensor in enumerate(tensors):
        values = _real(tensor, notices)
        if tensor is None or values is None:
            continue
        bare = plain(tensor) and tensor.is_floating_point()
        if not bare:
            odd.add(index)
        fits = bare and values.device.type not in DOUBLE and 0 < values.numel() <= SMALL and values.dim()
        piles = groups.setdefault((values.device, values.dtype), {})
        piles.setdefault(values.shape if fits else None, []).append(index)
    return tuple(map(_batch, groups.values())), frozenset(odd)


def _batch(shapes: Mapping[object, list[int]]) -> _Batch:
    """Tensors by shape, or None for those that are read alone, as is the only one of its shape."""
    import torch

    piles = [indices for shape, indices in shapes.items() if shape is not None and len(indices) > 1]
    others = [indices for shape, indices in shapes.items() if shape is None or len(indices) == 1]
    members = tuple(index for indices in (*piles, *others) for index in indices)
    return _Batch(members, torch.tensor(members, device="cpu"), tuple(map(len, piles)))


def clip(parameters: Iterable[Tensor], max_norm: float, *, wide: bool = False) -> tuple[Tensor, Clipped]:
    """Clip like `torch.nn.utils.clip_grad_norm_` (2-norm), to the same bits; the total norm before, and its parts.

    With `wide`, 16-bit gradients are read once more for parts in fp32: those that torch clips by are 0.4 % off.
    """
    import torch
    from torch.utils._foreach_utils import _group_tensors_by_device_and_dtype as grouped

    with torch.no_grad():
        having = [(id(parameter), parameter.grad) for parameter in parameters if parameter.grad is not None]
        if not having:
            return torch.tensor(0.0), Clipped(torch.zeros(0, device="cpu"), ())
        gradients = [gradient for _, gradient in having]
        groups = grouped([gradients], with_indices=True)  # type: ignore[list-item]
        parts: list[Tensor] = []
        kept: list[Tensor] = []
        order: list[int] = []
        narrow = any(dtype.itemsize < 4 for _, dtype in groups)
        for (members,), indices in groups.values():
            parts.extend(torch._foreach_norm(members, 2.0))  # type: ignore[arg-type]
            if narrow and wide:
                kept.extend(_singles(members))  # type: ignore[arg-type]
            order.extend(indices)
        vector = torch.stack([part.to(gradients[0].device) for part in parts])
        total = torch.linalg.vector_norm(vector, 2.0)
        if kept:
            narrow, vector = False, torch.stack([part.to(gradients[0].device) for part in kept])
        factor = torch.clamp(float(max_norm) / (total + 1e-6), max=1.0)
        for (device, _), ((members,), _) in groups.items():
            torch._foreach_mul_(members, factor.to(device))  # type: ignore[arg-type]
        return total, Clipped(vector, () if narrow else tuple(having[index][0] for index in order))


def _singles(gradients: Sequence[Tensor]) -> list[Tensor]:
    """The norms of tensors of one type, added up in fp32 or wider."""
    import torch

    kind = _accumulated(gradients[0])
    summands = [_summands(each) if _is_long(each, kind) else each for each in gradients]
    return list(torch._foreach_norm(summands, 2, kind))


def _real(tensor: Tensor | None, notices: Notices) -> Tensor | None:
    return None if tensor is None else real(tensor, notices)


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


def _accumulated(tensor: Tensor) -> torch.dtype:
    """The type in which the squares of a tensor are added up."""
    import torch

    return torch.float64 if tensor.device.type in DOUBLE or tensor.dtype is torch.float64 else torch.float32


def _is_long(tensor: Tensor, wide: torch.dtype) -> bool:
    """One sum of this type over all elements is not good enough."""
    return wide.itemsize < 8 and tensor.numel() > LARGE


def _summands(tensor: Tensor) -> Tensor:
    """Few numbers whose norm is that of a long tensor: the norms of its rows, and what is left over."""
    import torch

    if tensor.is_contiguous() and tensor.numel() % ROW == 0 and tensor.element_size() >= 4:
        norms = _rows(tensor)
    else:
        whole = flat(tensor)
        pieces = (whole,) if whole.element_size() >= 4 else torch.split(whole, PIECE)
        norms = torch.cat([part for piece in pieces for part in _parted(piece)])
    return _summands(norms) if norms.numel() > LARGE else norms


def _parted(piece: Tensor) -> Iterator[Tensor]:
    """The norms of rows, and what is left over."""
    even = piece.numel() // ROW * ROW
    if even:
        yield _rows(piece[:even])
    if even < piece.numel():
        yield piece[even:].float()


def _rows(tensor: Tensor) -> Tensor:
    import torch

    norms: Tensor = torch.linalg.vector_norm(tensor.view(-1, ROW), dim=1, dtype=torch.float32)
    return norms


def _second_look(
    members: Sequence[int], tensors: Sequence[Tensor], norms: Sequence[float]
) -> Iterator[tuple[int, float]]:
    """Measure again, on the CPU, what is 0, infinite or so small that fp32 may have lost squares."""
    least, most = min(norms), max(norms)
    if least > LEAST * math.sqrt(max(tensor.numel() for tensor in tensors)) and most < math.inf:
        return
    for index, tensor, norm in zip(members, tensors, norms, strict=True):
        if norm == math.inf or norm < LEAST * math.sqrt(tensor.numel()):
            yield index, _measured(tensor)


def _measured(tensor: Tensor) -> float:
    """The norm, slowly, where it is neither 0 nor infinite."""
    import torch

    lowest, highest = torch.aminmax(tensor)
    largest = max(float(highest), -float(lowest))
    return _double(tensor) if 0.0 < largest < math.inf else largest


def _double(tensor: Tensor) -> float:
    """The norm in float64, a piece at a time."""
    import torch

    pieces = torch.split(flat(tensor), PIECE)
    return math.hypot(*(float(torch.linalg.vector_norm(piece, dtype=torch.float64)) for piece in pieces))
