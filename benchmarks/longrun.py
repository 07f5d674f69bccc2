"""What the app holds after three minutes, an hour, a day and three days of a training, and what a row costs by then.

    python benchmarks/longrun.py [--days 3] [--metrics 60] [--layers 100] [--rate 5] [--console] [--trace]

A run grows in blocks, as if a training wrote it: metrics at every step, layers at every 50th, an event and a spike of
the loss now and then, so that findings recur; with `--console` its output beside it, which is joined. The monitor of
the app follows it on a clock of its own, without the screen. For each age: resident memory, of which anonymous (`anon`,
not to be given back) and mapped from files (`file`, which the kernel drops when it needs the room); what the parts of
the store hold of that by their own count, in memory and on disk; and the median CPU time of a poll that finds one new
row.
`--trace` names the lines of code whose memory grew most after the first hour; that takes several times as long.
"""

import gc
import json
import os
import random
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from gradtop.config import Settings
from gradtop.monitor import Monitor
from gradtop.run import RunView
from gradtop.snapshot import Snapshot

BLOCK = 600
LAYERS_EVERY, EVENT_EVERY, SPIKE_EVERY = 50, 5_000, 7_001
AGES = (
    ("3 min", 180.0),
    ("1 h", 3600.0),
    ("8 h", 28800.0),
    ("1 day", 86400.0),
    ("3 days", 259200.0),
    ("10 days", 864000.0),
)
POLLS = 60
POOL = 512
"""Different values of a metric; the loss and the grad norm differ in every row."""


@dataclass
class Clock:
    """Seconds of the run."""

    at: float = 1.8e9

    def __call__(self) -> float:
        """Now."""
        return self.at


@dataclass
class Training:
    """The files of a training, and how far it has come."""

    folder: Path
    clock: Clock
    metrics: int
    layers: int
    rate: float
    console: bool
    step: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def __post_init__(self) -> None:
        """Write what is in the files before the first step."""
        self.folder.mkdir()
        self.path, self.output = self.folder / "metrics.jsonl", self.folder / "output.log"
        names = [f"layers.{i // 4}.part{i % 4}" for i in range(self.layers)]
        facts = {"type": "run", "schema": "gradtop/1", "run": "long", "time": self.clock.at, "session": 1}
        head = [facts, {"type": "layer_names", "id": "a", "names": names, "numel": [1000] * self.layers}]
        self.path.write_text("".join(json.dumps(line) + "\n" for line in head))
        self.further = [self._further() for _ in range(POOL)]
        self.of_layers = [self._of_layers() for _ in range(16)]

    def _further(self) -> str:
        return "".join(f', "metric/{i}": {self.chance.gauss(1, 0.1)!r}' for i in range(self.metrics - 4))

    def _of_layers(self) -> str:
        families = ("grad_norm", "weight_norm", "update_ratio")
        return json.dumps({name: [self.chance.lognormvariate(-3, 1) for _ in range(self.layers)] for name in families})

    def write(self, rows: int) -> None:
        """Train on for some steps, as the clock says."""
        lines, printed = list[str](), list[str]()
        for _ in range(rows):
            self.step, self.clock.at = self.step + 1, self.clock.at + 1 / self.rate
            lines += self._lines(self.step)
            printed.append(
                f"step {self.step} loss: {self._loss(self.step):.4f} grad_norm: 0.51 some more words of a trainer\n"
            )
        self._append(self.path, "".join(lines))
        if self.console:
            self._append(self.output, "".join(printed))

    def _loss(self, step: int) -> float:
        spike = 6.0 if step % SPIKE_EVERY < 4 and step > SPIKE_EVERY else 0.0
        return 2 + 5 / (1 + step / 2000) + spike + random.Random(step).gauss(0, 0.02)

    def _lines(self, step: int) -> Iterator[str]:
        at = f'"step": {step}, "time": {self.clock.at:.3f}'
        norm = 0.5 + random.Random(-step).random() / 5
        loss = "NaN" if step % (3 * EVENT_EVERY) == 17 else repr(self._loss(step))
        own = f'"loss": {json.dumps(loss) if loss == "NaN" else loss}, "grad_norm": {norm!r}, "lr": 0.0003'
        yield f'{{"type": "metrics", {at}, {own}{self.further[step % POOL]}}}\n'
        if step % LAYERS_EVERY == 0:
            yield f'{{"type": "layers", {at}, "names": "a", {self.of_layers[step // LAYERS_EVERY % 16][1:]}\n'
        if step % EVENT_EVERY == 0:
            yield f'{{"type": "event", {at}, "event": "checkpoint", "level": "info", "message": "saved at {step}"}}\n'

    def _append(self, path: Path, text: str) -> None:
        with path.open("a") as out:
            out.write(text)
        os.utime(path, (self.clock.at, self.clock.at))


