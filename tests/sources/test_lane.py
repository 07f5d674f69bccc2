"""Work beside the thread that asked for it: in order, all of it, and nobody waits for what hangs."""

import threading
import time
from concurrent.futures import Future, wait

import pytest

from gradtop.sources.follow import lane as module
from gradtop.sources.follow.lane import Lane, Threads, answered


def named_threads() -> int:
    return sum(thread.name == "gradtop-read" for thread in threading.enumerate())


def test_a_lane_does_one_thing_at_a_time_in_order() -> None:
    lane, done = Lane(Threads()), list[int]()

    def work(number: int) -> None:
        before = list(done)
        time.sleep(0.001)
        assert done == before
        done.append(number)

    answers = [lane.do(lambda number=number: work(number)) for number in range(50)]  # type: ignore[misc]
    wait(answers, 5)
    assert [answer.exception() for answer in answers] == [None] * 50
    assert done == list(range(50))


def test_what_work_raises_is_raised_where_the_answer_is_taken() -> None:
    answer = Lane(Threads()).do(lambda: 1 // 0)
    assert answered(answer, 5)
    with pytest.raises(ZeroDivisionError):
        answer.result()


def test_work_that_hangs_delays_its_own_lane_alone() -> None:
    threads, alive = Threads(), threading.Event()
    stuck, free = Lane(threads), Lane(threads)
    hung = stuck.do(alive.wait)
    behind = stuck.do(lambda: "late")
    assert free.do(lambda: "soon").result(5) == "soon"
    assert not hung.done()
    assert not behind.done()
    alive.set()
    assert (hung.result(5), behind.result(5)) == (True, "late")


def test_patience_is_short_while_something_hangs() -> None:
    threads, alive = Threads(), threading.Event()
    took = []
    for _ in range(5):
        started = time.monotonic()
        assert not threads.answered(Lane(threads).do(alive.wait))
        took.append(time.monotonic() - started)
    assert took[0] >= module.PATIENCE_S
    assert max(took[1:]) < module.PATIENCE_S
    alive.set()


def test_threads_are_bounded_and_end_without_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_THREADS", 3)
    monkeypatch.setattr(module, "IDLE_S", 0.05)
    threads, alive, before = Threads(), threading.Event(), named_threads()
    answers: list[Future[bool]] = [Lane(threads).do(alive.wait) for _ in range(10)]
    assert named_threads() - before <= 3
    alive.set()
    assert len(wait(answers, 5).done) == 10
    deadline = time.monotonic() + 5
    while named_threads() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert named_threads() <= before
    assert Lane(threads).do(lambda: "again").result(5) == "again"
