"""What holds for every stream, over thousands of made-up ones: findings know no units, no clock and no future."""

import random
from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum
from types import FunctionType, ModuleType
from typing import Any

import pytest
from streams import FAULTS, stream, training
from synthetic import Row, found, loud, records

from gradtop.detect import Detector
from gradtop.finding import Finding, Severity
from gradtop.run import Run

pytestmark = pytest.mark.timeout(60)

CHUNKS = 24
"""Parts of a property's seeds, so that they can be tried in parallel."""
QUICK_CHUNKS = 1
"""Those that are tried every time; the others are in the stage that takes minutes."""
PER_CHUNK = 25
MACHINE = frozenset(("throughput_drop", "memory_leak", "gpu_starved", "gpu_throttled"))


def chunks(nth: int) -> list[Any]:
    """Those of the `nth` property: each is tried with streams of its own."""
    own = range(nth * CHUNKS, (nth + 1) * CHUNKS)
    return [*own[:QUICK_CHUNKS], *(pytest.param(chunk, marks=pytest.mark.soak) for chunk in own[QUICK_CHUNKS:])]


def seeds(chunk: int) -> range:
    return range(chunk * PER_CHUNK, (chunk + 1) * PER_CHUNK)


def known(findings: Iterable[Finding]) -> set[tuple[object, ...]]:
    return {(f.kind, f.scope, f.severity, f.state, f.first_step, f.raised_step, f.last_step, f.count) for f in findings}


@pytest.mark.parametrize("chunk", chunks(0))
def test_units_do_not_matter(chunk: int) -> None:
    for seed in seeds(chunk):
        rows, chance = stream(seed), random.Random(-seed)
        a, b = 2.0 ** chance.randrange(-40, 40), 2.0 ** chance.randrange(0, 40)
        # A gradient too small for what the loss does contradicts it: it is not made smaller than the loss is.
        scale = {"loss": a, "val_loss": a, "grad_norm": a * b, "lr": 2.0 ** chance.randrange(0, 9)}
        other = [{name: value * scale.get(name, 1.0) for name, value in row.items()} for row in rows]
        assert known(found(other)) == known(found(rows)), seed


@pytest.mark.parametrize("chunk", chunks(1))
def test_the_clock_matters_to_the_machine_alone(chunk: int) -> None:
    for seed in seeds(chunk):
        rows, chance = stream(seed), random.Random(-seed)
        start, pace = rows[0]["time"], 10 ** chance.uniform(-2, 2)
        other = [{**row, "time": start + pace * (row["time"] - start) + i % 3} for i, row in enumerate(rows)]
        assert known(_but_machine(found(other))) == known(_but_machine(found(rows))), seed


def _but_machine(findings: Iterable[Finding]) -> Iterator[Finding]:
    return (finding for finding in findings if finding.kind not in MACHINE)


@pytest.mark.parametrize("chunk", chunks(2))
def test_cuts_and_looks_do_not_matter(chunk: int) -> None:
    for seed in seeds(chunk):
        rows, chance = stream(seed), random.Random(-seed)
        cuts = {chance.randrange(len(rows)) for _ in range(chance.choice((1, 5, 100)))}
        run, seen = Run(), Detector()
        for block in records(rows, cuts):
            for observation in run.apply(block):
                seen.feed(observation)
            seen.findings()
            seen.coverage()
        assert seen.findings() == found(rows), seed


@pytest.mark.parametrize("chunk", chunks(3))
def test_a_finding_is_raised_when_it_can_be_known(chunk: int) -> None:
    """It is there in what was read up to its `raised_step`, and not in one row less."""
    for seed in seeds(chunk):
        rows = stream(seed)
        at = {row["step"]: i for i, row in enumerate(rows)}
        for finding in loud(found(rows)):
            upto = at[finding.raised_step]
            key = (finding.kind, finding.severity, finding.raised_step)
            before, then = _raised(rows[:upto]), _raised(rows[: upto + 1])
            assert key in then, (seed, key)
            assert key not in before, (seed, key)


def _raised(rows: list[Row]) -> set[tuple[str, Severity, float]]:
    return {(f.kind, f.severity, f.raised_step) for f in found(rows)}


LASTING = {
    "nan": ("nonfinite",),
    "shift": ("loss_divergence",),
    "vanish": ("gradient_vanishing",),
    "explode": ("gradient_exploding", "loss_divergence"),
    "stop": ("lr_zero",),
    "slow": ("throughput_drop",),
}
"""Faults that last, and what they are told as."""


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 12), marks=pytest.mark.soak)])
@pytest.mark.parametrize("fault", LASTING)
def test_a_fault_that_lasts_is_found_in_a_thinned_log_too(fault: str, seeds: range) -> None:
    for seed in seeds:
        rows = training(random.Random(seed), 1500)
        FAULTS[fault](rows, 1000, _Longest(seed))
        interval = rows[1]["step"] - rows[0]["step"]
        full = _first(rows, fault)
        assert full is not None, seed
        for every in (5, 10):
            thinned = _first(rows[every - 1 :: every], fault)
            assert thinned is not None, (seed, every)
            assert thinned <= full + 10 * every * interval, (seed, every, full, thinned)


class _Longest(random.Random):
    """Chance that takes the last of several choices, which is the longest time."""

    def choice(self, options: Any) -> Any:
        return options[-1]


def _first(rows: list[Row], fault: str) -> float | None:
    raised = [f.raised_step for f in loud(found(rows)) if f.kind in LASTING[fault]]
    return min(raised, default=None)


@pytest.mark.parametrize("length", [500, pytest.param(1500, marks=pytest.mark.soak)])
def test_what_is_kept_of_a_stream_does_not_grow_with_it(length: int) -> None:
    chance, run, seen, sizes = random.Random(1), Run(), Detector(), []
    for part in range(10):
        rows = training(chance, length)
        for i, row in enumerate(rows):
            row["step"] = float(length * part + i)
            row |= {f"grad_norm/layers.{layer}": row["grad_norm"] * (layer + 1) for layer in range(6)}
            row |= {f"weight_norm/layers.{layer}": 10.0 for layer in range(6)}
        FAULTS[("spike", "nan", "empty", "jump")[part % 4]](rows, length * 2 // 3, chance)
        for block in records(rows):
            for observation in run.apply(block):
                seen.feed(observation)
        sizes.append(kept(seen))
    assert max(sizes[5:]) < 1.5 * max(sizes[:3]) + 500


def kept(thing: object) -> int:
    """Numbers, texts and containers that can be reached from something."""
    met: set[int] = set()
    left, n = [thing], 0
    while left:
        one = left.pop()
        if id(one) in met or isinstance(one, type | ModuleType | FunctionType | Enum):
            continue
        met.add(id(one))
        n += getattr(one, "nbytes", 8) // 8
        slots = [name for base in type(one).__mro__ for name in getattr(base, "__slots__", ())]
        left += [getattr(one, name) for name in slots if hasattr(one, name)]
        left += vars(one).values() if hasattr(one, "__dict__") else []
        if isinstance(one, dict):
            left += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset | deque):
            left += one
    return n
