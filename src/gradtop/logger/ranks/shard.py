"""The part of a tensor that this rank holds, and what it counts in a sum over all ranks."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gradtop.logger.ranks import place

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.distributed.tensor import DTensor


def local(tensor: Tensor) -> Tensor:
    """This rank's part, detached and without communication; a tensor that is not spread over ranks as it is."""
    return _as_distributed(tensor)._local_tensor.detach() if _distributed(tensor) else tensor


def share(tensor: Tensor, reduced: bool = False) -> float | None:
    """The weight of this rank's part: weights times parts' sums of squares, over all ranks, make the whole's.

    None: only the sum of all ranks' parts has a norm (placement `Partial`). With `reduced` the products are added up
    over all ranks, so that what each rank holds alike is counted on one; without, this rank's part is all there is.
    """
    if not _distributed(tensor):
        return 1.0 if not reduced or place().rank == 0 else 0.0
    whole = _as_distributed(tensor)
    if any(placement.is_partial() for placement in whole.placements):
        return None
    if not reduced:
        return 1.0
    at = whole.device_mesh.get_coordinate()
    if at is None:
        return 0.0
    if any(placement.is_replicate() and i for placement, i in zip(whole.placements, at, strict=True)):
        return 0.0
    return min(1.0, whole.device_mesh.size() / place().world)


def sharded(tensors: Iterable[Tensor]) -> bool:
    """Any of them is spread over ranks (FSDP2, tensor parallel)."""
    return any(map(_distributed, tensors))


def legacy(model: nn.Module) -> bool:
    """The model is wrapped by the first FSDP, whose flat shards do not tell where a layer's values are."""
    return any(type(module).__name__ == "FullyShardedDataParallel" for module in model.modules())


def _distributed(tensor: Tensor) -> bool:
    """The tensor is a DTensor; torch 2.4 has the class in a private module, and where neither is loaded none exists."""
    for name in ("torch.distributed.tensor", "torch.distributed._tensor"):
        kind = getattr(sys.modules.get(name), "DTensor", None)
        if kind is not None:
            return isinstance(tensor, kind)
    return False


def _as_distributed(tensor: Tensor) -> DTensor:
    return tensor  # type: ignore[return-value]
