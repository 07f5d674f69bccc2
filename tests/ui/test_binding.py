"""Keys that the user binds anew: they work, they are shown, and mistakes are named with their place."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from staging import run, snapshot, staged, text

from gradtop.cli import cli
from gradtop.config import Settings
from gradtop.errors import ConfigError
from gradtop.settings import settings_for
from gradtop.ui.binding import canonical, keymap, rebound, shown
from gradtop.ui.keys import TABLE
from gradtop.ui.screens.log import LogRoom
from gradtop.ui.screens.sheets import HelpRoom


def bound(**keys: str) -> Settings:
    return Settings(keys={name.replace("__", "."): key for name, key in keys.items()})


@pytest.mark.parametrize(
    ("name", "key", "printed"),
    [
        ("f", "f", "f"), ("F", "F", "F"), ("shift+f", "F", "F"), ("/", "slash", "/"), ("slash", "slash", "/"),
        ("+", "plus", "+"), ("ctrl++", "ctrl+plus", "ctrl++"), ("?", "question_mark", "?"), ("F5", "f5", "f5"),
        ("Ctrl+X", "ctrl+x", "ctrl+x"), ("ctrl+alt+left", "alt+ctrl+left", "alt+ctrl+←"), ("ctrl+i", "tab", "tab"),
        ("ctrl+m", "enter", "enter"), ("é", "é", "é"), (",", "comma", ","), ("escape", "escape", "esc"),
    ],
)  # fmt: skip
def test_a_key_has_one_name(name: str, key: str, printed: str) -> None:
    assert canonical(name) == key
    assert shown(key) == printed


@pytest.mark.parametrize("name", ["", "f99", "ctlr+f", "hyper+x", "\x00", "\x1b", "x" * 10_000])
def test_what_is_no_key_is_said(name: str) -> None:
    with pytest.raises(ValueError, match="is no key; ") as raised:
        canonical(name)
    assert len(str(raised.value)) < 200


def test_without_settings_the_table_is_as_it_is() -> None:
    assert rebound(Settings()) is TABLE
    assert keymap(TABLE) == {}


async def test_a_bound_key_works_and_the_old_one_does_not() -> None:
    async with staged(snapshot(run()), settings=bound(everywhere__log="f, ctrl+l", overview__full="z")) as (app, pilot):
        await pilot.press("6")
        assert not isinstance(app.screen, LogRoom)
        for key in ("f", "ctrl+l"):
            await pilot.press(key)
            assert isinstance(app.screen, LogRoom)
            await pilot.press("1")
        assert " f Log " in text(app)
        assert " z full " in text(app)
        await pilot.press("question_mark", "pageup")
        await pilot.pause()
        assert "f         the text of the run's files" in text(app)


async def test_keys_can_change_places() -> None:
    async with staged(snapshot(run()), settings=bound(everywhere__log="r", everywhere__runs="6")) as (app, pilot):
        await pilot.press("r")
        await pilot.pause()
        assert "─ /logs/x" in text(app)
        await pilot.press("6")
        await pilot.pause()
        assert "─ runs" in text(app)


async def test_ctrl_c_leaves_whatever_is_bound() -> None:
    async with staged(snapshot(run()), settings=bound(everywhere__quit="Q")) as (app, pilot):
        await pilot.press("q", "question_mark")
        assert isinstance(app.screen, HelpRoom)
        await pilot.press("ctrl+c")
        await pilot.pause()
    assert app.return_code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"overveiw.full" = "f"', "line 2: 'overveiw.full' is nothing that has a key; did you mean 'overview.full'?"),
        ('"overview.full" = "f99"', "line 2: 'f99' is no key; did you mean 'f9'?"),
        ('"overview.full" = "s"', "line 2: 's' is the key of 'overview.smooth' (.*) already; choose another one"),
        ('"overview.full" = "q"', "line 2: 'q' is the key of 'everywhere.quit'"),
        ('"everywhere.runs" = "/"', "line 2: '/' is the key of '[a-z]+.(filter|search)'"),
        ('"log.search" = "ctrl+c"', r"line 2: 'ctrl\+c' is the key of 'everywhere.quit'"),
        ("overview.full = 5", "line 2: overview.full is bound to 5; write"),
        ('"overview.full" = ""', "line 2: overview.full is bound to ''; write"),
        ("[keys.overview]\nfulll = 'f'", "'overview.fulll' is nothing that has a key; did you mean 'overview.full'?"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "gradtop.toml").write_text(f"[keys]\n{text}\n")
    with pytest.raises(ConfigError, match=r"gradtop\.toml.*" + said.replace("?", r"\?")):
        rebound(settings_for([tmp_path], {}))


def test_names_are_written_with_dots_quoted_or_not(tmp_path: Path) -> None:
    (tmp_path / "gradtop.toml").write_text('[keys]\n"overview.full" = "f"\nlog.search = "s"\n[app]\ntheme = "light"\n')
    settings = settings_for([tmp_path], {})
    assert settings.keys == {"overview.full": "f", "log.search": "s"}
    assert settings.theme == "light"
    assert {key.id: key.keys for key in rebound(settings) if key.id in settings.keys} == settings.keys


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[app]\ntheme = 'lihgt'", "line 2: 'lihgt' is not a known theme; did you mean 'light'"),
        ("[app]\ntheme = 5", "line 2: 5 is not a known theme; known are dark, light, colour-blind, high-contrast"),
        ("[app]\ncolour = 1", "line 2: 'colour' is not a known key of .app."),
        ("keys = 5", "keys is a table"),
    ],
)
def test_mistakes_in_the_looks_of_the_app(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "gradtop.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        settings_for([tmp_path], {})


def test_help_says_where_keys_are_listed() -> None:
    assert "bind them anew" in CliRunner().invoke(cli, ["--help"]).output
