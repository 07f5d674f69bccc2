"""How often steps are sampled."""

import math
from itertools import pairwise

from gradtop.logger.cadence import BYTES_PER_S, Cadence


def sampled(cadence: Cadence, steps: int, *, step_s: float, cost_s: float, line_bytes: int = 0) -> list[int]:
    """The steps that are sampled of so many."""
    found = []
    for count in range(1, steps + 1):
        due = cadence.due(count)
        cadence.ordinary(step_s)
        if due:
            found.append(count)
            cadence.cost(cost_s, line_bytes)
            cadence.follow(count, cadence.wanted())
    return found


def test_samples_cost_at_most_the_budget() -> None:
    found = sampled(Cadence(None, 0.01), 5000, step_s=0.01, cost_s=0.004)
    gaps = [b - a for a, b in pairwise(found)]
    assert gaps[-1] == 40
    assert len(found) * 0.004 <= 0.012 * 5000 * 0.01


def test_a_cheap_sample_is_taken_at_every_step() -> None:
    assert sampled(Cadence(None, 0.01), 50, step_s=1.0, cost_s=0.001)[-10:] == list(range(41, 51))


def test_the_gap_grows_by_doubling_so_that_one_slow_sample_does_not_silence_the_layers() -> None:
    cadence = Cadence(None, 0.01)
    gaps = []
    count = 1
    for _ in range(6):
        cadence.ordinary(0.001)
        cadence.cost(1.0, 0)
        cadence.follow(count, cadence.wanted())
        following = next(n for n in range(count + 1, count + 200) if cadence.due(n))
        gaps.append(following - count)
        count = following
    assert gaps == [2, 4, 8, 16, 32, 64]


def test_the_file_grows_slowly_however_cheap_a_sample_is() -> None:
    found = sampled(Cadence(None, 0.01), 400, step_s=0.1, cost_s=0.0, line_bytes=20_000)
    assert found[-1] - found[-2] == math.ceil(20_000 / (BYTES_PER_S * 0.1))


def test_a_given_distance_is_kept() -> None:
    assert sampled(Cadence(25, 0.01), 100, step_s=1.0, cost_s=9.0) == [1, 26, 51, 76]


def test_ranks_can_be_told_when_the_next_sample_is() -> None:
    cadence = Cadence(None, 0.01)
    cadence.follow(10, 7)
    assert next(n for n in range(11, 20) if cadence.due(n)) == 17
