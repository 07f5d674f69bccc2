"""What the logger costs, beside a bare loop, the usual loop of norms, W&B and TensorBoard, all in one run on the CPU.

    python -m benchmarks.logger [--size small|10M|50M|tensors] [--rounds 15] [--steps 8] [--threads 1]
    python -m benchmarks.logger --lengths

`calls` times what is done to the gradients of one step, apart from the training, against the floor: one pass over all
of them laid end to end, timed in the same round. Of the logger that is the time inside its hooks and `log.step`, in the
thread that calls them; of its other steps the least of many blocks, beside what torch takes to call an optimizer that
does nothing. `steps` times whole training steps, each way of logging in turn within every round, so that a busy machine
slows all of them down. What takes long is timed less often. W&B (offline) and TensorBoard take part where they are
installed: `pip install '.[bench]'`. Nothing here runs on a GPU: there the kernels are others, and waiting for the
device, which `.item()` does once per tensor and the logger not at all, counts most.
"""

import gc
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import click
import torch
from torch import Tensor, nn

import gradtop

from .inside import MEAN, Metered, Still, ordinary, sampled, shares
from .model import SIZES, Bench, Size
from .peers import Call, tensorboard, wandb_run, wandb_watch, wandb_work

OURS, FLOOR, ORDINARY = "gradtop", "floor: read all gradients once", "gradtop, other steps"
KEPT, EMPTY = "... values that stay on a device", "torch, a step that does nothing"
SUMS, NORMS = "a sum per tensor", "a norm per tensor: torch._foreach_norm"
CLIP, OUR_CLIP = "torch clip_grad_norm_", "gradtop clip_grad_norm_, norms kept"
SCALAR, HISTOGRAM = "TensorBoard add_scalar per tensor", "TensorBoard add_histogram per tensor"
WATCH = "wandb.watch, its work on gradients"
TARGETS = {
    MEAN: (FLOOR, "floor, at most 1.3"),
    NORMS: (FLOOR, "floor: the least that norms can cost"),
    OUR_CLIP: (CLIP, "torch's, at most 1.05"),
    HISTOGRAM: (MEAN, "gradtop, at least 50"),
    WATCH: (MEAN, "gradtop, at least 50"),
}
"""What is compared with which row, and what is to be reached."""
LONG_S, FEWEST, SHARE_S = 4.0, 3, 15.0
"""Seconds after which a call is timed no more, how often it is at least, and seconds of the loop with the logger."""


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory that goes away."""
    folder = Path(tempfile.mkdtemp(prefix="gradtop-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def timed(calls: Mapping[str, Call], rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of each call in every round, all of them in turn; what takes long leaves after some rounds."""
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    base = next(iter(calls))
    gc.disable()
    for _ in range(rounds):
        for name, call in calls.items():
            taken = seconds[name]
            if name == base or len(taken) < FEWEST or sum(taken) < LONG_S:
                began = clock()
                call()
                taken.append(clock() - began)
    gc.enable()
    return seconds


def against(seconds: Mapping[str, list[float]]) -> dict[str, tuple[float, float]]:
    """Median seconds, and times the first of them in the same round."""
    base = next(iter(seconds.values()))
    return {
        name: (statistics.median(taken), statistics.median(t / b for t, b in zip(taken, base, strict=False)))
        for name, taken in seconds.items()
    }


def calls(size: Size, rounds: int) -> None:
    """The table of single calls."""
    bench = Bench(size)
    params = [p for _, p in bench.named]
    count = sum(p.numel() for p in params)
    click.echo(
        f"{count / 1e6:.1f}M parameters in {len(params)} tensors; medians of {rounds}, CPU of the calling thread"
    )
    with scratch() as folder:
        clipper = gradtop.Logger(folder / "clip", bench.model, Still(params, lr=1e-3), every=1)
        found: dict[str, Call] = {
            FLOOR: bench.floor,
            SUMS: bench.sums,
            NORMS: bench.norms,
            "p.grad.data.norm(2).item() per tensor": bench.item_loop,
            CLIP: lambda: nn.utils.clip_grad_norm_(params, 1e9),
            OUR_CLIP: lambda: clipper.clip_grad_norm_(1e9),
        }
        closing: list[Call] = [clipper.close]
        if find_spec("tensorboard") is not None:
            for name in (SCALAR, HISTOGRAM):
                found[name], writer = tensorboard(bench, folder / name, name == HISTOGRAM)
                closing.append(writer.close)
        if find_spec("wandb") is not None:
            run = wandb_run(folder)
            found[WATCH] = wandb_work(bench, run)
            closing.append(run.finish)
        peers = against(timed(found, rounds, time.thread_time))
        for close in closing:
            close()
        ours = sampled(bench, folder / "sampled", rounds)
        once, kept, empty = ordinary(bench, folder / "ordinary")
    floor = peers.pop(FLOOR)
    others = {ORDINARY: once, KEPT: kept, EMPTY: empty}
    rows = {FLOOR: floor, **ours, **{name: (taken, taken / floor[0]) for name, taken in others.items()}, **peers}
    click.echo(f"{'what':<42}{'ms':>10}{'x floor':>10}")
    for name, (taken, ratio) in rows.items():
        click.echo(f"{name:<42}{1e3 * taken:>10.3f}{ratio:>10.2f}   {_reached(name, rows)}".rstrip())


