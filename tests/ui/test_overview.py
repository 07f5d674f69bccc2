import math
import re
from typing import Any

import pytest
from staging import NOW, SIZES, finding, lines, post, rows, run, snapshot, staged, text

from gradtop import plot
from gradtop.finding import Severity
from gradtop.record import Restart, Rows
from gradtop.series import Series
from gradtop.snapshot import RunState, Snapshot
from gradtop.ui.arrangement import arrangement
from gradtop.ui.screens.overview import Overview
from gradtop.ui.widgets.chart import Chart, legend
from gradtop.verdict import Judgement, Verdict
from gradtop.view import Trace


def title(app_lines: list[str], name: str) -> str:
    return next(line for line in app_lines if f"─ {name}" in line)


@pytest.mark.parametrize("size", [*SIZES, (40, 24), (100, 20)])
async def test_verdict_and_numbers_are_there_at_every_size(size: tuple[int, int]) -> None:
    async with staged(snapshot(run()), size) as (app, _):
        shown = lines(app)
        assert all(len(line) == size[0] for line in shown)
        assert len(shown) == size[1]
        assert "minigpt" in shown[0]
        assert "● live" in shown[0]
        assert "KEEP TRAINING" in shown[1]
        assert "A wobble at step 14." in text(app)
        assert "of 4" in text(app)
        assert "─ grad norm 0.1" in text(app) or "─ grad norm 0.2" in text(app)
        assert "─ loss " in text(app)
        assert "q quit" in shown[-1]


@pytest.mark.parametrize("size", [*SIZES, (40, 24), (30, 8), (8, 3), (1, 1), (500, 4)])
async def test_no_widget_overlaps_another(size: tuple[int, int]) -> None:
    async with staged(snapshot(run()), size) as (app, _):
        seen = [w.region for w in app.screen.query("Header, Banner, Chart, Footer") if w.display and w.region.area]
        inside = [r.intersection(app.screen.region) for r in seen]
        assert not any(a.overlaps(b) for i, a in enumerate(inside) for b in inside[i + 1 :] if a and b) or size[1] < 10


@pytest.mark.parametrize("size", SIZES)
async def test_the_three_charts_fill_the_screen(size: tuple[int, int]) -> None:
    async with staged(snapshot(run()), size) as (app, _):
        charts = [chart for chart in app.screen.query(Chart) if chart.display]
        assert [chart.view.name for chart in charts if chart.view] == ["grad_norm", "loss", "lr"]
        assert charts[0].size.width == size[0]
        assert sum(chart.region.area for chart in charts) == app.screen.query_one("#charts").region.area


async def test_a_run_with_a_loss_only_has_one_large_chart() -> None:
    only = Rows(steps=range(50), columns={"loss": [1.0] * 50})
    async with staged(snapshot(run(records=[only]))) as (app, _):
        charts = [chart for chart in app.screen.query(Chart) if chart.display]
        assert [chart.size.width for chart in charts] == [120]
        assert charts[0].size.height >= 28


async def test_without_runs_the_screen_says_what_is_looked_for() -> None:
    async with staged(snapshot(notes=("looked for *.log in /logs",))) as (app, pilot):
        assert "UNKNOWN" in text(app)
        assert "looked for *.log in /logs" in text(app)
        await post(app, pilot, snapshot(run()))
        assert "grad norm" in text(app)
        await post(app, pilot, snapshot(run("late", [])))
        assert "late has no values yet" in text(app)


@pytest.mark.parametrize(
    ("judgement", "state", "words"),
    [
        (Judgement(Verdict.UNKNOWN, "read 12 %"), RunState.LOADING, "UNKNOWN"),
        (Judgement(Verdict.KEEP_TRAINING, "ok"), RunState.FINISHED, "FINISHED, NO PROBLEM SEEN"),
        (Judgement(Verdict.WATCH, "hm"), RunState.LIVE, "WATCH"),
        (
            Judgement(Verdict.INTERVENE, "CUDA out of memory at line 812", None, "halve the batch"),
            RunState.CRASHED,
            "INTERVENE",
        ),
    ],
)
async def test_the_banner_says_the_word_and_why(judgement: Judgement, state: RunState, words: str) -> None:
    async with staged(snapshot(run(findings=(), judgement=judgement, state=state))) as (app, _):
        assert words in lines(app)[1]
        assert judgement.summary in text(app)
        assert judgement.next_step in text(app)


async def test_nan_is_marked_and_the_title_says_it() -> None:
    broken = rows(40, 401, loss=[math.nan] * 40)
    async with staged(snapshot(run(records=[rows(), broken]))) as (app, _):
        assert "loss NaN" in title(lines(app), "loss")
        assert "40 of 440 not finite" in text(app)
        assert "✕" in text(app)


