"""Keys and mouse on the charts of the Overview: axes, zoom, selection, cursor, copying, memory, tiles."""

import base64
import math

import pytest
from rich.cells import cell_len
from staging import EVIL, NOW, finding, lines, post, rows, run, snapshot, staged, text
from textual import events
from textual.pilot import Pilot

from gradtop import plot
from gradtop.record import Restart, Rows
from gradtop.snapshot import RunState
from gradtop.ui.app import GradtopApp
from gradtop.ui.arrangement import Layout, heights, layout
from gradtop.ui.scene import Scene
from gradtop.ui.screens.overview import Overview
from gradtop.ui.viewport import Viewport
from gradtop.ui.widgets.box import side
from gradtop.ui.widgets.canvas import Row
from gradtop.ui.widgets.chart import Chart, Look
from gradtop.ui.widgets.tile import Tile

pytestmark = pytest.mark.rooms


def looks(app: GradtopApp) -> list[Look]:
    return [chart.look for chart in app.screen.query(Chart) if chart.display and chart.look is not None]


def window(app: GradtopApp) -> tuple[float, float]:
    (seen,) = {(look.first_step, look.last_step) for look in looks(app)}
    return seen


def first(app: GradtopApp) -> Chart:
    return app.screen.query_one("#chart-0", Chart)


def cell(chart: Chart, part: float) -> tuple[int, int]:
    """A place in the plot, from the chart's corner."""
    return 1 + plot.GUTTER + round(part * (chart.plot_cells - 1)), 3


async def scroll(pilot: Pilot[None], chart: Chart, part: float, kind: type[events.MouseEvent]) -> None:
    x, y = cell(chart, part)
    chart.post_message(kind(chart, x, y, 0, 0, 0, False, False, False))
    await pilot.pause()


async def test_x_cycles_what_all_charts_count_and_says_so() -> None:
    dated = rows(400, epoch=[i / 100 for i in range(1, 401)])
    async with staged(snapshot(run(records=[dated]))) as (app, pilot):
        for word, kind in (("time", "time"), ("epoch", "epoch"), ("", None)):
            await pilot.press("x")
            assert {look.across.kind if look.across is not None else None for look in looks(app)} == {kind}
            axes = [line for line in lines(app) if line.startswith("╰")][1:]
            assert all(line.startswith(f"╰{word}") for line in axes)
            assert ("by " + word in lines(app)[-1]) is bool(word)


async def test_x_says_when_the_log_tells_of_steps_only() -> None:
    bare = Rows(steps=range(50), columns={"loss": [1.0] * 50})
    async with staged(snapshot(run(records=[bare]))) as (app, pilot):
        await pilot.press("x")
        assert "neither times nor epochs" in lines(app)[-1]
        assert {look.across for look in looks(app)} == {None}


async def test_y_offers_symlog_where_there_are_values_below_zero() -> None:
    signed = Rows(steps=range(50), columns={"loss": [math.sin(i) for i in range(50)]})
    async with staged(snapshot(run(records=[signed]))) as (app, pilot):
        seen = []
        for _ in range(3):
            await pilot.press("y")
            seen.append(next(word for word in ("symlog", "log", "") if f"─ {word}, EMA" in text(app) or not word))
        assert seen == ["symlog", "log", ""]


async def test_the_wheel_zooms_at_the_pointer_and_sideways_it_moves() -> None:
    async with staged(snapshot(run(state=RunState.FINISHED))) as (app, pilot):
        whole = window(app)
        chart = first(app)
        await scroll(pilot, chart, 0.25, events.MouseScrollUp)
        near = window(app)
        at = 1 + 0.25 * 399
        assert (near[1] - near[0]) == pytest.approx(399 / 1.5)
        assert (at - near[0]) / (near[1] - near[0]) == pytest.approx(0.25, abs=0.02)
        await scroll(pilot, chart, 0.25, events.MouseScrollRight)
        assert window(app)[0] > near[0]
        await scroll(pilot, chart, 0.25, events.MouseScrollLeft)
        assert window(app) == pytest.approx(near)
        await scroll(pilot, chart, 0.25, events.MouseScrollDown)
        assert window(app) == whole


async def test_a_click_sets_the_cursor_and_a_double_click_shows_all_again() -> None:
    async with staged(snapshot(run(state=RunState.FINISHED))) as (app, pilot):
        await pilot.press("plus")
        await pilot.click("#chart-1", offset=cell(app.screen.query_one("#chart-1", Chart), 0.5))
        await pilot.pause()
        cursors = {look.cursor for look in looks(app)}
        assert len(cursors) == 1
        assert None not in cursors
        assert window(app) != (1, 400)
        await pilot.click("#chart-0", offset=cell(first(app), 0.5), times=2)
        await pilot.pause()
        assert window(app) == (1, 400)
        assert {look.cursor for look in looks(app)} == {None}


