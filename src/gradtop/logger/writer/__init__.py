"""The one thread that writes: the training hands records over and never waits for a disk."""

import errno
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradtop.logger import line
from gradtop.logger.notice import Notices
from gradtop.logger.writer.place import Place, claim, names

MOST_RECORDS = 8192
"""Records that wait at most. A row is kept about 1 KB, values per layer of 1,000 parameters 100 KB."""
GATHER_S = 0.1
"""Seconds that the thread waits after the first record of a burst: it takes the interpreter's lock once for all."""
BATCH_BYTES = 1 << 16
"""Bytes of whole lines that go out with one write: a write lets go of the interpreter's lock, and where the training
seldom does it takes 5 ms to have it again (`sys.getswitchinterval`)."""
LISTEN_S = 2.0
"""Seconds until the thread looks for records that nothing rang for: Ctrl-C may have struck between the two."""
LOOK_S = 3.0
"""Seconds between two looks at whether the file is still at its path."""
FIRST_PAUSE_S = 0.5
"""Seconds until the next try after a failure; doubled every time up to `LONGEST_PAUSE_S`."""
LONGEST_PAUSE_S = 30.0
STUCK_S = 0.2
"""Seconds after which a request to the file system counts as hung."""
_MOST_KEPT = 64
_LOST = (errno.EBADF, errno.ESTALE, errno.ENOTCONN, errno.ENODEV)

_Record = tuple[Callable[..., bytes], tuple[Any, ...], bool]

_REASONS = {
    errno.ENOSPC: ("the disk is full", "Recording goes on when there is space"),
    errno.EDQUOT: ("the disk quota is used up", "Recording goes on when there is space"),
    errno.EFBIG: ("the file has the largest size that is allowed here", "Raise the limit (ulimit -f)"),
    errno.EROFS: ("the file system is read-only", "Give the Logger a directory that can be written"),
    errno.EACCES: ("permission denied", "Give the Logger a directory that can be written"),
    errno.EPERM: ("permission denied", "Give the Logger a directory that can be written"),
    errno.EEXIST: ("a file is in the way of the directory", "Give the Logger another directory"),
    errno.ENOTDIR: ("a file is in the way of the directory", "Give the Logger another directory"),
}

_writers: "weakref.WeakSet[Writer]" = weakref.WeakSet()