async def test_findings_and_resumes_are_marked_on_the_axis() -> None:
    records: list[Rows | Restart] = [rows(), Restart(reason="resumed"), rows(100, 300)]
    async with staged(snapshot(run(records=records, findings=(finding(Severity.WATCH, 100),)))) as (app, _):
        assert "▲" in text(app)
        assert "↻" in text(app)


async def test_tab_moves_the_focus_and_enter_opens_the_full_screen() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        assert app.focused is not None
        assert app.focused.id == "chart-0"
        await pilot.press("tab")
        assert app.focused.id == "chart-1"
        await pilot.press("shift+tab", "shift+tab")
        assert app.focused.id == "chart-2"
        await pilot.press("enter")
        await pilot.pause()
        assert [chart.id for chart in app.screen.query(Chart) if chart.display] == ["chart-2"]
        assert app.focused.size.width == 120
        await pilot.press("escape")
        await pilot.pause()
        assert len([chart for chart in app.screen.query(Chart) if chart.display]) == 3


async def test_y_and_s_change_the_focused_chart_only() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        await pilot.press("y")
        assert "log" not in title(lines(app), "grad norm")
        await pilot.press("tab", "y", "s")
        chart = app.screen.query_one("#chart-1", Chart)
        assert chart.look is not None
        assert (chart.look.log, chart.look.smooth) == (True, False)
        assert " log " in title(lines(app), "loss")
        other = app.screen.query_one("#chart-2", Chart)
        assert other.look is not None
        assert (other.look.log, other.look.smooth) == (None, None)


async def test_the_cursor_reads_out_all_charts_at_the_same_step() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        await pilot.press("left")
        assert text(app).count(" at 400") == 3
        await pilot.press("left")
        assert " at 400" not in text(app)
        assert text(app).count(" EMA 8: ") >= 2
        await pilot.press("right", "g")
        assert text(app).count(" at 1 ") == 3
        await pilot.press("G")
        assert text(app).count(" at 400") == 3
        await pilot.press("escape")
        assert " at " not in title(lines(app), "loss")


async def test_at_a_nan_the_smoothed_line_has_no_value() -> None:
    lost = Rows(range(1, 101), {"loss": [2.0 + i % 3 for i in range(60)] + [math.nan] * 40})
    async with staged(snapshot(run(records=[lost], findings=()))) as (app, pilot):
        await pilot.press("g")
        assert " EMA 5: " in title(lines(app), "loss")
        await pilot.press("G")
        assert "loss NaN at 100" in title(lines(app), "loss")
        assert " EMA 5: " not in title(lines(app), "loss")


async def test_n_jumps_from_mark_to_mark() -> None:
    found = (finding(step=14), finding(step=200))
    async with staged(snapshot(run(findings=found))) as (app, pilot):
        await pilot.press("n")
        assert " at 14" in text(app)
        await pilot.press("n")
        assert " at 200" in text(app)
        await pilot.press("n", "N")
        assert " at 14" in text(app)


async def test_zoom_pan_and_reset_move_all_charts_together() -> None:
    async with staged(snapshot(run())) as (app, pilot):

        def windows() -> set[tuple[float, float]]:
            looks = [chart.look for chart in app.screen.query(Chart) if chart.display]
            return {(look.first_step, look.last_step) for look in looks if look is not None}

        whole = windows()
        await pilot.press("plus")
        (near,) = windows()
        assert near[0] <= 400 <= near[1]
        await pilot.press("h")
        (panned,) = windows()
        assert panned[1] - panned[0] == pytest.approx(near[1] - near[0])
        assert panned[0] < near[0]
        await pilot.press("l")
        assert windows() == {near}
        await pilot.press("minus")
        assert windows() == whole
        await pilot.press(*["plus"] * 30)
        (tiny,) = windows()
        assert tiny[1] - tiny[0] >= 4
        await pilot.press("0")
        assert windows() == whole


async def test_a_cursor_beyond_the_window_takes_the_window_along() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        await pilot.press("plus", "plus", "g")
        chart = app.screen.query_one("#chart-0", Chart)
        assert chart.look is not None
        assert chart.look.first_step == 1
        assert " at 1 " in text(app)


async def test_pause_keeps_the_picture_and_adopts_later() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        await pilot.press("space")
        await post(app, pilot, snapshot(run("other")))
        assert "paused" in lines(app)[0]
        assert "minigpt" in lines(app)[0]
        await pilot.press("space")
        await post(app, pilot, snapshot(run("other")))
        assert "other" in lines(app)[0]
        assert "paused" not in lines(app)[0]


