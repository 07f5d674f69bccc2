"""`gradtop run` in processes of its own: through pipes, and at the other end of a pseudo-terminal."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

LIMIT_S = 50.0
"""Seconds after which what is waited for will not come."""


def gradtop_run(directory: Path, *command: str) -> list[str]:
    return [sys.executable, "-m", "gradtop", "run", "--quiet", "--log-dir", str(directory), "--", *command]


def python(code: str) -> tuple[str, str, str]:
    return sys.executable, "-c", code


def recorded(directory: Path, *command: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        gradtop_run(directory, *command), input=given, capture_output=True, check=False, timeout=LIMIT_S
    )


def printed(log: Path) -> bytes:
    """What the command printed, of a file that ends with our line of how it ended."""
    text, ours, end = log.read_bytes().rpartition(b"==== gradtop run ended at ")
    assert ours, text[-200:]
    assert end.endswith(b" ====\n")
    return text


class Terminal:
    """A pseudo-terminal with a process at its other end."""

    def __init__(self, *command: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            os.execv(command[0], command)
        self.output = b""

    def resize(self, height: int, width: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def until(self, wanted: bytes) -> None:
        """Read until this is in the output; it must come."""
        deadline = time.monotonic() + LIMIT_S
        while wanted not in self.output:
            ready, _, _ = select.select([self.fd], [], [], max(deadline - time.monotonic(), 0.0))
            data = b""
            with suppress(OSError):
                data = os.read(self.fd, 1 << 16) if ready else b""
            self.output += data
            assert data, self.output[-2000:]

    def until_written(self, path: Path, wanted: bytes) -> None:
        """Read until this is in the file; it must come."""
        deadline = time.monotonic() + LIMIT_S
        while wanted not in path.read_bytes():
            assert time.monotonic() < deadline, self.output[-2000:]
            if select.select([self.fd], [], [], 0.02)[0]:
                self.output += os.read(self.fd, 1 << 16)

    def rest(self) -> int:
        """Read to the end; the exit code."""
        with suppress(OSError):
            while data := os.read(self.fd, 1 << 16):
                self.output += data
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        self.pid = 0
        return code

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            self.rest()
