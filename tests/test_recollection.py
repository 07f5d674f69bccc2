"""How a screen was left is known at the next start; a file that says something else harms nothing."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtop.cli.screen import Kept
from gradtop.recollection import MAX_BYTES, MAX_FILES, MAX_TEXT, SCHEMA, SUFFIX, Recollection, decoded, encoded, keep
from gradtop.recollection import recalled as read
from gradtop.shelf import file_for

LEFT = Recollection({"room": "log", "run": "/logs/\udce9", "newest": None}, {"overview": {"first": 1.5, "full": True}})


def test_it_is_there_at_the_next_start_of_the_same_paths(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    first = Kept([Path("/logs")], environ)
    assert first.recalled() == Recollection()
    first.keep(LEFT)
    first.close()
    assert Kept([Path("/logs/../logs/")], environ).recalled() == LEFT
    assert Kept([Path("/other")], environ).recalled() == Recollection()
    assert Kept([Path("/logs"), Path("/other")], environ).recalled() == Recollection()
    assert [path.name for path in (tmp_path / "gradtop").glob("*.tmp")] == []


@pytest.mark.parametrize("paths", [[], [Path("-")], [Path("/logs"), Path("-")]])
def test_nothing_is_kept_of_standard_input_and_of_the_demo(tmp_path: Path, paths: list[Path]) -> None:
    kept = Kept(paths, {"XDG_STATE_HOME": str(tmp_path)})
    kept.keep(LEFT)
    kept.close()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "gradtop").write_text("a file where the folder should be")
    for environ in ({"XDG_STATE_HOME": str(tmp_path)}, {"HOME": str(tmp_path / "nobody")}, {}):
        kept = Kept([Path("/logs")], environ)
        assert kept.recalled() == Recollection()
        kept.keep(LEFT)
        kept.close()


def test_a_disk_that_does_not_answer_holds_up_nothing_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path / "gradtop", "/logs", LEFT)
    monkeypatch.setattr(Kept, "LOOK_S", 0.0)
    monkeypatch.setattr(Kept, "_read", lambda _: None)
    kept = Kept([Path("/logs")], {"XDG_STATE_HOME": str(tmp_path)})
    assert kept.recalled() == Recollection()
    kept.keep(Recollection({"room": "runs"}))
    kept.close()
    assert read(tmp_path / "gradtop", "/logs") == LEFT


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = file_for(tmp_path, "/logs", SUFFIX)
    newer = json.dumps({"schema": "gradtop.view/2", "app": {"room": "log"}})
    path.write_text(newer)
    assert read(tmp_path, "/logs") == Recollection()
    keep(tmp_path, "/logs", LEFT)
    assert path.read_text() == newer


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "[" * 5000, '{"schema": "gradtop.view/1"}',
        '{"schema": "gradtop.view/1", "app": 5, "rooms": []}',
        '{"schema": "gradtop.view/1", "app": {"a": [1], "b": {}}, "rooms": {"log": 7, "runs": {"x": NaN, "y": 1e999}}}',
        '{"schema": "gradtop.view/1", "app": {"n": ' + "9" * 400 + "}}", "\x80\xff", " " * (MAX_BYTES + 1),
    ],
)  # fmt: skip
def test_a_broken_file_says_nothing_and_is_replaced(tmp_path: Path, text: str) -> None:
    file_for(tmp_path, "/logs", SUFFIX).write_text(text, "latin-1")
    found = read(tmp_path, "/logs")
    assert not found.app
    assert not any(found.rooms.values())
    keep(tmp_path, "/logs", LEFT)
    assert read(tmp_path, "/logs") == LEFT


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    long = Recollection(
        {"room": "log", "run": "x" * (MAX_TEXT + 1)}, {"metrics": {str(i): "y" * 99 for i in range(999)}}
    )
    data = encoded("/logs" * 9999, long)
    assert len(data) <= MAX_BYTES
    assert decoded(data) == Recollection({"room": "log"})
    for i in range(MAX_FILES + 3):
        (tmp_path / f"{i}{SUFFIX}").touch()
    keep(tmp_path, "/logs", LEFT)
    assert len(list(tmp_path.glob(f"*{SUFFIX}"))) == MAX_FILES
    assert read(tmp_path, "/logs") == LEFT


VALUES = st.none() | st.booleans() | st.text(max_size=9) | st.floats() | st.integers()


@given(st.dictionaries(st.text(max_size=9), VALUES, max_size=5))
def test_what_can_be_kept_comes_back_as_it_was(memory: dict[str, str | float | bool | None]) -> None:
    found = decoded(encoded("/logs", Recollection(memory, {"log": memory})))
    wanted = {k: v for k, v in memory.items() if not isinstance(v, float) or abs(v) < float("inf")}
    assert found.app == wanted
    assert found.rooms.get("log", {}) == wanted
    assert SCHEMA in encoded("/logs", found).decode()
