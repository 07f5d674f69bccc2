"""Charts by time and epoch: steps to places and back, labels, and nothing that folds back or gets lost."""

import math
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtop.plot.axis import placed, step_labels
from gradtop.record import Record, Restart, Rows
from gradtop.run import Run
from gradtop.series import Series
from gradtop.series.rising import Rising
from gradtop.snapshot import RunSnapshot, RunState
from gradtop.view import EPOCH, STEP, TIME, Other, across, charts, offered, overlaid, reading
from gradtop.view.across import Across
from test_view import run_of

T0 = 1_700_000_000.0


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def rising(steps: Sequence[float], values: Sequence[float]) -> Rising:
    series = Series("time")
    series.extend(steps, values)
    return Rising(series.view())


def run(*records: Record, state: RunState = RunState.FINISHED) -> RunSnapshot:
    store = Run()
    for record in records:
        list(store.apply(record))
    return run_of(store.view(), state=state)


def rows(steps: range, **columns: list[float]) -> Rows:
    return Rows(steps=steps, columns={"loss": [1.0] * len(steps)} | columns)


def timed(state: RunState = RunState.FINISHED) -> RunSnapshot:
    """100 rows a minute apart, a pause of ten hours, and 100 more."""
    times = [T0 + 60 * i + (36_000 if i >= 100 else 0) for i in range(200)]
    return run(rows(range(1, 201), time=times), state=state)


def axis(run: RunSnapshot, kind: str) -> Across:
    found = across(run, kind)
    assert found is not None
    return found


def beside(shown: RunSnapshot, kind: str, *others: RunSnapshot) -> Across:
    found = across(shown, kind, None, [Other(run.name, f"trace {n}", "a", "", run) for n, run in enumerate(others, 1)])
    assert found is not None
    return found


def test_another_run_goes_by_its_own_time_since_its_start() -> None:
    mine = run(rows(range(101), time=[T0 + 10.0 * i for i in range(101)]))
    faster = run(rows(range(401), time=[T0 + 86_400 + 5.0 * i for i in range(401)]))
    counted = run(rows(range(51), time_s=[20.0 * i for i in range(51)]))
    found = beside(mine, TIME, faster, counted, run(rows(range(9))))
    assert [found.step_beside(ink, 50) for ink in ("trace 1", "trace 2")] == pytest.approx([100, 25])
    assert found.missing == {"trace 3"}
    # Room for the longest of them: 2,000 seconds are 200 steps of the open run, 400 and 100 of the others.
    assert [found.first_step, found.last_step] == pytest.approx([0, 200])
    assert found.edges_beside("trace 1", 0, 200, 4) == pytest.approx([0, 100, 200, 300, 400])
    assert found.edges_beside("trace 2", 0, 200, 4) == pytest.approx([0, 25, 50, 75, 100])
    # The time of day would be that of one run: the axis counts from the start.
    assert [text for _, text in found.labels(0, 200, 40)] == ["0s", "15m", "33m20s"]
    assert next(text for _, text in axis(mine, TIME).labels(0, 100, 40)) == "22:13"


def test_another_run_goes_by_its_own_epochs() -> None:
    mine = run(rows(range(101), epoch=[1 + i / 50 for i in range(101)]))
    larger = run(rows(range(81), epoch=[i / 10 for i in range(81)]))
    found = beside(mine, EPOCH, larger)
    assert found.step_beside("trace 1", 50) == pytest.approx(20)
    assert [found.first_step, found.last_step] == pytest.approx([-50, 350])
    assert [text for _, text in found.labels(found.first_step, found.last_step, 40)] == ["0", "5", "8"]


def test_a_chart_reads_out_another_run_at_the_same_time() -> None:
    mine = run(Rows(range(5), {"loss": [9.0] * 5, "time_s": [10.0 * i for i in range(5)]}))
    other = run(Rows(range(41), {"loss": [float(i) for i in range(41)], "time_s": [float(i) for i in range(41)]}))
    found = beside(mine, TIME, other)
    (chart,) = overlaid(charts(mine, 1), mine, [Other("b", "trace 1", "a", "", other)])
    assert reading(chart, 3, None, found.step_beside).others == ("30",)
    assert reading(chart, 3, None).others == ("3",)


