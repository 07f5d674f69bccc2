"""The time that a training spends in the logger."""

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import gradtop
from gradtop.logger import pending
from gradtop.logger.rounds import WEIGHTS_EVERY

from .model import Bench

SAMPLED, WEIGHED, MEAN = "gradtop, a sampled step", f"... that weighs (every {WEIGHTS_EVERY}th)", "... mean"
LENGTHS_S = (0.001, 0.01, 0.1, 1.0)
"""Seconds of the steps of the loops that the share of the logger is told of."""
LEAST_S, FEWEST = 4.0, 12
"""Seconds and steps of each loop at least."""


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


def ordinary(bench: Bench, folder: Path, blocks: int = 41, steps: int = 200) -> tuple[float, float, float]:
    """Seconds of the logger at a step that is not sampled, hooks included: blocks of steps with it and without it.

    The least of the blocks: what else the machine does takes the caches away, and makes Python several times slower.
    As it is; with values that stay on a device, but for the device; and what torch takes to call the step of
    an optimizer that does nothing, on the same busy machine.
    """
    with_reading, alone = _ordinary(bench, folder / "read", blocks, steps)
    at_hand, pending.at_hand = pending.at_hand, lambda _: False
    kept, _ = _ordinary(bench, folder / "kept", blocks, steps)
    pending.at_hand = at_hand
    return with_reading, kept, alone


def _ordinary(bench: Bench, folder: Path, blocks: int, steps: int) -> tuple[float, float]:
    watched, alone = (Still(bench.model.parameters(), lr=1e-3) for _ in range(2))
    log = gradtop.Logger(folder, bench.model, watched, every=10**9)
    loss, norm = torch.tensor(2.0, requires_grad=True) * 1.0, torch.tensor(1.0)
    differences, empty = [], []
    for _ in range(blocks):
        began = time.thread_time()
        for _ in range(steps):
            watched.step()
            log.step(loss=loss, grad_norm=norm)
        between = time.thread_time()
        for _ in range(steps):
            alone.step()
        ended = time.thread_time()
        differences.append((2 * between - began - ended) / steps)
        empty.append((ended - between) / steps)
    log.close()
    return min(differences), min(empty)


def shares(bench: Bench, folder: Path) -> Iterator[tuple[float, float, int, int]]:
    """Loops of several lengths at the default cadence, from behind the first step on.

    Seconds of a step, the part of the time that is the logger's, steps, and how many were sampled.
    """
    for length_s in LENGTHS_S:
        metered = Metered(folder / f"{length_s}", bench.model, optimizer := Shrink(bench.model.parameters()), None)
        loss, norm = torch.tensor(2.0), torch.tensor(1.0)
        steps, began = 0, time.perf_counter()
        while time.perf_counter() - began < LEAST_S or steps < FEWEST:
            time.sleep(length_s)
            optimizer.step()
            metered.step(loss, norm)
            steps += 1
            if steps == 1:
                metered.inside, began = 0.0, time.perf_counter()
        share = metered.inside / (time.perf_counter() - began)
        metered.log.close()
        lines = (folder / f"{length_s}" / "metrics.jsonl").read_text().splitlines()
        yield length_s, share, steps, sum('"type":"layers"' in line for line in lines)
