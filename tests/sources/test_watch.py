"""The waker: earlier than the clock when it can be, never instead of it."""

import errno
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from gradtop.sources.follow import watch as module
from gradtop.sources.follow.watch import MIN_GAP_S, Watch


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    watch = Watch([tmp_path])
    assert watch.covers([])
    yield watch
    watch.stop()


def test_a_change_ends_the_wait(watch: Watch, tmp_path: Path) -> None:
    assert watch.mode == "inotify"
    (tmp_path / "a.log").write_text("x\n")
    assert watch.wait(5.0)


def test_no_change_waits_until_the_time_is_up(watch: Watch) -> None:
    started = time.monotonic()
    assert not watch.wait(0.05)
    assert 0.05 <= time.monotonic() - started < 1


def test_wakes_are_at_least_a_gap_apart(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    times = []
    for i in range(4):
        path.write_text(str(i))
        assert watch.wait(5.0)
        times.append(time.monotonic())
    assert min(b - a for a, b in pairwise(times)) >= MIN_GAP_S * 0.9


def test_a_file_is_watched_through_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    watch = Watch([path])
    assert watch.covers([path])
    path.write_text("x\n")
    assert watch.wait(5.0)
    watch.stop()


def test_a_busy_watch_rests_and_still_wakes(watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_WAKES", 2)
    monkeypatch.setattr(module, "REST_S", 0.3)
    path = tmp_path / "a.log"
    for i in range(2):
        path.write_text(str(i))
        assert watch.wait(5.0)
    rested = 0
    while watch.wait(0.2):
        rested += 1
    assert 2 <= rested <= 5
    assert watch.covers([path])
    path.write_text("again")
    assert watch.wait(5.0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE])
def test_without_watches_left_the_clock_alone_wakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    from watchdog.observers.api import BaseObserver

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "no room")

    monkeypatch.setattr(BaseObserver, "schedule", refuse)
    watch = Watch([tmp_path])
    assert not watch.covers([])
    assert watch.mode == "polling (no room)"
    assert not watch.wait(0.01)
    watch.stop()


def test_a_directory_that_is_not_there_is_left_to_polling(tmp_path: Path) -> None:
    watch = Watch([tmp_path / "nothing" / "a.log", tmp_path])
    assert watch.covers([tmp_path / "b.log"])
    assert not watch.covers([tmp_path / "nothing" / "a.log"])
    assert watch.mode == "inotify"
    (tmp_path / "b.log").write_text("x")
    assert watch.wait(5.0)
    watch.stop()


@pytest.mark.parametrize("moved", [False, True])
def test_a_directory_that_is_made_anew_is_watched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    monkeypatch.setattr(module, "RECHECK_S", 0.0)
    path = tmp_path / "logs" / "a.log"
    path.parent.mkdir()
    watch = Watch([path])
    assert watch.covers([path])
    for _ in range(2):
        path.parent.rename(tmp_path / "old") if moved else path.parent.rmdir()
        while watch.wait(0.2):
            pass
        path.parent.mkdir()
        assert watch.covers([path])
        path.write_text("x")
        assert watch.wait(5.0)
        path.unlink()
        if moved:
            (tmp_path / "old").rmdir()
    watch.stop()


def test_a_directory_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = threading.Event()
    monkeypatch.setattr(module, "ARM_S", 0.05)
    monkeypatch.setattr(Path, "is_dir", lambda _: alive.wait())
    watch = Watch([tmp_path])
    started = time.monotonic()
    assert not watch.covers([])
    assert not watch.wait(0.01)
    watch.stop()
    assert time.monotonic() - started < 1
    alive.set()


def test_stopping_is_quick_and_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    watch = Watch([tmp_path])
    watch.covers([])
    started = set(threading.enumerate()) - before
    assert started
    assert all(thread.daemon for thread in started)
    at = time.monotonic()
    watch.stop()
    watch.stop()
    assert time.monotonic() - at < 2
    assert not watch.wait(0.0)


def test_warnings_of_the_watcher_stay_off_the_screen(watch: Watch, capfd: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("watchdog.observers.inotify").warning("queue overflowed")
    assert watch.mode == "inotify"
    assert capfd.readouterr().err == ""


def test_importing_it_does_not_import_the_watcher() -> None:
    code = "import sys, gradtop.sources.follow.watch; sys.exit('watchdog' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
