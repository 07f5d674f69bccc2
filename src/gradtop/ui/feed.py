"""The thread that polls: it owns the monitor's time, and touches nothing of the app but its message queue."""

import math
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from textual.message import Message

from gradtop.snapshot import Snapshot

UPDATE_S = 0.25
"""Seconds between two snapshots that reach the screen: at most four updates a second."""
SLOWEST_UPDATE_S = 0.4
"""The same where showing one is dear: what is new is on the screen within half a second."""
REST = 25
"""Times that the screen rests for as long as showing a snapshot took, within those bounds."""


class SnapshotReady(Message):
    """A new snapshot was taken; only the newest one in the queue matters."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Carry the snapshot across threads."""
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """Push out an older snapshot that was not handled yet."""
        return isinstance(message, SnapshotReady)


class FeedFailed(Message):
    """Polling raised; the app ends with this error."""

    def __init__(self, error: BaseException) -> None:
        """Carry the error across threads."""
        super().__init__()
        self.error = error


class Feed:
    """Polls and posts until it is stopped.

    A plain daemon thread, not an executor's: a disk that hangs must not keep the process from leaving.
    """

    def __init__(
        self,
        poll: Callable[[], Snapshot],
        wait: Callable[[float], object],
        post: Callable[[Message], object],
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        then: Callable[[], object] = lambda: None,
    ) -> None:
        """`wait(timeout_s)` returns early when there is something to read, False where that can wait.

        `clock` counts seconds.

        `then` is done once, an update after a run came onto the screen: it does not take its time from that picture.
        """
        self._poll, self._wait, self._post = poll, wait, post
        self._interval_s, self._clock = interval_s, clock
        self._then: Callable[[], object] | None = then
        self._standing = False
        self._stopping = threading.Event()
        self._update_s = UPDATE_S

    def shown(self, took_s: float) -> None:
        """A snapshot was shown, which took so long: the dearer, the longer the next one waits."""
        self._update_s = min(max(UPDATE_S, REST * took_s), SLOWEST_UPDATE_S)

    def start(self) -> None:
        """Begin to poll."""
        threading.Thread(target=self.run, name="gradtop-poll", daemon=True).start()

    def stop(self) -> None:
        """Poll no more; a poll that is under way is left to itself."""
        self._stopping.set()

    def run(self) -> None:
        """The loop. Much to read is read at full speed; single rows are read when they can be posted."""
        posted = -math.inf
        with _Reported(self._post):
            while not self._stopping.is_set():
                snapshot = self._poll()
                # It is known by now what the last one cost: samples alone hold up the next row less than rows do.
                left = posted + self._update_s - self._clock()
                if left <= 0:
                    self._post(SnapshotReady(snapshot))
                    posted = self._clock()
                    self._do_then()
                    self._standing = self._standing or any(run.read >= 1 for run in snapshot.runs[:1])
                can_wait = self._wait(min(self._interval_s, left) if left > 0 else self._interval_s) is False
                if can_wait and (left := posted + self._update_s - self._clock()) > 0:
                    self._stopping.wait(left)

    def _do_then(self) -> None:
        if self._then is not None and self._standing:
            then, self._then = self._then, None
            then()


class _Reported:
    """Turns whatever ends the block into a message."""

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if error is not None:
            self._post(FeedFailed(error))
        return error is not None
