"""What may happen in a run: a change of its batches, loss, gradients, weights, learning rate or clock."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from .loop import Loop

IGNORED = -100
"""The label of what does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Happens every `every` steps from `first` on, before `until`, for `length` steps; by itself it does nothing."""

    first: int = 0
    until: int = 1_000_000
    every: int = 1
    length: int = 1

    def holds(self, step: int) -> bool:
        """It happens in this step."""
        return self.first <= step < self.until and (step - self.first) % self.every < self.length

    def rate(self, lr: float, loop: Loop) -> float:
        """The learning rate instead of the scheduled one."""
        return lr

    def batch(self, loop: Loop, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The batch instead of the one that was drawn; also the place to prepare the step."""
        return inputs, labels

    def loss(self, loop: Loop, loss: Tensor) -> Tensor:
        """The loss instead of the computed one."""
        return loss

    def gradients(self, loop: Loop) -> None:
        """After the backward pass, before anything reads the gradients."""

    def after(self, loop: Loop) -> None:
        """After the optimizer's step."""

    def clock(self, loop: Loop) -> None:
        """Before the row is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledInputs(Change):
    """Inputs come multiplied."""

    factor: float

    def batch(self, loop: Loop, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """NaN as a factor is a batch of NaN."""
        return inputs * self.factor, labels


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongLabels(Change):
    """A share of the labels is drawn at random, rising from nothing over `ramp` steps; targets change their sign."""

    share: float = 1.0
    ramp: int = 0

    def batch(self, loop: Loop, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Draw anew for every batch."""
        share = self.share * min(1.0, (loop.step - self.first + 1) / max(self.ramp, 1))
        if labels.is_floating_point():
            return inputs, -labels
        wrong = torch.randint(loop.data.outputs, labels.shape, generator=loop.generator)
        return inputs, torch.where(torch.rand(labels.shape, generator=loop.generator) < share, wrong, labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedLabels(Change):
    """Every label of the batch is ignored: the loss is 0, and so is the gradient."""

    def batch(self, loop: Loop, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mask all."""
        return inputs, torch.full_like(labels, IGNORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class FewSamples(Change):
    """From now on only the first so many samples are drawn."""

    samples: int

    def batch(self, loop: Loop, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """This batch is one of theirs already."""
        loop.samples = self.samples
        chosen = torch.randint(self.samples, (len(inputs),), generator=loop.generator)
        return loop.data.inputs[chosen], loop.data.labels[chosen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(Change):
    """The output of a hidden layer or block is detached."""

    layer: int

    def batch(self, loop: Loop, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Cut before the forward pass."""
        loop.net.cut_after = self.layer
        return inputs, labels


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOfNegative(Change):
    """The loss gets a term in the logarithm of a number that has become negative."""

    def loss(self, loop: Loop, loss: Tensor) -> Tensor:
        """NaN, and so are all gradients."""
        return loss + torch.log(-1.0 - loss.square())


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow(Change):
    """The loss overflows to infinity; under a loss scale only the gradients do."""

    def loss(self, loop: Loop, loss: Tensor) -> Tensor:
        """Single precision ends at 3.4e38."""
        return loss if loop.scaler is not None else loss * 1e38 * 1e38

    def gradients(self, loop: Loop) -> None:
        """What half precision makes of too large a gradient."""
        for parameter in loop.net.parameters() if loop.scaler is not None else ():
            if parameter.grad is not None:
                parameter.grad.fill_(torch.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientFactor(Change):
    """Gradients come multiplied, as by a wrong loss weight or a scale that was not undone."""

    factor: float

    def gradients(self, loop: Loop) -> None:
        """All of them."""
        for parameter in loop.net.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptGradients(Change):
    """`zero_grad` is not called any more."""

    def batch(self, loop: Loop, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Says so before the backward pass."""
        loop.keeps_gradients = True
        return inputs, labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle(Change):
    """The optimizer steps a stale copy of the model."""

    def batch(self, loop: Loop, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Says so before the step."""
        loop.idle = True
        return inputs, labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights(Change):
    """The weights of layers whose names begin with one of `layers` are multiplied, shifted, and get noise."""

    layers: tuple[str, ...] = ("",)
    factor: float = 1.0
    bias: float = 0.0
    """Is added to the biases."""
    noise: float = 0.0
    """In multiples of the root mean square of each weight matrix."""

    @torch.no_grad()
    def after(self, loop: Loop) -> None:
        """Once a step."""
        for name, parameter in loop.net.named_parameters():
            if name.startswith(self.layers):
                if name.endswith("bias"):
                    parameter.add_(self.bias)
                    continue
                parameter.mul_(self.factor)
                if self.noise:
                    scale = self.noise * float(parameter.square().mean().sqrt())
                    parameter.add_(loop.randn(*parameter.shape), alpha=scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate(Change):
    """The learning rate is multiplied, by `growth` again with every step; zero is a rate as well."""

    factor: float = 1.0
    growth: float = 1.0
    most: float = 1e30
    """The largest factor."""

    def rate(self, lr: float, loop: Loop) -> float:
        """Counted from the first step."""
        return lr * min(self.most, self.factor * self.growth ** min(loop.step - self.first, 2000))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenRate(Change):
    """After a restart of the run the learning rate is another one, by a factor."""

    factor: float

    def rate(self, lr: float, loop: Loop) -> float:
        """From the first step of the second session on."""
        return lr * self.factor if loop.session > 1 else lr


@dataclass(frozen=True, slots=True, kw_only=True)
class StillGroup(Change):
    """The first parameter group has learning rate 0: layers whose names begin with one of `layers`."""

    layers: tuple[str, ...]

    def batch(self, loop: Loop, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The groups are made once."""
        if len(loop.optimizer.param_groups) == 1:
            named = dict(loop.net.named_parameters())
            still = [p for name, p in named.items() if name.startswith(self.layers)]
            (group,) = loop.optimizer.param_groups
            group["params"] = [p for name, p in named.items() if not name.startswith(self.layers)]
            loop.optimizer.add_param_group({"params": still, "still": True})
        return inputs, labels


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthInterval(Change):
    """The loss scale is doubled after so many good steps."""

    steps: int

    def batch(self, loop: Loop, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Sets the scaler."""
        assert loop.scaler is not None
        loop.scaler.growth_interval = self.steps
        return inputs, labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewound(Change):
    """The run is restarted once at `first`, from the checkpoint of step `to`."""

    to: int

    def holds(self, step: int) -> bool:
        """When the checkpoint is written, and when it is read."""
        return step in (self.to, self.first)

    def after(self, loop: Loop) -> None:
        """The weights and the optimizer's state, both."""
        if loop.step == self.to and not loop.saved:
            loop.saved = {"net": loop.net.state_dict(), "optimizer": loop.optimizer.state_dict()}
            loop.saved = copy.deepcopy(loop.saved)
        elif loop.step == self.first and loop.session == 1:
            loop.net.load_state_dict(loop.saved["net"])
            loop.optimizer.load_state_dict(loop.saved["optimizer"])
            loop.session, loop.step = 2, self.to


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash(Change):
    """The process ends with these words."""

    words: str

    def clock(self, loop: Loop) -> None:
        """After the row of this step nothing more is written."""
        loop.crash = self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost(Change):
    """A step takes longer, waits for its data, or leaves memory behind."""

    factor: float = 1.0
    pause_s: float = 0.0
    data_wait_s: float = 0.0
    leak_bytes: float = 0.0
    """For each step since the first one."""

    def clock(self, loop: Loop) -> None:
        """Waiting for data is a part of the step."""
        machine = loop.machine
        machine.data_time_s += self.data_wait_s
        machine.step_time_s = machine.step_time_s * self.factor + self.pause_s + self.data_wait_s
        machine.memory_bytes += self.leak_bytes * (loop.step - self.first)