def settled(monitor: Monitor, clock: Clock) -> Snapshot:
    """Read all there is."""
    snapshot = monitor.poll()
    while monitor.backlog:
        # What is asked for on a busy machine, and comes late, is looked for by the clock.
        clock.at += 0.01
        snapshot = monitor.poll()
    return snapshot


def resident() -> dict[str, float]:
    """Resident megabytes by kind, as the kernel counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {
        key: int(rest.split()[0]) / 1e3
        for key, _, rest in (line.partition(":") for line in lines)
        if "rss" in key.lower()
    }


def of_series(view: RunView) -> float:
    """Bytes of all steps, values and pyramids."""
    total = 0
    for series in view.series.values():
        arrays = [a for level in series.levels for a in (level.low, level.high, level.total, level.lost)]
        total += series.steps.nbytes + series.values.nbytes + sum(a.nbytes for a in arrays if a is not None)
    return total / 1e6


def of_grids(view: RunView) -> float:
    """Bytes of what is kept of layers."""
    return sum(array.nbytes for grid in view.layers.values() for array in grid.closed.arrays) / 1e6


def of_origins(snapshot: Snapshot) -> float:
    """Bytes of the lines of steps."""
    origins = snapshot.runs[0].origins
    trails = [array.nbytes for o in origins for t in o.trails.values() for array in (t.steps, t.lines)]
    return sum(trails + [o.read.nbytes for o in origins if o.read is not None]) / 1e6


def per_poll(monitor: Monitor, training: Training) -> float:
    """Median milliseconds of CPU of a poll with a new row, the reading thread included."""
    taken = []
    for _ in range(POLLS):
        training.write(1)
        started = time.process_time()
        settled(monitor, training.clock)
        taken.append(time.process_time() - started)
    return 1e3 * statistics.median(taken)


def grow(monitor: Monitor, training: Training, until: float) -> None:
    """Follow the training up to a time."""
    while training.clock.at < until:
        training.write(min(BLOCK, max(1, round((until - training.clock.at) * training.rate))))
        settled(monitor, training.clock)


def say(age: str, monitor: Monitor, training: Training) -> None:
    """One line of the table."""
    snapshot = settled(monitor, training.clock)
    gc.collect()
    rss, (run,) = resident(), snapshot.runs
    parts = of_series(run.view), of_grids(run.view), of_origins(snapshot)
    poll = per_poll(monitor, training)
    values = sum(len(series) for series in run.view.series.values())
    click.echo(
        f"{age:>8} {training.step:10,} {rss['VmRSS']:9,.0f} {rss['RssAnon']:9,.0f} {rss['RssFile']:9,.0f}"
        f" {parts[0]:9,.1f} {parts[1]:7,.1f} {parts[2]:8,.1f} {1e6 * parts[0] / max(values, 1):8.1f}"
        f" {len(run.findings):9} {len(os.listdir('/proc/self/fd')):5} {poll:8.2f}"
    )


def grown(before: tracemalloc.Snapshot, after: tracemalloc.Snapshot) -> Sequence[str]:
    """The lines of code whose memory grew most."""
    return [
        f"{d.size_diff / 1e6:+9.1f} MB {d.count_diff:+9,} blocks  {d.traceback}"
        for d in after.compare_to(before, "lineno")
    ]


@click.command()
@click.option("--days", default=3.0, show_default=True)
@click.option("--metrics", default=60, show_default=True)
@click.option("--layers", default=100, show_default=True)
@click.option("--rate", default=5.0, show_default=True, help="Rows a second.")
@click.option("--console", is_flag=True, help="The output of the training is a second source of the run.")
@click.option("--trace", is_flag=True, help="Name the lines of code whose memory grew after the first hour.")
def main(days: float, metrics: int, layers: int, rate: float, console: bool, trace: bool) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        clock = Clock()
        training = Training(Path(name) / "run", clock, metrics, layers, rate, console)
        began, training_ends = clock.at, clock.at + 86400 * days
        training.write(5)
        monitor = Monitor([training.folder], Settings(), spill=Path(name), now=clock, monotonic=clock)
        before = None
        click.echo(
            "     age       rows    RSS MB      anon      file    series   grids  origins  B/value"
            "  findings   fds  poll ms"
        )
        for age, seconds in AGES:
            if began + seconds <= training_ends:
                grow(monitor, training, began + seconds)
                say(age, monitor, training)
                if trace and age == "1 h":
                    tracemalloc.start()
                    before = tracemalloc.take_snapshot()
        if before is not None:
            click.echo("\n".join(grown(before, tracemalloc.take_snapshot())[:30]))
        monitor.close()


if __name__ == "__main__":
    main()
