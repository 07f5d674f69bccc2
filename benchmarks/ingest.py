"""How fast files are read: gradtop's whole path beside the limits and the naive way, in one run.

    python benchmarks/ingest.py [--rows 300000]

Prints seconds and the ratio to counting the newlines of the same bytes, for a JSONL file of five numbers a row and
for a text log, through `check`'s path: file, lines, rows, store and all rules.
"""

import json
import math
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from gradtop.config import Settings
from gradtop.monitor import Monitor
from gradtop.run import Run
from gradtop.sources.file import open_source


def write_jsonl(path: Path, rows: int) -> None:
    """Rows of five numbers, about 110 bytes each."""
    with path.open("w") as file:
        for i in range(rows):
            loss = 3 + 8 * math.exp(-i / 1000) + 0.01 * (i * 7919 % 101) / 101
            file.write(
                json.dumps(
                    {"step": i, "time": 1.7e9 + i, "loss": round(loss, 5), "grad_norm": 0.5 + i % 7 / 20, "lr": 3e-4}
                )
                + "\n"
            )


def write_text(path: Path, rows: int) -> None:
    """Megatron-like lines."""
    with path.open("w") as file:
        for i in range(rows):
            file.write(
                f" iteration {i:8d}/ 500000 | learning rate: 2.900E-04 | lm loss: {3 + 1 / (i + 1):.6E} |"
                f" grad norm: {0.5 + i % 7 / 20:.3f} |\n"
            )


def count_lines(path: Path) -> None:
    """The floor: the bytes are read and newlines counted."""
    with path.open("rb") as file:
        while chunk := file.read(1 << 18):
            chunk.count(b"\n")


def naive_json(path: Path) -> None:
    """What a script does: one dict a line, kept in a list."""
    with path.open() as file:
        kept = [json.loads(line) for line in file]
    del kept


def naive_text(path: Path) -> None:
    """What a script does: one search per field and line."""
    fields = [
        re.compile(pattern)
        for pattern in (r"iteration\s+(\d+)", r"lm loss: (\S+)", r"grad norm: (\S+)", r"learning rate: (\S+)")
    ]
    with path.open() as file:
        kept = [[float(m.group(1)) for field in fields if (m := field.search(line))] for line in file]
    del kept


def read_only(path: Path) -> None:
    """File to records to store, no rules."""
    source, run, more = open_source(path), Run(), True
    while more:
        batch = source.read()
        more = batch.more
        for record in batch.records:
            for _ in run.apply(record):
                pass


def check(path: Path) -> None:
    """Everything that `gradtop check` does."""
    monitor = Monitor((path,), Settings())
    monitor.poll()
    while monitor.backlog:
        monitor.poll()
    monitor.close()


def median_s(action: Callable[[Path], None], path: Path, repeats: int = 3) -> float:
    """Median seconds of some runs."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        action(path)
        taken.append(time.perf_counter() - start)
    return sorted(taken)[repeats // 2]


@click.command()
@click.option("--rows", default=300_000, show_default=True)
def main(rows: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, write, naive in (("jsonl", write_jsonl, naive_json), ("text", write_text, naive_text)):
            path = Path(folder) / f"train.{'log' if kind == 'text' else kind}"
            write(path, rows)
            floor = median_s(count_lines, path)
            click.echo(f"{kind}: {rows:,} rows, {path.stat().st_size / 1e6:.1f} MB")
            for name, action in (
                ("count newlines", count_lines),
                ("naive", naive),
                ("gradtop, store only", read_only),
                ("gradtop check", check),
            ):
                took = median_s(action, path)
                click.echo(
                    f"  {name:<20} {took:7.3f} s {took / floor:7.1f}x the newline count {1e6 * took / rows:6.2f} us/row"
                )


if __name__ == "__main__":
    main()