async def drag(pilot: Pilot[None], chart: Chart, start: float, end: float, *, shift: bool = False) -> None:
    await pilot.mouse_down(chart, offset=cell(chart, start), shift=shift)
    for part in (start + (end - start) / 2, end):
        x, y = cell(chart, part)
        chart.post_message(events.MouseMove(chart, x, y, 1, 0, 1, shift, False, False))
        await pilot.pause()
    await pilot.mouse_up(chart, offset=cell(chart, end), shift=shift)
    await pilot.pause()


async def test_a_drag_over_all_selects_and_a_drag_in_a_part_moves_it() -> None:
    async with staged(snapshot(run(state=RunState.FINISHED))) as (app, pilot):
        chart = first(app)
        await drag(pilot, chart, 0.5, 0.25)
        near = window(app)
        assert [*near] == pytest.approx([1 + 0.25 * 399, 1 + 0.5 * 399], abs=6)
        assert {look.cursor for look in looks(app)} == {None}
        await drag(pilot, chart, 0.25, 0.75)
        moved = window(app)
        assert moved[1] - moved[0] == pytest.approx(near[1] - near[0])
        assert near[0] - moved[0] == pytest.approx((near[1] - near[0]) / 2, rel=0.1)
        await drag(pilot, chart, 0.2, 0.8, shift=True)
        assert window(app)[1] - window(app)[0] == pytest.approx(0.6 * (near[1] - near[0]), rel=0.1)


async def test_what_is_being_selected_is_lit() -> None:
    async with staged(snapshot(run(state=RunState.FINISHED))) as (app, pilot):
        chart = first(app)
        await pilot.mouse_down(chart, offset=cell(chart, 0.2))
        x, y = cell(chart, 0.4)
        chart.post_message(events.MouseMove(chart, x, y, 1, 0, 1, False, False, False))
        await pilot.pause()
        assert all(look.selected is not None for look in looks(app))
        await pilot.mouse_up(chart, offset=cell(chart, 0.4))
        await pilot.pause()
        assert all(look.selected is None for look in looks(app))


@pytest.fixture
def clipboard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    copied: list[str] = []
    monkeypatch.setattr(GradtopApp, "copy_to_clipboard", lambda _, text: copied.append(text))
    return copied


async def test_Y_copies_the_newest_value_or_the_one_under_the_cursor(clipboard: list[str]) -> None:
    async with staged(snapshot(run(state=RunState.FINISHED))) as (app, pilot):
        await pilot.press("tab", "Y")
        assert "copied: loss 2.41" in lines(app)[-1]
        await pilot.press("g", "Y")
        assert "at 1 " in lines(app)[-1]
        assert clipboard == [repr(8.0 * 401**-0.2), repr(8.0 * 2**-0.2)]


async def test_what_is_copied_is_plain_text_even_from_foreign_names(clipboard: list[str]) -> None:
    async with staged(snapshot(run())) as (app, _):
        assert isinstance(app.screen, Overview)
        app.screen.copy("a\x1b]52;c;cm0=\x07\nb\x9b31m", "x\x1b[2J")
        assert clipboard == ["a\nb"]
        assert "\x1b" not in lines(app)[-1]


async def test_the_clipboard_gets_one_sequence() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        written: list[str] = []
        assert app._driver is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(app._driver, "write", written.append)
            await pilot.press("Y")
            value = base64.b64decode(next(w for w in written if "]52;" in w)[7:-1]).decode()
        assert float(value) == pytest.approx(0.2 + 5.0 / 401 + 0.05 * math.sin(400))


async def test_a_step_that_somebody_wants_to_see_is_in_sight_and_under_the_cursor() -> None:
    async with staged(snapshot(run(records=[rows(4000)], state=RunState.FINISHED))) as (app, _):
        assert isinstance(app.screen, Overview)
        app.screen.show_at(3_300)
        seen = window(app)
        assert seen[0] < 3_300 < seen[1]
        assert seen[1] - seen[0] == pytest.approx(240, rel=0.01)
        assert {look.cursor for look in looks(app)} == {3_300}


