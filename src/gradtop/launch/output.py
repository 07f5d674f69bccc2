"""The file that the command's output is recorded to, which never holds up the output itself."""

import os
import re
import shlex
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gradtop.clean import clean
from gradtop.logger.facts import arguments

NAME = "output.log"
MOST_BYTES = 64 * 1024 * 1024
"""Output that waits for the disk; what comes beyond it is shown and left out of the file."""
_COMMAND_CHARS = 300
_ODD = re.compile(r"[^!-~]+")
CLOSE_S = 2.0
"""Seconds for which a disk that does not answer is waited for at the end."""


class OutputLog:
    """Appends chunks to a file in a thread of its own; a full, hung or lost disk costs the record alone."""

    def __init__(self, path: Path, command: Sequence[str] = ()) -> None:
        """Open the file; raises OSError where that cannot be.

        Behind what an earlier launch left goes a line that says when and where, and what for: `command`.
        """
        self.lost_bytes = 0
        """Output that is not in the file."""
        self.problem = ""
        """Why the first of it is not."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        self._torn = not _ends_in_newline(self._fd)
        self._mid_line = False
        self._chunks: list[bytes] = []
        self._waiting_bytes = 0
        self._closing = False
        self._some = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="gradtop-output", daemon=True)
        self._thread.start()
        if _has_content(self._fd):
            self.put(opening(command, time.time()))

    def put(self, data: bytes) -> None:
        """Record `data` behind what was put before; never waits for the disk."""
        with self._some:
            if self._waiting_bytes + len(data) > MOST_BYTES:
                self._lose(len(data), "the disk is too slow")
                return
            self._chunks.append(data)
            self._waiting_bytes += len(data)
            self._mid_line = data[-1:] != b"\n"
            self._some.notify()

    def end(self, code: int) -> None:
        """Record how the command ended, behind all of its output; `code` as `Popen.returncode`."""
        line = ending(code, time.time())
        self.put(b"\n" + line if self._mid_line else line)

    def close(self) -> None:
        """Write what is left, for at most `CLOSE_S`; what is not written by then is lost."""
        with self._some:
            self._closing = True
            self._some.notify()
        self._thread.join(CLOSE_S)
        with self._some:
            if self._thread.is_alive():
                self._lose(self._waiting_bytes, "the disk does not answer")
                return
            with suppress(OSError):
                if os.fstat(self._fd).st_nlink == 0:
                    self.problem = self.problem or "it was deleted"
            with suppress(OSError):
                # A network disk may say only now that it is full.
                os.close(self._fd)

    def _lose(self, count: int, why: str) -> None:
        self.lost_bytes += count
        self.problem = self.problem or why
        self._torn = True

    def _write_all(self) -> None:
        while True:
            with self._some:
                self._some.wait_for(lambda: self._chunks or self._closing)
                if not self._chunks:
                    return
                data = b"".join(self._chunks)
                self._chunks.clear()
                # Where something is missing, what follows must not complete the line before it.
                text, self._torn = (b"\n" + data if self._torn else data), False
            written, why = _write(self._fd, text)
            with self._some:
                self._waiting_bytes -= len(data)
                if why:
                    self._lose(min(len(data), len(text) - written), why)


def opening(command: Sequence[str], now: float) -> bytes:
    """The line before the output of a launch at `now` (Unix seconds); secrets in the command are left out."""
    host = _ODD.sub("-", socket.gethostname()) or "localhost"
    told = f": {clean(shlex.join(arguments(command)), _COMMAND_CHARS)}" if command else ""
    return f"==== gradtop run at {_utc(now)} on {host}, process {os.getpid()}{told} ====\n".encode(errors="replace")


def ending(code: int, now: float) -> bytes:
    """The line behind the output of a launch that ended at `now` (Unix seconds) with `code`, as `Popen.returncode`."""
    how = f" with exit code {code}" if code >= 0 else f", killed by signal {-code}"
    return f"==== gradtop run ended at {_utc(now)}{how} ====\n".encode()


def _utc(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _has_content(fd: int) -> bool:
    with suppress(OSError):
        return os.fstat(fd).st_size > 0
    return False


def _write(fd: int, data: bytes) -> tuple[int, str]:
    """How many bytes were written, and why no more."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except OSError as error:
            return len(data) - len(left), error.strerror or str(error)
    return len(data), ""


def _ends_in_newline(fd: int) -> bool:
    """The file is empty, or its last line is whole; a kind of file that cannot tell has no lines before."""
    with suppress(OSError):
        size = os.fstat(fd).st_size
        return size == 0 or os.pread(fd, 1, size - 1) == b"\n"
    return True
