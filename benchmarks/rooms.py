"""Thousands of runs and thousands of metrics beside a few: what the screen does for a key, and how soon a run is open.

    python benchmarks/rooms.py [--runs 5000] [--metrics 4900]

Processor milliseconds of this process, so that other work on the machine does not count. A key is pressed in the app
without a terminal, and the picture after it is composed; the app waits a moment between keys, which costs nothing.
"""

import asyncio
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from gradtop.config import Settings
from gradtop.monitor import Monitor
from gradtop.record import Rows
from gradtop.run import Run
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.sources import SourceStatus
from gradtop.ui.app import GradtopApp
from gradtop.ui.feed import SnapshotReady
from gradtop.verdict import Judgement, Verdict

FEW = 3
SIZE = (120, 36)
REPEATS = 5
RUNS = {"move": "j", "page": "pagedown", "last": "G", "sort": "o", "compare": "x"}
METRICS = {"next": "right", "page": "pagedown", "last": "G", "full": "enter", "smaller": "right_square_bracket"}


def run_of(name: str, metrics: int, rows: int = 400) -> RunSnapshot:
    """A run with a loss, a grad norm and so many other metrics."""
    names = ("loss", "grad_norm", *(f"part{i % 40}/{'val' if i % 3 else 'train'}_x{i}" for i in range(metrics)))
    columns = {name: [2 + math.sin(j / (9 + i % 50)) for j in range(rows)] for i, name in enumerate(names)}
    store = Run()
    list(store.apply(Rows(range(rows), columns)))
    judgement, source = Judgement(Verdict.KEEP_TRAINING, "No problem seen."), SourceStatus(Path(name), "jsonl")
    return RunSnapshot(
        name, name, Path(name), RunState.QUIET, 1.0, store.view(), (), judgement, (source,), 0.0, None, None
    )  # fmt: skip


async def press(snapshot: Snapshot, room: str, keys: dict[str, str], typed: str) -> dict[str, float]:
    """Milliseconds of each key in a room: the median of some; and of a key while a filter is typed."""
    app = GradtopApp(lambda: snapshot, lambda _: None, clock=lambda: 0.0)
    async with app.run_test(size=SIZE) as pilot:
        app.post_message(SnapshotReady(snapshot))
        await pilot.pause()
        costs: dict[str, list[float]] = {}
        todo = [("open", room), *(pair for pair in keys.items() for _ in range(REPEATS)), ("", "slash")]
        for name, key in [*todo, *(("filter", key) for key in typed)]:
            before = time.process_time()
            await pilot.press(key)
            await pilot.pause()
            costs.setdefault(name, []).append(1000 * (time.process_time() - before))
    return {name: statistics.median(found) for name, found in costs.items() if name}


def table(title: str, few: dict[str, float], many: dict[str, float], labels: Sequence[str]) -> None:
    """Print what a few and thousands cost."""
    click.echo(f"{title:<26}{labels[0]:>14}{labels[1]:>14}")
    for name, cost in few.items():
        click.echo(f"  {name:<24}{cost:>11.1f} ms{many[name]:>11.1f} ms")
    click.echo()


def write_runs(folder: Path, count: int) -> None:
    """Directories with one run of 30 rows each."""
    for i in range(count):
        path = folder / f"run-{i:04d}" / "metrics.jsonl"
        path.parent.mkdir(parents=True)
        rows = ({"step": step, "loss": 3 / (step + 1) + i * 1e-4, "grad_norm": 1.0} for step in range(30))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        os.utime(path, (1.7e9 + i, 1.7e9 + i))


def opened(folder: Path, runs: int) -> dict[str, float]:
    """Milliseconds until the newest run is read, until all are known, and of a poll after that."""
    monitor, before = Monitor([folder], Settings()), time.process_time()
    snapshot = monitor.poll()
    while not (snapshot.runs and snapshot.runs[0].view.rows):
        snapshot = monitor.poll()
    first = time.process_time() - before
    while len(snapshot.runs) < runs:
        snapshot = monitor.poll()
    every = time.process_time() - before
    while monitor.backlog:
        monitor.poll()
    started = time.process_time()
    for _ in range(REPEATS):
        monitor.poll()
    poll = (time.process_time() - started) / REPEATS
    monitor.close()
    return {"newest run read": 1000 * first, "all runs known": 1000 * every, "a poll": 1000 * poll}


@click.command()
@click.option("--runs", default=5000, show_default=True)
@click.option("--metrics", default=4900, show_default=True)
def main(runs: int, metrics: int) -> None:
    """Print the tables."""
    labels = f"{FEW} runs", f"{runs:,} runs"
    with tempfile.TemporaryDirectory() as name:
        found = []
        for count in (FEW, runs):
            write_runs(Path(name) / str(count), count)
            found.append(opened(Path(name) / str(count), count))
    table("opening a directory", found[0], found[1], labels)
    small = run_of("run", 9)
    lists = [Snapshot(0.0, tuple(_called(small, f"run-{i}") for i in range(n))) for n in (FEW, runs)]
    costs = [asyncio.run(press(shown, "r", RUNS, "run 1")) for shown in lists]
    table("a key in Runs", costs[0], costs[1], labels)
    shown = [Snapshot(0.0, (run_of("run", n),)) for n in (9, metrics)]
    costs = [asyncio.run(press(one, "3", METRICS, "x1 !7")) for one in shown]
    table("a key in Metrics", costs[0], costs[1], ("11 metrics", f"{metrics + 2:,}"))


def _called(run: RunSnapshot, name: str) -> RunSnapshot:
    """The run under another name."""
    return replace(run, id=name, name=name)


if __name__ == "__main__":
    main()
