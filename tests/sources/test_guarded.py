"""A source that may hang, behind its guard: nothing lost, nothing twice, and a status that says what is wrong."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from gradtop.record import Event
from gradtop.sources import Batch, SourceStatus
from gradtop.sources.follow.file import FileSource
from gradtop.sources.follow.guarded import Guarded
from gradtop.sources.follow.lane import STALLED_S, Threads
from gradtop.sources.reader import Account

T = TypeVar("T")
R = TypeVar("R")


class Slow:
    """A source that answers when it is let, one event for each read."""

    def __init__(self) -> None:
        self.alive = threading.Event()
        self.alive.set()
        self.reads = self.closes = 0
        self.account = Account()
        self.asked: int | None = None
        self.computes = False
        self.ends_after_s = 0.0

    @property
    def status(self) -> SourceStatus:
        return SourceStatus(Path("a.log"), "text", offset=self.reads)

    def read(self) -> Batch:
        self.asked = None if self.computes else self.reads
        self.alive.wait()
        self.asked = None
        self.reads += 1
        return Batch((Event(event=str(self.reads)),), more=self.reads < 3)

    def finish(self) -> Batch:
        time.sleep(self.ends_after_s)
        return Batch((Event(event="last"),))

    def close(self) -> None:
        self.closes += 1


class Guard:
    """A guarded source on a scripted clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slow = Slow()
        self.source = Guarded(Path("a.log"), lambda _: self.slow, Threads(), lambda: self.now)

    def events(self) -> list[str]:
        return [record.event for record in self.source.read().records if isinstance(record, Event)]

    def awaits(self) -> bool:
        return self.source.awaited is not None

    def settle(self) -> None:
        """Until what was asked for is answered."""
        deadline = time.monotonic() + 5
        while (answer := self.source._answer) is not None and not answer.done() and time.monotonic() < deadline:
            time.sleep(0.001)


def test_answers_come_at_once_where_the_disk_does() -> None:
    guard = Guard()
    assert [guard.events() for _ in range(3)] == [["1"], ["2"], ["3"]]
    assert guard.source.status == guard.slow.status
    assert guard.source.account is guard.slow.account
    assert not guard.awaits()


def test_a_late_answer_is_taken_in_once() -> None:
    guard = Guard()
    guard.events()
    guard.slow.alive.clear()
    assert guard.source.read() == Batch(more=True)
    assert guard.awaits()
    guard.now += STALLED_S
    assert guard.source.read() == Batch(more=False)
    assert not guard.awaits()
    guard.slow.alive.set()
    guard.settle()
    assert [guard.events() for _ in range(2)] == [["2"], ["3"]]


def test_the_status_counts_the_seconds_of_silence() -> None:
    guard = Guard()
    guard.events()
    guard.slow.alive.clear()
    guard.events()
    assert guard.source.status.problem == ""
    for seconds in (12, 15):
        guard.now = seconds
        assert guard.source.status.problem == f"stalled {seconds} s: its disk does not answer"
        assert guard.source.status.offset == 1
    guard.slow.alive.set()
    guard.settle()
    guard.events()
    assert guard.source.status.problem == ""


def test_long_work_on_what_a_disk_gave_is_no_stall() -> None:
    guard = Guard()
    guard.events()
    guard.slow.computes = True
    guard.slow.alive.clear()
    for now in (0, STALLED_S, 100 * STALLED_S):
        guard.now = now
        assert guard.source.read() == Batch(more=True)
        assert guard.source.status.problem == ""
        assert guard.awaits()
    guard.slow.alive.set()
    guard.settle()
    assert guard.events() == ["2"]


def test_the_end_waits_for_work_and_not_for_a_disk() -> None:
    guard = Guard()
    guard.events()
    guard.slow.ends_after_s = STALLED_S + 0.2
    guard.source._clock = time.monotonic
    assert [record.event for record in guard.source.finish().records if isinstance(record, Event)] == ["last"]


def test_a_file_says_when_it_waits_for_its_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    source = FileSource(tmp_path / "a.jsonl")
    seen: list[int | None] = []

    def noted(work: Callable[[T], R]) -> Callable[[T], R]:
        def do(given: T) -> R:
            seen.append(source.asked)
            return work(given)

        return do

    monkeypatch.setattr(source._tail, "read", noted(source._tail.read))
    monkeypatch.setattr(source._intake, "take", noted(source._intake.take))
    assert len(source.read().records) == 1
    assert seen == [1, None]
    assert source.asked is None


def test_finish_takes_in_what_came_late_and_waits_for_nothing_else() -> None:
    guard = Guard()
    guard.slow.alive.clear()
    guard.events()
    started = time.monotonic()
    assert guard.source.finish() == Batch(more=True)
    assert time.monotonic() - started < 1
    guard.slow.alive.set()
    guard.settle()
    records = guard.source.finish().records
    assert [record.event for record in records if isinstance(record, Event)] == ["1", "last"]


def test_closing_waits_in_line() -> None:
    guard = Guard()
    guard.slow.alive.clear()
    guard.events()
    guard.source.close()
    assert guard.slow.closes == 0
    guard.slow.alive.set()
    guard.settle()
    assert guard.events() == ["1"]
    assert guard.events() == ["2"]
    assert guard.slow.closes == 1
