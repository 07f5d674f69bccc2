"""The screen looks as it was left, room by room."""

from dataclasses import replace
from typing import Any

import pytest
from staging import post, run, snapshot, staged

from gradtop.recollection import Memory, Recollection
from gradtop.snapshot import Snapshot
from gradtop.ui.screens.log import LogRoom
from gradtop.ui.screens.overview import Overview
from gradtop.ui.screens.runs import RunsRoom

TWO = snapshot(run("new"), run("old"))


async def left_by(*keys: str, shown: Snapshot = TWO, **options: Any) -> Recollection:
    """What is kept after these keys and `q`."""
    kept: list[Recollection] = []
    async with staged(shown, keep=kept.append, **options) as (_, pilot):
        for key in (*keys, "q"):
            await pilot.press(key)
            await pilot.pause()
    return kept[-1]


@pytest.mark.parametrize(("key", "room"), [("1", Overview), ("6", LogRoom), ("r", RunsRoom)])
async def test_the_room_is_entered_again(key: str, room: type) -> None:
    left = await left_by("6", key)
    async with staged(TWO, recollection=left) as (app, pilot):
        assert isinstance(app.screen, room)
        await pilot.press("escape")
        assert isinstance(app.screen, Overview)


@pytest.mark.parametrize("key", ["question_mark", "c"])
async def test_what_is_read_in_between_is_not_entered_again(key: str) -> None:
    async with staged(TWO, recollection=await left_by(key)) as (app, _):
        assert isinstance(app.screen, Overview)


async def test_the_run_is_opened_again_unless_a_newer_one_came() -> None:
    left = await left_by("r", "down", "enter")
    told: list[str] = []
    async with staged(replace(TWO, searching=True), recollection=left, select=told.append) as (app, pilot):
        assert app.scene.run is not None
        assert app.scene.run.name == "new"
        await post(app, pilot, TWO)
        assert app.scene.run.name == "old"
        assert told == ["/logs/old"]
    newer = snapshot(run("newest"), *TWO.runs)
    async with staged(newer, recollection=left) as (app, _):
        assert app.scene.run is not None
        assert app.scene.run.name == "newest"


async def test_the_newest_run_stays_the_newest_one() -> None:
    left = await left_by("6")
    async with staged(snapshot(run("newest"), *TWO.runs), recollection=left) as (app, _):
        assert app.scene.run is not None
        assert app.scene.run.name == "newest"


async def test_the_overview_is_asked_although_nobody_left_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Overview, "memory", lambda _: {"first": 3.0})
    assert (await left_by()).rooms["overview"] == {"first": 3.0}


async def test_what_a_room_remembers_is_told_to_it_once_and_kept_where_it_was_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Memory] = []
    monkeypatch.setattr(RunsRoom, "recall", lambda _, memory: told.append(memory))
    monkeypatch.setattr(RunsRoom, "memory", lambda _: {"order": "loss"})
    before = Recollection({}, {"runs": {"order": "name"}, "log": {"left": 20}, "gone": {"x": 1}})
    unseen = await left_by(recollection=before)
    assert (unseen.rooms["runs"], unseen.rooms["log"]) == ({"order": "name"}, {"left": 20})
    assert told == []
    seen = await left_by("r", "1", "r", recollection=before)
    assert told == [{"order": "name"}]
    assert seen.rooms["runs"] == {"order": "loss"}


@pytest.mark.parametrize("app", [{"room": "nowhere"}, {"room": 5, "run": 7, "newest": True}, {"room": None}])
async def test_a_recollection_that_makes_no_sense_harms_nothing(app: Memory) -> None:
    rooms: dict[str, Memory] = {name: {"x": 1e308, "log": "y" * 4000} for name in ("overview", "log", "runs", "")}
    async with staged(TWO, recollection=Recollection(app, rooms)) as (app_shown, pilot):
        for key in ("6", "r", "4", "1"):
            await pilot.press(key)
        await pilot.pause()
        assert isinstance(app_shown.screen, Overview)
