"""Where it is kept: real files, a dead disk that a test holds, and several programs at once."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradtop import ledger
from gradtop.attention import SCHEMA, Attention
from gradtop.finding import Severity
from gradtop.ledger import Ledger
from gradtop.shelf import state_folder
from gradtop.sources.follow.lane import STALLED_S, Threads

LOGS = Path("/logs/one")
FILES = (LOGS / "train.log", LOGS / "metrics.csv")


class Clock:
    """Seconds that pass when a test says so."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "gradtop"


def opened(folder: Path | None, clock: Clock | None = None, everywhere: frozenset[str] = frozenset()) -> Ledger:
    kept = Ledger(folder, Threads(), everywhere=everywhere, clock=clock or Clock(), now=lambda: 5.0)
    kept.open(LOGS)
    return kept


def of(kept: Ledger, directory: Path | None = LOGS, files: tuple[Path, ...] = FILES) -> Attention:
    """What is said once everything that was asked for is answered."""
    kept.of(directory, files)
    while awaited := kept.awaited:
        for answer in awaited:
            answer.result(5.0)
        kept.of(directory, files)
    return kept.of(directory, files)


def page(folder: Path) -> Path:
    (path,) = folder.glob("*.json")
    return path


def test_it_is_there_after_a_restart(folder: Path) -> None:
    first = opened(folder)
    assert of(first) == Attention()
    first.acknowledge(LOGS, FILES, "loss_spike:total:3", Severity.WATCH)
    first.mute(LOGS, "overfitting", True)
    said = of(first)
    assert (dict(said.acknowledged), said.muted) == ({"loss_spike:total:3": Severity.WATCH}, frozenset({"overfitting"}))
    assert said.kept == f"Kept in {folder}."
    assert of(opened(folder)) == said
    assert [path.name for path in folder.glob("*.tmp")] == []


def test_what_was_taken_back_is_gone_after_a_restart_too(folder: Path) -> None:
    first = opened(folder)
    first.acknowledge(LOGS, FILES, "loss_spike:total:3", Severity.WATCH)
    first.mute(LOGS, "overfitting", True)
    of(first)
    second = opened(folder)
    # The run goes by another of its files by now.
    second.acknowledge(LOGS, FILES[::-1], "loss_spike:total:3", None)
    second.mute(LOGS, "overfitting", False)
    assert of(second) == Attention()
    assert of(opened(folder)) == Attention()


def test_directories_are_kept_apart(folder: Path) -> None:
    kept = opened(folder)
    kept.mute(LOGS, "overfitting", True)
    of(kept)
    assert of(opened(folder), Path("/logs/two"), (Path("/logs/two/train.log"),)) == Attention()


def test_two_programs_lose_nothing_of_each_other(folder: Path) -> None:
    one, other = opened(folder), opened(folder)
    of(one), of(other)
    one.acknowledge(LOGS, FILES, "a", Severity.WATCH)
    of(one)
    other.acknowledge(LOGS, FILES, "b", Severity.WATCH)
    assert of(other).acknowledged.keys() == {"a", "b"}
    assert of(opened(folder)).acknowledged.keys() == {"a", "b"}


PROGRAM = """
import sys
from pathlib import Path
from gradtop.finding import Severity
from gradtop.ledger import Ledger
from gradtop.sources.follow.lane import Threads
logs, kept = Path("/logs/one"), Ledger(Path(sys.argv[1]), Threads())
for i in range(20):
    kept.acknowledge(logs, [logs / "train.log"], f"{sys.argv[2]}:{i}", Severity.WATCH)
    for answer in kept.awaited:
        answer.result()
    kept.of(logs, [])
    for answer in kept.awaited:
        answer.result()
"""