async def test_a_click_puts_the_cursor_there() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        await pilot.click("#chart-0", offset=(60, 5))
        await pilot.pause()
        look = app.screen.query_one("#chart-0", Chart).look
        assert look is not None
        assert look.cursor is not None


async def test_the_age_grows_without_new_data() -> None:
    clock = [0.0]
    async with staged(snapshot(run()), clock=lambda: clock[0]) as (app, pilot):
        clock[0] = 600.0
        app._tick()
        await pilot.pause()
        assert "● live 10m ago" in lines(app)[0]


async def test_an_empty_snapshot_after_runs_is_shown_too() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        await post(app, pilot, Snapshot(NOW, (), ("all gone",), searching=False))
        assert "all gone" in text(app)
        await pilot.press("y", "s", "plus", "left", "n", "G", "h", "tab", "enter")
        await pilot.pause()
        assert app.is_running


async def test_resizing_in_every_direction_is_survived() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        for size in ((1, 1), (2, 1), (500, 3), (40, 10), (80, 24), (7, 50), (120, 36)):
            await pilot.resize_terminal(*size)
        await pilot.pause()
        assert isinstance(app.screen, Overview)
        assert "grad norm" in text(app)


@pytest.mark.parametrize("count", range(1, 10))
@pytest.mark.parametrize(("width", "height"), [(40, 18), (80, 18), (120, 30), (200, 44), (100, 5)])
def test_no_chart_is_left_alone_in_a_row(count: int, width: int, height: int) -> None:
    columns, shown = arrangement(count, width, height)
    assert 1 <= shown <= count
    assert columns <= 3
    assert shown % columns in (0, 1) or columns == 3


async def test_rows_inside_the_newest_pixel_column_change_the_title_only() -> None:
    def at(n: int, last: float) -> Snapshot:
        values = [2.0 + 0.1 * (-1) ** i for i in range(n - 1)]
        columns = {"loss": [*values, last]}
        return snapshot(run(records=(Rows(steps=range(n), columns=columns),), findings=()))

    async with staged(at(12_041, 2.0)) as (app, pilot):
        drawn: list[int] = []
        with pytest.MonkeyPatch.context() as patch:
            draw = plot.draw

            def counted(*given: Any) -> list[plot.Line]:
                drawn.append(1)
                return draw(*given)

            patch.setattr(plot, "draw", counted)
            await post(app, pilot, at(12_043, 1.95))
            assert "loss 1.950" in text(app)
            assert drawn == []
            await post(app, pilot, at(12_045, 9.0))
            assert drawn == [1]
            assert re.search(r"\b[89]┤|10┤", text(app))
            await post(app, pilot, at(13_000, 2.0))
            assert drawn == [1, 1]


def test_a_legend_names_each_further_line_in_the_room_there_is() -> None:
    traces = [Trace(f"run-{n}-with-a-long-name", f"trace {n}", Series("loss").view(), 0) for n in (1, 2)]
    assert legend(traces, 60) == (
        (" ─ ", "border"),
        ("a run-1-with-a-long-name", "trace 1"),
        (" ─ ", "border"),
        ("b run-2-with-a-long-name", "trace 2"),
    )
    assert "".join(text for text, _ in legend(traces, 30)) == " ─ a run-…-name ─ b run-…-name"
    assert "".join(text for text, _ in legend(traces, 12)) == " ─ a ─ b"
    assert legend(traces, 3) == legend((), 60) == ()
    # A value goes before a part of the name.
    values = "3.142", ""
    assert (
        "".join(t for t, _ in legend(traces, 60, values)) == " ─ a run-1-wit…long-name 3.142 ─ b run-2-with-a-long-name"
    )
    assert "".join(t for t, _ in legend(traces, 38, values)) == " ─ a run…name 3.142 ─ b run-2-…g-name"
    assert legend(traces, 30, values) == legend(traces, 30)
    # A line keeps its letter where another one is missing.
    assert [text for text, _ in legend(traces[1:], 30)] == [" ─ ", "b run-2-with-a-long-name"]


async def test_what_has_too_few_values_to_smooth_says_so() -> None:
    few = Rows(range(1, 21), {"loss": [2.0 + i % 3 for i in range(20)]})
    async with staged(snapshot(run(records=[few], findings=()))) as (app, pilot):
        assert "EMA" not in text(app)
        await pilot.press("s")
        assert "too few values to smooth" in text(app)
    async with staged(snapshot(run())) as (app, pilot):
        assert "EMA 8" in text(app)
        await pilot.press("s")
        assert "too few" not in text(app)
