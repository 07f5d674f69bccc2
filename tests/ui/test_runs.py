from dataclasses import replace

import pytest
from staging import SIZES, lines, post, run, snapshot, staged, text

from gradtop.snapshot import Snapshot
from gradtop.view import RunRow, RunsView


def many(n: int) -> Snapshot:
    first = run("run-0")
    return snapshot(first, *(replace(first, id=f"/logs/run-{i}", name=f"run-{i}") for i in range(1, n)))


@pytest.mark.parametrize("size", [*SIZES, (40, 24)])
async def test_runs_are_listed_in_straight_columns(size: tuple[int, int]) -> None:
    async with staged(snapshot(run("训练-一号"), run("plain")), size) as (app, pilot):
        await pilot.press("r")
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        assert {strip.cell_length for strip in strips} == {size[0]}
        assert ("训练-一号" if size[0] > 40 else "训…号") in strips[3].text
        assert "keep training" in strips[3].text
        assert all(strip.text.endswith("│") for strip in strips[2:5])


async def test_enter_opens_the_run_and_tells_the_monitor() -> None:
    chosen: list[str] = []
    async with staged(many(5), select=chosen.append) as (app, pilot):
        await pilot.press("r", "down", "j", "up", "enter")
        await pilot.pause()
        assert chosen == ["/logs/run-1"]
        assert "run-1" in lines(app)[0]
        assert "grad norm" in text(app)


async def test_thousands_of_runs_cost_a_screenful() -> None:
    made: list[int] = []
    async with staged(many(5000)) as (app, pilot):
        make = RunsView.row
        with pytest.MonkeyPatch.context() as patch:

            def counted(self: RunsView, i: int) -> RunRow:
                made.append(i)
                return make(self, i)

            patch.setattr(RunsView, "row", counted)
            await pilot.press("r")
            await pilot.pause()
            assert 0 < len(made) <= 36
            await pilot.press("G")
            await pilot.pause()
        assert "run-4999" in text(app)
        assert "5,000 of 5,000" in text(app)
        assert len(made) <= 72


async def test_pages_and_ends() -> None:
    async with staged(many(100)) as (app, pilot):
        await pilot.press("r", "pagedown")
        await pilot.pause()
        assert "run-31" in text(app)
        await pilot.press("pageup", "g")
        await pilot.pause()
        assert "1 of 100" in text(app)


async def test_search_selects_the_next_name() -> None:
    async with staged(many(100)) as (app, pilot):
        await pilot.press("r", "slash", *"RUN-7", "enter")
        await pilot.pause()
        assert " 8 of 100" in text(app)
        await pilot.press("n")
        await pilot.pause()
        assert "71 of 100" in text(app)
        await pilot.press("N")
        await pilot.pause()
        assert " 8 of 100" in text(app)
        await pilot.press("slash", "escape", "escape")
        await pilot.pause()
        assert "grad norm" in text(app)


async def test_the_selection_stays_on_its_run_when_the_order_changes() -> None:
    shown = many(5)
    async with staged(shown) as (app, pilot):
        await pilot.press("r", "down")
        await post(app, pilot, replace(shown, runs=tuple(reversed(shown.runs))))
        selected = next(line for line in lines(app) if "▸" in line)
        assert "run-1" in selected


async def test_clicks_select_and_open() -> None:
    async with staged(many(5)) as (app, pilot):
        await pilot.press("r")
        await pilot.pause()
        await pilot.click("#runs", offset=(10, 4))
        await pilot.click("#runs", offset=(10, 4))
        await pilot.pause()
        assert "run-2" in lines(app)[0]
        assert "grad norm" in text(app)


async def test_a_search_without_a_match_says_so_until_the_selection_moves() -> None:
    async with staged(many(5)) as (app, pilot):
        await pilot.press("r", "slash", *"zz", "enter")
        await pilot.pause()
        assert "no name has “zz” in it" in text(app)
        assert "runs 1 of 5" in text(app)
        await pilot.press("down")
        await pilot.pause()
        assert "zz" not in text(app)


async def test_long_names_take_the_room_of_sparklines() -> None:
    name = "gpt2-124m-lr6e-4-wd01-seed7"
    async with staged(snapshot(run(name)), (120, 36)) as (app, pilot):
        await pilot.press("r")
        await pilot.pause()
        assert name in lines(app)[3]


async def test_rooms_outlive_a_visit() -> None:
    async with staged(many(2)) as (app, pilot):
        for key in ("r", "6", "c", "question_mark"):
            await pilot.press(key)
            room = app.screen
            await pilot.press("1")
            await pilot.pause()
            assert room.is_running
            assert room.is_attached
