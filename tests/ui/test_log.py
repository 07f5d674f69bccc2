from pathlib import Path

import pytest
from staging import SIZES, lines, post, run, snapshot, staged, text

from gradtop.snapshot import Snapshot
from gradtop.sources import SourceStatus
from gradtop.sources.follow.file import open_source
from gradtop.ui.widgets.log import marked


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "train.log"
    path.write_text("".join(f"step {i}: loss {5 - i / 1000:.3f}\n" for i in range(1000)))
    return path


def of(*paths: Path) -> Snapshot:
    sources = tuple(SourceStatus(path, "text", size=path.stat().st_size if path.exists() else 0) for path in paths)
    return snapshot(run(sources=sources))


@pytest.mark.parametrize("size", SIZES)
async def test_the_log_opens_at_its_end_and_follows(log: Path, size: tuple[int, int]) -> None:
    async with staged(of(log), size) as (app, pilot):
        await pilot.press("6")
        await pilot.pause()
        assert "step 999: loss 4.001" in lines(app)[-3]
        assert "end, following" in text(app)
        with log.open("a") as file:
            file.write("step 1000: loss 4.000\n")
        await post(app, pilot, of(log))
        assert "step 1000: loss 4.000" in lines(app)[-3]


async def test_scrolling_up_stops_following_and_down_finds_the_end(log: Path) -> None:
    async with staged(of(log)) as (app, pilot):
        await pilot.press("6", "up")
        await pilot.pause()
        assert "step 998:" in lines(app)[-3]
        assert "% of" in text(app)
        await pilot.press("pageup")
        await pilot.pause()
        assert "step 999:" not in text(app)
        await pilot.press("g")
        await pilot.pause()
        assert "step 0:" in lines(app)[2]
        await pilot.press("down", "pagedown", "G")
        await pilot.pause()
        assert "end, following" in text(app)
        await pilot.press("up", "down")
        await pilot.pause()
        assert "step 999:" in lines(app)[-3]


async def test_search_goes_to_the_match_and_on(log: Path) -> None:
    async with staged(of(log)) as (app, pilot):
        await pilot.press("6", "g", "slash", *"step 2:", "enter")
        await pilot.pause()
        assert "step 2:" in lines(app)[2]
        await pilot.press("slash", *"loss 4.5", "enter", "n")
        await pilot.pause()
        assert "step 402:" in lines(app)[2] or "step 401:" in lines(app)[2]
        before = lines(app)[2]
        await pilot.press("n", "N")
        await pilot.pause()
        assert lines(app)[2] == before
        await pilot.press("slash", *"nowhere", "enter")
        await pilot.pause()
        assert "'nowhere' is not in the text" in text(app)
        assert lines(app)[2] == before


async def test_escape_leaves_the_search_first_and_then_the_room(log: Path) -> None:
    async with staged(of(log)) as (app, pilot):
        await pilot.press("6", "slash", "q", "escape")
        await pilot.pause()
        assert "train.log" in text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "grad norm" in text(app)


async def test_long_lines_are_shifted_and_tab_shows_the_next_file(tmp_path: Path, log: Path) -> None:
    wide = tmp_path / "wide.log"
    wide.write_text("A" * 200 + "THE END\n")
    async with staged(of(wide, log), (80, 24)) as (app, pilot):
        await pilot.press("6")
        await pilot.pause()
        assert "THE END" not in text(app)
        assert "…" in text(app)
        await pilot.press(*["right"] * 9)
        await pilot.pause()
        assert "THE END" in text(app)
        await pilot.press("left", "tab")
        await pilot.pause()
        assert "step 999:" in text(app)


async def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    async with staged(of(tmp_path / "gone.log")) as (app, pilot):
        await pilot.press("6")
        await pilot.pause()
        assert "cannot be read: No such file" in text(app)


async def test_without_a_run_the_log_is_empty() -> None:
    async with staged(snapshot()) as (app, pilot):
        await pilot.press("6", "up", "G", "slash", "x", "enter")
        await pilot.pause()
        assert "no file" in text(app)


async def test_wide_characters_keep_the_frame_straight(tmp_path: Path) -> None:
    path = tmp_path / "cjk.log"
    path.write_text("训练损失 loss: 3.2 第一轮\n" + "损失" * 100 + "\n")
    async with staged(of(path), (80, 24)) as (app, pilot):
        await pilot.press("6")
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        assert {strip.cell_length for strip in strips} == {80}
        assert strips[2].text.endswith("│")
        assert strips[3].text.endswith("│")


def test_matches_and_values_are_marked() -> None:
    row = marked("loss: 2.5 and loss: 3.5", "LOSS", 0, False)
    assert row == (
        ("loss", "match"),
        (": ", "plain"),
        ("2.5", "good"),
        (" and ", "plain"),
        ("loss", "match"),
        (": ", "plain"),
        ("3.5", "good"),
    )
    assert marked("", "", 0, False) == ()
    assert marked("abc", "", 5, False) == ()


async def test_the_newest_text_of_several_files_is_shown_and_stays_when_others_come(tmp_path: Path, log: Path) -> None:
    table = tmp_path / "metrics.jsonl"
    table.write_text('{"step": 1, "loss": 2.0}\n')

    def moment(*formats: tuple[Path, str, float]) -> Snapshot:
        sources = [SourceStatus(p, f, size=p.stat().st_size, modified=m) for p, f, m in formats]
        return snapshot(run(sources=tuple(sources)))

    async with staged(moment((table, "jsonl", 9.0), (log, "text", 5.0))) as (app, pilot):
        await pilot.press("6")
        await pilot.pause()
        assert "train.log" in lines(app)[1]
        await post(app, pilot, moment((log, "text", 5.0), (table, "jsonl", 9.0)))
        assert "train.log" in lines(app)[1]
        await pilot.press("tab")
        await pilot.pause()
        assert "metrics.jsonl" in lines(app)[1]
        await pilot.press("tab")
        await pilot.pause()
        assert "train.log" in lines(app)[1]


async def test_a_redrawn_line_is_shown_as_it_ended_and_searched_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "hf.log"
    bars = "".join(f"\r {n}%|#  | {n}/100 [00:0{n}<?]" for n in range(9))
    path.write_text("start\n" + bars + "\r" + " " * 60 + "\r{'loss': 2.5}\nend\n")
    async with staged(of(path)) as (app, pilot):
        await pilot.press("6")
        await pilot.pause()
        assert "│2  {'loss': 2.5}" in text(app)
        assert "/100" not in text(app)
        await pilot.press("slash", *"3/100", "enter")
        await pilot.pause()
        assert "3/100" in text(app)
        assert "2/100" not in text(app)


async def test_a_line_that_was_rejected_is_marked_and_the_reason_said(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": \n{"step": 3, "loss": 2.4}\n')
    source = open_source(path)
    source.read()
    assert source.status.lines_rejected == 1
    async with staged(snapshot(run(sources=(source.status,)))) as (app, pilot):
        await pilot.press("6")
        await pilot.pause()
        shown = lines(app)
        assert '2! {"step": 2, "loss":' in shown[3]
        assert "!" not in shown[2] + shown[4]
        assert "! not read: " in shown[-2]
        await pilot.press("#")
        await pilot.pause()
        assert '! {"step": 2' in text(app)
