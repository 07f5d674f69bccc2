"""From a finding to its charts, its line of the log and its checklist, from there on, and back."""

from dataclasses import replace
from pathlib import Path

import pytest
from staging import EVIL, SIZES, lines, post, rows, run, snapshot, staged, text
from test_findings import DIVERGED, SPIKE, found
from textual.pilot import Pilot

from gradtop.finding import FindingState, Severity
from gradtop.origin import Origin
from gradtop.record import Rows
from gradtop.snapshot import RunSnapshot, Snapshot
from gradtop.sources import SourceStatus, numbering
from gradtop.ui.app import GradtopApp
from gradtop.ui.screens.findings import FindingsRoom
from gradtop.ui.screens.layers import LayersRoom
from gradtop.ui.screens.log import LogRoom
from gradtop.ui.screens.overview import Overview
from gradtop.ui.screens.sheets import ChecklistRoom
from gradtop.ui.widgets.heatmap import Heatmap

pytestmark = pytest.mark.rooms

LAST = 400


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with two lines per step, of which the second gives the row."""
    path = tmp_path / "train.log"
    path.write_text("".join(f"reading batch {i}\nstep {i}: loss {5 - i / 1000:.3f}\n" for i in range(1, LAST + 1)))
    return path


def moment(path: Path, *findings: object, **changes: object) -> Snapshot:
    return snapshot(logged(path, *findings, **changes))


def logged(path: Path, *findings: object, **changes: object) -> RunSnapshot:
    steps = range(1, LAST + 1)
    origin = Origin()
    origin.take([Rows(steps=steps, columns={"loss": [1.0] * LAST}, lines=range(2, 2 * LAST + 1, 2))])
    source = SourceStatus(path, "text", size=path.stat().st_size if path.exists() else 0)
    shown = run(records=(rows(LAST),), findings=findings or (DIVERGED, SPIKE), sources=(source,))  # type: ignore[arg-type]
    return replace(shown, origins=(origin.view(path),), **changes)  # type: ignore[arg-type]


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.pause()
        await pilot.pause()


def room(app: GradtopApp) -> type:
    return type(app.screen)


def marked(app: GradtopApp) -> str:
    """The line of the log that a jump led to."""
    return next(line for line in lines(app) if "▸" in line)


@pytest.mark.parametrize("size", SIZES)
async def test_a_finding_leads_to_its_charts_and_one_step_back_to_it(log: Path, size: tuple[int, int]) -> None:
    async with staged(moment(log), size) as (app, pilot):
        await press(pilot, "4", "down", "enter")
        assert room(app) is Overview
        assert "at 310" in text(app)
        await press(pilot, "escape")
        assert room(app) is FindingsRoom
        assert "loss_spike happened." in text(app)
        await press(pilot, "escape")
        assert room(app) is Overview


@pytest.mark.parametrize("size", SIZES)
async def test_a_finding_leads_to_its_line_from_there_to_the_chart_and_all_the_way_back(
    log: Path, size: tuple[int, int]
) -> None:
    async with staged(moment(log), size) as (app, pilot):
        await press(pilot, "4", "down", "L")
        assert room(app) is LogRoom
        assert "620▸ step 310: loss" in marked(app)
        assert "619  reading batch 310" in text(app)
        assert "622· step 311: loss" in text(app)
        assert "step 310 ·" in text(app)
        await press(pilot, "enter")
        assert room(app) is Overview
        assert "at 310" in text(app)
        await press(pilot, "escape")
        assert room(app) is LogRoom
        await press(pilot, "escape")
        assert room(app) is FindingsRoom
        await press(pilot, "escape", "escape")
        assert room(app) is Overview


async def test_the_cursor_of_a_chart_leads_to_its_line(log: Path) -> None:
    async with staged(moment(log)) as (app, pilot):
        await press(pilot, "g", "L")
        assert "2▸ step 1: loss" in marked(app)
        await press(pilot, "escape", "escape", "L")
        # Without a cursor it is the newest step.
        assert "800▸ step 400: loss" in marked(app)


async def test_a_step_without_a_line_of_its_own_leads_to_the_nearest_one_and_that_is_said(log: Path) -> None:
    between = found("loss_spike", Severity.WATCH, 310.5)
    async with staged(moment(log, between)) as (app, pilot):
        await press(pilot, "4", "L")
        assert "step 310: loss" in marked(app)
        assert "step 310, the nearest line to step 310.5 that is known" in text(app)


async def test_a_clicked_line_leads_to_its_step_and_one_without_to_the_step_before_it(log: Path) -> None:
    async with staged(moment(log)) as (app, pilot):
        await press(pilot, "6", "g")
        await pilot.click("#log", offset=(20, 10))
        await press(pilot, "enter")
        assert "at 5" in text(app)
        await press(pilot, "escape")
        await pilot.click("#log", offset=(20, 11))
        await press(pilot)
        assert "11▸ reading batch 6" in marked(app)
        await press(pilot, "enter")
        assert "at 5" in text(app)


async def test_following_the_end_leads_to_the_newest_step(log: Path) -> None:
    async with staged(moment(log)) as (app, pilot):
        await press(pilot, "6", "enter")
        assert room(app) is Overview
        assert "at 400" in text(app)


async def test_a_jump_stays_where_it_led_while_the_log_grows_and_the_screen_changes(log: Path) -> None:
    async with staged(moment(log)) as (app, pilot):
        await press(pilot, "4", "down", "L")
        with log.open("a") as file:
            file.write("step 401: loss 4.0\n")
        await post(app, pilot, moment(log))
        assert "step 310: loss" in marked(app)
        await pilot.resize_terminal(80, 24)
        await press(pilot)
        assert "step 310: loss" in marked(app)
        await press(pilot, "down", "up")
        assert "end, following" not in text(app)


async def test_numbers_of_lines_are_shown_or_not_and_that_is_remembered(log: Path) -> None:
    async with staged(moment(log)) as (app, pilot):
        await press(pilot, "6")
        assert "800· step 400" in text(app)
        await press(pilot, "number_sign")
        assert "800· step 400" not in text(app)
        assert "· step 400" in text(app)
        shown = app.screen
        assert isinstance(shown, LogRoom)
        assert shown.memory() == {"numbers": False}
        shown.recall({"numbers": True})
        await press(pilot, "up")
        assert "· step 398" in text(app)
        shown.recall({"numbers": "nonsense"})
        assert shown.memory() == {"numbers": True}


async def test_lines_of_a_large_file_are_numbered_as_soon_as_they_are_counted(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbering, "MARK_BYTES", 64)
    monkeypatch.setattr(numbering, "PASSING_BYTES", 256)
    async with staged(moment(log)) as (app, pilot):
        await press(pilot, "6")
        for _ in range(20):
            await pilot.pause()
        assert "800· step 400" in text(app)
        await press(pilot, "up", "up")
        assert "798· step 399" in text(app)


async def test_the_checklist_is_that_of_the_selected_finding_and_of_the_primary_one_elsewhere(log: Path) -> None:
    async with staged(moment(log)) as (app, pilot):
        await press(pilot, "4", "down", "c")
        assert room(app) is ChecklistRoom
        assert "loss_spike happened." in lines(app)[4]
        assert "What would change the verdict" in text(app)
        assert "How it is judged: notice for one row" in text(app)
        await press(pilot, "escape")
        assert room(app) is FindingsRoom
        await press(pilot, "1", "c")
        assert "loss_divergence happened." in lines(app)[4]


async def test_passed_spikes_unfold_in_the_list_and_fold_again(log: Path) -> None:
    spikes = [found("loss_spike", Severity.NOTICE, step, state=FindingState.RECOVERED) for step in range(20, 30)]
    async with staged(moment(log, *spikes)) as (app, pilot):
        await press(pilot, "4", "g")
        assert "▸+ passed       Loss spike, 10 times" in text(app)
        await press(pilot, "enter", "down", "down")
        assert "▸ ○ passed" in text(app)
        assert "at 28" in next(line for line in lines(app) if "▸" in line)
        await press(pilot, "L")
        assert "56▸ step 28: loss" in marked(app)
        await press(pilot, "escape", "g", "enter")
        assert "○ passed" not in text(app)


async def test_a_finding_of_a_layer_leads_to_that_layer_and_back(log: Path) -> None:
    names = [f"h.{i}.mlp" for i in range(40)]
    steps = range(1, LAST + 1)
    layers = Rows(steps=steps, columns={f"grad_norm/{name}": [0.5] * LAST for name in names})
    dead = found("dead_layer", Severity.WATCH, 100, scope="layer:h.33.mlp")
    shown = replace(moment(log, dead).runs[0], view=run(records=(rows(LAST), layers)).view)
    async with staged(snapshot(shown)) as (app, pilot):
        await press(pilot, "4")
        assert "grad norm of h.33.mlp" in text(app)
        await press(pilot, "2")
        assert room(app) is LayersRoom
        assert app.screen.query_one(Heatmap).selected == "h.33.mlp"
        await press(pilot, "escape")
        assert room(app) is FindingsRoom
        # Another finding is of no layer in particular.
    async with staged(moment(log)) as (app, pilot):
        await press(pilot, "4", "2", "escape")
        assert room(app) is FindingsRoom


async def test_the_order_changes_and_is_remembered(log: Path) -> None:
    old = found("loss_divergence", Severity.INTERVENE, 30)
    async with staged(moment(log, old, SPIKE)) as (app, pilot):
        await press(pilot, "4")
        assert "· worst first" in text(app)
        await press(pilot, "o")
        assert "· newest first" in text(app)
        assert "Loss spike" in lines(app)[2]
        shown = app.screen
        assert isinstance(shown, FindingsRoom)
        assert shown.memory() == {"order": "newest first"}
        shown.recall({"order": "nonsense"})
        assert shown.memory() == {"order": "worst first"}


async def test_a_finding_is_copied_as_clean_text(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    evil = replace(DIVERGED, message=EVIL)
    async with staged(moment(log, evil)) as (app, pilot):
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        await press(pilot, "4", "Y")
        assert "copied: Loss divergence" in text(app)
    (told,) = copied
    assert told.startswith("minigpt: Loss divergence\nintervene · active")
    assert not any(ord(ch) < 32 and ch != "\n" for ch in told)


async def test_before_anything_is_there_no_jump_does_anything() -> None:
    async with staged(None) as (app, pilot):
        await press(
            pilot, "L", "4", "enter", "L", "Y", "o", "c", "escape", "6", "enter", "number_sign", "escape", "escape"
        )
        assert room(app) is Overview
    async with staged(snapshot()) as (app, pilot):
        await press(pilot, "L", "4", "enter", "L", "Y", "o", "c", "escape", "6", "enter", "L", "1", "escape")
        assert room(app) is Overview


@pytest.mark.parametrize("what", ["gone", "shorter", "binary", "compressed"])
async def test_a_log_that_is_another_one_by_now_says_so(log: Path, what: str) -> None:
    shown = moment(log)
    if what == "gone":
        log.unlink()
    elif what == "shorter":
        log.write_text("step 1: loss 5\n")
    else:
        log.write_bytes(b"\x1f\x8b\0\0" * 99 if what == "compressed" else bytes(range(256)) * 9)
    async with staged(shown) as (app, pilot):
        await press(pilot, "4", "down", "L")
        assert room(app) is LogRoom
        said = {
            "gone": "cannot be read: No such file",
            "shorter": "line 620 is not in this file, as it is now",
            "binary": "line 620 is not in this file, as it is now",
            "compressed": "is compressed: its raw text is not shown",
        }
        assert said[what] in text(app)
        await press(pilot, "enter", "escape")
        assert len(lines(app)) == 36


async def test_a_run_without_lines_says_so(log: Path) -> None:
    source = SourceStatus(log, "tensorboard", size=10)
    async with staged(snapshot(replace(logged(log), origins=(), sources=(source,)))) as (app, pilot):
        await press(pilot, "4", "L")
        assert "Its files (tensorboard) have no lines: there is no text of a step." in text(app)


async def test_hundreds_of_findings_with_hostile_scopes_are_walked_without_a_fault(log: Path) -> None:
    many = [
        replace(
            found("dead_layer", Severity(i % 3), float(i), state=list(FindingState)[i % 2]), scope=f"layer:{EVIL}{i}"
        )
        for i in range(500)
    ]
    async with staged(moment(log, *many), (80, 24)) as (app, pilot):
        await press(pilot, "4", "G", "up", "enter", "escape", "L", "escape", "c", "escape", "o", "g", "pagedown")
        assert room(app) is FindingsRoom
        assert "1–6 of 5" in text(app)
        assert not any(ord(ch) < 32 or 0x7F <= ord(ch) < 0xA0 or ch == "\u202e" for ch in "".join(lines(app)))
        for size in ((40, 12), (10, 3), (1, 1), (72, 22), (100, 21), (300, 100)):
            await pilot.resize_terminal(*size)
            await press(pilot, "down")
            assert len(lines(app)) == size[1]