def _reached(name: str, rows: Mapping[str, tuple[float, float]]) -> str:
    if name == ORDINARY:
        return "at most 0.010 ms"
    if name not in TARGETS:
        return ""
    other, target = TARGETS[name]
    return f"{rows[name][1] / rows[other][1]:.2f} x {target}"


class Loop:
    """A training, one way of logging in it."""

    def __init__(self, size: Size, way: str, folder: Path) -> None:
        self.bench = Bench(size)
        self.optimizer = torch.optim.AdamW(self.bench.model.parameters(), lr=1e-4)
        self.metered: Metered | None = None
        self.spent, self.begun = 0.0, False
        """Seconds of the steps behind the first one."""
        self.inspect: Call = lambda: None
        self.report: Callable[[Tensor], object] = lambda _: None
        if way.startswith("gradtop"):
            every = 1 if way.endswith("every step") else None
            self.metered = Metered(folder / way, self.bench.model, self.optimizer, every)
        elif way == "item() loop":
            self.inspect = self.bench.item_loop
        elif way.startswith("TensorBoard"):
            self.inspect, _ = tensorboard(self.bench, folder / way, way == HISTOGRAM)
        elif way.startswith("wandb"):
            self.report = wandb_watch(self.bench, wandb_run(folder))

    def step(self) -> None:
        """One step of the training."""
        began = time.thread_time()
        self._step()
        self.spent += time.thread_time() - began
        if self.metered is not None and not self.begun:
            self.begun, self.spent, self.metered.inside = True, 0.0, 0.0

    def _step(self) -> None:
        loss = self.bench.loss()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.bench.model.parameters(), 1.0)
        self.inspect()
        self.optimizer.step()
        if self.metered is not None:
            self.metered.step(loss, norm)
        self.report(loss)
        self.optimizer.zero_grad()


def steps(size: Size, rounds: int) -> None:
    """The table of whole steps."""
    ways = ["bare", OURS, f"{OURS}, layers at every step", "item() loop"]
    if find_spec("tensorboard") is not None:
        ways += [SCALAR, HISTOGRAM]
    if find_spec("wandb") is not None:
        ways.append('wandb.watch(log="gradients", log_freq=1)')
    with scratch() as folder:
        loops = {way: Loop(size, way, folder) for way in ways}
        rows = against(timed({way: loop.step for way, loop in loops.items()}, rounds, time.perf_counter))
        settled = share(loops[OURS])
        for loop in loops.values():
            if loop.metered is not None:
                loop.metered.log.close()
    click.echo(f"\nwhole steps, medians of {rounds} at most\n{'what':<42}{'ms':>10}{'x bare':>10}")
    for way, (taken, ratio) in rows.items():
        click.echo(f"{way:<42}{1e3 * taken:>10.1f}{ratio:>10.3f}")
    click.echo(f"of the loop with the logger at its default cadence {settled:.2%} is the logger's; to reach: 1 %")


def share(loop: Loop) -> float:
    """The part of a training, from behind its first step on, that is spent in the logger."""
    assert loop.metered is not None
    while loop.spent < SHARE_S:
        loop.step()
    return loop.metered.inside / loop.spent


def lengths() -> None:
    """The table of the logger's share in loops of several lengths."""
    with scratch() as folder:
        click.echo("\nloops at the default cadence behind their first step, small transformer; to reach: 1 %")
        click.echo(f"{'step, ms':>10}{'share':>10}{'steps':>10}{'sampled':>10}")
        for length_s, part, count, taken in shares(Bench(SIZES["small"]), folder):
            click.echo(f"{1e3 * length_s:>10.0f}{part:>10.2%}{count:>10}{taken:>10}")


@click.command()
@click.option("--size", "names", type=click.Choice(list(SIZES)), multiple=True, default=("10M", "50M", "tensors"))
@click.option("--rounds", default=15, show_default=True, help="How often each call is timed at most.")
@click.option("--steps", "whole", default=8, show_default=True, help="Whole steps of each way; 0: none.")
@click.option("--lengths", "loops", is_flag=True, help="Only the share in loops of 1 ms to 1 s a step.")
@click.option("--threads", default=1, show_default=True, help="Threads of torch.")
def main(names: tuple[str, ...], rounds: int, whole: int, loops: bool, threads: int) -> None:
    """Print what the logger and others cost."""
    torch.set_num_threads(threads)
    if loops:
        lengths()
        return
    for name in names:
        click.echo(f"\n== {name}")
        calls(SIZES[name], rounds)
        if whole:
            steps(SIZES[name], whole)


if __name__ == "__main__":
    main()
