import inspect
import re
from pathlib import Path

import pytest
from staging import lines, run, snapshot, staged, text

from gradtop.ui import keys
from gradtop.ui.app import GradtopApp
from gradtop.ui.screens.commands import CommandsRoom
from gradtop.ui.screens.findings import FindingsRoom
from gradtop.ui.screens.layers import LayersRoom
from gradtop.ui.screens.log import LogRoom
from gradtop.ui.screens.metrics import MetricsRoom
from gradtop.ui.screens.overview import Overview
from gradtop.ui.screens.runs import RunsRoom
from gradtop.ui.screens.sheets import ChecklistRoom, HelpRoom, SheetRoom
from gradtop.ui.screens.system import SystemRoom

OWNERS = {
    "everywhere": GradtopApp,
    "overview": Overview,
    "layers": LayersRoom,
    "metrics": MetricsRoom,
    "findings": FindingsRoom,
    "system": SystemRoom,
    "log": LogRoom,
    "runs": RunsRoom,
    "sheet": SheetRoom,
    "commands": CommandsRoom,
}


@pytest.mark.parametrize("key", keys.TABLE, ids=lambda key: key.id)
def test_every_key_has_an_action_that_exists(key: keys.Key) -> None:
    name = key.action.partition("(")[0].rpartition(".")[2]
    assert inspect.isfunction(getattr(OWNERS[key.room], f"action_{name}", None))


def test_ids_are_unique_and_no_key_is_bound_twice_in_a_room() -> None:
    assert len({key.id for key in keys.TABLE}) == len(keys.TABLE)
    for room in OWNERS:
        bound = [name for key in keys.TABLE if key.room in (room, "everywhere") for name in key.keys.split(",")]
        if room != "everywhere":
            assert len(bound) == len(set(bound)), room


@pytest.mark.parametrize("size", [(120, 36), pytest.param((80, 24), marks=pytest.mark.rooms)])
@pytest.mark.parametrize("room", ["1", "2", "3", "4", "5", "6", "r", "c", "question_mark"])
async def test_no_key_breaks_any_room(
    size: tuple[int, int], room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One of the keys saves a picture.
    monkeypatch.chdir(tmp_path)
    async with staged(snapshot(run()), size) as (app, pilot):
        await pilot.press(room)
        for key in keys.TABLE:
            name = key.keys.partition(",")[0]
            # The keys that lead elsewhere have tests of their own; the screen would be another one.
            elsewhere = "room" in key.action or name in ("L", "enter", "slash")
            if key.action not in ("app.quit", "app.suspend_process", "app.commands") and not elsewhere:
                app.simulate_key(name)
        await pilot.pause()
        assert app.is_running
        assert len(lines(app)) == size[1]


async def test_help_lists_every_key() -> None:
    async with staged(snapshot(run()), (120, 250)) as (app, pilot):
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpRoom)
        for key in keys.TABLE:
            assert key.help in text(app)
        await pilot.press("escape")
        assert isinstance(app.screen, Overview)


@pytest.mark.parametrize(("key", "title"), [("1", "Overview"), ("6", "Log"), ("r", "Runs"), ("3", "Metrics")])
async def test_help_begins_with_the_room_that_it_was_asked_in(key: str, title: str) -> None:
    async with staged(snapshot(run()), (80, 24)) as (app, pilot):
        await pilot.press("question_mark", "G", "escape", key, "question_mark")
        await pilot.pause()
        assert lines(app)[2].strip("│ ").strip() == title


async def test_a_sheet_scrolls_to_its_end_and_back() -> None:
    async with staged(snapshot(run()), (80, 24)) as (app, pilot):
        await pilot.press("c")
        await pilot.pause()
        assert isinstance(app.screen, ChecklistRoom)
        assert "Vanishing gradient" in text(app)
        assert "more lines ↓" in text(app)
        await pilot.press("G")
        await pilot.pause()
        assert "To change one: [limits] in gradtop.toml" in text(app)
        assert "more lines" not in text(app)
        await pilot.press("g", "down", "pagedown", "pageup", "up")
        await pilot.pause()
        assert "Vanishing gradient" in text(app)


@pytest.mark.parametrize("room", ["overview", "metrics", "findings", "system", "log", "runs", "sheet"])
def test_a_footer_ends_with_help_and_quit(room: str) -> None:
    assert keys.hints(room).ways_out == (("?", "help"), ("q", "quit"))


def test_the_readme_table_has_every_key() -> None:
    table = keys.markdown()
    assert all(f"| `{key.id}` |" in table for key in keys.TABLE)
    # A pipe in a cell would begin another one.
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines() if line} == {4}


async def test_rooms_follow_each_other_without_piling_up() -> None:
    async with staged(snapshot(run())) as (app, pilot):
        for key in ("6", "r", "4", "c", "question_mark", "6", "1", "6", "6"):
            await pilot.press(key)
        await pilot.pause()
        assert len(app.screen_stack) == 2
        assert isinstance(app.screen, LogRoom)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_quit_ends_with_exit_code_zero(key: str) -> None:
    async with staged(snapshot(run())) as (app, pilot):
        await pilot.press(key)
        await pilot.pause()
    assert app.return_code == 0
