"""How fast files are read: gradtop's whole path beside the limits and the naive way, in one run.

    python benchmarks/ingest.py [--rows 300000] [--only jsonl]

For each kind of file: rows and megabytes per second of `check`'s path (file, lines, rows, store, and then all rules),
and what its rows cost beside its peers on the same bytes:

* `newlines`: the bytes are read and their newlines counted, the least that any reader does.
* `decode`: lines of JSON decoded by msgspec in C into typed structs, which are dropped. It stands in for a native
  scanner of the values, of which it takes about 1.2 times the time.
* `naive`: what a script does: `json.loads`, `csv.DictReader` or one `re.search` a field for every line, kept in a list.
"""

import csv
import gzip
import json
import math
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from gradtop.config import Settings
from gradtop.monitor import Monitor
from gradtop.run import Run
from gradtop.sources.follow.file import open_source

CHUNK_BYTES = 256 * 1024


def values(i: int) -> dict[str, float]:
    """One row of five numbers."""
    loss = 3 + 8 * math.exp(-i / 1000) + 0.01 * (i * 7919 % 101) / 101
    return {"step": i, "time": 1.7e9 + i, "loss": round(loss, 5), "grad_norm": 0.5 + i % 7 / 20, "lr": 3e-4}


def jsonl(rows: int) -> Iterator[str]:
    """Rows of one shape, 88 bytes each."""
    return (json.dumps(values(i)) for i in range(rows))


def jsonl_with_evaluations(rows: int) -> Iterator[str]:
    """After every 50 rows one of another shape; some losses are NaN."""
    for i in range(rows):
        row = values(i)
        if i % 50 == 49:
            row = {"step": i - 1, "val_loss": row["loss"]}
        elif i % 997 == 0:
            row["loss"] = math.nan
        yield json.dumps(row)


def jsonl_wrapped(rows: int) -> Iterator[str]:
    """Rows below a `data` key, as verl writes them."""
    return (json.dumps({"step": i, "data": {"actor/pg_loss": 1 / (i + 1), "actor/lr": 1e-6}}) for i in range(rows))


def table(rows: int) -> Iterator[str]:
    """A CSV table without an empty cell."""
    yield "step,time,loss,grad_norm,lr"
    for i in range(rows):
        yield ",".join(map(str, values(i).values()))


def sparse_table(rows: int) -> Iterator[str]:
    """A CSV table as Lightning writes it: the learning rate, the training and the validation have rows of their own."""
    yield "epoch,lr-AdamW,step,train_loss,val_loss"
    for i in range(rows):
        loss = values(i)["loss"]
        yield (
            f",3e-4,{i},,"
            if i % 20 == 0
            else f"{i // 1000},,{i},,{loss}"
            if i % 100 == 99
            else f"{i // 1000},,{i},{loss},"
        )


def document(rows: int) -> Iterator[str]:
    """A trainer's state, rewritten whole."""
    history = [{"epoch": i / 1000, **values(i)} for i in range(rows)]
    yield json.dumps({"epoch": 1.0, "log_history": history, "max_steps": rows}, indent=2)


def megatron(rows: int) -> Iterator[str]:
    """Lines of ten numbers, and now and then one of words."""
    for i in range(rows):
        row = values(i)
        yield (
            f" iteration {i:8d}/  500000 | consumed samples: {32 * i:12d} | elapsed time per iteration (ms):"
            f" {812 + i % 7:.1f} | learning rate: 2.900E-04 | global batch size:    32 | lm loss: {row['loss']:.6E}"
            f" | loss scale: 1.0 | grad norm: {row['grad_norm']:.3f} | number of skipped iterations:   0"
            " | number of nan iterations:   0 |"
        )
        if i % 1000 == 999:
            yield f"  successfully saved checkpoint at iteration {i:7d} to out"


def printed(rows: int) -> Iterator[str]:
    """Dicts as `print` writes them, with a step."""
    return (str(values(i)) for i in range(rows))


def naive_json(path: Path) -> None:
    """One dict a line, kept in a list."""
    with path.open() as file:
        kept = [json.loads(line) for line in file]
    del kept