async def test_tab_reaches_the_charts_that_there_is_no_room_for() -> None:
    more: dict[str, list[float]] = {f"metric_{i}": [float(i)] * 60 for i in range(6)}
    many = rows(60, 1, **more)
    async with staged(snapshot(run(records=[many])), (80, 24)) as (app, pilot):
        seen = set()
        for _ in range(9):
            shown = {chart.id for chart in app.screen.query(Chart) if chart.display}
            assert app.focused is not None
            assert app.focused.id in shown
            seen |= shown
            assert f"{int(str(app.focused.id)[6:]) + 1}/9" in text(app)
            await pilot.press("tab")
        assert len(seen) == 9
        assert app.focused is not None
        assert app.focused.id == "chart-0"
        await pilot.press("enter", "tab")
        assert [chart.id for chart in app.screen.query(Chart) if chart.display] == ["chart-1"]


async def test_the_view_is_told_and_recalled() -> None:
    shown = snapshot(run(state=RunState.FINISHED))
    async with staged(shown) as (app, pilot):
        await pilot.press("plus", "x", "y", "tab", "s", "enter")
        assert isinstance(app.screen, Overview)
        memory, seen = app.screen.memory(), window(app)
        assert all(isinstance(v, str | float | bool | None) for v in memory.values())
    async with staged(None) as (app, pilot):
        assert isinstance(app.screen, Overview)
        app.screen.recall(memory)
        await post(app, pilot, shown)
        assert window(app) == pytest.approx(seen)
        assert [chart.id for chart in app.screen.query(Chart) if chart.display] == ["chart-1"]
        assert looks(app)[0].across is not None
        assert looks(app)[0].smooth is False
        await pilot.press("enter")
        assert looks(app)[0].log is False


@pytest.mark.parametrize(
    "memory",
    [
        {"run": 7.0, "x": 3.0, "first": "a", "last": None, "panel": True, "full": "yes"},
        {
            "run": "/logs/minigpt",
            "first": math.nan,
            "last": math.inf,
            "x": "moon",
            "scale loss": "cubic",
            "smooth": 1.0,
        },
        {"run": "/logs/minigpt", "first": 9.0, "last": 2.0, "panel": "nowhere", "full": True},
        {"run": "/logs/minigpt", "first": -1e300, "last": 1e300},
        {"run": "/logs/other", "first": 10.0, "last": 20.0, "panel": "lr", "full": True},
    ],
)
async def test_a_memory_that_makes_no_sense_is_passed_over(memory: dict[str, str | float | bool | None]) -> None:
    async with staged(None) as (app, pilot):
        assert isinstance(app.screen, Overview)
        app.screen.recall(memory)
        await post(app, pilot, snapshot(run(state=RunState.FINISHED)))
        assert window(app) == (1, 400)
        assert len(looks(app)) == 3


class Told(Tile):
    """A tile that wants three rows."""

    def rows_wanted(self, scene: Scene, width: int) -> int:
        return 3 if scene.run is not None else 0

    def composed(self, scene: Scene, width: int, height: int) -> list[Row]:
        return [side(((f"tile of {width}", "plain"),), width, "border")] * height


async def test_a_tile_stands_below_the_charts_where_there_is_room() -> None:
    async with staged(None) as (app, pilot):
        room = Overview(plot.BRAILLE, [Told(id="told"), Told(id="more")])
        app.install_screen(room, "tiled")
        app.push_screen(room)
        await pilot.pause()
        await post(app, pilot, snapshot(run()))
        await pilot.pause()
        told = room.query_one("#told")
        assert told.region.bottom <= 35
        assert told.region.y > first(app).region.y
        assert text(app).count("tile of 120") == 6
        await pilot.press("enter")
        await pilot.pause()
        assert "tile of" not in text(app)


def test_tiles_get_all_that_they_want_or_nothing() -> None:
    assert heights((3, 4), 28) == (3, 4)
    assert heights((3, 4), 17) == (3, 0)
    assert heights((9, 2), 20) == (0, 2)
    assert heights((3, 4), 10) == (0, 0)


def test_the_chart_that_is_wanted_is_among_those_shown() -> None:
    for count in range(1, 10):
        for number in range(count):
            found = layout(count, 80, 17, (), number, full=False)
            assert found.first <= number < found.first + found.shown <= count
    assert layout(9, 80, 17, (3,), 4, full=True) == Layout(1, 4, 1, (0,))


