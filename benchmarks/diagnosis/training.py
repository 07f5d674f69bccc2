"""Training as a loop of steps, each with everything that a good log could tell of it."""

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .change import IGNORED
from .data import CONTEXT, DATASETS, VALIDATION, Dataset
from .loop import Loop, Machine, Scaler
from .models import build
from .plan import Plan, Schedule, Setup

BASE = Machine(step_time_s=0.05, data_time_s=0.002, memory_bytes=4e9)
"""What a step costs on the made-up machine."""
PRETRAINING_LR = 2e-3
"""The peak rate of the Adam run that a fine-tune starts from."""
Columns = dict[str, list[float | None]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of training."""

    step: int
    session: int
    loss: float
    norm: float
    """Of the whole gradient, before clipping."""
    lr: float
    scale: float | None
    """The loss scale in this step."""
    skipped: bool
    machine: Machine
    validation: float | None
    layers: Columns | None
    """Column to one value per layer, None for a layer that has none."""
    crash: str


class Training:
    """One run from its seed: iterate for its steps. `layers` are the names of its layers and their sizes."""

    def __init__(self, plan: Plan, seed: int) -> None:
        setup, self._steps = plan.setup, plan.config.steps
        own = zlib.crc32(plan.config.name.encode()) % 10_000 + 10_000 * seed
        torch.manual_seed(own)
        self._clock = np.random.default_rng(own)
        data = _noisy(DATASETS[setup.task](np.random.default_rng(own)), setup.label_noise, self._clock)
        outputs = 2 if setup.objective == "gaussian" else data.outputs
        net = build(setup.shape, data.inputs.shape[1], outputs)
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(not name.startswith(setup.frozen) if setup.frozen else True)
        self._setup = setup
        self._loop = Loop(
            net=net,
            optimizer=_optimizer(setup, net),
            data=data,
            generator=torch.Generator().manual_seed(own),
            scaler=Scaler() if setup.scaler else None,
            samples=setup.samples or data.training,
        )
        self._owned = {
            name: owned for name, module in net.named_modules() if (owned := list(module.parameters(recurse=False)))
        }
        self.layers = {name: sum(p.numel() for p in owned) for name, owned in self._owned.items()}
        self.params = sum(self.layers.values())
        self.trainable = sum(p.numel() for p in net.parameters() if p.requires_grad)

    def __iter__(self) -> Iterator[Step]:
        """Every step in turn; ends early where the run crashes."""
        loop = self._loop
        if self._setup.pretrained:
            self._pretrain()
        while loop.step < self._steps and not loop.crash:
            yield self._step()
            loop.step += 1

    def _step(self) -> Step:
        loop, setup = self._loop, self._setup
        step, session = loop.step, loop.session
        changes = [change for change in setup.changes if change.holds(step)]
        loop.lr = rate(setup.schedule, step, self._steps)
        batch = self._batch()
        for change in changes:
            loop.lr = change.rate(loop.lr, loop)
            batch = change.batch(loop, *batch)
        look = bool(setup.log.layers) and step % setup.log.layers == 0
        loop.net.watched = {} if look else None
        loss = self._loss(*batch)
        for change in changes:
            loss = change.loss(loop, loss)
        self._backward(loss)
        for change in changes:
            change.gradients(loop)
        columns, before = (self._columns(), self._weights()) if look else (None, [])
        scale = loop.scaler.scale if loop.scaler is not None else None
        norm, taken = self._update()
        for change in changes:
            change.after(loop)
        if columns is not None:
            columns["update_ratio"] = self._ratios(before)
        loop.machine = self._cost()
        for change in changes:
            change.clock(loop)
        validate = setup.log.validation and (step + 1) % setup.log.validation == 0
        validation = self._validate() if validate else None
        return Step(
            step, session, loss.item(), norm, loop.lr, scale, not taken, loop.machine, validation, columns, loop.crash
        )

    def _batch(self) -> tuple[Tensor, Tensor]:
        loop = self._loop
        if self._setup.whole:
            return loop.data.inputs[: loop.samples], loop.data.labels[: loop.samples]
        chosen = torch.randint(loop.samples, (self._setup.batch,), generator=loop.generator)
        return loop.data.inputs[chosen], loop.data.labels[chosen]

    def _loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        return self._setup.loss_factor * objective(self._setup.objective, self._loop.net(inputs), labels)

    def _backward(self, loss: Tensor) -> None:
        if not self._loop.keeps_gradients:
            self._loop.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def _update(self) -> tuple[float, bool]:
        """The norm of the gradient, and whether the step was taken."""
        loop, clip = self._loop, self._setup.clip
        parameters = list(loop.net.parameters())
        taken = loop.scaler is None or loop.fits(_largest(parameters))
        norm = nn.utils.clip_grad_norm_(parameters, clip if clip is not None else math.inf).item()
        if loop.scaler is not None:
            norm = norm if taken else math.inf
            loop.scaler.update(not taken)
        for group in loop.optimizer.param_groups:
            group["lr"] = 0.0 if group.get("still") else loop.lr
        if taken and not loop.idle:
            loop.optimizer.step()
        return norm, taken

    def _pretrain(self) -> None:
        """Train as another run did; its optimizer is not kept."""
        loop = self._loop
        for done in range(self._setup.pretrained):
            loop.lr = PRETRAINING_LR * (1 - done / self._setup.pretrained)
            self._backward(self._loss(*self._batch()))
            self._update()
        loop.optimizer = _optimizer(self._setup, loop.net)

    def _weights(self) -> list[list[Tensor]]:
        return [[p.detach().clone() for p in owned] for owned in self._owned.values()]

    def _columns(self) -> Columns:
        """What is known of each layer before the optimizer's step."""
        grads = [[p.grad for p in owned if p.grad is not None] for owned in self._owned.values()]
        found: Columns = {
            "grad_norm": [_norm(g) if g else None for g in grads],
            "weight_norm": [_norm([p.detach() for p in owned]) for owned in self._owned.values()],
        }
        for column, values in (self._loop.net.watched or {}).items():
            found[column] = [values.get(name) for name in self._owned]
        return found

    def _ratios(self, before: list[list[Tensor]]) -> list[float | None]:
        """How far each layer moved in this step, in parts of its norm."""
        ratios: list[float | None] = []
        for owned, old in zip(self._owned.values(), before, strict=True):
            weight = _norm(old)
            moved = _norm([p.detach() - q for p, q in zip(owned, old, strict=True)])
            ratios.append(moved / weight if weight else None)
        return ratios

    def _cost(self) -> Machine:
        jitter = self._clock.normal(scale=0.03, size=3)
        return Machine(
            BASE.step_time_s * math.exp(jitter[0]),
            BASE.data_time_s * math.exp(5 * jitter[1]),
            BASE.memory_bytes * (1 + 0.1 * float(jitter[2])),
        )

    @torch.no_grad()
    def _validate(self) -> float:
        loop = self._loop
        loop.net.eval()
        loss = self._loss(loop.data.inputs[-VALIDATION:], loop.data.labels[-VALIDATION:]).item()
        loop.net.train()
        return loss

    @property
    def tokens(self) -> int:
        """What one step consumes: characters of a text, samples of anything else."""
        return self._setup.batch * (CONTEXT if self._loop.data.text else 1)


def rate(schedule: Schedule, step: int, steps: int) -> float:
    """The scheduled learning rate of a step of `steps`."""
    if step < schedule.warmup:
        return schedule.lr * (step + 1) / schedule.warmup
    done = (step - schedule.warmup) / (steps - schedule.warmup)
    if schedule.kind == "restarts":
        done = (step - schedule.warmup) % schedule.period / schedule.period
    course = {
        "constant": 1.0,
        "linear": 1 - done,
        "steps": 1.0 if done < 0.5 else 0.1 if done < 0.75 else 0.01,
    }.get(schedule.kind, (1 + math.cos(math.pi * done)) / 2)
    return schedule.lr * (schedule.floor + (1 - schedule.floor) * course)


def objective(kind: str, outputs: Tensor, labels: Tensor) -> Tensor:
    """The loss; that of a batch without a label that counts is 0."""
    if kind == "gaussian":
        mean, log_variance = outputs[:, :1], outputs[:, 1:].clamp(min=-6.0)
        return 0.5 * (log_variance + (labels - mean).square() * torch.exp(-log_variance)).mean()
    if labels.is_floating_point():
        return F.mse_loss(outputs, labels)
    logits = outputs.softmax(dim=-1) if kind == "twice" else outputs
    total = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction="sum")
    return total / max(int((labels != IGNORED).sum()), 1)


