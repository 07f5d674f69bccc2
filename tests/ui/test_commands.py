"""The command palette: everything by name, foreign names clean, and nothing for the mouse only."""

import pytest
from staging import EVIL, SIZES, lines, run, snapshot, staged, text

from gradtop.snapshot import Snapshot
from gradtop.ui import keys
from gradtop.ui.screens.commands import CommandsRoom, commands_of
from gradtop.ui.screens.overview import Overview
from gradtop.ui.screens.runs import RunsRoom
from gradtop.ui.widgets.chart import Chart
from gradtop.ui.widgets.commands import Command, Commands

pytestmark = pytest.mark.rooms


@pytest.mark.parametrize(
    ("room", "key"), [*((room, "colon") for room in "12346rc"), ("5", "ctrl+p"), ("question_mark", "ctrl+p")]
)
async def test_it_opens_over_every_room_and_closes_again(room: str, key: str) -> None:
    async with staged(snapshot(run())) as (app, pilot):
        await pilot.press(room)
        below = app.screen
        await pilot.press(key)
        await pilot.pause()
        assert isinstance(app.screen, CommandsRoom)
        assert "─ commands" in text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is below
        await pilot.press(key, "ctrl+p")
        await pilot.pause()
        assert app.screen is below


def test_it_has_every_key_of_the_room_and_of_everywhere() -> None:
    for room in keys.ROOMS:
        found = {command.action for command in commands_of(keys.TABLE, room, (), ())}
        assert found == {key.action for key in keys.TABLE if key.room in (room, "everywhere")}


async def test_a_command_acts_on_the_room_below() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        await pilot.press("tab", "colon", *"y axis", "enter")
        await pilot.pause()
        assert isinstance(app.screen, Overview)
        chart = app.screen.query_one("#chart-1", Chart)
        assert chart.look is not None
        assert chart.look.log is True


async def test_rooms_runs_and_themes_are_there_by_name() -> None:
    async with staged(snapshot(run("first"), run("second"))) as (app, pilot):
        await pilot.press("colon", *"text of", "enter")
        await pilot.pause()
        assert "─ /logs/x" in text(app)
        await pilot.press("colon", *"open sec", "enter")
        await pilot.pause()
        assert "─ grad norm" in text(app)
        assert " second " in lines(app)[0]
        await pilot.press("colon", *"THEME light", "enter")
        await pilot.pause()
        assert app.theme == "light"
        assert "theme: light" in text(app)
        await pilot.press("r", "colon", *"leave gradtop", "enter")
        await pilot.pause()
    assert app.return_code == 0


async def test_without_a_match_enter_stays_and_says_so() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        await pilot.press("colon", *"qqq", "enter")
        await pilot.pause()
        assert isinstance(app.screen, CommandsRoom)
        assert "Nothing has these words in it." in text(app)
        assert "0 of " in text(app)
        await pilot.press("down", "up", "pagedown", "pageup", "backspace", "backspace", "backspace")
        await pilot.pause()
        assert "Nothing" not in text(app)


async def test_foreign_names_are_text_and_nothing_else() -> None:
    async with staged(snapshot(run(EVIL), run("训练" * 200))) as (app, pilot):
        await pilot.press("colon", *"open", "pagedown")
        await pilot.pause()
        assert "[/bold][@click=app.quit]x[/]" in text(app)
        assert not {"\x1b", "\x07", "\u202e"} & set(text(app))
        assert len({len(line) for line in lines(app) if "训" not in line}) == 1
        await pilot.press("enter")
        await pilot.pause()
        assert app.is_running


@pytest.mark.parametrize("size", [*SIZES, (40, 12), (8, 3), (1, 1)])
async def test_it_fits_at_any_size_and_scrolls(size: tuple[int, int]) -> None:
    shown = Snapshot(0.0, tuple(run(f"run-{i}") for i in range(80)))
    async with staged(shown, size) as (app, pilot):
        await pilot.press("colon", *["pagedown"] * 20, "enter")
        await pilot.pause()
        assert app.is_running
        if size[0] >= 80:
            assert " run-79 " in lines(app)[0]


async def test_a_click_does_what_enter_does() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        await pilot.press("colon", *"all runs that were")
        await pilot.pause()
        await pilot.click(Commands, offset=(20, 1))
        await pilot.pause()
        assert isinstance(app.screen, RunsRoom)


def test_all_words_have_to_match_in_any_order() -> None:
    command = Command("open minigpt-medium", "run", "run", "", "x")
    assert command.matches(["medium", "open"])
    assert command.matches([])
    assert not command.matches(["open", "large"])
