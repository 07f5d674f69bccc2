"""The Metrics room: pages of charts, the focus, the filter, and other runs drawn over the open one."""

import math
from dataclasses import replace
from typing import Any

import pytest
from staging import EVIL, SIZES, lines, post, rows, run, snapshot, staged, text

from gradtop.recollection import Recollection
from gradtop.record import Rows
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.ui.app import GradtopApp
from gradtop.ui.screens.metrics import DENSITIES, MOST_CHARTS, MetricsRoom, grid
from gradtop.ui.screens.overview import Overview
from gradtop.ui.widgets.chart import Chart
from gradtop.ui.widgets.legend import named
from gradtop.ui.widgets.prompt import Prompt
from gradtop.view import Other

pytestmark = pytest.mark.rooms


def with_metrics(n: int = 12, name: str = "minigpt", length: int = 60) -> RunSnapshot:
    """A run with `n` metrics beside grad norm, loss and learning rate."""
    more = {f"m/x{i}": [float((j * (i + 3)) % 101) for j in range(length)] for i in range(n)}
    return run(name, [rows(length, 1, **more)])


def names(app: GradtopApp) -> list[str]:
    """The charts on the screen."""
    shown = app.screen.query_one("#charts").display
    return [c.view.name for c in app.screen.query(Chart) if shown and c.display and c.view is not None]


def focused(app: GradtopApp) -> str:
    assert isinstance(app.focused, Chart)
    assert app.focused.view is not None
    return app.focused.view.name


@pytest.mark.parametrize("size", [*SIZES, (40, 12), (40, 24), (500, 150)])
async def test_a_page_of_charts_fills_every_screen(size: tuple[int, int]) -> None:
    async with staged(snapshot(with_metrics(200)), size) as (app, pilot):
        await pilot.press("3")
        await pilot.pause()
        shown = lines(app)
        assert all(len(line) == size[0] for line in shown)
        columns, rows_ = grid(203, size[0], size[1] - 3, 2)
        # Clocks are there, at the end.
        assert f"metrics 1–{columns * rows_} of 203" in text(app) or columns * rows_ == 1
        assert names(app)[:2] == ["grad_norm", "loss"][: columns * rows_]
        seen = [chart.region for chart in app.screen.query(Chart) if chart.display]
        assert len(seen) == columns * rows_
        assert sum(region.area for region in seen) == app.screen.query_one("#charts").region.area


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (9, 3), (30, 4), (8, 40)])
async def test_a_screen_that_is_too_small_is_survived(size: tuple[int, int]) -> None:
    async with staged(snapshot(with_metrics()), size) as (app, pilot):
        await pilot.press("3", "right", "enter", "down", "bracketright", "slash", "m", "escape")
        await pilot.pause()
        assert app.is_running


@pytest.mark.parametrize("density", range(len(DENSITIES)))
@pytest.mark.parametrize("count", [0, 1, 2, 5, 30, 5000])
def test_a_page_has_room_for_all_or_for_what_fits(count: int, density: int) -> None:
    for width, height in ((1, 1), (40, 9), (80, 21), (120, 33), (500, 147)):
        columns, lines_ = grid(count, width, height, density)
        assert 1 <= columns * lines_ <= MOST_CHARTS
        assert columns == 1 or columns * DENSITIES[density][0] <= width
        assert lines_ == 1 or lines_ * DENSITIES[density][1] <= height
        assert (lines_ - 1) * columns < max(1, count)


async def test_the_focus_walks_over_the_grid_and_its_pages() -> None:
    async with staged(snapshot(with_metrics(12))) as (app, pilot):
        await pilot.press("3")
        await pilot.pause()
        assert focused(app) == "grad_norm"
        for key, name in (
            *(("right", "loss"), ("l", "lr"), ("down", "m/x2"), ("j", "m/x5"), ("left", "m/x4"), ("k", "m/x1")),
            *(("up", "loss"), ("up", "loss"), ("tab", "lr"), ("shift+tab", "loss"), ("h", "grad_norm")),
            # Nothing lies before the first one; tab goes round.
            *(("left", "grad_norm"), ("shift+tab", "m/x11"), ("tab", "grad_norm")),
            *(("pagedown", "m/x6"), ("pagedown", "m/x6"), ("pageup", "grad_norm")),
            *(("G", "m/x11"), ("g", "grad_norm"), ("end", "m/x11"), ("home", "grad_norm")),
        ):
            await pilot.press(key)
            await pilot.pause()
            assert focused(app) == name, key
        await pilot.press("down", "down", "down")
        await pilot.pause()
        assert focused(app) == "m/x6"
        assert "metrics 10–15 of 15" in text(app)