def test_a_window_stays_in_the_run_and_wider_than_a_few_rows() -> None:
    at = Viewport()
    at.fit((0.0, 1000.0), 1000)
    for _ in range(30):
        at.zoom(2, 1000.0)
    assert at.window is not None
    assert at.window[1] == 1000.0
    assert at.window[1] - at.window[0] >= 4
    at.pan(5)
    assert at.window[1] == 1000.0
    at.pan(-1e9)
    assert at.window[0] == 0.0
    at.reveal(500.0)
    assert at.window[0] < 500 < at.window[1]
    at.zoom(1e-9, 500.0)
    assert at.window is None


@pytest.mark.parametrize(
    ("whole", "rows", "windows"),
    [
        ((1.0, 400.0), 400, [(350.0, 400.0), (338.0, 388.0)]),
        ((0.0, 3.0), 90, [(2.625, 3.0), (2.53125, 2.90625)]),
    ],
    ids=["steps", "parts of an epoch"],
)
def test_a_window_begins_and_ends_at_whole_steps_where_rows_do(
    whole: tuple[float, float], rows: int, windows: list[tuple[float, float]]
) -> None:
    at = Viewport()
    at.fit(whole, rows)
    for _ in range(3):
        at.zoom(2, whole[1])
    zoomed = at.window
    at.pan(-0.25)
    assert [zoomed, at.window] == windows


async def test_charts_of_something_else_than_steps_keep_an_axis_of_their_own() -> None:
    other = Rows(steps=[1000.0, 2000.0, 3000.0], columns={"reward": [1.0, 2.0, 3.0]}, x_kind="samples")
    async with staged(snapshot(run(records=[rows(), other], state=RunState.FINISHED))) as (app, pilot):
        await pilot.press("plus", "left")
        by_samples = next(chart for chart in app.screen.query(Chart) if chart.view and chart.view.name == "reward")
        assert by_samples.look is not None
        assert (by_samples.look.first_step, by_samples.look.last_step) == (1000, 3000)
        assert by_samples.look.cursor is None
        await pilot.press("tab", "tab", "tab", "left", "g", "G", "plus", "Y", "y")
        assert app.is_running


async def test_zoomed_into_the_start_new_rows_do_not_move_the_window() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        await pilot.press("g", "plus", "plus")
        before = window(app)
        await post(app, pilot, snapshot(run(records=[rows(4000)])))
        assert window(app) == before


async def test_by_time_a_resumed_run_is_drawn_with_its_cursor_and_marks() -> None:
    late = Rows(steps=range(350, 451), columns={"loss": [2.0] * 101, "time": [NOW + 9e4 + i for i in range(101)]})
    records: list[Rows | Restart] = [rows(), Restart(reason="resumed"), late]
    async with staged(snapshot(run(records=records, findings=(finding(step=14),)))) as (app, pilot):
        await pilot.press("x", "n")
        assert "▲" in text(app)
        assert "↻" in text(app)
        assert " at 14" in text(app)
        await pilot.press("right", "shift+right", "shift+left", "plus", "h", "l", "0")
        assert app.is_running


@pytest.mark.parametrize(
    ("size", "n"), [((40, 12), 50), ((6, 3), 50), ((17, 8), 50), ((500, 150), 50), ((120, 36), 5000)]
)
async def test_many_metrics_with_hostile_names_and_numbers_fit_every_size(size: tuple[int, int], n: int) -> None:
    extremes = [1e300, -1e300, 5e-324, math.nan, math.inf, 0.0, 1e-300, -5e-324]
    names = [f"{EVIL}{i}" + "训练" * 150 for i in range(4)] + [f"m{i}" for i in range(n)]
    more = {name: [extremes[(i + k) % 8] for k in range(8)] for i, name in enumerate(names)}
    many = Rows(steps=range(1, 9), columns={"loss": [1.0] * 8, "time": [NOW + i for i in range(8)]} | more)
    async with staged(snapshot(run(records=[many])), size) as (app, pilot):
        for key in ("tab", "y", "y", "s", "x", "left", "plus", "plus", "h", "enter", "tab", "n", "Y", "minus", "0"):
            await pilot.press(key)
        shown = text(app)
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert {cell_len(line) for line in lines(app)} == {size[0]}


async def test_one_point_and_a_constant_are_charts_too() -> None:
    for columns in ({"loss": [3.0]}, {"loss": [3.0] * 50, "grad_norm": [0.0] * 50}):
        records = [Rows(steps=range(7, 7 + len(columns["loss"])), columns=columns)]
        async with staged(snapshot(run(records=records, state=RunState.FINISHED))) as (app, pilot):
            for key in ("x", "left", "right", "plus", "minus", "y", "Y", "G", "g", "escape"):
                await pilot.press(key)
            assert "loss 3 " in text(app)
