import math
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.style import Style
from staging import SIZES, lines, post, run, snapshot, staged, text

from gradtop.recollection import Recollection
from gradtop.record import Rows
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.ui.app import GradtopApp
from gradtop.ui.palette import styles
from gradtop.ui.widgets.prompt import Prompt
from gradtop.ui.widgets.runs import fitted
from gradtop.verdict import Judgement, Verdict
from gradtop.view import RunRow, RunsView

pytestmark = pytest.mark.rooms


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
        assert "训练-一号" in strips[3].text
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


def named(app: GradtopApp) -> list[str]:
    """The names in the list, from top to bottom."""
    return [found[0] for line in lines(app) if line[0] == "│" and (found := re.search(r"run-\d+", line[:16]))]


async def test_a_filter_holds_as_it_is_typed_and_is_said_in_the_frame() -> None:
    async with staged(many(100)) as (app, pilot):
        await pilot.press("r", "slash", *"RUN-7")
        await pilot.pause()
        assert "the filter leaves no run" in text(app)
        await pilot.press(*["backspace"] * 5, *"run-7 !1")
        await pilot.pause()
        assert named(app) == ["run-7", *(f"run-7{i}" for i in (0, *range(2, 10)))]
        assert "runs 1 of 10 ─ by newest ↓ ─ /run-7 !1 of 100" in text(app)
        await pilot.press("enter", "down")
        await pilot.pause()
        assert "runs 2 of 10" in text(app)
        await pilot.press("slash", *" | 99", "enter")
        await pilot.pause()
        assert "runs 2 of 11 ─ by newest ↓ ─ /run-7 !1 | 99 of 100" in text(app)
        await pilot.press("escape")
        await pilot.pause()
        # Without the filter the selection is where it was, and the room is still this one.
        assert "runs 71 of 100" in text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "grad norm" in text(app)


async def test_escape_while_typing_clears_the_filter() -> None:
    async with staged(many(100)) as (app, pilot):
        await pilot.press("r", "slash", *"run-7", "escape")
        await pilot.pause()
        assert "runs 8 of 100 ─ by newest ↓" in text(app)
        assert "/run-7" not in text(app)


@pytest.mark.parametrize(("typed", "says"), [("/(((", "missing )"), ("/(a+)+$/", "could take too long")])
async def test_a_filter_that_cannot_be_used_says_why_and_the_last_one_holds(typed: str, says: str) -> None:
    async with staged(many(100)) as (app, pilot):
        await pilot.press("r", "slash", *"9 ", *typed)
        await pilot.pause()
        assert says in text(app)
        assert "of 100" in lines(app)[1]
        await pilot.press("enter")
        await pilot.pause()
        assert says not in text(app)
        assert "of 100" in lines(app)[1]


async def test_a_filter_of_ten_thousand_characters_is_refused() -> None:
    async with staged(many(9)) as (app, pilot):
        await pilot.press("r", "slash")
        app.screen.query_one(Prompt).value = "x" * 10_000
        await pilot.pause()
        await pilot.pause()
        assert "at most 300 characters, and this one has 10,000" in text(app)
        assert "runs 1 of 9" in text(app)


async def test_a_filter_can_name_the_state_and_the_verdict() -> None:
    bad = run("bad", state=RunState.CRASHED, judgement=Judgement(Verdict.INTERVENE, "x"))
    unread = run("new", [], sources=())
    async with staged(snapshot(run(), bad, unread)) as (app, pilot):
        for typed, left in (("verdict:interv", "bad"), ("state:live", "minigpt"), ('state:"not read"', "new")):
            await pilot.press("r", "slash", *typed, "enter")
            await pilot.pause()
            assert "runs 1 of 1 ─" in text(app)
            assert left in lines(app)[3]
            await pilot.press("escape")


def valued(name: str, loss: list[float], **changes: Any) -> RunSnapshot:
    records = [Rows(steps=range(1, len(loss) + 1), columns={"loss": loss})] if loss else []
    return run(name, records, findings=(), **changes)