@pytest.mark.parametrize("room", ["1", "3"])
async def test_the_frame_of_the_chart_with_the_focus_is_lit_at_once(room: str) -> None:
    async with staged(snapshot(with_metrics(3))) as (app, pilot):
        await pilot.press(room)
        await pilot.pause()
        for _ in range(3):
            await pilot.press("tab")
            await pilot.pause()
            lit = [c.id for c in app.screen.query(Chart) if c.display and ("─ ", "focus") in _ends(c)]
            assert app.focused is not None
            assert lit == [app.focused.id]


def _ends(chart: Chart) -> list[tuple[str, str]]:
    """The start of the upper edge of a chart without its corner."""
    return [(text[1:], ink) for text, ink in chart._rows[0][:1]]


async def test_enter_shows_one_chart_in_full_and_the_next_ones_from_there() -> None:
    async with staged(snapshot(with_metrics(12))) as (app, pilot):
        await pilot.press("3", "right", "enter")
        await pilot.pause()
        assert names(app) == ["loss"]
        assert "metrics 2 of 15" in text(app)
        assert app.focused is not None
        assert app.focused.size.width == 120
        await pilot.press("down", "tab", *["down"] * 6)
        await pilot.pause()
        assert names(app) == ["m/x6"]
        await pilot.press("left")
        await pilot.pause()
        assert " at 60" in text(app)
        await pilot.press("right", "escape")
        await pilot.pause()
        assert focused(app) == "m/x6"
        assert names(app)[0] == "m/x6"
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, MetricsRoom)
        assert " at 60" not in text(app)


async def test_the_keys_of_the_overview_act_here_too() -> None:
    async with staged(snapshot(with_metrics(3))) as (app, pilot):
        await pilot.press("3", "comma")
        await pilot.pause()
        assert text(app).count(" at 60") == len(names(app))
        await pilot.press("comma", "full_stop", "y", "s", "plus", "less_than_sign", "greater_than_sign")
        await pilot.pause()
        assert isinstance(app.focused, Chart)
        look = app.focused.look
        assert look is not None
        assert (look.log, look.smooth) == (False, False)
        assert look.last_step - look.first_step < 59
        await pilot.press("minus", "0", "N")
        await pilot.pause()
        assert " at 14" in text(app)
        await pilot.press("n")


def on_screen(app: GradtopApp) -> Any:
    return app.screen


async def test_keys_that_come_before_a_room_is_shown_wait_for_it() -> None:
    async with staged(snapshot(with_metrics(3), with_metrics(3, "b"))) as (app, pilot):
        app.action_room("runs")
        on_screen(app).action_move(1)
        on_screen(app).action_mark()
        await pilot.pause()
        assert "▸■a b" in text(app)
        app.action_room("metrics")
        on_screen(app).action_walk("right")
        on_screen(app).action_next_panel(1)
        on_screen(app).action_full()
        await pilot.pause()
        assert names(app) == ["lr"]


async def test_density_keeps_the_focus_in_sight() -> None:
    async with staged(snapshot(with_metrics(40))) as (app, pilot):
        await pilot.press("3", "pagedown", "right")
        await pilot.pause()
        name, count = focused(app), len(names(app))
        await pilot.press("right_square_bracket")
        await pilot.pause()
        assert len(names(app)) > count
        assert focused(app) == name
        await pilot.press(*["left_square_bracket"] * 9)
        await pilot.pause()
        assert names(app) == [name]
        assert focused(app) == name


