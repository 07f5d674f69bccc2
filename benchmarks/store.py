"""What the data of a chart costs: its pixel columns from the pyramid, beside going through the values.

    python benchmarks/store.py [--columns 200] [--repeats 50]

For 100,000, one million and ten million points, with and without NaN, on the whole and zoomed in: median CPU time of
`SeriesView.envelope`, that of numpy's `reduceat` over the values for the same columns, and the ratio of the two. The
memory is that of the pyramid beside the steps and values themselves, and the time to append is per point, in blocks.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import click
import numpy as np

from gradtop.series import Floats, Series, SeriesView
from gradtop.series.envelope import Newest

SIZES = (100_000, 1_000_000, 10_000_000)
BLOCK = 65536


def grown(values: Floats) -> tuple[SeriesView, float]:
    """A series of these values, and the seconds that it took to append them."""
    series = Series("x")
    started = time.perf_counter()
    for start in range(0, len(values), BLOCK):
        part = values[start : start + BLOCK]
        series.extend(range(start, start + len(part)), part)  # type: ignore[arg-type]  # an array is as good
    return series.view(), time.perf_counter() - started


def by_values(seen: SeriesView, columns: int, first: float, last: float) -> None:
    """The same columns from the values."""
    values: Floats = np.asarray(seen.values, dtype=np.float64)
    cuts = np.searchsorted(seen.steps, np.linspace(first, last, columns + 1)[:-1].astype(seen.steps.dtype))
    part, cuts = values[cuts[0] : int(last) + 1], cuts - cuts[0]
    finite = np.isfinite(part)
    if not finite.all():
        np.add.reduceat(np.isnan(part), cuts)
        np.add.reduceat(~finite, cuts)
        part = np.where(finite, part, np.nan)
    np.fmin.reduceat(part, cuts)
    np.fmax.reduceat(part, cuts)
    np.add.reduceat(part, cuts)


def taken(work: Callable[[], object], repeats: int) -> float:
    """Median microseconds of CPU, which other programs disturb less than the clock."""
    times = []
    for _ in range(repeats):
        started = time.process_time_ns()
        work()
        times.append(time.process_time_ns() - started)
    return statistics.median(times) / 1e3


def extra(seen: SeriesView) -> float:
    """Memory of the pyramid over that of the steps and the values."""
    arrays = [a for level in seen.levels for a in (level.low, level.high, level.total, level.lost) if a is not None]
    return sum(a.nbytes for a in arrays) / (seen.steps.nbytes + seen.values.nbytes)


@click.command()
@click.option("--columns", default=200, show_default=True, help="Pixel columns; a chart 100 cells wide has 180.")
@click.option("--repeats", default=50, show_default=True, help="Pictures per figure.")
def main(columns: int, repeats: int) -> None:
    """Print the table."""
    click.echo("      points  NaN  shown     pyramid       values   ratio   memory   append")
    for n in SIZES:
        for nan in (False, True):
            values = np.random.default_rng(0).normal(size=n)
            values[:: n // 7] = np.nan if nan else 0.0
            seen, seconds = grown(values)
            for shown, first, last in (("all", 0.0, n - 1.0), ("half", n * 0.3, n * 0.8), ("1 %", n * 0.5, n * 0.51)):
                ours = taken(lambda: replace(seen, newest=Newest()).envelope(columns, first, last), repeats)  # noqa: B023
                theirs = taken(partial(by_values, seen, columns, first, last), max(3, repeats // 5))
                click.echo(
                    f"{n:12,} {'yes' if nan else 'no':>4} {shown:>6} {ours:8,.0f} us {theirs:9,.0f} us"
                    f" {theirs / ours:6.1f}x {100 * extra(seen):+6.1f} % {1e9 * seconds / n:5.0f} ns"
                )


if __name__ == "__main__":
    main()