def _noisy(data: Dataset, share: float, random: np.random.Generator) -> Dataset:
    """The same data with a share of the training labels drawn at random."""
    if share:
        wrong = random.random(data.training) < share
        drawn = random.integers(data.outputs, size=int(wrong.sum()))
        data.labels[: data.training][torch.tensor(wrong)] = torch.tensor(drawn)
    return data


def _optimizer(setup: Setup, net: nn.Module) -> torch.optim.Optimizer:
    given = [p for name, p in net.named_parameters() if not (setup.left_out and name.startswith(setup.left_out))]
    given = [p for p in given if p.requires_grad]
    if setup.optimizer in ("sgd", "momentum"):
        momentum = 0.9 if setup.optimizer == "momentum" else 0.0
        return torch.optim.SGD(given, lr=0.0, momentum=momentum, maximize=setup.ascend, fused=True)
    decay = 0.05 if setup.optimizer == "adamw" else 0.0
    return torch.optim.AdamW(
        given, lr=0.0, eps=setup.eps, weight_decay=decay, betas=(0.9, 0.98), maximize=setup.ascend, fused=True
    )


def _largest(parameters: list[nn.Parameter]) -> float:
    return max(float(p.grad.abs().max()) for p in parameters if p.grad is not None)


def _norm(tensors: list[Tensor]) -> float:
    return math.hypot(*(float(torch.linalg.vector_norm(tensor)) for tensor in tensors))