async def test_a_filter_holds_as_it_is_typed_and_escape_clears_it() -> None:
    async with staged(snapshot(with_metrics(40))) as (app, pilot):
        await pilot.press("3", "slash", *"m/x1 !11")
        await pilot.pause()
        assert names(app) == ["m/x1", "m/x10", *(f"m/x{i}" for i in range(12, 19))]
        assert "metrics 1–9 of 10 ─ /m/x1 !11 of 43" in lines(app)[1]
        assert isinstance(app.focused, Prompt)
        await pilot.press("enter", "right")
        await pilot.pause()
        assert focused(app) == "m/x10"
        await pilot.press("escape")
        await pilot.pause()
        # The chart that had the focus keeps it.
        assert focused(app) == "m/x10"
        assert "of 43" in lines(app)[1]
        assert "/m/x1" not in lines(app)[1]
        await pilot.press("slash", *"nothing")
        await pilot.pause()
        assert "The filter leaves none of 43 metrics." in text(app)
        await pilot.press("enter", "right", "down", "tab", "enter", "plus", "left", "pagedown", "G", "y")
        await pilot.pause()
        await pilot.press("slash", "escape", "escape")
        await pilot.pause()
        assert isinstance(app.screen, Overview)


async def test_a_filter_that_cannot_be_used_says_why() -> None:
    async with staged(snapshot(with_metrics())) as (app, pilot):
        await pilot.press("3", "slash", *"x1", *" /(((")
        await pilot.pause()
        assert "metrics 1–3 of 3 ─ /x1 / of 15 ─ /(((/: missing )" in lines(app)[1]
        app.screen.query_one(Prompt).value = "[b]" * 4000
        await pilot.pause()
        await pilot.pause()
        assert "at most 300 characters" in lines(app)[1]
        assert len(names(app)) == 3


async def test_a_pair_shares_a_chart() -> None:
    more = {"val_loss": [2.0] * 400, "train/acc": [0.1] * 400, "eval/acc": [0.2] * 400}
    async with staged(snapshot(run(records=[rows(400, 1, **more)]))) as (app, pilot):
        await pilot.press("3")
        await pilot.pause()
        assert names(app) == ["grad_norm", "loss", "lr", "train/acc"]
        assert "a val 2.000" in text(app)
        assert "a eval 0.2000" in text(app)


async def test_only_charts_on_the_screen_are_drawn_of_thousands() -> None:
    more = {f"m{i}": [1.0, 2.0, float(i)] for i in range(4900)}
    async with staged(snapshot(run(records=[rows(3, 1, **more)]))) as (app, pilot):
        await pilot.press("3", "G")
        await pilot.pause()
        assert "of 4,903" in lines(app)[1]
        assert len(list(app.screen.query(Chart))) == MOST_CHARTS
        await pilot.press("slash", *"m4899", "enter")
        await pilot.pause()
        assert names(app) == ["m4899"]


async def test_marked_runs_are_drawn_over_the_open_one_in_both_rooms() -> None:
    shown = snapshot(with_metrics(3), with_metrics(3, "second", 90), run("empty", [], sources=()))
    async with staged(shown) as (app, pilot):
        await pilot.press("r", "down", "x", "down", "x", "1")
        await pilot.pause()
        for room in ("1", "3"):
            await pilot.press(room)
            await pilot.pause()
            assert "compared with  ■a second" in lines(app)[-2]
            assert "□b empty not read yet" in lines(app)[-2]
            loss = next(chart for chart in app.screen.query(Chart) if chart.view and chart.view.name == "loss")
            assert loss.view is not None
            assert [(t.label, t.ink, t.rows) for t in loss.view.others] == [("second", "trace 1", 90)]
            assert loss.view.last_step >= 90
            assert "a second" in next(line for line in lines(app) if "─ loss" in line)
            await pilot.press("x")
            await pilot.pause()
            assert "compared with  ■a second" in lines(app)[-2]
            assert "by time" in lines(app)[-1]
            assert loss.look is not None
            assert loss.look.across is not None
            assert [other.ink for other in loss.look.across.beside] == ["trace 1"]
            await pilot.press("x")
            await pilot.pause()
        await post(app, pilot, replace(shown, runs=shown.runs[:1]))
        assert "□a second gone" in lines(app)[-2]
        await pilot.press("r", "X", "3")
        await pilot.pause()
        assert "compared" not in text(app)


async def test_a_run_without_times_is_not_drawn_by_time_and_that_is_said() -> None:
    untimed = run("second", [Rows(range(1, 91), {"loss": [2.0] * 90})])
    async with staged(snapshot(with_metrics(3), untimed), (160, 36)) as (app, pilot):
        await pilot.press("r", "down", "x", "3", "x")
        await pilot.pause()
        assert "by time" in lines(app)[-1]
        assert "□a second tells no times" in lines(app)[-2]
        assert "a second" not in next(line for line in lines(app) if "─ loss" in line)
        await pilot.press("x")
        await pilot.pause()
        assert "■a second" in lines(app)[-2]
        assert "a second" in next(line for line in lines(app) if "─ loss" in line)


