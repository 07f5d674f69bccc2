"""Work beside the thread that asked for it, because a dead disk answers never: who waits, waits only so long."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

MAX_THREADS = 80
"""Threads at most: one for each of the runs that are kept open, and some for searches. A stuck one costs 30 KB."""
IDLE_S = 10.0
"""Seconds without work after which a thread ends."""
PATIENCE_S = 0.25
"""Seconds for which work is waited for. What takes longer is taken in later: this is no limit, but a way to go on."""
HASTE = 10
"""The patience is divided by this while other work does not come back, so that a mount full of files costs little."""
STALLED_S = 1.5
"""Seconds without an answer after which a disk is called stalled, and nobody waits for it any more."""

T = TypeVar("T")


class Threads:
    """Daemon threads for lanes: as many as there are pieces of work under way, so that one that hangs delays none.

    Neither an executor nor plain threads that are joined: the process must be able to leave while one hangs.
    """

    def __init__(self) -> None:
        """The first thread begins with the first piece of work."""
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._under_way = 0
        self._threads = 0
        self._late: set[Future[Any]] = set()

    def answered(self, answer: "Future[T]") -> bool:
        """Wait for a moment; True when the answer is there. Asked for by one thread alone."""
        self._late = {late for late in self._late if not late.done()}
        if answered(answer, PATIENCE_S / HASTE if self._late else PATIENCE_S):
            return True
        self._late.add(answer)
        return False

    def start(self, work: Callable[[], None]) -> None:
        """Do this on another thread; at once, unless `MAX_THREADS` are busy."""
        with self._lock:
            self._queue.put(work)
            self._under_way += 1
            if self._under_way <= self._threads or self._threads >= MAX_THREADS:
                return
            self._threads += 1
        threading.Thread(target=self._serve, name="gradtop-read", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                work = self._queue.get(timeout=IDLE_S)
            except Empty:
                with self._lock:
                    if self._under_way < self._threads:
                        self._threads -= 1
                        return
                continue
            work()
            with self._lock:
                self._under_way -= 1


class Lane:
    """One piece of work at a time, in order: what is done in a lane needs no locks."""

    def __init__(self, threads: Threads) -> None:
        """Work is done by `threads`."""
        self._threads = threads
        self._lock = threading.Lock()
        self._waiting: deque[_Piece[Any]] = deque()
        self._busy = False

    def do(self, work: Callable[[], T]) -> "Future[T]":
        """Do this after what was asked for before."""
        answer: Future[T] = Future()
        with self._lock:
            self._waiting.append(_Piece(work, answer))
            if self._busy:
                return answer
            self._busy = True
        self._threads.start(self._run)
        return answer

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return
                piece = self._waiting.popleft()
            piece.run()


@dataclass(frozen=True, slots=True)
class _Piece(Generic[T]):
    work: Callable[[], T]
    answer: "Future[T]"

    def run(self) -> None:
        with _Told(self.answer):
            self.answer.set_result(self.work())


@dataclass(frozen=True, slots=True)
class _Told(Generic[T]):
    """Whatever ends the block is the answer, and raises where the answer is taken."""

    answer: "Future[T]"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if error is not None:
            self.answer.set_exception(error)
        return error is not None


def answered(answer: "Future[T]", patience_s: float) -> bool:
    """Wait for an answer at most `patience_s` seconds; True when it is there."""
    if not answer.done():
        try:
            answer.exception(patience_s)
        except TimeoutError:
            return False
    return True


def stalled(seconds: float) -> str:
    """How a status says that a disk does not answer."""
    return f"stalled {seconds:.0f} s: its disk does not answer"
