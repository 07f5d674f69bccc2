"""A made-up training as several of its files tell it."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradtop.config import Limits
from gradtop.finding import Finding
from gradtop.history import Store
from gradtop.merge import Merger
from gradtop.record import Record, Rows
from gradtop.run import RunView
from gradtop.sources.search.group import Part

Row = dict[str, float]


@dataclass(frozen=True)
class Told:
    """What one file tells."""

    name: str
    format: str
    records: tuple[Record, ...]
    part: Part | None = None

    @property
    def place(self) -> Part:
        return self.part or Part(Path(self.name))


def training(n: int, seed: int = 0, first: int = 1, every: int = 1) -> list[Row]:
    """A healthy run with full-precision values; the same seed gives the same values at the same steps."""
    rows: list[Row] = []
    for i in range(first, first + n * every, every):
        noise = random.Random(seed * 1_000_003 + i)
        loss = (2.0 + 3.0 * math.exp(-i / 300)) * math.exp(noise.gauss(0, 0.02))
        rows.append(
            {"step": i, "loss": loss, "grad_norm": math.exp(noise.gauss(0, 0.2)), "lr": 3e-4, "epoch": i / 1000}
        )
    return rows


def blocks(rows: Sequence[Row], *names: str, size: int = 7, kind: str = "step") -> tuple[Rows, ...]:
    """The named columns of rows, in blocks."""
    found = []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        steps = [row[kind] for row in part]
        found.append(Rows(steps, {name: [row[name] for row in part] for name in names}, x_kind=kind))
    return tuple(found)


def printed(rows: Sequence[Row], digits: int = 4) -> list[Row]:
    """The rows as a console shows them."""
    return [{k: v if k == "step" else float(f"{v:.{digits}g}") for k, v in row.items()} for row in rows]


def merged(*told: Told) -> tuple[RunView, tuple[Finding, ...], Merger]:
    """The run that the files make when they are read at once."""
    merger = Merger()
    for one in told:
        merger.open(one.place)
        merger.take(one.place.path, one.format, None, one.records)
    return *_joined(merger), merger


def _joined(merger: Merger) -> tuple[RunView, tuple[Finding, ...]]:
    store = Store(Limits())
    merger.begin()
    store.apply(merger.records(0.0, hold=False))
    return store.run.view(), store.detector.findings()


def seen(view: RunView) -> object:
    """Everything in a view that can be compared."""
    series = {name: (s.x_kind, s.steps.tolist(), list(map(str, s.values))) for name, s in view.series.items()}
    return series, view.sessions, view.rows, view.facts, view.end, sorted(map(str, view.events))


def steps_of(view: RunView, name: str) -> list[float]:
    return [float(step) for step in view.series[name].steps]


def values_of(view: RunView, name: str) -> list[float]:
    return [float(value) for value in view.series[name].values]


def column(rows: Iterable[Row], name: str) -> list[float]:
    return [row[name] for row in rows]
