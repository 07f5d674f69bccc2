"""Waiting is long where events tell of new data, and short where they do not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from gradtop.config import Settings
from gradtop.monitor import Monitor
from gradtop.sources.follow.stream import StreamSource
from gradtop.sources.follow.watch import Watch
from gradtop.wiring import POLL_S, Watching, follow_paths, read_paths


@dataclass
class Arrivals:
    """What waiting asks of a monitor."""

    arrivals: int = 0
    backlog: bool = False
    active: tuple[Path, ...] = ()
    following: str = ""

    def due_s(self) -> float:
        return math.inf


@dataclass
class Events:
    """A watch whose events are scripted; remembers how long it was to wait."""

    told: list[bool]
    covered: bool = True
    mode: str = "inotify"
    waits: list[float] = field(default_factory=list)

    def covers(self, paths: Sequence[Path]) -> bool:
        return self.covered

    def wait(self, timeout_s: float) -> bool:
        self.waits.append(timeout_s)
        return self.told.pop(0)


def waits(arrivals: list[int], told: list[bool], covered: bool = True) -> list[float]:
    """The length of each wait, with the arrivals before it and whether an event ended it."""
    monitor, events = Arrivals(), Events(told, covered)
    watching = Watching(cast(Monitor, monitor), None, cast(Watch, events))
    for count in arrivals:
        monitor.arrivals = count
        watching.wait(1.0)
    return events.waits


def test_events_make_waits_long() -> None:
    assert waits([0, 1, 2, 2], [True, True, False, False]) == [1.0, 1.0, 1.0, 1.0]


def test_a_directory_that_is_not_watched_is_polled() -> None:
    assert waits([0, 0], [False, False], covered=False) == [POLL_S, POLL_S]


def test_data_without_events_means_that_they_cannot_be_trusted() -> None:
    assert waits([0, 1, 2, 3], [False, False, False, False]) == [1.0, POLL_S, POLL_S, POLL_S]


def test_an_event_that_came_late_is_forgiven() -> None:
    assert waits([0, 1, 1, 1], [False, True, False, False]) == [1.0, POLL_S, 1.0, 1.0]


def test_a_backlog_is_not_waited_for() -> None:
    events = Events([True])
    Watching(cast(Monitor, Arrivals(backlog=True)), None, cast(Watch, events)).wait(1.0)
    assert events.waits == []


def test_the_directories_of_new_runs_are_watched(tmp_path: Path) -> None:
    run = tmp_path / "run1"
    run.mkdir()
    path = run / "metrics.jsonl"
    path.write_text("")
    watch = Watch((tmp_path,))
    try:
        assert watch.covers((path,)) is (watch.mode == "inotify")
        path.write_text("x")
        assert watch.wait(5.0) is (watch.mode == "inotify")
    finally:
        watch.stop()


@dataclass
class Pipe:
    """Standard input of which both states are wanted."""

    ended: bool


def test_a_pipe_is_over_when_its_other_end_is_closed() -> None:
    monitor = cast(Monitor, Arrivals())
    assert Watching(monitor, cast(StreamSource, Pipe(True))).over
    assert not Watching(monitor, cast(StreamSource, Pipe(False))).over
    assert not Watching(monitor, cast(StreamSource, Pipe(True)), cast(Watch, Events([]))).over
    assert not Watching(monitor).over


def test_following_looks_at_the_machine_and_one_look_does_not(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    once, following = (make((tmp_path,), Settings()).monitor for make in (read_paths, follow_paths))
    assert (once.due_s(), following.due_s()) == (math.inf, 0.0)
    once.close()
    following.close()
