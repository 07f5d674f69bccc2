"""What the ranks of test_logger_ranks.py do: a whole training with a logger, on each of them."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # the first optimizer of a process loads it: here once for all ranks
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import gradtop
from gradtop.logger import cadence, session

STEPS = 6
CLIP = 0.05


def plain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 3))


def batch(step: int, rank: int) -> Tensor:
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(10 * step + rank))


def alone() -> list[dict[str, Any]]:
    """The same training in one process with all the ranks' data, its norms in double precision."""
    model = plain()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    steps = []
    for step in range(STEPS):
        optimizer.zero_grad()
        for rank in range(2):
            (model(batch(step, rank)).square().mean() / 2).backward()
        grads = [
            math.hypot(*(float(p.grad.double().norm()) for p in layer.parameters() if p.grad is not None))
            for layer in (model[0], model[2])
        ]
        before = [p.detach().clone() for p in model.parameters()]
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        moved = [(p.detach() - b).double().norm().item() for p, b in zip(model.parameters(), before, strict=True)]
        sizes = [b.double().norm().item() for b in before]
        ratios = [math.hypot(*moved[i : i + 2]) / math.hypot(*sizes[i : i + 2]) for i in (0, 2)]
        steps.append({"grad_norm": grads, "update_ratio": ratios, "total": math.hypot(*grads)})
    return steps


def trained(rank: int, wrap: Callable[[nn.Module], nn.Module], folder: Path, **options: Any) -> None:
    """Train with a logger on this rank."""
    model = wrap(plain())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    log = gradtop.Logger(folder, model, optimizer, clip_norm=CLIP, **options)
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = model(batch(step, rank)).square().mean()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        log.step(loss=loss, grad_norm=norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
    log.close()


def sharded(model: nn.Module) -> nn.Module:
    mesh = dist.device_mesh.init_device_mesh("cpu", (2,))
    for layer in (model[0], model[2]):  # type: ignore[index]
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def folder() -> Path:
    return Path(os.environ["GRADTOP_TEST_FOLDER"])


def trainings(rank: int, home: int) -> dict[str, Any]:
    """One after the other: sharded, replicated, with a file for each rank, and on ranks whose clocks differ."""
    trained(rank, sharded, folder() / "fsdp", every=1)
    trained(rank, DistributedDataParallel, folder() / "ddp", every=1)
    trained(rank, DistributedDataParallel, folder() / "every_rank", every=1, every_rank=True)
    if rank == 1:
        real = time.perf_counter
        time.perf_counter = lambda: real() * 50
    cadence.OPENING = 2
    trained(rank, sharded, folder() / "uneven")
    return {"exact": alone() if rank == 0 else None}


def chief_only(rank: int, home: int) -> dict[str, Any]:
    """The usual mistake: a logger on rank 0 alone."""
    if rank == 0:
        session.AGREE_S = 1.0
        trained(rank, sharded, folder(), every=1)
    else:
        model = sharded(plain())
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for step in range(STEPS):
            optimizer.zero_grad()
            model(batch(step, rank)).square().mean().backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP).full_tensor()  # type: ignore[attr-defined]
            optimizer.step()
    return {}


def deserted(rank: int, home: int) -> dict[str, Any]:
    """Rank 1 dies between two steps; what rank 0 does with its own model afterwards is not held up."""
    model = sharded(plain())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    log = gradtop.Logger(folder(), model, optimizer, every=1)
    for step in range(3):
        optimizer.zero_grad()
        model(batch(step, rank)).square().mean().backward()
        optimizer.step()
        log.step(loss=1.0)
    if rank == 1:
        os._exit(9)
    began = time.monotonic()
    for _ in range(5):
        optimizer.step()
        log.step(loss=2.0)
    log.close()
    return {"seconds": time.monotonic() - began}
