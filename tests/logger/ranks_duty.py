"""What the ranks of test_ranks.py do; each function runs on every rank and returns what it saw."""

import math
import os
import signal
from typing import Any

import torch.distributed as dist

from gradtop.logger import ranks
from gradtop.logger.notice import Notices
from gradtop.logger.ranks import Reduction, agree


def _agreed(fingerprint: str = "layers") -> Reduction:
    reduction = agree(fingerprint, Notices(), timeout_s=30.0)
    assert reduction is not None
    return reduction


def _sums(reduction: Reduction, vector: list[float], at: int) -> list[float] | None:
    reduction.start(vector, at)
    reduction.wait(30.0)
    return reduction.result()


def sums(rank: int, home: int) -> dict[str, Any]:
    """Add up, in and after the training's own process group; then fall out of step."""
    place, reduction = ranks.place(), _agreed()
    short = _sums(reduction, [1.0 + rank, 0.25], 1)
    long = _sums(reduction, [float(i * (rank + 1)) for i in range(10_000)], 2)
    lost = _sums(reduction, [math.nan if rank else 1.0, math.inf], 4)
    again = reduction.result()
    other = _agreed("other")
    dist.destroy_process_group()
    after = _sums(other, [2.0], 70_000)
    astray = _sums(other, [2.0], 70_001 + rank)
    assert long is not None
    assert lost is not None
    return {
        "place": [place.rank, place.world],
        "short": short,
        "long": long == [float(i * 3) for i in range(10_000)],
        "nonfinite": [math.isnan(lost[0]), lost[1] == math.inf],
        "again": again,
        "after": after,
        "astray": astray,
        "alive": [reduction.alive, other.alive],
    }


def lengths(rank: int, home: int) -> dict[str, Any]:
    """Vectors of different lengths, which end a process where gloo sees them; then a rank leaves."""
    reduction = _agreed()
    reduction.start([1.0] * (5_000 if rank else 3), 1)
    reduction.wait(0.2)
    reduction.result()
    follower = _agreed()
    if rank == 1:
        follower.leave()
        os.read(home, 1)
    follower.start([1.0], 1)
    return {"left": follower.wait(3600.0), "result": follower.result(), "alive": reduction.alive}


def alone(rank: int, home: int) -> dict[str, Any]:
    """A Logger on rank 0 alone, then different layers, then the same."""
    notices = Notices()
    only = agree("layers", notices, timeout_s=0.2) if rank == 0 else None
    dist.barrier()
    if rank:
        only = agree("layers", notices)
    different = agree(f"layers of {rank}", notices, timeout_s=30.0)
    return {"only": only is None, "different": different is None, "good": _agreed().alive}


def killed(rank: int, home: int) -> dict[str, Any]:
    """The last rank is killed between two sums."""
    reduction = _agreed()
    first = _sums(reduction, [1.0], 1)
    if rank == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    second = _sums(reduction, [1.0], 2)
    reduction.start([1.0], 3)
    return {"first": first, "second": second, "alive": reduction.alive, "ready": reduction.ready()}


def hung(rank: int, home: int) -> dict[str, Any]:
    """Rank 1 does not connect at first, and later never answers while rank 0 goes on to its end."""
    connected = ranks._connected
    if rank == 1:
        ranks._connected = lambda store, here, timeout_s: None
    unconnected = agree("layers", Notices(), timeout_s=0.2)
    ranks._connected = connected
    reduction = _agreed()
    if rank == 1:
        os.read(home, 1)
        return {"unconnected": unconnected is None}
    reduction.start([1.0], 1)
    ready = reduction.ready()
    return {"unconnected": unconnected is None, "ready": ready, "waited": reduction.wait(0.1)}
