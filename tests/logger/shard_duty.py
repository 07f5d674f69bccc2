"""What the ranks of test_shard.py do; each function runs on every rank and returns what it saw."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.nn.parallel import DistributedDataParallel

from gradtop.logger.notice import Notices
from gradtop.logger.ranks import Reduction, agree
from gradtop.logger.ranks.shard import local, sharded, share

WORLD = 4


def _model() -> nn.Sequential:
    """Ten and three rows over four ranks: shards of different sizes, one of them empty."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 3)).double()


def _batch() -> Tensor:
    return torch.randn(WORLD * 2, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _norms(tensors: Sequence[Tensor]) -> list[float]:
    return [float(tensor.detach().norm()) for tensor in tensors]


def _gradients(model: nn.Module) -> list[Tensor]:
    return [p.grad for p in model.parameters() if p.grad is not None]


def _plain() -> list[float]:
    """Norms of gradients and weights, from the whole batch in one process."""
    model = _model()
    model(_batch()).square().mean().backward()
    return _norms(_gradients(model)) + _norms(list(model.parameters()))


def _summed(reduction: Reduction, tensors: Sequence[Tensor], at: int) -> list[float]:
    """Norms of tensors by the parts that the ranks hold."""
    weights = [share(tensor, reduced=True) for tensor in tensors]
    assert None not in weights
    parts = [float(local(tensor).detach().double().square().sum()) for tensor in tensors]
    reduction.start([w * part for w, part in zip(weights, parts, strict=True) if w is not None], at)
    assert reduction.wait(30.0)
    sums = reduction.result()
    assert sums is not None
    return [math.sqrt(value) for value in sums]


def _spread(reduction: Reduction, wrap: Callable[[nn.Module], nn.Module], rank: int, at: int) -> dict[str, Any]:
    model = wrap(_model())
    model(_batch()[rank * 2 : rank * 2 + 2]).square().mean().backward()
    tensors = _gradients(model) + list(model.parameters())
    parts = [local(tensor) for tensor in tensors]
    return {
        "norms": _summed(reduction, tensors, at),
        "sharded": sharded(model.parameters()),
        "empty": any(not part.numel() for part in parts),
        "whole": all(share(tensor) == 1.0 for tensor in tensors),
    }


def _fsdp(mesh: DeviceMesh) -> Callable[[nn.Module], nn.Module]:
    def wrap(model: nn.Module) -> nn.Module:
        assert isinstance(model, nn.Sequential)
        for layer in (model[0], model[2]):
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        return model

    return wrap


def _placements(grid: DeviceMesh) -> dict[str, Any]:
    """One vector of four ones in other placements; each total is 4, its square norm."""
    half, whole = torch.ones(2), torch.ones(4)
    tensors = {
        "shards of a repeated mesh": DTensor.from_local(half, grid["part"], [Shard(0)]),
        "copies": DTensor.from_local(whole, grid, [Replicate(), Replicate()]),
        "copies of shards": DTensor.from_local(half, grid, [Replicate(), Shard(0)]),
        "plain": whole,
    }
    totals = {}
    for name, tensor in tensors.items():
        weight = share(tensor, reduced=True)
        assert weight is not None
        total = weight * local(tensor).square().sum()
        dist.all_reduce(total)
        totals[name] = float(total)
    partial = DTensor.from_local(whole, grid, [Replicate(), Partial()])
    parameter = nn.Parameter(tensors["copies"])
    return {
        "totals": totals,
        "partial": share(partial, reduced=True) is None and share(partial) is None,
        "detached": not local(parameter).requires_grad and local(parameter).grad_fn is None,
        "class": type(local(parameter)) is Tensor,
    }


def parts(rank: int, home: int) -> dict[str, Any]:
    """A model spread over the ranks in each way, next to a plain one; then tensors in each placement."""
    reduction = agree("layers", Notices(), timeout_s=30.0)
    assert reduction is not None
    flat, grid = init_device_mesh("cpu", (WORLD,)), init_device_mesh("cpu", (2, 2), mesh_dim_names=("copy", "part"))
    return {
        "plain": _plain(),
        "flat": _spread(reduction, _fsdp(flat), rank, 1),
        "grid": _spread(reduction, _fsdp(grid), rank, 2),
        "ddp": _spread(reduction, DistributedDataParallel, rank, 3),
        **_placements(grid),
    }