def test_processes_that_write_at_the_same_time_lose_nothing(folder: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    writers = [subprocess.Popen([*command, name]) for name in "abc"]
    assert [writer.wait(9.0) for writer in writers] == [0, 0, 0]
    assert len(of(opened(folder)).acknowledged) == 60


@pytest.mark.parametrize("data", [b"", b"not json", b"\x00" * 100])
def test_a_broken_file_is_told_and_kept_aside_when_there_is_news(folder: Path, data: bytes) -> None:
    first = opened(folder)
    first.mute(LOGS, "overfitting", True)
    of(first)
    path = page(folder)
    path.write_bytes(data)
    second = opened(folder)
    assert of(second).kept == (
        f"What was acknowledged and muted here before is not known: {path}: not what gradtop keeps there."
    )
    second.mute(LOGS, "loss_plateau", True)
    said = of(second)
    assert (set(said.muted), said.kept) == ({"loss_plateau"}, f"Kept in {folder}.")
    assert path.with_suffix(".bad").read_bytes() == data


def test_a_file_of_a_later_version_is_left_as_it_is(folder: Path) -> None:
    first = opened(folder)
    first.mute(LOGS, "overfitting", True)
    of(first)
    path = page(folder)
    later = path.read_text().replace(SCHEMA, "gradtop.attention/2")
    path.write_text(later)
    second = opened(folder)
    second.mute(LOGS, "loss_plateau", True)
    said = of(second)
    assert said.muted == {"loss_plateau"}
    assert said.kept == f"Kept until gradtop ends: {path}: written by a newer gradtop, and left as it is."
    assert path.read_text() == later


def test_a_folder_that_cannot_be_written_is_told_and_the_user_is_heard(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = opened(tmp_path / "file" / "gradtop")
    kept.mute(LOGS, "overfitting", True)
    said = of(kept)
    assert said.muted == {"overfitting"}
    assert said.kept.startswith("Kept until gradtop ends: ")
    assert said.kept.endswith(".")


def test_a_full_disk_keeps_the_old_file_and_the_next_try_keeps_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = opened(folder)
    kept.mute(LOGS, "overfitting", True)
    of(kept)
    before = page(folder).read_bytes()
    with monkeypatch.context() as patch:

        def full(path: Path, data: bytes) -> int:
            path.touch()
            raise OSError(28, os.strerror(28))

        patch.setattr(Path, "write_bytes", full)
        kept.mute(LOGS, "loss_plateau", True)
        said = of(kept)
        assert said.muted == {"overfitting", "loss_plateau"}
        assert "Kept until gradtop ends: " in said.kept
        assert os.strerror(28) in said.kept
    assert page(folder).read_bytes() == before
    assert [path.name for path in folder.glob("*.tmp")] == []
    kept.mute(LOGS, "oscillation", True)
    assert of(kept).kept == f"Kept in {folder}."
    assert of(opened(folder)).muted == {"overfitting", "loss_plateau", "oscillation"}


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    kept = opened(state_folder({"HOME": str(tmp_path / "nobody")}))
    kept.mute(LOGS, "overfitting", True)
    assert "No such file or directory" in of(kept).kept
    assert not (tmp_path / "nobody").exists()


def test_without_a_place_it_is_kept_until_the_end() -> None:
    kept = opened(None)
    assert of(kept).kept == ""
    kept.mute(LOGS, "overfitting", True)
    said = of(kept)
    assert said.muted == {"overfitting"}
    assert said.kept == "Kept until gradtop ends: neither XDG_STATE_HOME nor HOME says where to keep it."


def test_what_is_said_of_a_pipe_is_forgotten(folder: Path) -> None:
    kept = opened(folder)
    kept.acknowledge(None, (Path("-"),), "a", Severity.WATCH)
    said = of(kept, None, (Path("-"),))
    assert (list(said.acknowledged), said.kept) == (["a"], "Kept until gradtop ends.")
    assert not folder.exists()


@pytest.fixture
def dead_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Reads do not come back until the event is set."""
    alive, read = threading.Event(), ledger._read

    def held(path: Path) -> object:
        alive.wait(9.0)
        return read(path)

    monkeypatch.setattr(ledger, "_read", held)
    yield alive
    alive.set()


def test_a_dead_disk_is_not_waited_for_and_heard_of_once_it_answers(folder: Path, dead_disk: threading.Event) -> None:
    clock = Clock()
    kept = opened(folder, clock)
    (waited_for,) = kept.awaited
    kept.mute(LOGS, "overfitting", True)
    assert kept.of(LOGS, FILES).muted == {"overfitting"}
    clock.at = STALLED_S
    assert kept.awaited == []
    assert kept.of(LOGS, FILES).kept == f"Kept until gradtop ends: {folder}: its disk does not answer."
    kept.open(Path("/logs/two"))
    assert kept.awaited == []
    dead_disk.set()
    waited_for.result(5.0)
    assert of(kept).kept == f"Kept in {folder}."
    assert of(opened(folder)).muted == {"overfitting"}


def test_of_too_many_files_the_oldest_are_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_PAGES", 3)
    kept = opened(folder)
    for i in range(5):
        directory = Path(f"/logs/{i}")
        kept.mute(directory, "overfitting", True)
        of(kept, directory)
        for path in folder.glob("*.json"):
            os.utime(path, (path.stat().st_mtime - 100,) * 2)
    assert len(list(folder.glob("*.json"))) == 3
    fresh = opened(folder)
    assert [bool(of(fresh, Path(f"/logs/{i}")).muted) for i in range(5)] == [False, False, True, True, True]


def test_a_working_directory_that_is_gone_is_no_fault(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    kept = opened(folder)
    kept.acknowledge(Path("logs"), (Path("logs/a.log"), Path("b.log")), "a", Severity.WATCH)
    assert of(kept, Path("logs"), (Path("logs/a.log"),)).acknowledged.keys() == {"a"}


def test_kinds_of_the_settings_are_muted_in_every_run() -> None:
    assert of(opened(None, everywhere=frozenset(("stalled",)))) == Attention(everywhere=frozenset(("stalled",)))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/me"}, Path("/state/gradtop")),
        ({"HOME": "/home/me"}, Path("/home/me/.local/state/gradtop")),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/me"}, Path("/home/me/.local/state/gradtop")),
        ({"XDG_STATE_HOME": ""}, None),
        ({}, None),
    ],
)
def test_the_state_directory_is_where_it_belongs(environ: dict[str, str], expected: Path | None) -> None:
    assert state_folder(environ) == expected