async def test_a_marked_run_that_is_opened_is_not_drawn_over_itself() -> None:
    shown = snapshot(with_metrics(3), with_metrics(3, "second", 90))
    async with staged(shown) as (app, pilot):
        await pilot.press("r", "down", "x", "enter")
        await pilot.pause()
        assert "second" in lines(app)[0]
        assert "compared" not in text(app)


def test_a_legend_names_runs_apart_and_says_what_is_amiss() -> None:
    others = [Other(f"gpt2-124m-baseline-{n}", f"trace {n}", "ab"[n - 1], "", run("x")) for n in (1, 2)]
    assert "".join(t for t, _ in named(others, 80)).rstrip() == (
        " compared with  ■a gpt2-124m-baseline-1  ■b gpt2-124m-baseline-2"
    )
    short = "".join(t for t, _ in named(others, 30))
    assert len(short) == 30
    assert "1" in short
    assert "2" in short
    gone = [replace(others[0], run=None, said="not read yet")]
    assert "".join(t for t, _ in named(gone, 60)).rstrip() == " compared with  □a gpt2-124m-baseline-1 not read yet"


async def test_what_was_looked_at_is_remembered() -> None:
    kept: list[Recollection] = []
    async with staged(snapshot(with_metrics(40)), keep=kept.append) as (app, pilot):
        await pilot.press("3", "right_square_bracket", "slash", *"m/", "enter", "pagedown", "right")
        await pilot.pause()
        left = names(app), focused(app)
        await pilot.press("q")
    async with staged(snapshot(with_metrics(40)), recollection=kept[-1]) as (app, pilot):
        await pilot.pause()
        assert isinstance(app.screen, MetricsRoom)
        assert (names(app), focused(app)) == left
        assert "/m/ of 43" in lines(app)[1]
    odd = Recollection({"room": "metrics"}, {"metrics": {"density": 1e300, "metric": 3, "filter": "/(a+)+$/"}})
    async with staged(snapshot(with_metrics(40)), recollection=odd) as (app, pilot):
        await pilot.pause()
        assert "metrics 1–9 of 43" in lines(app)[1]


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_names_and_values_are_shown_harmlessly(size: tuple[int, int]) -> None:
    columns = {
        EVIL: [1.0, 2.0, 3.0],
        "x" * 300: [1e300, -1e300, 1e-300],
        "训练/损失": [math.nan, math.inf, -math.inf],
        "z": [5e-324, 0.0, 5e-324],
    }
    hostile = run(EVIL.replace("/", "_"), [Rows(range(1, 4), columns), Rows([4], {"one": [1.0]})])
    async with staged(snapshot(hostile, replace(hostile, id="b")), size) as (app, pilot):
        await pilot.press("r", "down", "x", "3")
        await pilot.pause()
        shown = "".join(lines(app))
        assert not any(ord(ch) < 32 or 0x7F <= ord(ch) < 0xA0 or ch == "\u202e" for ch in shown)
        assert "训练/损失" in shown
        assert {strip.cell_length for strip in app.screen._compositor.render_strips()} == {size[0]}
        await pilot.press(*["tab", "enter", "y", "comma", "enter"] * 3)
        await pilot.pause()


async def test_a_run_that_vanishes_while_it_is_looked_at_is_no_fault() -> None:
    async with staged(snapshot(with_metrics(40))) as (app, pilot):
        await pilot.press("3", "G")
        await post(app, pilot, snapshot())
        assert names(app) == []
        await pilot.press("left", "enter", "pageup", "slash", "a", "enter")
        await post(app, pilot, snapshot(with_metrics(2)))
        assert "of 5" in lines(app)[1]
        await post(app, pilot, Snapshot(0.0, (run("other", [], state=RunState.LOADING),)))
        assert "no values yet" in text(app)


async def test_a_click_gives_a_chart_the_focus_and_the_cursor() -> None:
    async with staged(snapshot(with_metrics(12))) as (app, pilot):
        await pilot.press("3")
        await pilot.pause()
        await pilot.click("#chart-4", offset=(20, 4))
        await pilot.pause()
        assert focused(app) == "m/x1"
        assert " at " in text(app)
        await pilot.press("right")
        await pilot.pause()
        assert focused(app) == "m/x2"
