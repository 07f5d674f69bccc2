"""How often steps are sampled."""

from itertools import pairwise

import pytest

from gradtop.logger.cadence import BYTES_PER_S, EARLY, LEAST, LOAN_S, OPENING, Cadence


def sampled(
    cadence: Cadence, steps: int, *, step_s: float, cost_s: float, line_bytes: int = 0, own_s: float = 0.0
) -> list[int]:
    """The steps that are sampled of so many."""
    found = []
    for count in range(1, steps + 1):
        if cadence.due(count):
            found.append(count)
            cadence.sampled(count)
            cadence.cost(cost_s, line_bytes)
        if count > 1:
            cadence.ordinary(step_s, own_s)
    return found


@pytest.mark.parametrize("step_s", [0.001, 0.01, 0.3, 10.0])
@pytest.mark.parametrize("cost_s", [1e-5, 0.002, 0.05, 1.0])
def test_behind_the_first_sample_all_samples_together_never_cost_more_than_the_budget(
    step_s: float, cost_s: float
) -> None:
    found = sampled(Cadence(None, 0.01), 8_000, step_s=step_s, cost_s=cost_s)
    assert found[0] == 1
    for number, step in enumerate(found[1:], start=1):
        lent = LOAN_S if step in EARLY else 0.0
        assert number * cost_s <= (0.01 * (step - 2) * step_s + lent) * 1.000001
    assert len(found) - 1 >= min(7_998, int(0.01 * 7_998 * step_s / cost_s) - 1)


def test_cheap_samples_come_early_once_and_are_paid_for_afterwards() -> None:
    budget, step_s = 2.0**-7, 2.0**-7
    assert sampled(Cadence(None, budget), 1300, step_s=step_s, cost_s=2 * budget) == [1, *EARLY, 770, 1026, 1282]
    assert sampled(Cadence(None, budget), 1300, step_s=step_s, cost_s=8 * budget) == [1, 1026]


def test_a_cheap_sample_is_taken_at_every_step() -> None:
    assert sampled(Cadence(None, 0.01), 50, step_s=1.0, cost_s=0.001) == [1, *range(3, 51)]


def test_the_dear_first_sample_says_nothing_of_those_that_follow() -> None:
    cadence = Cadence(None, 0.01)
    found = []
    for count in range(1, 3001):
        if cadence.due(count):
            found.append(count)
            cadence.sampled(count)
            cadence.cost(0.1 if count == 1 else 0.001, 0)
        if count > 1:
            cadence.ordinary(0.01)
    assert found[1] in (1002, 1003)
    assert {b - a for a, b in pairwise(found[-20:])} == {10}


def test_one_slow_sample_does_not_silence_the_layers() -> None:
    cadence = Cadence(None, 0.01)
    found = []
    for count in range(1, 3001):
        if cadence.due(count):
            found.append(count)
            cadence.sampled(count)
            cadence.cost(60.0 if len(found) == 10 else 0.001, 0)
        if count > 1:
            cadence.ordinary(0.01)
    assert max(b - a for a, b in pairwise(found)) < 100


def test_a_long_pause_is_not_saved_up() -> None:
    cadence = Cadence(None, 0.01)
    sampled(cadence, 1000, step_s=0.01, cost_s=0.001)
    cadence.ordinary(3600.0)
    assert len(sampled(cadence, 100, step_s=0.01, cost_s=0.001)) <= 13


def test_samples_get_what_ordinary_steps_leave_of_the_budget() -> None:
    left = len(sampled(Cadence(None, 0.01), 20_000, step_s=0.002, cost_s=0.001, own_s=1e-5))
    assert left == pytest.approx(0.5 * len(sampled(Cadence(None, 0.01), 20_000, step_s=0.002, cost_s=0.001)), rel=0.1)
    least = len(sampled(Cadence(None, 0.01), 20_000, step_s=0.0005, cost_s=0.001, own_s=1e-5))
    assert least == pytest.approx(LEAST * 0.01 * 20_000 * 0.0005 / 0.001, abs=2)


def test_the_file_grows_slowly_however_cheap_a_sample_is() -> None:
    found = sampled(Cadence(None, 0.01), 4000, step_s=0.1, cost_s=0.0, line_bytes=20_000)
    assert len(found) == pytest.approx(4000 * 0.1 * BYTES_PER_S / 20_000, abs=2)


def test_costs_that_are_known_late_are_paid_all_the_same() -> None:
    """As on a device: the first sample is taken, and no other before it has arrived."""
    cadence = Cadence(None, 0.01)
    found, arrives = [], 0
    for count in range(1, 2001):
        if cadence.due(count):
            found.append(count)
            cadence.sampled(count)
            arrives = count + 5
        if count == arrives:
            cadence.cost(0.001, 0)
        if count > 1:
            cadence.ordinary(0.01)
    assert found[1] > 5
    assert len(found) == pytest.approx(2000 * 0.01 * 0.01 / 0.001, rel=0.1)


def test_a_given_distance_is_kept() -> None:
    assert sampled(Cadence(25, 0.01), 100, step_s=1.0, cost_s=9.0) == [1, 26, 51, 76]


def test_ranks_can_be_told_when_the_next_sample_is() -> None:
    cadence = Cadence(None, 0.01)
    cadence.sampled(10, 7)
    assert next(n for n in range(11, 20) if cadence.due(n)) == 17


def test_the_gap_that_one_rank_tells_the_others_keeps_the_budget() -> None:
    cadence = Cadence(None, 0.01)
    steps, gap, began = 1, OPENING, 0
    for number in range(60):
        told, gap = gap, cadence.gap()  # each gap is that of the sample before
        cadence.sampled(steps, told)
        cadence.cost(0.004, 0)
        for _ in range(told):
            cadence.ordinary(0.01)
        steps += told
        if number == 19:
            began = steps
    assert steps - began >= 40 * 0.004 / (0.011 * 0.01)
