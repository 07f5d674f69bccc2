"""What the logger costs, beside a bare loop, the usual loop of norms, W&B and TensorBoard, all in one run on the CPU.

    python benchmarks/logger.py [--size small|10M|50M|tensors] [--rounds 15] [--steps 12] [--threads 1]

`calls` times what is done to the gradients of one step, apart from the training, against the floor: one pass over all
of them. `steps` times whole training steps, each way of logging in turn within every round, so that a busy machine
slows all of them down. W&B (offline) and TensorBoard take part where they are installed: `pip install '.[bench]'`.
"""

import gc
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn

import gradtop

Call = Callable[[], object]
FLOOR, SAMPLED, ORDINARY = "floor: read all gradients once", "gradtop, a sampled step", "gradtop, 1000 other steps"
BARE = ", without"
"""The same steps without the logger; their time is taken off."""


@dataclass(frozen=True, slots=True)
class Size:
    """A transformer, and the tokens of one step."""

    width: int
    layers: int
    vocabulary: int
    tokens: int
    split: int = 1
    """Each linear layer as so many: many small tensors."""


SIZES = {
    "small": Size(128, 2, 512, 64),
    "10M": Size(320, 7, 2048, 256),
    "50M": Size(640, 9, 4096, 256),
    "tensors": Size(128, 24, 512, 128, split=4),
}


