"""The smoothed line: an average over rows that no panel, zoom or order of arrival changes."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtop.series import Series, SeriesView
from gradtop.series.smooth import LEAST_ROWS, block_of, span_at

NAN = math.nan


def of(values: Sequence[float]) -> SeriesView:
    series = Series("loss")
    series.extend(range(len(values)), values)
    return series.view()


def value(series: SeriesView, step: float, *, log: bool = False) -> float:
    found = series.smooth_at(step, log=log)
    assert found is not None
    return found[0]


def noisy(n: int) -> list[float]:
    draw = random.Random(7)
    return [2 + math.exp(-i / 300) + draw.gauss(0, 0.1) for i in range(n)]


def plain(values: Sequence[float], log: bool = False) -> float:
    """The average row by row, as a textbook has it, with the span of each row."""
    total = weight = 0.0
    for row, one in enumerate(values):
        keep = 1 - 2 / (span_at(row) + 1)
        total = total * keep + (math.log10(one) if log else one) * (1 - keep)
        weight = weight * keep + 1 - keep
    return 10 ** (total / weight) if log else total / weight


def test_the_span_is_a_twenty_fifth_of_the_rows_so_far() -> None:
    rows = (0, 9, 10, 499, 500, 999, 1000, 2000, 4999, 5000, 10_000, 20_000, 50_000, 10**6)
    assert [span_at(row) for row in rows] == [5, 5, 5, 8, 20, 20, 40, 80, 80, 200, 400, 500, 500, 500]
    for row in range(3000):
        first, following = block_of(row)
        assert first <= row < following
        assert block_of(following)[0] == following


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("n", [50, 300, 1500, 4000])
def test_it_is_an_exponential_average_over_the_rows(n: int, log: bool) -> None:
    values = noisy(n)
    assert value(of(values), n - 1, log=log) == pytest.approx(plain(values, log), rel=0.003)


def test_a_long_span_is_averaged_in_groups_and_says_the_same() -> None:
    values = noisy(60_000)
    assert value(of(values), 59_999) == pytest.approx(plain(values), rel=0.003)


@pytest.mark.parametrize("cuts", [(1,) * 1300, (700, 600), (3, 997, 300)])
def test_it_does_not_matter_how_the_rows_arrived(cuts: tuple[int, ...]) -> None:
    values = noisy(1300)
    values[77] = values[500] = NAN
    series, at = Series("loss"), 0
    for n in cuts:
        series.extend(range(at, at + n), values[at : at + n])
        at += n
        series.view().smooth(40, 0, 1299)
    assert series.view().smooth(150, 0, 1299) == pytest.approx(of(values).smooth(150, 0, 1299), rel=1e-12)


@pytest.mark.parametrize("n", [60, 700, 5200])
def test_columns_made_row_by_row_are_those_made_at_once(n: int) -> None:
    values = noisy(n + 120)
    values[n + 30 : n + 60] = [NAN] * 30
    series = Series("loss")
    series.extend(range(n), values[:n])
    for i in range(n, n + 120):
        series.extend([i], [values[i]])
        grown = series.view().smooth(90, 0, n * 1.5)
    assert grown == pytest.approx(of(values).smooth(90, 0, n * 1.5), rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("n", [1300, 9000])
def test_a_value_once_smoothed_stays_and_is_the_same_at_every_width_and_zoom(n: int) -> None:
    values = noisy(n)
    whole, part = of(values), of(values[: n // 2])
    steps = range(LEAST_ROWS, n // 2 - 20, 97)
    assert [value(whole, step) for step in steps] == [value(part, step) for step in steps]
    for step in steps:
        (at,) = whole.smooth(1, step, step)
        assert at == pytest.approx(value(whole, step), rel=1e-12)
    wide = whole.smooth(n, 0, n - 1)
    assert whole.smooth(n // 2, 0, n // 2 - 1) == wide[: n // 2]


@pytest.mark.parametrize("log", [True, False])
def test_one_spike_does_not_lift_it_for_long(log: bool) -> None:
    values = [2.8 + 0.05 * math.sin(i * 1.7) for i in range(400)]
    values[200] = 1e6
    series = of(values)
    assert value(series, 200, log=log) > value(series, 199, log=log)
    assert value(series, 220, log=log) == pytest.approx(2.8, abs=0.1)


@pytest.mark.parametrize("value", [0.38, 7.0, 1e-5, -3.3e8])
def test_the_average_of_equal_values_is_that_value(value: float) -> None:
    assert len(set(of([value] * 700).smooth(200, 0, 699))) == 1


def test_one_dip_of_decades_does_not_take_it_along() -> None:
    values = [1.7 + 0.05 * math.sin(i * 1.7) for i in range(100)]
    values[14] = 3.7e-7
    series = of(values)
    assert min(value(series, i, log=True) for i in range(100)) > 0.7
    assert value(series, 30, log=True) == pytest.approx(1.7, abs=0.05)


def test_it_comes_to_a_new_level() -> None:
    series = of([1.0 + 0.01 * (i % 3) for i in range(200)] + [50.0] * 100)
    assert value(series, 199) == pytest.approx(1.01, abs=0.01)
    assert value(series, 299) == pytest.approx(50, rel=1e-3)


def test_what_is_not_finite_or_has_no_place_is_left_out() -> None:
    series = of([2.0] * 50 + [NAN, math.inf, -math.inf, -1.0] + [2.0] * 50)
    assert value(series, 53, log=True) == pytest.approx(2.0)
    assert value(series, 53) < 2.0
    found = series.smooth_at(53, part=True)
    assert found is not None
    assert found[0] == pytest.approx(2.0)


def test_a_resume_goes_on_from_where_its_first_step_stood() -> None:
    series = Series("loss")
    series.extend(range(100), [5.0] * 50 + [9.0] * 50)
    series.extend(range(50, 150), [5.0] * 100, session=1)
    view = series.view()
    assert {round(v, 9) for v in view.smooth(150, 0, 149)} == {5.0}
    assert view.smooth_at(60) == (5.0, 5)
    later = Series("loss")
    later.extend(range(100), [9.0] * 100)
    later.extend(range(100, 150), [5.0] * 50, session=1)
    assert 5 < value(later.view(), 101) < 9


def test_too_few_values_are_not_smoothed() -> None:
    few, nothing = of([1.0] * (LEAST_ROWS - 1) + [NAN] * 10), of([])
    assert (few.span, few.smooth(10, 0, 9), few.smooth_at(3)) == (None, [], None)
    assert (nothing.span, nothing.smooth(10, 0, 9), nothing.smooth_at(3)) == (None, [], None)
    assert of([1.0] * LEAST_ROWS).span == 5


@given(st.lists(st.floats(), min_size=LEAST_ROWS, max_size=120), st.booleans(), st.booleans())
def test_no_values_break_it(values: list[float], log: bool, part: bool) -> None:
    series = of(values)
    last = len(values) - 1
    smooth = series.smooth(30, 0, last, log=log, part=part)
    assert len(smooth) in (0, 30)
    finite = [v for v in values if math.isfinite(v)]
    for one in smooth:
        if finite and not math.isnan(one) and max(map(abs, finite)) < 1e150:
            assert min(finite) - 1e-9 * abs(min(finite)) <= one <= max(finite) + 1e-9 * abs(max(finite)) or log