class Writer:
    """Writes records to one file of a directory, in order, on a daemon thread of its own.

    The calling thread never touches the file system. What cannot be written now waits, up to `capacity` records; more
    are dropped and counted, and an event `dropped_records` says how many when writing works again. A process that is
    forked off writes nothing.
    """

    def __init__(
        self,
        directory: Path,
        head: Callable[[int], bytes],
        notices: Notices,
        *,
        rank: int | None = None,
        capacity: int = MOST_RECORDS,
    ) -> None:
        """Nothing is opened before the first record.

        Args:
            directory: made where it is missing.
            head: makes the run line of a session, given its number; called on the writer's thread for every new file.
            notices: says once what goes wrong.
            rank: of a rank's own file; None is the file of the run.
            capacity: records that wait at most.
        """
        self._directory, self._head, self._notices, self._rank = directory, head, notices, rank
        self._capacity = capacity
        self._queue: deque[_Record] = deque()
        self._taking = True
        self._dropped = 0
        self._thread: threading.Thread | None = None
        self._rung = False
        self._bell = threading.Lock()
        self._bell.acquire()
        self._stop = threading.Event()
        # From here on: the thread's own.
        self._place: Place | None = None
        self._held = ""
        self._preface = self._batch = b""
        self._kept: deque[bytes] = deque(maxlen=_MOST_KEPT)
        self._told = 0
        self._pause_s = 0.0
        self._looked = 0.0
        self._asking_since: float | None = None
        self._written = True
        _writers.add(self)

    @property
    def path(self) -> Path | None:
        """The file that is written; None until it is known, or where none can be."""
        place = self._place
        return place.path if place is not None else None

    def put(self, encode: Callable[..., bytes], *args: Any, keep: bool = False) -> None:
        """Hand over the record `encode(*args)`, one line; never waits, never raises.

        Args:
            encode: called on the writer's thread.
            args: not changed later on.
            keep: the record is never dropped, and is repeated where the file has to begin anew.
        """
        if not self._taking:
            return
        if len(self._queue) >= self._capacity and not keep:
            self._dropped += 1
            return
        self._queue.append((encode, args, keep))
        if not self._rung:
            self._rung = True
            self._ring()

    def put_all(self, encode: Callable[..., bytes], records: Sequence[tuple[Any, ...]]) -> None:
        """Hand over the record `encode(*args)` for each of the `records`, as `put` does."""
        if not self._taking or not records:
            return
        room = max(0, self._capacity - len(self._queue))
        self._queue.extend((encode, args, False) for args in records[:room])
        self._dropped += max(0, len(records) - room)
        if not self._rung:
            self._rung = True
            self._ring()

    def stop(self) -> None:
        """Take no more records, write what waits, and end; does not wait for it."""
        self._taking = False
        if self._thread is not None:
            self._stop.set()
            self._ring()

    def close(self, timeout_s: float = 2.0) -> bool:
        """Write what waits, for `timeout_s` seconds at most; True if every record is in the file and on its disk."""
        self.stop()
        if self._thread is None:
            return not self._queue
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            where = self.path or self._directory
            self._notices.say("hung", f"{where} did not answer for {timeout_s:g} s: the last records are missing")
            return False
        return self._written

    def _ring(self) -> None:
        """Wake the thread, which is started by the first record."""
        if self._thread is None:
            self._start()
        with suppress(RuntimeError):  # it is rung already
            self._bell.release()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="gradtop-writer", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError as error:
            self._thread, self._taking = None, False
            self._notices.say("thread", f"nothing is recorded in {self._directory}: {error}")

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self._bell.acquire(timeout=LISTEN_S) and not self._queue:
                continue
            self._stop.wait(GATHER_S)
            self._rung = False
            self._attempt()
            while self._pause_s and not self._stop.wait(self._pause_s):
                self._attempt()
        self._attempt()
        self._finish()
        del self._head  # it holds the model, whose memory on a device ought not to wait for the garbage collector

    def _attempt(self) -> None:
        """Write all that waits, or say why not and when to try again."""
        self._asking_since = time.monotonic()
        try:
            self._drain(self._look())
        except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on
            self._say(error)
            self._pause_s = min(self._pause_s * 2 or FIRST_PAUSE_S, LONGEST_PAUSE_S)
            if isinstance(error, OSError) and error.errno in _LOST:
                self._leave()
        else:
            self._pause_s = 0.0
        self._asking_since = None

    def _look(self) -> Place:
        """The file to write; a new one where it was removed, replaced or cut."""
        now = time.monotonic()
        place = self._place
        if place is not None and not place.holds():
            self._place = None  # not closed: its number may be that of another file by now
            raise OSError(errno.EBADF, "the program closed the file")
        if place is not None and now - self._looked >= LOOK_S:
            self._looked = now
            if not place.stands():
                self._notices.say("moved", f"{place.path} was removed or replaced: the run goes on in a new file")
                self._leave()
        return self._place or self._open()

    def _open(self) -> Place:
        """Take a file; its run line and the kept records go first."""
        place = claim(self._directory, self._rank, self._held)
        wanted = self._held or next(names(self._rank))
        if place.path.name != wanted:
            taken = f"{self._directory / wanted} is in use by another run, or is not a log of gradtop"
            self._notices.say("taken", f"{taken}: this run is recorded in {place.path}")
        self._held = place.path.name
        self._preface = b"".join((self._encoded(self._head, (place.session,)), *self._kept))
        self._looked = time.monotonic()
        self._place = place
        return place

    def _drain(self, place: Place) -> None:
        """Write what waits; a line leaves only when it is in the file."""
        while self._preface:
            self._preface = place.append(self._preface)
        while self._batch or self._gather():
            self._batch = place.append(self._batch)

    def _gather(self) -> bool:
        """Encode the records that go out with the next write; whether there are any."""
        lines: list[bytes] = []
        size = 0
        while self._queue and size < BATCH_BYTES:
            encode, args, keep = self._queue.popleft()
            lines.append(self._encoded(encode, args))
            size += len(lines[-1])
            if keep:
                self._kept.append(lines[-1])
        if not self._queue and (missing := self._dropped - self._told):
            lines.append(_dropped_line(missing))
            self._told += missing
        self._batch = b"".join(lines)
        return bool(self._batch)

    def _encoded(self, encode: Callable[..., bytes], args: tuple[Any, ...]) -> bytes:
        try:
            return encode(*args)
        except Exception as error:  # noqa: BLE001 - one bad record must not end the recording
            self._notices.say("record", f"a record is left out: {type(error).__name__}: {error}")
            return b""

    def _finish(self) -> None:
        self._written = not (self._preface or self._batch or self._queue or self._dropped)
        place = self._place
        if place is None:
            return
        if place.holds() and not place.stands():
            self._written = False
            self._notices.say("moved", f"{place.path} was removed or replaced: its last records are missing")
        try:
            place.sync()
        except OSError as error:
            self._written = False
            self._say(error)
        place.close()

    def _leave(self) -> None:
        """Let go of the file; the next attempt takes one."""
        place, self._place = self._place, None
        if place is not None:
            place.close()

    def _say(self, error: Exception) -> None:
        """Name the file, the reason and what helps, once for each reason."""
        number = error.errno if isinstance(error, OSError) else None
        reason, remedy = _REASONS.get(number or 0, (str(error), "It is tried again"))
        where = self.path or self._directory
        self._notices.say(f"write {number}", f"{where} cannot be written: {reason}. {remedy}; the training goes on")

    def _abandon(self) -> None:
        """Be without effect, in a process that was forked off, and leave lock and file to the parent.

        What waits is left as it is: values of a device must not be freed in a forked process. On a file system that
        hangs even closing waits, so there the descriptor stays open.
        """
        self._taking, self._thread = False, None
        since = self._asking_since
        if self._place is not None and (since is None or time.monotonic() - since < STUCK_S):
            self._place.close()


def close_all(timeout_s: float) -> None:
    """End all writers of this process, within `timeout_s` seconds together."""
    writers = list(_writers)
    for writer in writers:
        writer.stop()
    deadline = time.monotonic() + timeout_s
    for writer in writers:
        writer.close(max(0.0, deadline - time.monotonic()))


def _dropped_line(records: int) -> bytes:
    message = f"{records} records are missing: they came faster than they could be written"
    return line.event(
        "dropped_records", step=None, time=time.time(), message=message, level="warning", data={"records": records}
    )


def _abandon_all() -> None:
    for writer in list(_writers):
        writer._abandon()


os.register_at_fork(after_in_child=_abandon_all)