class Split(nn.Module):
    """A linear layer made of several."""

    def __init__(self, inputs: int, outputs: int, parts: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(inputs, outputs // parts) for _ in range(parts))

    def forward(self, x: Tensor) -> Tensor:
        """All parts side by side."""
        return torch.cat([part(x) for part in self.parts], dim=-1)


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        width = size.width
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = Split(width, 3 * width, size.split), Split(width, width, size.split)
        self.up, self.down = Split(width, 4 * width, size.split), Split(4 * width, width, size.split)

    def forward(self, x: Tensor) -> Tensor:
        """Attention, then the MLP, each added to `x` of shape (batch, tokens, width)."""
        q, k, v = (part.unflatten(-1, (-1, 32)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        attended = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        out: Tensor = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return out


class Transformer(nn.Module):
    """A decoder with a head of its own."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.embed = nn.Embedding(size.vocabulary, size.width)
        self.blocks = nn.Sequential(*(Block(size) for _ in range(size.layers)))
        self.norm, self.head = nn.LayerNorm(size.width), nn.Linear(size.width, size.vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of shape (batch, tokens, vocabulary)."""
        out: Tensor = self.head(self.norm(self.blocks(self.embed(tokens))))
        return out


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


class Bench:
    """One model with gradients."""

    def __init__(self, size: Size) -> None:
        torch.manual_seed(0)
        self.size = size
        self.model = Transformer(size)
        self.tokens = torch.randint(size.vocabulary, (2, size.tokens // 2))
        self.loss().backward()  # type: ignore[no-untyped-call]
        self.named = list(self.model.named_parameters())
        self.grads = [p.grad for _, p in self.named if p.grad is not None]

    def loss(self) -> Tensor:
        """The loss of the one batch."""
        logits = self.model(self.tokens)
        return nn.functional.cross_entropy(logits.flatten(0, 1), self.tokens.flatten())

    def floor(self) -> None:
        """Read every gradient once."""
        for grad in self.grads:
            grad.sum()

    def item_loop(self) -> float:
        """The norm as it is often written: one number read from the device per tensor."""
        total = 0.0
        for _, p in self.named:
            if p.grad is not None:
                total += p.grad.data.norm(2).item() ** 2
        return float(total**0.5)


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory that goes away."""
    folder = Path(tempfile.mkdtemp(prefix="gradtop-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ours(bench: Bench, folder: Path, kind: type[torch.optim.SGD], every: int) -> tuple[Call, gradtop.Logger]:
    """A step of a cheap optimizer, and the call of the logger."""
    optimizer = kind(bench.model.parameters(), lr=1e-3)
    log = gradtop.Logger(folder, bench.model, optimizer, every=every)
    loss, norm = torch.tensor(2.0), torch.tensor(1.0)

    def call() -> None:
        optimizer.step()
        log.step(loss=loss, grad_norm=norm)

    return call, log


def without(bench: Bench, kind: type[torch.optim.SGD]) -> Call:
    """The same optimizer step with no logger, to be taken off."""
    return kind(bench.model.parameters(), lr=1e-3).step


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


def wandb_call(bench: Bench, run: Any) -> Call:
    """What `wandb.watch(log="gradients")` does with each gradient, and the log call that sends it."""
    from wandb.integration.torch.wandb_torch import TorchHistory

    history: Any = TorchHistory()

    def call() -> None:
        for (name, _), grad in zip(bench.named, bench.grads, strict=True):
            history.log_tensor_stats(grad.data, f"gradients/{name}")
        run.log({"loss": 2.0})

    return call


def timed(calls: Mapping[str, Call], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of the calling thread of each call in every round, all of them in turn."""
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    gc.disable()
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    gc.enable()
    return seconds


def many(call: Call, times: int) -> Call:
    """A call so many times."""

    def repeated() -> None:
        for _ in range(times):
            call()

    return repeated


def calls(size: Size, rounds: int) -> None:
    """The table of single calls."""
    bench = Bench(size)
    params = [p for _, p in bench.named]
    count = sum(p.numel() for p in params)
    click.echo(f"{count / 1e6:.1f}M parameters in {len(params)} tensors; times are medians of {rounds}")
    with scratch() as folder:
        sampled, log = ours(bench, folder / "a", Shrink, every=1)
        ordinary, quiet = ours(bench, folder / "b", Still, every=10**9)
        clipper = gradtop.Logger(folder / "c", bench.model, Still(params, lr=1e-3), every=1)
        found: dict[str, Call] = {
            FLOOR: bench.floor,
            SAMPLED: sampled,
            SAMPLED + BARE: without(bench, Shrink),
            ORDINARY: many(ordinary, 1000),
            ORDINARY + BARE: many(without(bench, Still), 1000),
            "p.grad.data.norm(2).item() per tensor": bench.item_loop,
            "torch clip_grad_norm_": lambda: nn.utils.clip_grad_norm_(params, 1e9),
            "gradtop clip_grad_norm_, norms kept": lambda: clipper.clip_grad_norm_(1e9),
        }
        closing: list[Call] = [log.close, quiet.close, clipper.close]
        if find_spec("tensorboard") is not None:
            for histograms in (False, True):
                call, writer = tensorboard(bench, folder / f"tb{histograms}", histograms)
                found[f"TensorBoard add_{'histogram' if histograms else 'scalar'} per tensor"] = call
                closing.append(writer.close)
        if find_spec("wandb") is not None:
            run = wandb_run(folder)
            found['wandb.watch(log="gradients")'] = wandb_call(bench, run)
            closing.append(run.finish)
        seconds = timed(found, rounds)
        for close in closing:
            with suppress(Exception):
                close()
    for name in (SAMPLED, ORDINARY):
        bare = seconds.pop(name + BARE)
        seconds[name] = [taken - alone for taken, alone in zip(seconds[name], bare, strict=True)]
    floor = seconds[FLOOR]
    click.echo(f"{'what':<42}{'ms':>10}{'x floor':>10}")
    for name, taken in seconds.items():
        ratio = statistics.median(t / f for t, f in zip(taken, floor, strict=True))
        click.echo(f"{name:<42}{1e3 * statistics.median(taken):>10.3f}{ratio:>10.2f}")


class Loop:
    """A training, one way of logging in it."""

    def __init__(self, size: Size, way: str, folder: Path) -> None:
        self.bench = Bench(size)
        self.way = way
        self.optimizer = torch.optim.AdamW(self.bench.model.parameters(), lr=1e-4)
        self.log: gradtop.Logger | None = None
        self.after: Call = lambda: None
        self.inside = 0.0
        if way.startswith("gradtop"):
            every = 1 if way.endswith("every step") else None
            self.log = gradtop.Logger(folder / way, self.bench.model, self.optimizer, every=every)
        elif way == "item() loop":
            self.after = self.bench.item_loop
        elif way.startswith("TensorBoard"):
            self.after, _ = tensorboard(self.bench, folder / way, "histogram" in way)
        elif way.startswith("wandb"):
            self.after = wandb_call(self.bench, wandb_run(folder))

    def step(self) -> None:
        """One step of the training."""
        loss = self.bench.loss()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.bench.model.parameters(), 1.0)
        self.after()
        self.optimizer.step()
        if self.log is not None:
            self.log.step(loss=loss, grad_norm=norm)
        self.optimizer.zero_grad()


def steps(size: Size, rounds: int) -> None:
    """The table of whole steps."""
    with scratch() as folder:
        ways = ["bare", "gradtop", "gradtop, layers at every step", "item() loop"]
        if find_spec("tensorboard") is not None:
            ways += ["TensorBoard add_scalar per tensor", "TensorBoard add_histogram per tensor"]
        if find_spec("wandb") is not None:
            ways.append('wandb.watch(log="gradients")')
        loops = {way: Loop(size, way, folder) for way in ways}
        seconds = timed({way: loop.step for way, loop in loops.items()}, rounds)
        for loop in loops.values():
            if loop.log is not None:
                loop.log.close()
    click.echo(f"\nwhole steps, medians of {rounds}\n{'what':<42}{'ms':>10}{'x bare':>10}")
    for way, taken in seconds.items():
        ratio = statistics.median(t / b for t, b in zip(taken, seconds["bare"], strict=True))
        click.echo(f"{way:<42}{1e3 * statistics.median(taken):>10.1f}{ratio:>10.3f}")


@click.command()
@click.option("--size", "names", type=click.Choice(list(SIZES)), multiple=True, default=("10M", "50M", "tensors"))
@click.option("--rounds", default=15, show_default=True, help="How often each call is timed.")
@click.option("--steps", "whole", default=12, show_default=True, help="Whole steps of each way; 0 leaves them out.")
@click.option("--threads", default=1, show_default=True, help="Threads of torch.")
def main(names: tuple[str, ...], rounds: int, whole: int, threads: int) -> None:
    """Print what the logger and others cost."""
    torch.set_num_threads(threads)
    for name in names:
        click.echo(f"\n== {name}")
        calls(SIZES[name], rounds)
        if whole:
            steps(SIZES[name], whole)


if __name__ == "__main__":
    main()
