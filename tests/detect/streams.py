"""Made-up trainings of all sorts, healthy and faulty, each given by a seed."""

import math
import random
from collections.abc import Callable

from synthetic import Row

Fault = Callable[[list[Row], int, random.Random], None]


def stream(seed: int, faults: int | None = None) -> list[Row]:
    """A training with 0 to 2 faults; its steps rise."""
    chance = random.Random(seed)
    rows = training(chance)
    for _ in range(chance.choice((0, 0, 1, 1, 2)) if faults is None else faults):
        FAULTS[chance.choice(sorted(FAULTS))](rows, chance.randrange(60, len(rows) - 60), chance)
    return rows


def training(chance: random.Random, n: int = 0) -> list[Row]:
    """`n` rows, or 200 to 700, of a healthy training of some noise, schedule and log interval."""
    n, every = n or chance.randrange(200, 700), chance.choice((1, 1, 1, 5, 10, 100))
    start, floor = chance.uniform(1, 12), chance.uniform(0.1, 1)
    span, noise, grad = chance.uniform(0.1, 3) * n, chance.choice((0.001, 0.01, 0.05)), 10 ** chance.uniform(-4, 3)
    warmup, peak = chance.choice((0, 0, n // 5)), 10 ** chance.uniform(-5, -1)
    rows: list[Row] = []
    for i in range(n):
        row = {"step": float((i + 1) * every)}
        row["loss"] = start * (floor + (1 - floor) * math.exp(-i / span)) * math.exp(chance.gauss(0, noise))
        row["grad_norm"] = grad * math.exp(chance.gauss(0, 0.2))
        row["lr"] = peak * (min(1.0, (i + 1) / warmup) if warmup else 1.0)
        row["time"] = 1.7e9 + (i + 1) * every * 0.5 + chance.uniform(0, 0.01)
        row["memory_allocated_bytes"] = 2e10 + chance.choice((0, 1 << 20))
        if i % 20 == 19:
            row["val_loss"] = row["loss"] * 1.05
        rows.append(row)
    return rows


def _nan(rows: list[Row], at: int, chance: random.Random) -> None:
    for row in rows[at : at + chance.choice((1, 4, 10_000))]:
        row[chance.choice(("loss", "grad_norm"))] = chance.choice((math.nan, math.inf))


def _spike(rows: list[Row], at: int, chance: random.Random) -> None:
    for row in rows[at : at + chance.choice((1, 2, 5))]:
        row["loss"] *= 2.0
        row["grad_norm"] *= chance.choice((1.0, 30.0))


def _shift(rows: list[Row], at: int, chance: random.Random) -> None:
    for row in rows[at:]:
        row["loss"] *= 2.0


def _vanish(rows: list[Row], at: int, chance: random.Random) -> None:
    for row in rows[at : at + chance.choice((1, 3, 10_000))]:
        row["grad_norm"] *= 1e-6
        row["loss"] = rows[at]["loss"] * math.exp(chance.gauss(0, 0.001))


def _explode(rows: list[Row], at: int, chance: random.Random) -> None:
    for i, row in enumerate(rows[at:]):
        row["grad_norm"] *= 10 ** min(6.0, i / 20)
        row["loss"] *= 1.0 + min(1.0, i / 40)


def _stop(rows: list[Row], at: int, chance: random.Random) -> None:
    for row in rows[at:]:
        row["lr"] = 0.0
        row["loss"] = rows[at]["loss"] * math.exp(chance.gauss(0, 0.001))


def _jump(rows: list[Row], at: int, chance: random.Random) -> None:
    for row in rows[at:]:
        row["lr"] *= 10.0


def _empty(rows: list[Row], at: int, chance: random.Random) -> None:
    for row in rows[at :: chance.choice((30, 10_000))]:
        row["loss"] = row["grad_norm"] = 0.0


def _swing(rows: list[Row], at: int, chance: random.Random) -> None:
    for i, row in enumerate(rows[at:]):
        row["loss"] *= 1.3 if i % 2 else 0.8


def _overfit(rows: list[Row], at: int, chance: random.Random) -> None:
    for i, row in enumerate(rows[at:]):
        if "val_loss" in row:
            row["val_loss"] *= 1.0 + i / 50


def _slow(rows: list[Row], at: int, chance: random.Random) -> None:
    pace = rows[1]["time"] - rows[0]["time"]
    for i, row in enumerate(rows[at:]):
        row["time"] += i * pace * 2.0


def _leak(rows: list[Row], at: int, chance: random.Random) -> None:
    for i, row in enumerate(rows[at:]):
        row["memory_allocated_bytes"] += i * 5e7


FAULTS: dict[str, Fault] = {
    "nan": _nan,
    "spike": _spike,
    "shift": _shift,
    "vanish": _vanish,
    "explode": _explode,
    "stop": _stop,
    "jump": _jump,
    "empty": _empty,
    "swing": _swing,
    "overfit": _overfit,
    "slow": _slow,
    "leak": _leak,
}
"""What can go wrong from a row on."""
