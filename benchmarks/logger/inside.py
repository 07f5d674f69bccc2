"""The time that a training spends in the logger."""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import gradtop

from .model import Bench

SAMPLED, WEIGHED, MEAN = "gradtop, a sampled step", "... that weighs (every 8th)", "... mean"
WEIGHTS_EVERY = 8
"""Samples from one that measures the weights to the next."""


class Shrink(torch.optim.SGD):
    """An optimizer whose step costs little, and changes every weight."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Make the weights a little smaller."""
        for group in self.param_groups:
            torch._foreach_mul_(group["params"], 1 - 1e-6)


class Still(torch.optim.SGD):
    """An optimizer whose step does nothing but call the hooks."""

    def step(self, closure: Any = None) -> Any:
        """Change nothing."""


class Metered:
    """A logger, and the seconds that the calling thread spends in it."""

    def __init__(self, folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, every: int | None) -> None:
        self.inside = self._began = 0.0
        optimizer.register_step_pre_hook(self._begin)
        optimizer.register_step_post_hook(self._begin)
        self.log = gradtop.Logger(folder, model, optimizer, every=every)
        optimizer.register_step_pre_hook(self._end)
        optimizer.register_step_post_hook(self._end)

    def _begin(self, *_: object) -> None:
        self._began = time.thread_time()

    def _end(self, *_: object) -> None:
        self.inside += time.thread_time() - self._began

    def step(self, loss: Tensor, norm: Tensor) -> None:
        """The logger's own call."""
        self._begin()
        self.log.step(loss=loss, grad_norm=norm)
        self._end()


def sampled(bench: Bench, folder: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """Seconds of a sampled step and times the floor: without the weights' norms, with them, and the mean of both."""
    optimizer = Shrink(bench.model.parameters(), lr=1e-3)
    metered = Metered(folder, bench.model, optimizer, every=1)
    loss, norm = torch.tensor(2.0), torch.tensor(1.0)
    found: dict[str, list[tuple[float, float]]] = {SAMPLED: [], WEIGHED: []}
    for count in range(WEIGHTS_EVERY * rounds):
        began = time.thread_time()
        bench.floor()
        floor, before = time.thread_time() - began, metered.inside
        optimizer.step()
        metered.step(loss, norm)
        taken = metered.inside - before
        if count >= WEIGHTS_EVERY:
            found[WEIGHED if count % WEIGHTS_EVERY == 0 else SAMPLED].append((taken, taken / floor))
    metered.log.close()
    (plain, per_floor), (weighed, weighed_per_floor) = (_medians(pairs) for pairs in found.values())
    return {
        SAMPLED: (plain, per_floor),
        WEIGHED: (weighed, weighed_per_floor),
        MEAN: (_mean(plain, weighed), _mean(per_floor, weighed_per_floor)),
    }


def _medians(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(first for first, _ in pairs), statistics.median(second for _, second in pairs)


def _mean(plain: float, weighed: float) -> float:
    return ((WEIGHTS_EVERY - 1) * plain + weighed) / WEIGHTS_EVERY


def ordinary(bench: Bench, folder: Path, blocks: int = 25, steps: int = 200) -> float:
    """Seconds of the logger at a step that is not sampled, hooks included: blocks of steps with it and without it."""
    watched, alone = (Still(bench.model.parameters(), lr=1e-3) for _ in range(2))
    log = gradtop.Logger(folder, bench.model, watched, every=10**9)
    loss, norm = torch.tensor(2.0), torch.tensor(1.0)
    differences = []
    for _ in range(blocks):
        began = time.thread_time()
        for _ in range(steps):
            watched.step()
            log.step(loss=loss, grad_norm=norm)
        between = time.thread_time()
        for _ in range(steps):
            alone.step()
        differences.append((2 * between - began - time.thread_time()) / steps)
    log.close()
    return statistics.median(differences)
