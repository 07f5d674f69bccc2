"""Streams for the tests of the rules: recorded runs, made-up ones, and how to feed them."""

import gzip
import json
import math
import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from gradtop.config import Limits
from gradtop.detect import Detector
from gradtop.finding import Finding, Severity
from gradtop.record import Record, Rows, RunFacts
from gradtop.run import Run
from gradtop.verdict import Judgement, judge

SHARED = Path(__file__).parents[3] / "shared"
Row = dict[str, float]


def rows_of(path: Path) -> list[Row]:
    """The rows of a flat JSONL file, plain or gzipped; skips the test where the file is absent."""
    if not path.exists():
        pytest.skip(f"recorded runs are not here: {path.name}")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return [json.loads(line) for line in lines]


def fixture(name: str) -> list[Row]:
    return rows_of(SHARED / "fixtures" / name)


def healthy() -> list[Path]:
    return sorted((SHARED / "corpus" / "healthy").glob("*.jsonl.gz"))


def records(rows: Iterable[Mapping[str, float]], cuts: Collection[int] = (), **below: float) -> Iterator[Rows]:
    """Rows as blocks of equal columns, cut at `cuts` as well; `below` is the bound of printed zeros."""
    block: list[Mapping[str, float]] = []
    for i, row in enumerate(rows):
        if block and (row.keys() != block[-1].keys() or i in cuts):
            yield _block(block, below)
            block = []
        block.append(row)
    if block:
        yield _block(block, below)


def _block(rows: Sequence[Mapping[str, float]], below: Mapping[str, float]) -> Rows:
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != "step"}
    return Rows([row["step"] for row in rows], columns, below={k: v for k, v in below.items() if k in columns})


def detector(stream: Iterable[Record], limits: Limits | None = None) -> Detector:
    """A detector that has seen what a store makes of the records."""
    run, seen = Run(), Detector(limits or Limits())
    for record in stream:
        if isinstance(record, RunFacts):
            seen.feed(record)
        for observation in run.apply(record):
            seen.feed(observation)
    return seen


def found(rows: Iterable[Mapping[str, float]], limits: Limits | None = None) -> tuple[Finding, ...]:
    return detector(records(rows), limits).findings()


def verdict(seen: Detector) -> Judgement:
    return judge(seen.findings(), rows=seen.rows, ended=None, loading=None)


def loud(findings: Iterable[Finding]) -> list[Finding]:
    """Findings above a notice."""
    return [f for f in findings if f.severity > Severity.NOTICE]


def falling(
    n: int,
    seed: int = 0,
    *,
    start: float = 4.6,
    floor: float = 3.0,
    span: float = 200.0,
    noise: float = 0.01,
    grad: float = 2.0,
) -> list[Row]:
    """A healthy run: a loss that falls towards a floor, and a noisy grad norm around `grad`."""
    random_ = random.Random(seed)
    return [
        {
            "step": float(i),
            "loss": (floor + (start - floor) * math.exp(-i / span)) * math.exp(random_.gauss(0, noise)),
            "grad_norm": grad * math.exp(random_.gauss(0, 0.2)),
        }
        for i in range(1, n + 1)
    ]
