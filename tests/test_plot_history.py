"""Histories as text. A cell is five seconds at least."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtop.plot import ASCII, BRAILLE, history, outline
from gradtop.plot.history import ASCII_BARS, BARS, cell_span_s

NAN = math.nan


def every(seconds: float, n: int) -> list[float]:
    """`n` times so far apart, the first in the middle of a cell."""
    return [100 + seconds * i for i in range(n)]


def drawn(values: Sequence[float], cells: int, high: float = 1.0, ascii_only: bool = False) -> str:
    """Values five seconds apart."""
    return history(every(5, len(values)), values, cells, 0.0, high, ascii_only)


def test_a_value_per_cell_and_the_newest_is_at_the_right() -> None:
    assert drawn([i / 6 for i in range(7)], 10) == "   ▁▂▃▄▅▆▇"
    assert drawn([i / 6 for i in range(7)], 10, ascii_only=True) == "   _.-=+*#"


def test_a_cell_is_the_mean_of_its_values() -> None:
    assert history(every(1, 10), [0.0, 1.0] * 5, 3, 0.0, 1.0) == " ▃▅"


def test_cells_stand_still_until_a_span_is_over() -> None:
    times, values = every(1, 60), [float(i % 7) for i in range(60)]
    before = history(times, values, 20, 0.0, 7.0)
    assert before.startswith(" " * 8 + "▃")
    for i in range(4):
        times, values = [*times, 160.0 + i], [*values, 7.0]
        after = history(times, values, 20, 0.0, 7.0)
        assert after[:-1] == before[1:]


def test_nothing_known_is_a_hole_and_never_a_low_value() -> None:
    assert drawn([1.0, NAN, NAN, 0.0], 6) == "  ▇  ▁"
    times = [*every(5, 2), *(400 + 5.0 * i for i in range(2))]
    assert history(times, [1.0] * 4, 63, 0.0, 1.0) == f" ▇▇{' ' * 58}▇▇"


def test_a_value_holds_until_the_next_one_where_samples_are_further_apart_than_cells() -> None:
    assert history([100.0, 109.0, 120.0, 130.0], [1.0, 0.0, 1.0, 0.0], 8, 0.0, 1.0) == " ▇▁▁▁▇▇▁"
    assert history([100.0, 105.0, 115.0], [1.0, NAN, 1.0], 5, 0.0, 1.0) == " ▇  ▇"
    assert history([3600.0 * i for i in range(5)], [1.0] * 5, 9, 0.0, 1.0) == "▇" * 9


def test_a_scale_without_extent_and_values_outside_of_it() -> None:
    assert history(every(5, 2), [5.0, 6.0], 3, 1.0, 1.0) == " ▁▁"
    assert drawn([-5.0, 600.0], 3) == " ▁▇"


def test_no_samples_and_no_room() -> None:
    assert drawn([], 4) == "    "
    assert drawn([1.0], 0) == ""
    assert drawn([1.0], 1) == "▇"


@pytest.mark.parametrize(
    ("seconds", "cells", "span"),
    [(0, 10, 5), (59, 12, 10), (600, 48, 15), (599, 122, 5), (86400 * 9, 10, 86400), (1e7, 3, 5e6)],
)
def test_spans_are_round_and_long_enough(seconds: float, cells: int, span: float) -> None:
    assert cell_span_s(seconds, cells) == span


def test_a_line_is_connected_and_broken_where_nothing_is_known() -> None:
    values = [0.0, 7.0, 7.0, NAN, 0.0, 0.0, 3.0, 4.0]
    assert outline(every(5, 8), values, 4, 2, 0.0, 8.0) == ["⢸⠁ ⢀", "⡸ ⣀⠇"]


numbers = st.floats(0, 1e11)
values = st.one_of(st.just(NAN), st.floats(-1e300, 1e300))


@given(st.lists(st.tuples(numbers, values), max_size=40), st.integers(0, 60), st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_any_times_and_values_fill_exactly_the_cells(
    seen: list[tuple[float, float]], cells: int, low: float, extent: float
) -> None:
    times, found = [time for time, _ in seen], [value for _, value in seen]
    for ascii_only, bars in ((False, BARS), (True, ASCII_BARS)):
        row = history(times, found, cells, low, low + extent, ascii_only)
        assert len(row) == cells
        assert set(row) <= set(bars) | {" "}
        glyphs = ASCII if ascii_only else BRAILLE
        lines = outline(times, found, cells, 3, low, low + extent, glyphs)
        assert [len(line) for line in lines] == [cells] * 3
