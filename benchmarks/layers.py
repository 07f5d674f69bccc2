"""What the Layers room costs: rows into the store, memory, a picture of all layers, and a key, beside their limits.

    python benchmarks/layers.py [--layers 300] [--steps 100000]

* `store` is compared with one series for each layer and measure, which keeps every value.
* `codes` is compared with numpy's `fmax.reduceat` over that array, which a heatmap without buckets would have to do.
* `key` is the CPU time of one press in the app at 200x50 and of all that follows, the toolkit's own work included.
"""

import asyncio
import resource
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from gradtop.grid.cells import Cells
from gradtop.plot.shade import Shades
from gradtop.record import Rows
from gradtop.run import Run
from gradtop.series import Series
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.ui.app import GradtopApp
from gradtop.ui.feed import SnapshotReady
from gradtop.verdict import Judgement, Verdict
from gradtop.view.layers import LayersLook, LayersView

FAMILIES = ("grad_norm", "weight_norm", "update_ratio")
BLOCK = 1024
COLUMNS, LINES = 160, 40
"""Of a heatmap on a screen of 200x50."""
KEYS = ("j", "l", "v", "o", "{", "}", "plus", "0", "pagedown", "enter", "escape")


def names(layers: int) -> list[str]:
    """Four layers a block."""
    parts = ("attn.qkv.weight", "attn.out.weight", "mlp.up.weight", "mlp.down.weight")
    return [f"transformer.h.{i // 4}.{parts[i % 4]}" for i in range(layers)]


def filled(layers: int, steps: int) -> tuple[Run, float]:
    """A run with all families, and the seconds that storing took."""
    run, chance, taken = Run(), np.random.default_rng(0), 0.0
    levels = np.linspace(-5, 0, layers)
    for start in range(0, steps, BLOCK):
        n = min(BLOCK, steps - start)
        noise = chance.normal(0, 0.2, (n, layers))
        columns: dict[str, tuple[float, ...]] = {}
        for family in FAMILIES:
            values = 10.0 ** (levels + noise)
            columns |= {f"{family}/{name}": tuple(values[:, i].tolist()) for i, name in enumerate(names(layers))}
        rows = Rows(range(start, start + n), columns)
        began = time.process_time()
        for _ in run.apply(rows):
            pass
        run.view()
        taken += time.process_time() - began
    return run, taken


def median_ms(action: Callable[[], object], repeats: int = 15) -> float:
    """Median milliseconds of some runs."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        taken.append(1e3 * (time.perf_counter() - began))
    return sorted(taken)[repeats // 2]


def size(cells: Cells) -> int:
    """Bytes of the arrays of a grid, reserve included."""
    return sum(array.base.nbytes if array.base is not None else array.nbytes for array in cells.arrays)


def shown(run: Run) -> RunSnapshot:
    """The run as the app gets it."""
    judgement = Judgement(Verdict.KEEP_TRAINING, "Nothing to act on.", None)
    path = Path("/logs/x")
    return RunSnapshot("x", "x", path, RunState.LIVE, 1.0, run.view(), (), judgement, (), None, None, None)


def as_series(layers: int) -> float:
    """Seconds a value where each layer and measure is a series of its own."""
    store = [Series(name) for name in names(layers) for _ in FAMILIES]
    columns = [tuple(float(i) for i in range(BLOCK)) for _ in store]
    began = time.process_time()
    for block in range(3):
        for series, column in zip(store, columns, strict=True):
            series.extend(range(block * BLOCK, (block + 1) * BLOCK), column)
    return (time.process_time() - began) / (3 * BLOCK * len(store))


async def keys(snapshot: Snapshot) -> dict[str, float]:
    """Milliseconds of each key in the room."""
    app = GradtopApp(lambda: snapshot, lambda _: None, clock=lambda: 0.0)
    taken: dict[str, list[float]] = {}
    async with app.run_test(size=(200, 50)) as pilot:
        app.post_message(SnapshotReady(snapshot))
        await pilot.pause()
        await pilot.press("2")
        await pilot.pause()
        for _ in range(5):
            for key in KEYS:
                began = time.process_time()
                await pilot.press(key)
                await pilot.pause()
                taken.setdefault(key, []).append(1e3 * (time.process_time() - began))
    return {key: sorted(times)[len(times) // 2] for key, times in taken.items()}


@click.command()
@click.option("--layers", default=300, show_default=True)
@click.option("--steps", default=100_000, show_default=True)
def main(layers: int, steps: int) -> None:
    """Print the table."""
    values = layers * steps * len(FAMILIES)
    run, store_s = filled(layers, steps)
    view = run.view()
    kept = sum(size(grid.closed) for grid in view.layers.values())
    click.echo(f"{layers} layers x {steps:,} steps x {len(FAMILIES)} measures: {values / 1e6:,.0f} million values")
    click.echo(f"  store      {1e9 * store_s / values:8.1f} ns a value, {1e6 * store_s / steps:8.1f} us a row")
    click.echo(f"  as series  {1e9 * as_series(layers):8.1f} ns a value")
    click.echo(f"  memory     {kept / 1e6:8.1f} MB, all values as series {12 * values / 1e6:,.0f} MB")
    click.echo(f"  RSS        {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:8.1f} MB at most")
    click.echo(f"  view       {median_ms(run.view):8.2f} ms where nothing is new")
    snapshot = shown(run)
    made = LayersView(snapshot, LayersLook())
    click.echo(
        f"  lines      {median_ms(lambda: LayersView(snapshot, LayersLook())):8.2f} ms for all lines of the list"
    )
    click.echo(
        f"  worst      {median_ms(lambda: LayersView(snapshot, LayersLook(order='worst first'))):8.2f} ms by badness"
    )
    click.echo(f"  scale      {median_ms(lambda: made.grid and made.grid.spread(log=True)):8.2f} ms")
    codes = median_ms(lambda: made.codes(0, LINES, COLUMNS))
    whole = np.random.default_rng(0).random((steps, LINES), dtype=np.float32)
    cuts = np.linspace(0, steps, COLUMNS, endpoint=False).astype(np.intp)
    floor = median_ms(lambda: np.fmax.reduceat(whole, cuts, axis=0), 5)
    click.echo(f"  codes      {codes:8.2f} ms for {LINES} x {COLUMNS} cells; all rows in numpy {floor:.2f} ms")
    everything = median_ms(lambda: made.grid and made.grid.codes([range(layers)], COLUMNS, 0, steps, Shades(-5, 0)), 5)
    click.echo(f"  folded     {everything:8.2f} ms for all layers as one line")
    for key, taken in asyncio.run(keys(Snapshot(0.0, (snapshot,), searching=False))).items():
        click.echo(f"  key {key:<9}{taken:6.1f} ms CPU (to reach: 50)")


if __name__ == "__main__":
    main()
