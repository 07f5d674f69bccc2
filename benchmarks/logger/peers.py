"""Other ways to log what happens to each tensor, as their users call them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from .model import Bench

Call = Callable[[], object]


def tensorboard(bench: Bench, folder: Path, histograms: bool) -> tuple[Call, Any]:
    """A norm, or a histogram, of each tensor."""
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(str(folder))
    step = 0

    def call() -> None:
        nonlocal step
        step += 1
        for name, p in bench.named:
            if histograms:
                writer.add_histogram(name, p.grad, step)
            else:
                writer.add_scalar(name, p.grad.norm().item() if p.grad is not None else 0.0, step)

    return call, writer


def wandb_run(folder: Path) -> Any:
    """An offline run that says nothing."""
    os.environ |= {"WANDB_SILENT": "true", "WANDB_MODE": "offline"}
    import wandb

    return wandb.init(dir=str(folder), project="bench")


def wandb_work(bench: Bench, run: Any) -> Call:
    """What the hooks of `wandb.watch(log="gradients")` do with each gradient, and the call that sends it."""
    from wandb.integration.torch.wandb_torch import TorchHistory

    history: Any = TorchHistory()

    def call() -> None:
        for (name, _), grad in zip(bench.named, bench.grads, strict=True):
            history.log_tensor_stats(grad.data, f"gradients/{name}")
        run.log({"loss": 2.0})

    return call


def wandb_watch(bench: Bench, run: Any) -> Callable[[Tensor], object]:
    """The model watched at every step, and the call of a step."""
    run.watch(bench.model, log="gradients", log_freq=1)
    return lambda loss: run.log({"loss": loss.item()})