def test_a_row_lies_at_its_value_and_steps_between_rows_in_between() -> None:
    places = rising([10, 20, 40], [0.0, 1.0, 5.0])
    assert places.places([10, 15, 20, 30, 40]) == [0.0, 0.5, 1.0, 3.0, 5.0]
    assert places.steps([0.0, 0.5, 1.0, 3.0, 5.0]) == [10, 15, 20, 30, 40]


def test_rows_of_one_epoch_lie_evenly_in_it_and_the_last_one_goes_on_as_the_others() -> None:
    places = rising(range(6), [0, 0, 1, 1, 2, 2])
    assert places.places(range(6)) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.4]
    assert places.steps([2.4, 3.2]) == pytest.approx([5, 7])


def test_what_goes_up_and_down_is_no_axis() -> None:
    assert not rising(range(100), [float(i % 10) for i in range(100)]).usable
    assert not rising(range(5), [1.0] * 5).usable
    assert not rising([1], [1.0]).usable
    assert not rising([], []).usable
    assert rising(range(100), [float(i) if i != 50 else 3.0 for i in range(100)]).usable


def test_values_that_are_not_finite_are_no_places() -> None:
    places = rising(range(5), [0.0, math.nan, 2.0, math.inf, 4.0])
    assert places.places([1, 3]) == [1.0, 3.0]


def test_a_resume_with_a_clock_of_before_goes_on_from_where_the_run_was() -> None:
    series = Series("time")
    series.extend(range(10), [1000.0 + i for i in range(10)], 0)
    series.extend(range(8, 12), [5.0 + i for i in range(4)], 1)
    places = Rising(series.view())
    assert places.usable
    assert places.places([7, 8, 11]) == [1007.0, 1007.5, 1010.0]


@given(st.lists(st.integers(1, 9), min_size=2, max_size=60), st.data())
def test_places_rise_with_steps_and_lead_back(gaps: list[int], data: st.DataObject) -> None:
    steps = [float(sum(gaps[:i])) for i in range(len(gaps))]
    jumps = data.draw(st.lists(st.floats(0, 1e4), min_size=len(gaps), max_size=len(gaps)))
    values = [T0 + sum(jumps[: i + 1]) for i in range(len(gaps))]
    places = rising(steps, values)
    if not places.usable:
        return
    asked = sorted(data.draw(st.lists(st.floats(-50, steps[-1] + 50), min_size=1, max_size=20)))
    found = places.places(asked)
    assert found == sorted(found)
    # A millionth of a second is what a float can tell of a Unix time.
    again = places.places(places.steps(found))
    assert again == pytest.approx(found, rel=0, abs=2e-6)


def test_every_row_is_in_one_column_by_time_too() -> None:
    shown = timed()
    by_time = axis(shown, TIME)
    loss = shown.view.series["loss"]
    for columns in (1, 7, 120):
        edges = by_time.edges(1, 200, columns)
        envelope = loss.envelope(columns, 1, 200, edges)
        assert envelope.rows == 200
        assert len(envelope.edges) == columns
    filled = [k for k, low in enumerate(envelope.low) if low == low]
    # 100 minutes, ten hours of nothing, 100 minutes.
    assert (filled[0], filled[-1], len(filled)) == (0, 119, 30)
    assert max(b - a for a, b in pairwise(filled)) == 91


def test_nan_by_time_is_counted_where_it_is() -> None:
    shown = run(rows(range(4), time=[T0, T0 + 1, T0 + 2, T0 + 9], loss=[1.0, math.nan, math.inf, 2.0]))
    envelope = shown.view.series["loss"].envelope(10, 0, 3, axis(shown, TIME).edges(0, 3, 10))
    assert (envelope.nan.index(1), envelope.inf.index(1), sum(envelope.nan), sum(envelope.inf)) == (1, 2, 1, 1)


def test_a_run_offers_what_it_tells_of() -> None:
    assert offered(timed()) == (STEP, TIME)
    assert offered(run(rows(range(3)))) == (STEP,)
    assert offered(run(rows(range(3), epoch=[0.1, 0.2, 0.3]))) == (STEP, EPOCH)
    assert offered(None) == (STEP,)


