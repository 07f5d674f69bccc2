"""Healthy runs raise nothing above a notice: recorded ones, thinned ones, made-up ones."""

import math
import random
from pathlib import Path

import pytest
from synthetic import Row, falling, found, healthy, loud, rows_of

RUNS = healthy()


@pytest.mark.skipif(not RUNS, reason="the recorded healthy runs are not here")
@pytest.mark.parametrize("path", RUNS, ids=[path.name[:40] for path in RUNS])
def test_recorded_runs_are_quiet(path: Path) -> None:
    rows = rows_of(path)
    for thin in (1, 10, 50):
        assert not loud(found(rows[::thin])), f"every {thin}th row"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("noise", [0.002, 0.02, 0.1])
def test_noise_alone_is_quiet(seed: int, noise: float) -> None:
    assert not loud(found(falling(1200, seed, noise=noise)))


@pytest.mark.parametrize("seed", range(4))
def test_warmup_cosine_and_heavy_tails_are_quiet(seed: int) -> None:
    random_ = random.Random(seed)
    rows: list[Row] = []
    for i in range(1, 2001):
        grad = (1 + 14 * math.exp(-i / 150)) * math.exp(random_.gauss(0, 0.4)) * (8 if random_.random() < 0.01 else 1)
        lr = 3e-4 * (i / 200 if i < 200 else 0.5 + 0.5 * math.cos(math.pi * (i - 200) / 1800))
        loss = (3.2 + 7.6 * math.exp(-i / 180)) * math.exp(random_.gauss(0, 0.01))
        rows.append({"step": i, "loss": loss, "grad_norm": grad, "lr": lr})
    assert not loud(found(rows))
    assert not loud(found(rows[::10]))