def naive_gzip(path: Path) -> None:
    """One dict a line of a compressed file, kept in a list."""
    with gzip.open(path, "rt") as file:
        kept = [json.loads(line) for line in file]
    del kept


def naive_csv(path: Path) -> None:
    """One dict of numbers a line, kept in a list."""
    with path.open(newline="") as file:
        kept = [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]
    del kept


def naive_document(path: Path) -> None:
    """The whole document as dicts."""
    json.loads(path.read_text())


def naive_text(path: Path) -> None:
    """One search per line for each of the four fields that are wanted most."""
    fields = [
        re.compile(pattern)
        for pattern in (
            r"iteration\s+(\d+)|'step': (\d+)",
            r"lm loss: (\S+)|'loss': ([^,}]+)",
            r"grad norm: (\S+)|'grad_norm': ([^,}]+)",
            r"learning rate: (\S+)|'lr': ([^,}]+)",
        )
    ]
    with path.open() as file:
        kept = [[float(m[m.lastindex or 1]) for field in fields if (m := field.search(line))] for line in file]
    del kept


def count_newlines(path: Path) -> None:
    """The floor."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            chunk.count(b"\n")


def decode_only(path: Path) -> None:
    """Lines of the five numbers as structs, a block at a time."""
    row = msgspec.defstruct("Row", [(name, float) for name in values(0)], gc=False)
    decoder, rest = msgspec.json.Decoder(row), b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            whole, _, rest = (rest + chunk).rpartition(b"\n")
            decoder.decode_lines(whole)


def store_only(path: Path) -> None:
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


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file, with its peers."""

    name: str
    file: str
    lines: Callable[[int], Iterator[str]]
    naive: Callable[[Path], None]
    decoded: bool = False
    share: float = 1.0
    """Part of the rows, for what is slow or is never that long."""


KINDS = (
    Kind("jsonl", "train.jsonl", jsonl, naive_json, decoded=True),
    Kind("jsonl, two shapes, NaN", "train.jsonl", jsonl_with_evaluations, naive_json),
    Kind("jsonl, wrapped", "train.jsonl", jsonl_wrapped, naive_json, share=0.1),
    Kind("jsonl.gz", "train.jsonl.gz", jsonl, naive_gzip),
    Kind("csv", "train.csv", table, naive_csv),
    Kind("csv, sparse", "metrics.csv", sparse_table, naive_csv),
    Kind("trainer_state.json", "trainer_state.json", document, naive_document, share=0.3),
    Kind("text, Megatron", "train.log", megatron, naive_text, share=0.3),
    Kind("text, dicts", "train.log", printed, naive_text, share=0.3),
)


def median_s(action: Callable[[Path], None], path: Path, repeats: int = 3) -> float:
    """Median seconds of some runs."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        action(path)
        taken.append(time.perf_counter() - start)
    return sorted(taken)[repeats // 2]


def measure(kind: Kind, path: Path, rows: int) -> None:
    """Print the table of one kind."""
    with gzip.open(path, "wt", compresslevel=6) if path.suffix == ".gz" else path.open("w") as out:
        out.writelines(f"{line}\n" for line in kind.lines(rows))
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as written:
        size = sum(len(chunk) for chunk in iter(lambda: written.read(1 << 20), b""))
    peers = [("newlines", count_newlines)] + ([("decode", decode_only)] if kind.decoded else [])
    click.echo(f"{kind.name}: {rows:,} rows, {size / 1e6:.1f} MB")
    naive = median_s(kind.naive, path)
    for name, action in (*peers, ("naive", kind.naive), ("gradtop, store only", store_only), ("gradtop check", check)):
        took = naive if name == "naive" else median_s(action, path)
        speed = f"{rows / took / 1e3:9,.0f} krows/s {size / took / 1e6:8,.1f} MB/s"
        click.echo(f"  {name:<20} {took:7.3f} s {speed} {naive / took:8.2f}x as fast as naive")


@click.command()
@click.option("--rows", default=300_000, show_default=True)
@click.option("--only", default="", help="Kinds whose name begins so.")
def main(rows: int, only: str) -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            if kind.name.startswith(only):
                measure(kind, Path(folder) / kind.file, int(rows * kind.share))


if __name__ == "__main__":
    main()
