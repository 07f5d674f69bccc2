"""Searching around what does not answer. A place hangs until a test lets it go."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from follower import Clock, jsonl

from gradtop.sources.follow.lane import STALLED_S, Threads
from gradtop.sources.search import discover
from gradtop.sources.search.discover import Found
from gradtop.sources.search.lookout import STUCK_S, Lookout


class Place:
    """A directory that hangs whoever lists it."""

    def __init__(self, path: Path) -> None:
        self.path, self.alive = path, threading.Event()


@pytest.fixture
def dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place = Place(tmp_path / "nfs")
    run = place.path / "late"
    run.mkdir(parents=True)
    (run / "metrics.jsonl").write_text(jsonl(1, 30))
    scandir = os.scandir

    def hung(path: str) -> object:
        if path == str(place.path):
            place.alive.wait()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", hung)
    yield place
    place.alive.set()


@pytest.fixture
def lookout(tmp_path: Path) -> "Looking":
    run = tmp_path / "here"
    run.mkdir()
    (run / "metrics.jsonl").write_text(jsonl(1, 30))
    return Looking(tmp_path)


class Looking:
    """A lookout on a scripted clock."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.lookout = Lookout((path,), Threads(), self.clock, 2.0)

    def awaits(self) -> bool:
        return self.lookout.awaited is not None

    def undecided(self) -> bool:
        return self.lookout.undecided

    def look(self, after_s: float) -> Found | None:
        self.clock.at += after_s
        return self.lookout.look()

    def names(self, after_s: float, step_s: float = 0.0) -> list[str]:
        """The runs that the next search finds; `step_s` pass between two looks at it."""
        found = self.look(after_s)
        deadline = time.monotonic() + 5
        while found is None and time.monotonic() < deadline:
            time.sleep(0.001)
            found = self.look(step_s)
        return sorted(candidate.name for candidate in found.candidates) if found is not None else []


def test_a_search_is_repeated_when_it_is_due(lookout: Looking) -> None:
    assert lookout.names(0.0) == ["here"]
    assert lookout.look(1.9) is None
    assert lookout.names(0.2) == ["here"]


def test_a_search_goes_around_a_place_that_hangs(lookout: Looking, dead: Place) -> None:
    assert lookout.look(0.0) is None
    assert lookout.awaits()
    assert lookout.names(0.0, STUCK_S) == ["here"]
    assert lookout.undecided()
    lookout.clock.at += STALLED_S
    assert not lookout.awaits()
    assert not lookout.undecided()
    (note,) = lookout.lookout.notes
    assert note.startswith(f"{dead.path}: stalled ")


def test_a_place_that_answers_again_is_searched(lookout: Looking, dead: Place) -> None:
    assert lookout.names(0.0, STUCK_S) == ["here"]
    dead.alive.set()
    deadline = time.monotonic() + 5
    while (names := lookout.names(3.0)) == ["here"] and time.monotonic() < deadline:
        pass
    assert names == ["here", "late"]
    assert lookout.lookout.notes == ()


def test_a_slow_search_that_moves_on_is_not_stuck(
    lookout: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "metrics.jsonl").write_text(jsonl(1, 30))
    let, reached = threading.Semaphore(0), threading.Semaphore(0)
    probe = discover.probe

    def slow(path: Path, *options: Any) -> object:
        reached.release()
        let.acquire()
        return probe(path, *options)

    monkeypatch.setattr(discover, "probe", slow)
    monkeypatch.setattr(discover, "LOOK_S", 100.0)
    for _ in range(2):
        assert lookout.look(0.9 * STUCK_S) is None
        assert reached.acquire(timeout=5)
        assert lookout.look(0.9 * STUCK_S) is None
        let.release()
    assert lookout.names(0.0) == ["here", "there"]
    assert lookout.lookout.notes == ()
