"""Samples written beside a run: lines of the stream and nothing else, appended to a file of their own."""

import os
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from gradtop.errors import OutputError, RecordError
from gradtop.machine import Machine
from gradtop.record import decode_object, encode
from gradtop.sources.follow.lane import Lane, Threads, answered

_HEAD_BYTES = 1 << 16
LAST_S = 1.0
"""Seconds for which the last line is waited for at the end."""


class Recording:
    """A file that samples are appended to; a disk that is full or hangs ends it, and nothing else."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`, or make one.

        Raises:
            OutputError: it cannot be written, or holds something else.
        """
        self.path = path
        self.written = self.dropped = 0
        self.problem = ""
        """Why nothing more is written, in one line; empty while all is well."""
        self._lane = Lane(Threads())
        self._answer: Future[None] | None = None
        self._torn = False
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
            head = os.pread(self._fd, _HEAD_BYTES, 0)
        except OSError as error:
            raise OutputError(f"samples cannot be recorded in {path}: {error.strerror}") from None
        if head and not _of_samples(head):
            os.close(self._fd)
            raise OutputError(f"{path} holds something else than samples: name a new file, machine.jsonl say")
        self._torn = bool(head) and os.pread(self._fd, 1, max(0, os.fstat(self._fd).st_size - 1)) != b"\n"

    def write(self, machine: Machine) -> None:
        """Append a sample; one that comes while an older one is still being written is dropped."""
        if self.problem:
            return
        if self._answer is not None and not self._answer.done():
            self.dropped += 1
            return
        line = encode(machine)
        self._answer = self._lane.do(lambda: self._append(line))

    def _append(self, line: bytes) -> None:
        try:
            # What was cut by a full disk, or by the end of an earlier recording, must not spoil this line.
            data = b"\n" + line if self._torn else line
            self._torn = os.write(self._fd, data) < len(data)
        except OSError as error:
            self.problem = f"the recording of samples ended: {error.strerror}"
            return
        self.written += 1

    def close(self) -> None:
        """Wait for the last line for a moment, and let go of the file."""
        if self._answer is None or answered(self._answer, LAST_S):
            with suppress(OSError):
                os.close(self._fd)


def _of_samples(head: bytes) -> bool:
    """The first line of a file is a sample."""
    try:
        return decode_object(head.split(b"\n", 1)[0]).get("type") == "machine"
    except RecordError:
        return False