def test_elapsed_seconds_are_a_time_and_a_step_time_is_none() -> None:
    assert across(run(rows(range(3), elapsed_time=[1.0, 2.0, 3.0])), TIME) is not None
    assert across(run(rows(range(40), elapsed_time=[float(i % 4) for i in range(40)])), TIME) is None


def labels(found: Across, first: float, last: float, width: int) -> str:
    line = [" "] * width
    for at, text in found.labels(first, last, width):
        assert line[at : at + len(text)] == [" "] * len(text)
        line[at : at + len(text)] = text
    return "".join(line)


def test_times_of_day_stand_at_round_times() -> None:
    found = axis(timed(), TIME)
    assert labels(found, 1, 100, 60) == "22:13   22:30             23:00             23:30      23:52"


def test_days_and_seconds_have_labels_of_their_own() -> None:
    days = axis(run(rows(range(10), time=[T0 + 40_000 * i for i in range(10)])), TIME)
    assert "Nov 16" in labels(days, 0, 9, 80)
    seconds = axis(run(rows(range(10), time=[T0 + i for i in range(10)])), TIME)
    assert labels(seconds, 0, 9, 50).startswith("22:13:20")


def test_seconds_since_a_start_are_spans() -> None:
    found = axis(run(rows(range(10), elapsed_time=[100.0 * i for i in range(10)])), TIME)
    assert labels(found, 0, 9, 50) == "0s             5m               10m            15m"


def test_epochs_are_numbers() -> None:
    found = axis(run(rows(range(9), epoch=[i / 4 for i in range(9)])), EPOCH)
    assert labels(found, 0, 8, 40).split() == ["0", "1", "2"]


def test_a_live_run_has_room_to_grow_and_the_charts_know_their_axis() -> None:
    live, over = axis(timed(RunState.LIVE), TIME), axis(timed(), TIME)
    assert live.last_step > 200 == over.last_step
    assert charts(timed(), 1)[0].apart is False


def test_a_window_zooms_and_moves_by_time() -> None:
    found = axis(timed(), TIME)
    first, last = found.zoomed((1, 200), 200, 4)
    # A quarter of the twelve hours or so is the time after the pause and a part of the pause.
    assert [first, last] == pytest.approx([100.83, 200], abs=0.01)
    assert found.moved((first, last), -1)[1] == pytest.approx(first)
    assert found.step_at((1, 200), 0.5) == pytest.approx(100.5, abs=0.5)


@pytest.mark.parametrize("width", [0, 1, 5, 9, 30])
def test_labels_never_leave_their_width(width: int) -> None:
    for found in (placed(0, 9, width, ((4, "four"), (5, "five")), "start", "end"), step_labels(-1e300, 1e300, width)):
        assert all(at >= 0 and at + len(text) <= width for at, text in found)


def test_a_resume_in_the_stream_does_not_fold_the_axis_back() -> None:
    before = rows(range(100), time=[T0 + i for i in range(100)])
    after = rows(range(60, 160), time=[T0 + 5000 + i for i in range(100)])
    shown = run(before, Restart(reason="resumed"), after)
    found = axis(shown, TIME)
    assert found.places.places([59, 60, 159]) == [T0 + 59, T0 + 5000, T0 + 5099]
    assert shown.view.series["loss"].envelope(50, 0, 159, found.edges(0, 159, 50)).rows == 160


odd = st.floats() | st.sampled_from([0.0, 1e300, -1e300, 1.7e308, -1.7e308, 5e-324, 1.7e9, 2.6e11, -5.0])


@given(st.lists(odd, min_size=1, max_size=12), st.sampled_from([TIME, EPOCH]), st.integers(0, 80), st.booleans())
def test_no_time_breaks_an_axis(values: list[float], kind: str, width: int, growing: bool) -> None:
    shown = run(rows(range(len(values)), **{kind: values}), state=RunState.LIVE if growing else RunState.FINISHED)
    found = across(shown, kind)
    if found is None:
        return
    last = found.last_step
    assert math.isfinite(last)
    for at, text in found.labels(0, last, width):
        assert 0 <= at <= at + len(text) <= width
    envelope = shown.view.series["loss"].envelope(20, 0, last, found.edges(0, last, 20))
    assert envelope.rows == len(values)
    assert all(math.isfinite(edge) for edge in envelope.edges)
    first, end = found.zoomed((0, last), last / 2, 4)
    assert first <= end
