import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtop.detect.robust import Level, Trend, Window, median


def level_of(values: list[float], burn_in: int = 20) -> Level:
    level = Level(burn_in)
    for value in values:
        level.see(value)
    return level


def test_one_wild_value_moves_a_level_by_little() -> None:
    random_ = random.Random(0)
    values = [2.0 * math.exp(random_.gauss(0, 0.05)) for _ in range(300)]
    calm = level_of(values).level
    wild = level_of([*values, 1e6]).level
    assert calm == pytest.approx(2.0, rel=0.02)
    assert calm is not None
    assert wild is not None
    assert wild / calm < 1.01


def test_the_lag_behind_a_fall_is_no_deviation() -> None:
    random_ = random.Random(0)
    level = level_of([math.exp(-i / 300 + random_.gauss(0, 0.01)) for i in range(400)])
    assert level.spread == pytest.approx(0.01, rel=0.7)
    assert level.z is not None
    assert abs(level.z) < 5


def test_there_is_no_deviation_in_the_burn_in() -> None:
    level = level_of([1.0] * 19)
    assert (level.z, level.ready, level.level) == (None, False, 1.0)


def test_zeros_are_left_out() -> None:
    level = level_of([2.0, 0.0] * 30)
    assert level.n == 30
    assert level.level == pytest.approx(2.0)


def test_the_first_negative_value_makes_it_linear() -> None:
    level = level_of([1.0] * 40 + [-1.0] * 300)
    assert level.linear
    assert level.level == pytest.approx(-1.0)


@given(st.lists(st.booleans(), max_size=100), st.integers(1, 30))
def test_a_window_counts_its_last_observations(held: list[bool], n: int) -> None:
    window = Window(n)
    for one in held:
        window.push(one)
    assert window.count == sum(held[-n:])


def test_a_trend_is_a_straight_line_with_its_error() -> None:
    trend = Trend()
    for i in range(101):
        trend.see(5.0 + 0.01 * i + (0.001 if i % 2 else -0.001))
    mean, change, error = trend.fit()
    assert mean == pytest.approx(5.5, abs=1e-3)
    assert change == pytest.approx(1.0, abs=1e-3)
    assert 0 < error < 1e-3
    assert math.isnan(Trend().fit()[0])


def test_the_median() -> None:
    assert (median([3.0, 1.0, 2.0]), median([4.0, 1.0, 2.0, 3.0])) == (2.0, 2.5)


def test_the_median_of_the_largest_floats_is_finite() -> None:
    assert median([1.7e308, 1.5e308]) == pytest.approx(1.6e308)
    assert median([5e-324, 5e-324]) == 5e-324


def test_a_level_of_the_largest_floats_is_itself() -> None:
    level = level_of([1e308] * 40).level
    assert level == pytest.approx(1e308)


def test_a_stream_that_falls_through_zero_is_not_far_above_its_level() -> None:
    random_ = random.Random(2)
    level = Level(20)
    worst = 0.0
    for i in range(1500):
        level.see(1 - 3 * (1 - math.exp(-i / 500)) + random_.gauss(0, 0.02))
        worst = max(worst, level.z or 0.0)
    assert worst < 6
