"""A series keeps every value, and no spike is lost on the way to a pixel column."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradtop.series
import gradtop.series.pyramid
from gradtop.series import Series, SeriesView
from gradtop.series.column import before


def view(steps: list[float], values: list[float], cut: int | None = None) -> SeriesView:
    series = Series("loss")
    for start, stop in ((0, cut), (cut, None)) if cut else ((0, None),):
        series.extend(steps[start:stop], values[start:stop])
    return series.view()


def test_stats_count_every_value_and_take_extremes_of_the_finite_ones() -> None:
    stats = view([1, 2, 3, 4, 5], [2.0, math.nan, math.inf, -math.inf, 1.0]).stats
    assert (stats.count, stats.first, stats.last, stats.low, stats.high) == (5, 2.0, 1.0, 1.0, 2.0)
    assert (stats.nan, stats.inf) == (1, 2)


def test_a_view_does_not_change_when_the_series_grows() -> None:
    series = Series("loss")
    series.extend([1, 2], [1.0, 2.0])
    early = series.view()
    for step in range(3, 2000):
        series.extend([step], [float(step)])
    assert early.values.tolist() == [1.0, 2.0]
    assert len(series.view()) == 1999


def test_a_view_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        view([1], [1.0]).values[0] = 2.0


@pytest.mark.parametrize("steps", [[1, 2**31 + 5], [1.5, 2.0], [0, 2**60], [1, 1e300]])
def test_steps_widen_to_what_they_need(steps: list[float]) -> None:
    assert view(steps, [1.0, 2.0], cut=1).steps.tolist() == steps


def test_one_spike_among_a_million_reaches_its_column() -> None:
    values = [1.0] * 100_000
    values[77_777] = 9.0
    envelope = view(list(range(100_000)), values).envelope(100)
    assert [k for k, high in enumerate(envelope.high) if high == 9.0] == [77]
    assert set(envelope.low) == {1.0}


def test_nan_and_inf_are_counted_where_they_happen() -> None:
    envelope = view([0, 1, 2, 3], [1.0, math.nan, math.inf, 4.0]).envelope(4)
    assert envelope.nan == [0, 1, 0, 0]
    assert envelope.inf == [0, 0, 1, 0]
    assert math.isnan(envelope.low[1])
    assert math.isnan(envelope.high[2])
    assert envelope.last[3] == 4.0


def test_a_zoomed_envelope_holds_only_its_steps() -> None:
    envelope = view(list(range(100)), [float(i) for i in range(100)]).envelope(10, 20, 39)
    assert envelope.rows == 20
    assert (min(envelope.low), max(envelope.high)) == (20.0, 39.0)


def test_a_single_step_is_a_picture_too() -> None:
    envelope = view([7], [3.0]).envelope(5)
    assert [x for x in envelope.high if not math.isnan(x)] == [3.0]


def test_an_empty_series_is_an_empty_picture() -> None:
    envelope = Series("loss").view().envelope(3)
    assert envelope.rows == 0
    assert all(math.isnan(x) for x in envelope.low)


def test_values_that_a_later_session_repeats_are_ghosts() -> None:
    series = Series("loss")
    series.extend([1, 2, 3, 4], [1.0, 2.0, 30.0, 40.0], session=0)
    series.extend([3, 4], [3.0, 4.0], session=1)
    envelope = series.view().envelope(4)
    assert max(x for x in envelope.high if not math.isnan(x)) == 4.0
    assert series.view().stats.high == 40.0
    assert series.view().at(3) == 3.0


def test_at_gives_the_newest_value_up_to_a_step() -> None:
    seen = view([10, 20, 30], [1.0, 2.0, 3.0])
    assert [seen.at(s) for s in (5, 10, 25, 99)] == [None, 1.0, 2.0, 3.0]
    assert seen.nearest_step(24) == 20
    assert seen.nearest_step(26) == 30


def test_values_near_the_largest_float_are_drawn_without_a_mean() -> None:
    envelope = view([0, 1], [1.7e308, 1.7e308]).envelope(1)
    assert envelope.high == [1.7e308]
    assert math.isnan(envelope.mean[0])


values_lists = st.lists(
    st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf]), min_size=1, max_size=200
)


@given(values_lists, st.integers(1, 50), st.data())
def test_columns_hold_every_value_once(values: list[float], columns: int, data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.integers(1, 9), min_size=len(values), max_size=len(values)))
    steps = [float(sum(gaps[: i + 1])) for i in range(len(gaps))]
    envelope = view(steps, values).envelope(columns)
    finite = [v for v in values if math.isfinite(v)]
    assert envelope.rows == len(values)
    assert sum(envelope.nan) == sum(math.isnan(v) for v in values)
    assert sum(envelope.inf) == sum(math.isinf(v) for v in values)
    assert max((x for x in envelope.high if not math.isnan(x)), default=None) == max(finite, default=None)
    assert min((x for x in envelope.low if not math.isnan(x)), default=None) == min(finite, default=None)


@given(values_lists, st.integers(1, 60), st.integers(0, 199))
def test_how_values_arrive_makes_no_difference(values: list[float], columns: int, cut: int) -> None:
    values = [value + 0.0 for value in values]  # which of two zeros is the lower one is nobody's business
    steps = [float(i) for i in range(len(values))]
    whole, parts = view(steps, values), view(steps, values, cut=min(cut, len(values) - 1))
    assert repr(whole.stats) == repr(parts.stats)
    assert repr(whole.envelope(columns)) == repr(parts.envelope(columns))


def plain(seen: SeriesView, edges: list[float], first: float, last: float) -> dict[str, list[float]]:
    """What an envelope should hold, value by value."""
    columns: list[list[float]] = [[] for _ in edges]
    for segment in seen.segments:
        for i in range(segment.start, segment.stop):
            step = float(seen.steps[i])
            if first <= step <= last and step < segment.ghost_from:
                columns[max(k for k, edge in enumerate(edges) if edge <= step)].append(float(seen.values[i]))
    finite = [[v for v in column if math.isfinite(v)] for column in columns]
    return {
        "low": [min(column, default=math.nan) for column in finite],
        "high": [max(column, default=math.nan) for column in finite],
        "last": [column[-1] if column else math.nan for column in finite],
        "mean": [math.fsum(column) / len(column) if column else math.nan for column in finite],
        "nan": [sum(map(math.isnan, column)) for column in columns],
        "inf": [sum(map(math.isinf, column)) for column in columns],
    }


@st.composite
def sessions(draw: st.DrawFn) -> Series:
    """A series of some sessions, in blocks, where later sessions may repeat steps of earlier ones."""
    series, step, session = Series("x"), 0, 0
    odd = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 5e-324, 1e30])
    value = st.integers(-99, 99).map(float) | odd if draw(st.booleans()) else st.integers(-99, 99).map(float)
    whole = draw(st.booleans())
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            session, step = session + 1, max(0, step - draw(st.integers(0, 300)))
        values = draw(st.lists(value, min_size=1, max_size=40)) * draw(st.integers(1, 9))
        every = draw(st.integers(1, 4))
        steps = [step + every * i for i in range(1, len(values) + 1)]
        series.extend(steps if whole else [s + 0.25 for s in steps], values, session)
        step = steps[-1]
        if draw(st.booleans()):
            series.view()
    return series


@given(sessions(), st.integers(1, 30), st.data())
def test_columns_from_the_pyramid_are_those_of_the_values(series: Series, columns: int, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradtop.series, "_TALL", 20)
        patch.setattr(gradtop.series.pyramid, "_MANY", 2)
        seen = grown_with_a_pyramid(series.view())
        first = float(data.draw(st.integers(-20, 400)))
        last = first + data.draw(st.integers(0, 900))
        edges = [first + (last - first) * k / columns for k in range(columns)]
        given_edges = data.draw(st.booleans())
        if given_edges:
            edges = sorted([first, *(first + data.draw(st.floats(0, last - first)) for _ in range(columns - 1))])
        found = seen.envelope(columns, first, last, edges if given_edges else None)
    expected = plain(seen, edges, first, last)
    for name in ("low", "high", "last", "nan", "inf"):
        assert repr(getattr(found, name)) == repr(expected[name]), name
    for mean, exact, low, high in zip(found.mean, expected["mean"], found.low, found.high, strict=True):
        # Sums in another order round in another way.
        assert mean == pytest.approx(exact, rel=0, abs=1e-9 * max(-low, high, 1e-300), nan_ok=True)


def grown_with_a_pyramid(seen: SeriesView) -> SeriesView:
    """The same values, appended in blocks of several sizes."""
    series = Series("x")
    for segment in seen.segments:
        at = segment.start
        for size in itertools.cycle((1, 7, 300, 64)):
            stop = min(segment.stop, at + size)
            series.extend(seen.steps[at:stop].tolist(), seen.values[at:stop].tolist(), segment.session)
            series.view()
            at = stop
            if at == segment.stop:
                break
    return series.view()


def test_a_long_series_has_a_pyramid_that_takes_an_eighth_more_memory() -> None:
    series = Series("x")
    series.extend(range(200_000), [1.0] * 200_000)
    levels = series.view().levels
    assert [len(level) for level in levels] == [12500, 781, 48, 3]
    held = sum(array.nbytes for level in levels for array in (level.low, level.high, level.total))
    assert held < 0.134 * (200_000 * 12)


def test_a_view_keeps_its_pyramid_when_nan_comes_later() -> None:
    series = Series("x")
    series.extend(range(20_000), [1.0] * 20_000)
    early = series.view()
    series.extend(range(20_000, 60_000), [math.nan] * 40_000)
    assert early.envelope(5).nan == [0] * 5
    assert sum(early.envelope(5).mean) == 5.0
    late = series.view().envelope(6)
    assert late.nan == [0, 0, 10_000, 10_000, 10_000, 10_000]
    assert late.last[:2] == [1.0, 1.0]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 1.0, 1.0, 2.0, 0.5, 40.0]),
            st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf])),
            st.sampled_from([1, 1, 2, 300]),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([(1, None), (7, 60.0), (340, 4000.0), (40, 3.0)]),
)
def test_columns_of_a_series_that_grew_are_those_of_one_that_was_there(
    rows: list[tuple[float, float, int]], asked: tuple[int, float | None]
) -> None:
    series, steps, values = Series("loss"), list[float](), list[float]()
    for on, value, times in rows:
        fresh = [(steps[-1] if steps else 0.0) + on] * times
        steps, values = steps + fresh, values + [value] * times
        series.extend(fresh, [value] * times)
        grown = series.view().envelope(asked[0], 0.0, asked[1])
        whole = view(steps, values).envelope(asked[0], 0.0, asked[1])
        for name in ("low", "high", "last", "nan", "inf"):
            assert getattr(grown, name) == pytest.approx(getattr(whole, name), nan_ok=True, rel=0, abs=0)
        assert grown.mean == pytest.approx(whole.mean, nan_ok=True)
        assert (grown.rows, grown.first_step, grown.last_step) == (whole.rows, whole.first_step, whole.last_step)


def test_columns_of_a_resumed_series_leave_out_what_was_repeated_after_it_grew() -> None:
    series = Series("loss")
    series.extend([0, 1, 2, 3], [1.0, 2.0, 3.0, 9.0])
    assert series.view().envelope(4, 0.0, 4.0).high == [1.0, 2.0, 3.0, 9.0]
    series.extend([2], [5.0], session=1)
    assert series.view().envelope(4, 0.0, 4.0).high == pytest.approx([1.0, 2.0, 5.0, math.nan], nan_ok=True)


@pytest.mark.parametrize(
    "steps", [range(0, 700_000, 7), [*range(99_999), 10**8], [0] * 70_000, [0.5 * i for i in range(70_000)]]
)
def test_places_among_many_steps_are_those_of_a_search(steps: Sequence[float]) -> None:
    held = np.asarray(steps)
    edges = [-5.0, 0.0, 6.99, 7.0, 7.01, *(held[-1] * k / 997 for k in range(998)), float(held[-1]) + 1]
    assert before(held, edges).tolist() == np.searchsorted(held, edges).tolist()
