import math

import pytest

from gradtop.detect.schedule import Schedule
from gradtop.record import RunFacts, Train


def after(rates: list[float], facts: RunFacts | None = None) -> Schedule:
    schedule = Schedule()
    schedule.declare(facts or RunFacts(), counts_steps=True)
    for step, rate in enumerate(rates, 1):
        schedule.see(rate, step)
        if step > 1:
            schedule.advance(1)
    return schedule


RAMP = [1e-6 * i for i in range(1, 101)]


def test_a_ramp_is_a_warmup_as_long_as_it_goes_on() -> None:
    schedule = after(RAMP)
    assert schedule.in_warmup(100)
    assert schedule.warmup == "at least 99 steps"
    assert schedule.warmup_end is None
    assert schedule.effective < 0.1


def test_it_ends_where_the_rate_stops_rising() -> None:
    schedule = after(RAMP + [RAMP[-1]] * 50)
    assert not schedule.in_warmup(150)
    assert (schedule.warmup, schedule.warmup_end) == ("99 steps", 100)
    assert schedule.was_warmup(14)
    assert not schedule.was_warmup(101)
    assert schedule.effective == pytest.approx(50, abs=5)


def test_a_few_rises_are_no_warmup() -> None:
    assert not after(RAMP[:9]).in_warmup(9)


def test_a_declared_warmup_wins() -> None:
    schedule = after([1e-4] * 20, RunFacts(train=Train(warmup_steps=4000, lr_max=3e-4)))
    assert schedule.in_warmup(20)
    assert schedule.warmup == "4,000 steps"
    assert schedule.effective == pytest.approx(19 / 3)
    assert not after(RAMP, RunFacts(train=Train(warmup_steps=0))).in_warmup(50)


def test_without_a_rate_every_step_counts() -> None:
    schedule = Schedule()
    schedule.advance(500)
    assert schedule.effective == 500


def test_a_rate_of_zero_teaches_nothing() -> None:
    assert after([0.0] * 50).effective == 0.0


def test_a_resume_is_neither_a_rise_nor_the_end_of_the_ramp() -> None:
    schedule = after(RAMP)
    schedule.resume()
    schedule.see(5e-5, 50)
    schedule.see(5.1e-5, 51)
    assert schedule.in_warmup(51)


def cycles(rates: list[float]) -> int:
    schedule = Schedule()
    return sum(schedule.see(rate, step) for step, rate in enumerate(rates))


DECAY = [1e-3 * (1 - i / 110) for i in range(100)]


def test_a_return_to_the_peak_after_a_decay_begins_a_cycle() -> None:
    assert cycles(DECAY * 3) == 2


def test_a_ramp_a_decay_a_jump_above_the_peak_and_a_resume_begin_none() -> None:
    assert cycles(RAMP + [RAMP[-1]] * 30) == 0
    assert cycles(DECAY) == 0
    assert cycles([*DECAY, 2e-3, 2e-3]) == 0
    schedule = after(DECAY)
    schedule.resume()
    assert not schedule.see(1e-3, 101)
    assert schedule.see(0.9e-4, 102) is False
    assert schedule.see(0.9e-3, 103)


def test_a_rate_that_creeps_above_its_peak_is_no_cycle() -> None:
    schedule = Schedule()
    rates = [1e-3] * 50 + [1e-3 * 1.015**i for i in range(600)]
    assert sum(schedule.see(lr, float(i)) for i, lr in enumerate(rates)) == 0


def test_a_return_to_the_peak_after_a_decay_is_a_cycle() -> None:
    schedule = Schedule()
    rates = [0.1 * (1 + math.cos(math.pi * (i % 100) / 100)) for i in range(400)]
    assert [i for i, lr in enumerate(rates) if schedule.see(lr, float(i))] == [100, 200, 300]
