"""Pictures of the screen: whole and clean documents, in files that nothing else is in."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.segment import Segment
from rich.style import Style
from staging import EVIL, run, snapshot, staged, text

from gradtop.config import THEMES, Settings
from gradtop.ui.capture import save
from gradtop.ui.svg import svg
from gradtop.ui.theme import BARE, BY_NAME

DARK = BY_NAME["dark"]
SPACE = "{http://www.w3.org/2000/svg}"


def drawn(*rows: str, style: Style | None = None) -> str:
    return svg([[Segment(row, style)] for row in rows], max(map(len, rows), default=1), DARK, "title")


def texts(document: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(document).iter(f"{SPACE}text")]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("theme", "key"),
    [*((theme, "1") for theme in THEMES), *((DARK.name, key) for key in ("4", "6", "r", "c", "colon"))],
)
async def test_p_saves_every_room_in_every_theme(here: Path, theme: str, key: str) -> None:
    async with staged(snapshot(run()), settings=Settings(theme=theme)) as (app, pilot):
        await pilot.press(key)
        await pilot.pause()
        await (app.run_action("app.picture") if key == "colon" else pilot.press("p"))
        await pilot.pause()
        (path,) = here.glob("*.svg")
        assert re.fullmatch(r"gradtop-minigpt-\d{8}-\d{6}\.svg", path.name)
        assert f"saved {path.name}" in text(app)
        shown = "".join(texts(path.read_text()))
        assert "minigpt" in shown
        assert BY_NAME[theme].ground in path.read_text()


async def test_two_pictures_of_a_second_are_two_files(here: Path) -> None:
    async with staged(snapshot(run())) as (_, pilot):
        for _i in range(3):
            await pilot.press("p")
        await pilot.pause()
    assert len(list(here.glob("gradtop-minigpt-*.svg"))) == 3


async def test_ascii_and_no_colour_are_in_the_picture_too(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with staged(snapshot(run("训练")), ascii=True) as (_, pilot):
        await pilot.press("p")
        await pilot.pause()
    (path,) = here.glob("*.svg")
    document = path.read_text()
    assert "".join(texts(document)).isascii()
    assert len(set(re.findall(r'fill="(#[0-9a-f]{6})"', document))) <= 4
    assert BARE.ground not in document


async def test_foreign_text_is_text_in_the_picture(here: Path) -> None:
    evil = EVIL + "</text><script>alert(1)</script>&entity;]]>\x00\ud800"
    async with staged(snapshot(run(evil))) as (app, pilot):
        for key in ("1", "r"):
            await pilot.press(key, "p")
            await pilot.pause()
        assert app.is_running
    for path in here.glob("*.svg"):
        root = ElementTree.fromstring(path.read_text())
        assert {element.tag.removeprefix(SPACE) for element in root.iter()} <= {
            "svg",
            "title",
            "rect",
            "g",
            "text",
            "path",
        }
        assert "alert(1)" in "".join(root.itertext())
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,99}", path.name)


async def test_where_the_directory_takes_no_file_it_goes_to_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    async with staged(snapshot(run()), (200, 50)) as (app, pilot):
        await pilot.press("p")
        await pilot.pause()
        (path,) = (tmp_path / "state/gradtop/pictures").iterdir()
        assert str(path) in text(app)
        monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
        await pilot.press("p")
        await pilot.pause()
        assert "the picture cannot be saved: " in text(app)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("mine")
    assert [save("new", "a", [tmp_path]).name for _ in range(2)] == ["a-2.svg", "a-3.svg"]
    assert (tmp_path / "a.svg").read_text() == "mine"
    with pytest.raises(OSError, match="no place"):
        save("new", "a", [])


def test_dots_frames_and_blocks_are_shapes() -> None:
    document = drawn("⣿╭─╮▁█▒ 97 %")
    assert texts(document) == ["97", "%"]
    (dots,) = re.findall(r'<path fill="#c5c8c6" d="([^"]+)"', document)
    assert dots.count("M") == 8
    assert document.count("<rect") == 4


def test_a_wide_character_takes_two_cells() -> None:
    assert re.findall(r'x="(\d+)" y="15" textLength="(\d+)"', drawn("a训b x")) == [("0", "40"), ("50", "10")]


def test_what_no_document_may_hold_is_replaced() -> None:
    document = drawn("\x00\x1b\ud800<&>\"'￾ok")
    assert texts(document) == ["���<&>\"'�ok"]


def test_reversed_dimmed_and_bold_text_look_so() -> None:
    document = drawn("x", style=Style(color="#ff0000", bgcolor="#0000ff", reverse=True, bold=True, underline=True))
    assert '<rect x="0" y="0" width="10" height="20" fill="#ff0000"/>' in document
    assert 'fill="#0000ff" font-weight="bold" text-decoration="underline">x<' in document
    assert 'fill="#990000"' in drawn("x", style=Style(color="#ff0000", bgcolor="#000000", dim=True))
