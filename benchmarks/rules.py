"""What the rules cost: a million rows through the store alone and through all rules, layers, and the memory they keep.

    python benchmarks/rules.py [--rows 1000000] [--layers 300]

Blocks of 4096 rows, as a reader gives them out. `store` is what a run costs without any rule, so the difference is the
rules' own time. Memory is that of the rules alone; the curves are the store's.
"""

import math
import random
import time
from collections.abc import Callable, Iterator

import click
from diagnosis.watch import size

from gradtop.detect import Detector
from gradtop.record import Rows
from gradtop.run import Run

BLOCK = 4096
_CHANCE = random.Random(0)
NOISE = tuple(_CHANCE.gauss(0, 1) for _ in range(9973))
Columns = Callable[[int], dict[str, float]]
"""The metrics of a row by its step."""


def three(i: int) -> dict[str, float]:
    """What most logs have."""
    noise = NOISE[i % len(NOISE)]
    return {
        "loss": (2 + 9 * (1 + i / 100) ** -0.3) * math.exp(0.01 * noise),
        "grad_norm": (0.3 + 5 * math.exp(-i / 1000)) * math.exp(0.2 * NOISE[(i * 7) % len(NOISE)]),
        "lr": 3e-4 * min(1.0, (i + 1) / 2000),
    }


def fourteen(i: int) -> dict[str, float]:
    """What a careful loop logs."""
    noise = NOISE[(i * 3) % len(NOISE)]
    seconds = 0.4 * math.exp(0.03 * noise)
    return {
        **three(i),
        "time": 1.7e9 + 0.4 * i + 0.01 * noise,
        "val_loss": 2.1 + 9 * (1 + i / 100) ** -0.3 + 0.01 * noise,
        "step_time_s": seconds,
        "data_time_s": 0.02 * seconds,
        "tokens_per_s": 4e5 / seconds,
        "memory_allocated_bytes": 4e10 + 1e7 * noise,
        "rss_bytes": 8e9 + 1e6 * noise,
        "loss_scale": 65536.0,
        "param_norm": 100 + i / 1e5,
        "update_ratio": 1e-3 * math.exp(0.1 * noise),
        "accuracy": 0.4 + 0.01 * noise,
    }


def layered(layers: int) -> Columns:
    """Grad norm, weight norm and update ratio of every layer."""

    def row(i: int) -> dict[str, float]:
        found = {"loss": three(i)["loss"]}
        for k in range(layers):
            noise = NOISE[(i * 13 + k * 31) % len(NOISE)]
            found[f"grad_norm/layers.{k}.weight"] = 0.1 * math.exp(0.2 * noise)
            found[f"weight_norm/layers.{k}.weight"] = 12.0
            found[f"update_ratio/layers.{k}.weight"] = 1e-3 * math.exp(0.1 * noise)
        return found

    return row


def blocks(columns: Columns, rows: int, at_once: int) -> Iterator[Rows]:
    """The rows in blocks."""
    for start in range(0, rows, at_once):
        made = [columns(i) for i in range(start, min(start + at_once, rows))]
        values = {name: tuple(row[name] for row in made) for name in made[0]}
        yield Rows(range(start, start + len(made)), values)


def measure(name: str, columns: Columns, rows: int, at_once: int = BLOCK) -> None:
    """Print the times of one kind of rows, and the memory of the rules after some and after all."""
    run, detector = Run(), Detector()
    store_s = rules_s = 0.0
    early = 0
    for i, block in enumerate(blocks(columns, rows, at_once)):
        start = time.process_time()
        seen = list(run.apply(block))
        stored = time.process_time()
        for observation in seen:
            detector.feed(observation)
        rules_s += time.process_time() - stored
        store_s += stored - start
        if (i + 1) * at_once <= max(10_000, at_once):
            early = size(detector)
    found = ", ".join(finding.kind for finding in detector.findings()) or "nothing"
    click.echo(f"{name}: {rows:,} rows")
    click.echo(f"  store  {store_s:8.2f} s {1e6 * store_s / rows:8.2f} us/row")
    click.echo(f"  rules  {rules_s:8.2f} s {1e6 * rules_s / rows:8.2f} us/row, found: {found}")
    click.echo(f"  memory of the rules {early / 1e3:,.0f} kB early, {size(detector) / 1e3:,.0f} kB at the end")


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--layers", default=300, show_default=True)
def main(rows: int, layers: int) -> None:
    """Print the table."""
    measure("loss, grad_norm, lr", three, rows)
    measure("14 columns", fourteen, rows)
    measure(f"{layers} layers", layered(layers), max(1, rows // 100), at_once=256)


if __name__ == "__main__":
    main()
