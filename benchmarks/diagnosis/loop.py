"""The state of a training loop, and the loss scale of simulated mixed precision."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .data import Dataset
from .models import Net

FP16_MAX = 65504.0
"""The largest half-precision number."""


@dataclass(slots=True)
class Scaler:
    """Dynamic loss scaling half after an overflow, never below 1, and twice after enough good steps."""

    scale: float = 2.0**24
    growth_interval: int = 2000
    good: int = 0

    def update(self, overflowed: bool) -> None:
        """Take note of one step."""
        self.good = 0 if overflowed else self.good + 1
        if overflowed:
            self.scale = max(1.0, self.scale / 2)
        elif self.good >= self.growth_interval:
            self.scale, self.good = self.scale * 2, 0


@dataclass(slots=True)
class Machine:
    """What one step cost. The clock is made up, so that streams do not depend on how busy the machine is."""

    step_time_s: float
    data_time_s: float
    memory_bytes: float


@dataclass(slots=True)
class Loop:
    """What a change may reach into."""

    net: Net
    optimizer: torch.optim.Optimizer
    data: Dataset
    generator: torch.Generator
    scaler: Scaler | None
    samples: int
    """The first so many samples are drawn from."""
    step: int = 0
    session: int = 1
    lr: float = 0.0
    keeps_gradients: bool = False
    """Gradients are added to those of the step before."""
    idle: bool = False
    """The optimizer's step does not reach the weights of the model."""
    crash: str = ""
    """The last words of the process."""
    machine: Machine = field(default_factory=lambda: Machine(0.05, 0.002, 4e9))
    saved: dict[str, Any] = field(default_factory=dict)
    """A checkpoint."""

    def randn(self, *shape: int) -> Tensor:
        """Standard normal numbers of the run's own generator."""
        return torch.randn(*shape, generator=self.generator)

    def fits(self, largest: float) -> bool:
        """Gradients with this largest element fit half precision when scaled; without a loss scale all do."""
        return self.scaler is None or largest * self.scaler.scale < FP16_MAX
