"""The Findings room: the list, the finding in full, and what its user says of it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from staging import EVIL, SIZES, finding, lines, post, run, snapshot, staged, text

from gradtop.attention import Attention
from gradtop.config import Settings
from gradtop.finding import Coverage, Finding, FindingState, Severity, Standing
from gradtop.monitor import Monitor
from gradtop.shelf import state_folder
from gradtop.snapshot import RunSnapshot, Snapshot
from gradtop.ui.screens.findings import laid_out

Said = list[tuple[object, ...]]


def found(kind: str, severity: Severity, step: float, **changes: object) -> Finding:
    base = replace(finding(severity, step, f"{kind} happened."), kind=kind, state=FindingState.ACTIVE)
    return replace(base, **changes)  # type: ignore[arg-type]  # names and values are the test's own


def run_with(*findings: Finding, attention: Attention | None = None) -> RunSnapshot:
    coverage = (Coverage("overfitting", "no validation loss in this log", "the validation loss"),)
    return run(findings=findings, coverage=coverage, attention=attention or Attention())


DIVERGED = found("loss_divergence", Severity.INTERVENE, 300)
SPIKE = found("loss_spike", Severity.WATCH, 310)


@pytest.mark.parametrize("size", [*SIZES, (40, 18)])
async def test_the_list_and_the_selected_finding_fit_every_screen(size: tuple[int, int]) -> None:
    async with staged(snapshot(run_with(DIVERGED, SPIKE)), size) as (app, pilot):
        await pilot.press("4")
        await pilot.pause()
        shown = lines(app)
        assert len(shown) == size[1]
        assert all(len(line) == size[0] for line in shown)
        assert "▸● intervene" in text(app)
        assert "loss_divergence happened." in text(app)
        await pilot.press("down")
        await pilot.pause()
        assert "▸● watch" in text(app)
        assert "loss_spike happened." in text(app)


async def test_it_opens_at_the_finding_that_the_verdict_goes_by() -> None:
    shown = run_with(SPIKE, DIVERGED)
    shown = replace(shown, judgement=replace(shown.judgement, primary=DIVERGED))
    async with staged(snapshot(shown)) as (app, pilot):
        await pilot.press("4")
        await pilot.pause()
        assert "▸● intervene    Loss divergence" in text(app)


async def test_what_turns_up_is_selected_unless_the_user_has_chosen() -> None:
    async with staged(snapshot(run_with())) as (app, pilot):
        await pilot.press("4")
        await pilot.pause()
        assert "▸? cannot tell" in text(app)
        shown = run_with(SPIKE, DIVERGED)
        await post(app, pilot, snapshot(replace(shown, judgement=replace(shown.judgement, primary=DIVERGED))))
        assert "▸● intervene    Loss divergence" in text(app)
        await pilot.press("G")
        await post(app, pilot, snapshot(shown))
        assert "▸? cannot tell" in text(app)


async def test_the_last_row_says_what_the_log_cannot_tell() -> None:
    async with staged(snapshot(run_with(DIVERGED))) as (app, pilot):
        await pilot.press("4", "G")
        await pilot.pause()
        assert "no validation loss in this log" in text(app)
        assert "needs the validation loss" in text(app)
        # Neither key has anything to act on here.
        await pilot.press("a", "m", "g")
        await pilot.pause()
        assert "loss_divergence happened." in text(app)


@pytest.mark.parametrize("shown", [snapshot(), snapshot(replace(run_with(), coverage=()))])
async def test_where_there_is_nothing_the_keys_do_nothing(shown: Snapshot) -> None:
    async with staged(shown) as (app, pilot):
        await pilot.press("4", "a", "m", "down", "G", "g", "pagedown", "pageup")
        await pilot.pause()
        assert "No finding." in text(app)


async def test_keys_say_what_the_user_wants_and_the_line_what_was_done() -> None:
    said: Said = []
    attention = Attention(kept="Kept in /state/gradtop.")
    async with staged(
        snapshot(run_with(DIVERGED, SPIKE)),
        acknowledge=lambda *what: said.append(("acknowledge", *what)),
        mute=lambda *what: said.append(("mute", *what)),
    ) as (app, pilot):
        await pilot.press("4", "down", "a")
        await pilot.pause()
        assert "Loss spike is acknowledged, and counts again if it gets worse than watch." in text(app)
        known = replace(SPIKE, standing=Standing.ACKNOWLEDGED)
        await post(app, pilot, snapshot(run_with(DIVERGED, known, attention=attention)))
        assert "▸● acknowledged" in text(app)
        assert "than watch. Kept in /state/gradtop." in text(app)
        await pilot.press("a", "m")
        await pilot.pause()
        assert "Loss spike is muted: such findings are listed and do not count in this directory." in text(app)
        muted = replace(SPIKE, standing=Standing.MUTED)
        attention = replace(attention, muted=frozenset(("loss_spike",)))
        await post(app, pilot, snapshot(run_with(DIVERGED, muted, attention=attention)))
        await pilot.press("a")
        await pilot.pause()
        assert "Loss spike is muted: m takes that back." in text(app)
        await pilot.press("m")
        await pilot.pause()
        assert "Loss spike counts again." in text(app)
        await pilot.press("up")
        await pilot.pause()
        assert "counts again." not in text(app)
    assert said == [
        ("acknowledge", "/logs/minigpt", SPIKE.id, Severity.WATCH),
        ("acknowledge", "/logs/minigpt", SPIKE.id, None),
        ("mute", "/logs/minigpt", "loss_spike", True),
        ("mute", "/logs/minigpt", "loss_spike", False),
    ]


async def test_what_the_settings_mute_is_changed_there() -> None:
    said: Said = []
    muted = replace(DIVERGED, standing=Standing.MUTED)
    shown = snapshot(run_with(muted, attention=Attention(everywhere=frozenset(("loss_divergence",)))))
    async with staged(shown, mute=lambda *what: said.append(what)) as (app, pilot):
        await pilot.press("4", "m")
        await pilot.pause()
        assert "Loss divergence is muted in the settings" in text(app)
    assert said == []


async def test_the_selected_finding_stays_selected_while_others_come_and_go() -> None:
    async with staged(snapshot(run_with(DIVERGED, SPIKE))) as (app, pilot):
        await pilot.press("4", "down")
        more = [found("loss_spike", Severity.WATCH, step) for step in range(320, 380)]
        await post(app, pilot, snapshot(run_with(DIVERGED, *more, SPIKE)))
        assert "loss_spike happened." in text(app)
        assert "▸● watch        Loss spike" in text(app)
        assert "since 310" in next(line for line in lines(app) if "▸" in line)
        await post(app, pilot, snapshot(run_with(DIVERGED)))
        assert "▸? cannot tell" in text(app)


async def test_keys_that_are_typed_ahead_act_on_what_is_then_shown() -> None:
    said: Said = []
    other = run("other", findings=(SPIKE, DIVERGED), coverage=())
    shown = snapshot(run_with(DIVERGED, SPIKE), other)
    async with staged(shown, acknowledge=lambda *what: said.append(what)) as (app, pilot):
        for keys, after in ((("4", "down", "a"), ("r", "down", "enter")), (("4", "a"), ())):
            for key in keys:
                app.simulate_key(key)
            await pilot.pause()
            await pilot.press(*after)
            await pilot.pause()
    assert said == [
        ("/logs/minigpt", SPIKE.id, Severity.WATCH),
        ("/logs/other", SPIKE.id, Severity.WATCH),
    ]


async def test_the_wheel_and_a_click_select() -> None:
    async with staged(snapshot(run_with(DIVERGED, SPIKE))) as (app, pilot):
        await pilot.press("4")
        await pilot.pause()
        await pilot.click("#findings", offset=(4, 2))
        await pilot.pause()
        assert "loss_spike happened." in text(app)
        await pilot.click("#findings", offset=(4, 30))
        await pilot.pause()
        assert "no validation loss" in text(app)


async def test_while_paused_the_line_says_why_nothing_changes() -> None:
    async with staged(snapshot(run_with(DIVERGED)), size=(80, 24)) as (app, pilot):
        await pilot.press("4", "space", "a")
        await pilot.pause()
        assert "The screen is paused: space shows it." in " ".join(text(app).split())


async def test_a_small_screen_names_the_keys_of_the_room() -> None:
    async with staged(snapshot(run_with(DIVERGED)), size=(80, 24)) as (app, pilot):
        await pilot.press("4")
        await pilot.pause()
        assert "a acknowledge  m mute" in lines(app)[-1]


async def test_foreign_text_is_harmless() -> None:
    evil = replace(DIVERGED, message=EVIL, scope=f"layer:{EVIL}")
    shown = run_with(evil, attention=Attention(kept=EVIL))
    shown = replace(shown, coverage=(Coverage("overfitting", EVIL, EVIL),))
    async with staged(snapshot(shown)) as (app, pilot):
        for keys in (("4",), ("a",), ("G",)):
            await pilot.press(*keys)
            await pilot.pause()
            assert not any(ord(ch) < 32 or 0x7F <= ord(ch) < 0xA0 or ch == "\u202e" for ch in "".join(lines(app)))


def settled(monitor: Monitor) -> Snapshot:
    shown = monitor.poll()
    while monitor.backlog:
        shown = monitor.poll()
    return shown


async def test_what_was_said_survives_a_restart_while_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    log = tmp_path / "run" / "train.jsonl"
    log.parent.mkdir()
    losses = [3.0 - 0.005 * step if step < 60 else float("nan") for step in range(90)]
    rows = [json.dumps({"step": step, "loss": loss}) + "\n" for step, loss in enumerate(losses)]
    log.write_text("".join(rows[:80]))

    def monitor() -> Monitor:
        return Monitor([log.parent], Settings(), state=state_folder(os.environ))

    first = monitor()
    async with staged(settled(first), acknowledge=first.acknowledge, mute=first.mute) as (app, pilot):
        assert "INTERVENE" in text(app)
        await pilot.press("4", "a")
        await pilot.pause()
        await post(app, pilot, settled(first))
        assert f"Kept in {tmp_path}" in " ".join(text(app).split())
        await pilot.press("1")
        await pilot.pause()
        assert "KEEP TRAINING, 1 ACKNOWLEDGED" in text(app)
        with log.open("a") as file:
            file.writelines(rows[80:])
        await post(app, pilot, settled(first))
        assert "KEEP TRAINING, 1 ACKNOWLEDGED" in text(app)
    second = monitor()
    async with staged(settled(second), acknowledge=second.acknowledge, mute=second.mute) as (app, pilot):
        assert "KEEP TRAINING, 1 ACKNOWLEDGED" in text(app)
        await pilot.press("4", "a", "m")
        await pilot.pause()
        await post(app, pilot, settled(second))
        assert "▸● muted" in text(app)
    assert settled(monitor()).runs[0].muted == {"nonfinite"}


@pytest.mark.parametrize(
    ("size", "drawn", "beside", "picture"),
    [
        ((120, 36), True, True, True),
        ((120, 36), False, True, False),
        ((100, 21), True, True, False),
        ((80, 24), True, False, True),
        ((80, 20), True, False, False),
        ((60, 40), True, False, False),
    ],
)
def test_the_picture_stands_where_there_is_room(
    size: tuple[int, int], drawn: bool, beside: bool, picture: bool
) -> None:
    layout = laid_out(*size, rows=3, drawn=drawn)
    assert (layout.beside, layout.picture) == (beside, picture)
    cells = len(layout.columns) * len(layout.rows)
    # The list and the text, and the picture beside or over one of them.
    assert cells >= 2 + picture
