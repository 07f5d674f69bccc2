"""A grid keeps every extreme, NaN and zero of every layer, in bounded memory, whatever way rows arrive."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradtop.grid.store as store
from gradtop.grid import Grid, GridView, split
from gradtop.plot.shade import BLANK, HEAT, MISSING, NONFINITE, ZERO, Shades
from gradtop.record import Restart, Rows
from gradtop.run import Run
from gradtop.series import Series

SCALE = Shades(-4.0, 4.0)


def grid_of(*rows: tuple[float, Sequence[float]], layers: Sequence[str] = ("a", "b")) -> Grid:
    grid = Grid("grad_norm")
    put(grid, rows, layers)
    return grid


def put(grid: Grid, rows: Sequence[tuple[float, Sequence[float]]], layers: Sequence[str], session: int = 0) -> None:
    places, _ = grid.places(layers)
    values = np.array([row for _, row in rows], dtype=np.float64)
    grid.extend([step for step, _ in rows], values, np.array(places), session)


def kinds(view: GridView, columns: int, layer: int = 0) -> str:
    """`#` a shade, the others by their names."""
    assert view.first_step is not None
    assert view.last_step is not None
    (line,) = view.codes([[layer]], columns, view.first_step, view.last_step, SCALE)
    signs = {MISSING: "m", ZERO: "0", NONFINITE: "X", BLANK: " "}
    return "".join(signs.get(code, "#") for code in line)


def test_small_missing_zero_and_not_finite_are_four_things() -> None:
    grid = grid_of((1, [1e-30, 1]), (2, [0.0, 1]), (3, [math.nan, 1]), (4, [math.inf, 1]))
    put(grid, [(5, [1.0])], ["b"])
    assert kinds(grid.view(), 5) == "#0XXm"
    assert grid.view().codes([[0]], 5, 1, 5, SCALE)[0][0] == 0


def test_a_cell_shows_its_greatest_value_and_no_nan_is_lost_in_it() -> None:
    rows: list[tuple[float, Sequence[float]]] = [(step, [0.01, 0.01]) for step in range(1000)]
    rows[500] = (500, [100.0, math.nan])
    view = grid_of(*rows).view()
    spike, lost = view.codes([[0], [1]], 10, 0, 999, SCALE)
    assert [code > HEAT // 2 for code in spike] == [k == 5 for k in range(10)]
    assert [code == NONFINITE for code in lost] == [k == 5 for k in range(10)]
    cell = view.cell([1], 10, 5, 0, 999, SCALE)
    assert cell is not None
    assert (cell.rows, cell.first_step, cell.last_step, cell.nan, cell.zeros) == (100, 500, 599, True, False)


def test_a_dip_of_one_row_is_shown_where_it_is_farther_than_the_greatest_value() -> None:
    rows: list[tuple[float, Sequence[float]]] = [(step, [0.1, 0.1]) for step in range(1000)]
    rows[500] = (500, [1e-4, 0.02])
    deep, shallow = grid_of(*rows).view().codes([[0], [1]], 10, 0, 999, SCALE)
    usual = deep[0]
    assert [code < usual for code in deep] == [k == 5 for k in range(10)]
    assert deep[5] == 0
    assert set(shallow) == {usual}
    assert grid_of(*rows[:499]).view().layer(0).envelope(1).mean == pytest.approx([0.1])
    mixed = grid_of(*((step, [10.0 ** (-step), 1.0]) for step in range(3))).view().layer(0).envelope(1)
    assert mixed.mean == pytest.approx([0.1])


def test_buckets_are_merged_and_keep_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_BUCKETS", 8)
    grid = Grid("grad_norm")
    grid._most = 8
    for step in range(1, 101):
        put(grid, [(step, [float(step), 0.0 if step == 50 else math.nan if step == 77 else 1.0])], ["a", "b"])
    view = grid.view()
    assert len(view.first) <= 9
    assert view.rows.sum() == 100
    assert (view.first[0], view.last[-1]) == (1, 100)
    assert [bool(n) for n in view.layer(1).envelope(2).nan] == [False, True]
    envelope = view.layer(0).envelope(1)
    assert (envelope.low, envelope.high) == ([1.0], [100.0])
    cell = view.cell([1], 1, 0, 1, 100, SCALE)
    assert cell is not None
    assert (cell.rows, cell.zeros, cell.nan) == (100, True, True)


def test_a_view_stays_what_it_is_while_the_grid_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_BUCKETS", 16)
    grid = Grid("grad_norm")
    grid._most = 16
    seen: list[tuple[GridView, str]] = []
    for step in range(1, 60):
        put(grid, [(step, [float(step), 1.0])], ["a", "b"])
        seen.append((grid.view(), said(grid.view())))
    put(grid, [(20, [9.0, 9.0, 9.0])], ["a", "b", "c"], session=1)
    assert all(said(view) == before for view, before in seen)


def said(view: GridView) -> str:
    last = view.last_step or 0.0
    return repr((view.first.tolist(), view.codes([[0], [1]], 7, 1, last, SCALE), view.newest, view.tally.last.tolist()))


def test_steps_that_a_later_session_repeats_are_left_out_but_counted() -> None:
    grid = grid_of(*((step, [1.0, math.nan]) for step in range(1, 11)))
    put(grid, [(6, [2.0, 2.0]), (7, [2.0, 2.0])], ["a", "b"], session=1)
    view = grid.view()
    assert view.first.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert kinds(view, 7, 1) == "XXXXX##"
    assert (view.stats(1).count, view.stats(1).nan) == (12, 10)
    assert view.row_count == 7


def test_two_rows_of_one_step_are_one_row() -> None:
    grid = Grid("grad_norm")
    for step in (1, 2):
        put(grid, [(step, [1.0])], ["a"])
        put(grid, [(step, [2.0])], ["b"])
    view = grid.view()
    assert view.rows.tolist() == [1, 1]
    assert view.newest.values.tolist() == [1.0, 2.0]
    assert (kinds(view, 2), kinds(view, 2, 1)) == ("##", "##")


def test_a_layer_that_turns_up_late_was_missing_before() -> None:
    grid = grid_of((1, [1.0, 1.0]), (2, [1.0, 1.0]))
    put(grid, [(3, [1.0, 1.0, 5.0])], ["a", "b", "c"])
    assert kinds(grid.view(), 3, 2) == "mm#"
    assert grid.view().tally.first_step.tolist() == [1, 1, 3]


def test_where_rows_are_missing_nothing_is_shown() -> None:
    grid = grid_of(*((step, [1.0, 1.0]) for step in (*range(0, 50, 10), *range(200, 250, 10))))
    assert kinds(grid.view(), 24) == "#####" + " " * 15 + "####"


@pytest.mark.parametrize("value", [1e300, 1e-300, -1e300, 5e-324, 1.7976931348623157e308])
def test_values_beyond_single_precision_are_kept(value: float) -> None:
    grid = grid_of(*((step, [1.0, value if step == 3 else 1.0]) for step in range(1, 10)))
    envelope = grid.view().layer(1).envelope(9)
    assert envelope.low[2] == envelope.high[2] == value


def test_zero_since_is_the_first_step_of_zeros_without_a_break() -> None:
    grid = grid_of((1, [0.0, 1.0]), (2, [0.0, 0.0]), (3, [1.0, 0.0]))
    put(grid, [(4, [0.0, 0.0])], ["a", "b"])
    assert grid.view().tally.zero_since.tolist() == [4, 2]
    put(grid, [(5, [math.nan, 0.0])], ["a", "b"])
    assert str(grid.view().tally.zero_since.tolist()) == "[nan, 2.0]"


def test_more_layers_than_can_be_kept_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_LAYERS", 10)
    run = Run()
    list(run.apply(Rows([1], {f"grad_norm/l{i}": (1.0,) for i in range(13)})))
    assert len(run.view().layers["grad_norm"]) == 10
    assert run.view().series_dropped == 3


def test_many_layers_have_fewer_buckets() -> None:
    grid = Grid("grad_norm")
    names = [f"l{i}" for i in range(3000)]
    for start in range(0, 2048, 256):
        put(grid, [(start + k, [1.0] * 3000) for k in range(256)], names)
    view = grid.view()
    assert len(view.first) * 3000 <= store.MAX_CELLS + 3000
    assert view.rows.sum() == 2048


def test_two_kinds_of_steps_are_two_grids() -> None:
    run = Run()
    list(run.apply(Rows([1], {"weight_norm/a": (1.0,)}, x_kind="epoch")))
    list(run.apply(Rows([100], {"weight_norm/a": (2.0,), "loss": (1.0,)}, x_kind="step")))
    view = run.view()
    assert {name: grid.x_kind for name, grid in view.layers.items()} == {
        "weight_norm by epoch": "epoch",
        "weight_norm": "step",
    }
    assert sorted(name for name, _, _ in view.layered()) == ["weight_norm/a", "weight_norm/a by epoch"]


@pytest.mark.parametrize("name", ["grad_norm", "grad_norm/total", "loss/a", "train/layers.0.weight", "grad_norm/"])
def test_what_is_of_no_layer_stays_a_series(name: str) -> None:
    assert split(name) is None


values = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1.0, -2.0, 2.0**-30, 3e5]) | st.floats(width=32)


@given(st.lists(st.tuples(values, values), min_size=1, max_size=60), st.lists(st.integers(1, 20), max_size=8))
def test_however_rows_arrive_the_numbers_are_those_of_a_series(
    rows: list[tuple[float, float]], sizes: list[int]
) -> None:
    rows = [(a + 0.0, b + 0.0) for a, b in rows]
    grid, series, start = Grid("grad_norm"), Series("a"), 0
    grid._most = 4
    for size in [*sizes, len(rows)]:
        part = rows[start : start + size]
        if part:
            put(grid, [(start + i, row) for i, row in enumerate(part)], ["a", "b"])
            series.extend(range(start, start + len(part)), [a for a, _ in part])
        start += len(part)
    view = grid.view()
    assert repr(view.stats(0)) == repr(series.view().stats)
    assert view.rows.sum() == len(rows)
    whole, mine = series.view().envelope(1), view.layer(0).envelope(1)
    assert repr((whole.low, whole.high)) == repr((mine.low, mine.high))
    assert [n > 0 for n in whole.nan] == [n > 0 for n in mine.nan]
    assert [n > 0 for n in whole.inf] == [n > 0 for n in mine.inf]


@given(st.integers(1, 300), st.integers(1, 80), st.integers(0, 299))
def test_a_spike_is_in_exactly_one_column(n: int, columns: int, at: int) -> None:
    at %= n
    view = grid_of(*((float(i), [1000.0 if i == at else 0.01, 1.0]) for i in range(n))).view()
    (line,) = view.codes([[0]], columns, 0, max(n - 1, 1), SCALE)
    lit = [k for k, code in enumerate(line) if code != BLANK and code > HEAT // 2]
    assert lit
    assert len(lit) == 1 or columns >= n


def test_restarts_do_not_pile_up() -> None:
    run = Run()
    for _ in range(50):
        list(run.apply(Restart(reason="resumed")))
        list(run.apply(Rows(range(20), {"grad_norm/a": [1.0] * 20})))
    view = run.view().layers["grad_norm"]
    assert view.row_count == 20
    assert view.stats(0).count == 1000