async def test_o_sorts_and_says_how() -> None:
    shown = snapshot(
        valued("run-10", [3.0, 2.0], state=RunState.QUIET, judgement=Judgement(Verdict.WATCH, "x")),
        valued("run-9", [1.0], state=RunState.LIVE),
        valued("run-8", [], sources=()),
        valued("run-7", [2.0, 2.0, math.nan], state=RunState.CRASHED, judgement=Judgement(Verdict.INTERVENE, "x")),
    )
    async with staged(shown) as (app, pilot):
        await pilot.press("r")
        for order, arrow, expected in (
            ("newest", "↓", [10, 9, 8, 7]),
            ("name", "↑", [7, 8, 9, 10]),
            ("state", "↓", [9, 7, 10, 8]),
            ("verdict", "↓", [7, 10, 9, 8]),
            ("loss", "↑", [9, 10, 7, 8]),
            ("steps", "↓", [7, 10, 9, 8]),
        ):
            await pilot.pause()
            assert named(app) == [f"run-{n}" for n in expected]
            assert f"by {order} {arrow}" in text(app)
            await pilot.press("o")
        await pilot.press(*["o"] * 4, "O")
        await pilot.pause()
        # What has no loss comes last either way.
        assert named(app) == [f"run-{n}" for n in (7, 10, 9, 8)]
        assert "by loss ↓" in text(app)
        assert "loss↓" in lines(app)[2]


async def test_marked_runs_have_a_colour_and_the_monitor_is_told() -> None:
    told: list[tuple[str, ...]] = []
    async with staged(many(9), compare=told.append) as (app, pilot):
        await pilot.press("r", "down", "x", "down", "x")
        await pilot.pause()
        assert "■a run-1" in text(app)
        assert "■b run-2" in text(app)
        assert list(told[-1]) == ["/logs/run-1", "/logs/run-2"]
        assert style_of(app, "■a").color == styles(app.theme)["trace 1"].color
        await pilot.press("up", "x")
        await pilot.pause()
        # It keeps its colour though the first one is free.
        assert "■a" not in text(app)
        assert style_of(app, "■b").color == styles(app.theme)["trace 2"].color
        await pilot.press("x", *["down", "down", "x"], *["down", "x"] * 4)
        await pilot.pause()
        assert "6 runs are marked" in text(app)
        assert len(set(told[-1])) == 6
        await pilot.press("up")
        await pilot.pause()
        assert "6 runs are marked" not in text(app)
        await pilot.press("X")
        await pilot.pause()
        assert "■" not in text(app)
        assert not told[-1]


def style_of(app: GradtopApp, sign: str) -> Style:
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            if segment.text.startswith(sign) and segment.style is not None:
                return segment.style
    raise AssertionError(f"{sign} is not on the screen")


async def test_order_filter_and_marks_are_remembered() -> None:
    kept: list[Recollection] = []
    async with staged(many(9), keep=kept.append) as (app, pilot):
        await pilot.press("r", "down", "x", "o", "O", "slash", *"run !3", "enter")
        await pilot.pause()
        await pilot.press("q")
    told: list[tuple[str, ...]] = []
    async with staged(many(9), recollection=kept[-1], compare=told.append) as (app, pilot):
        await pilot.press("r")
        await pilot.pause()
        assert "by name ↓ ─ /run !3 of 9" in text(app)
        assert "■a run-1" in text(app)
        assert told == [("/logs/run-1",)]
    odd = Recollection({}, {"runs": {"order": "x", "backwards": "y", "filter": "/(((", "marked 1": True}})
    async with staged(many(9), recollection=odd) as (app, pilot):
        await pilot.press("r")
        await pilot.pause()
        assert "runs 1 of 9 ─ by newest ↓" in text(app)


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


@pytest.mark.parametrize("longest", range(1, 29))
def test_a_name_is_not_cut_where_a_sparkline_could_make_room(longest: int) -> None:
    columns = fitted(118, longest)
    assert columns[0][1] >= longest
