"""Standard input or another pipe as a source: read only when something is there, so that it never waits."""

import os
import select
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gradtop.record import Record
from gradtop.sources import Batch, SourceStatus
from gradtop.sources.follow.file import Silence, status_of
from gradtop.sources.follow.intake import Intake
from gradtop.sources.follow.tail import CHUNK_BYTES
from gradtop.sources.reader import Account

if TYPE_CHECKING:  # a run of rows does not wait for what reads text
    from gradtop.sources.text.reader import Rule

PIPE_BYTES = 64 * 1024
"""Bytes of one read: what a pipe holds on Linux."""


class StreamSource:
    """Follows an open descriptor until its end. The descriptor's flags are left alone: a terminal shares them."""

    def __init__(
        self,
        fd: int,
        path: Path = Path("-"),
        clock: Callable[[], float] = time.monotonic,
        *,
        profiles: "Sequence[Rule]" = (),
    ) -> None:
        """Read `fd` and own it from now on.

        Args:
            fd: an open descriptor.
            path: what it is called.
            clock: seconds from any origin.
            profiles: the user's own rules for text lines.
        """
        self._fd: int | None = fd
        self._path = path
        self._intake = Intake(path.name, profiles)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._silence = Silence(clock)
        self._size = 0
        self._problem = ""

    @property
    def status(self) -> SourceStatus:
        """How the stream stood at the last read."""
        problem = self._problem or self._intake.problem
        return status_of(self._path, self._intake, size=self._size, offset=self._size, modified=None, problem=problem)

    @property
    def account(self) -> Account:
        """How the lines so far were understood."""
        return self._intake.account

    @property
    def ended(self) -> bool:
        """The other end was closed: nothing more will come."""
        return self._fd is None

    def wait(self, timeout_s: float) -> bool:
        """Wait until something has arrived, at most `timeout_s` seconds; True when there is something to read."""
        return self._fd is not None and bool(self._poll.poll(timeout_s * 1000))

    def read(self) -> Batch:
        """What has arrived, at most about `CHUNK_BYTES`; at the end of the stream also the line that was held back."""
        records = self._intake.take(b"") if self._intake.waiting else []
        taken = 0
        while self._fd is not None and taken < CHUNK_BYTES and not self._intake.waiting and self._poll.poll(0):
            data = self._next(self._fd)
            if data is None:
                break
            taken += len(data)
            records += self._intake.take(data) if data else self._end()
        self._size += taken
        if self._silence.long(taken > 0):
            records += self._intake.idle()
        return Batch(tuple(records), more=taken >= CHUNK_BYTES or self._intake.waiting)

    def finish(self) -> Batch:
        """What is still held back, when nobody will read any more."""
        return Batch(tuple(self._intake.finish()))

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._fd is not None:
            self._poll.unregister(self._fd)
            os.close(self._fd)
            self._fd = None

    def _next(self, fd: int) -> bytes | None:
        """The next bytes; none at the end of the stream, None when another reader was faster."""
        try:
            return os.read(fd, PIPE_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            # A terminal that hangs up gives EIO.
            self._problem = f"cannot be read any more: {error.strerror}"
            return b""

    def _end(self) -> list[Record]:
        self.close()
        return self._intake.finish()
