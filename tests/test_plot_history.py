"""Histories as text."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtop.plot import ASCII, BRAILLE, history, outline
from gradtop.plot.history import ASCII_BARS, BARS, cell_span_s

NAN = math.nan


def test_a_value_per_second_has_a_cell_each_and_the_newest_is_at_the_right() -> None:
    times = [100.0 + i for i in range(7)]
    assert history(times, [i / 6 for i in range(7)], 10, 0.0, 1.0) == "   ▁▂▃▄▅▆▇"
    assert history(times, [i / 6 for i in range(7)], 10, 0.0, 1.0, ascii_only=True) == "   _.-=+*#"


def test_cells_stand_still_until_a_span_is_over() -> None:
    times = [float(i) for i in range(100, 160)]
    values = [float(i % 7) for i in range(60)]
    before = history(times, values, 12, 0.0, 7.0)
    assert history([*times, 160.0], [*values, 3.0], 12, 0.0, 7.0)[:-1] == before[:-1]


def test_nothing_known_is_a_hole_and_never_a_low_value() -> None:
    assert history([1.0, 2.0, 3.0, 4.0], [1.0, NAN, NAN, 0.0], 6, 0.0, 1.0) == "  ▇  ▁"
    assert history([1.0, 2.0, 40.0, 41.0], [1.0] * 4, 43, 0.0, 1.0) == f"  ▇▇{' ' * 37}▇▇"


def test_a_value_holds_until_the_next_one_where_samples_are_further_apart_than_cells() -> None:
    assert history([1.0, 2.9, 4.0, 9.0], [1.0, 0.0, 1.0, 0.0], 12, 0.0, 1.0) == "   ▇▁▁▇▇▇▇▇▁".rjust(12)
    assert history([1.0, 2.0, 5.0], [1.0, NAN, 1.0], 6, 0.0, 1.0) == " ▇   ▇"
    hourly = [3600.0 * i for i in range(5)]
    assert history(hourly, [1.0] * 5, 9, 0.0, 1.0) == "▇" * 9


def test_a_scale_without_extent_and_values_outside_of_it() -> None:
    assert history([1.0, 2.0], [5.0, 6.0], 3, 1.0, 1.0) == " ▁▁"
    assert history([1.0, 2.0], [-5.0, 600.0], 3, 0.0, 1.0) == " ▁▇"


def test_no_samples_and_no_room() -> None:
    assert history([], [], 4, 0.0, 1.0) == "    "
    assert history([1.0], [1.0], 0, 0.0, 1.0) == ""
    assert history([1.0], [1.0], 1, 0.0, 1.0) == "▇"


@pytest.mark.parametrize(
    ("seconds", "cells", "span"), [(0, 10, 1), (59, 12, 6), (600, 48, 15), (86400 * 9, 10, 86400), (1e7, 3, 5e6)]
)
def test_spans_are_round_and_long_enough(seconds: float, cells: int, span: float) -> None:
    assert cell_span_s(seconds, cells) == span


numbers = st.floats(0, 1e11)
values = st.one_of(st.just(NAN), st.floats(-1e300, 1e300))


def test_a_line_is_connected_and_broken_where_nothing_is_known() -> None:
    times = [float(i) for i in range(8)]
    values = [0.0, 7.0, 7.0, NAN, 0.0, 0.0, 3.0, 4.0]
    assert outline(times, values, 4, 2, 0.0, 8.0) == ["⢸⠁ ⢀", "⡸ ⣀⠇"]


@given(st.lists(st.tuples(numbers, values), max_size=40), st.integers(0, 60), st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_any_times_and_values_fill_exactly_the_cells(
    seen: list[tuple[float, float]], cells: int, low: float, extent: float
) -> None:
    times, found = [time for time, _ in seen], [value for _, value in seen]
    for ascii_only, bars in ((False, BARS), (True, ASCII_BARS)):
        drawn = history(times, found, cells, low, low + extent, ascii_only)
        assert len(drawn) == cells
        glyphs = ASCII if ascii_only else BRAILLE
        lines = outline(times, found, cells, 3, low, low + extent, glyphs)
        assert [len(line) for line in lines] == [cells] * 3
        assert set(drawn) <= set(bars) | {" "}
