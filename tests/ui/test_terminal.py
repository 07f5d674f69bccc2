"""The app in a real pseudo-terminal: however it ends, the terminal is as it was."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("child.py")
ON_SCREEN = b"KEEP TRAINING"
SEQUENCES = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?2004l", b"\x1b[?1004l")


class Terminal:
    """One end of a pseudo-terminal with the app at the other."""

    def __init__(self, *args: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            os.execv(sys.executable, [sys.executable, str(CHILD), *args])
        self.modes = termios.tcgetattr(self.fd)
        self.output = b""
        self.resize(36, 120)

    def resize(self, height: int, width: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read_until(self, wanted: bytes, timeout_s: float = 50.0) -> None:
        end = time.monotonic() + timeout_s
        while wanted not in self.output:
            assert time.monotonic() < end, self.output[-2000:]
            if select.select([self.fd], [], [], 0.1)[0]:
                self.output += os.read(self.fd, 65536)

    def rest(self) -> int:
        """Read to the end; the exit code."""
        with suppress(OSError):
            while data := os.read(self.fd, 65536):
                self.output += data
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def exit_code(self, timeout_s: float = 50.0) -> int:
        """Wait without reading."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        raise AssertionError("the process does not end")


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    opened = Terminal(*getattr(request, "param", ()))
    yield opened
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(opened.pid, signal.SIGKILL)
        os.waitpid(opened.pid, 0)
    with suppress(OSError):
        os.close(opened.fd)


def restored(terminal: Terminal) -> bool:
    tail = terminal.output[terminal.output.rindex(ON_SCREEN) :]
    modes = termios.tcgetattr(terminal.fd)
    return all(sequence in tail for sequence in SEQUENCES) and modes[3] == terminal.modes[3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_a_signal_ends_in_order(terminal: Terminal, number: signal.Signals) -> None:
    terminal.read_until(ON_SCREEN)
    os.kill(terminal.pid, number)
    assert terminal.rest() == 128 + number
    assert restored(terminal)


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_quit_gives_the_terminal_back(terminal: Terminal, key: bytes) -> None:
    terminal.read_until(ON_SCREEN)
    os.write(terminal.fd, key)
    assert terminal.rest() == 0
    assert restored(terminal)


def test_a_suspended_app_gives_the_terminal_back_and_comes_back(terminal: Terminal) -> None:
    terminal.read_until(ON_SCREEN)
    os.write(terminal.fd, b"\x1a")
    os.waitpid(terminal.pid, os.WUNTRACED)
    terminal.read_until(b"\x1b[?1049l")
    assert termios.tcgetattr(terminal.fd)[3] == terminal.modes[3]
    terminal.output = b""
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.read_until(ON_SCREEN)
    os.write(terminal.fd, b"q")
    assert terminal.rest() == 0


@pytest.mark.parametrize("terminal", [("crash",)], indirect=True)
def test_a_crash_is_reported_clean_after_the_terminal_is_restored(terminal: Terminal) -> None:
    assert terminal.rest() == 1
    report = terminal.output[terminal.output.rindex(b"\x1b[?1049l") :]
    assert b"ValueError: broken  after 7 characters" in report
    assert b"hunter2" not in report.replace(b'secret = "hunter2"', b"")
    assert b"PWNED" not in report.replace(rb"\x1b]0;PWNED\x07", b"")
    assert b"\x1b]" not in report
    assert termios.tcgetattr(terminal.fd)[3] == terminal.modes[3]


@pytest.mark.parametrize("terminal", [("hang",)], indirect=True)
def test_a_poll_that_hangs_does_not_keep_the_app(terminal: Terminal) -> None:
    terminal.read_until(ON_SCREEN)
    time.sleep(0.2)
    os.write(terminal.fd, b"q")
    assert terminal.rest() == 0


def test_a_terminal_that_takes_no_output_does_not_hold_up_a_signal(terminal: Terminal) -> None:
    terminal.read_until(ON_SCREEN)
    for i in range(60):
        terminal.resize(50 + i % 2, 200)
        time.sleep(0.01)
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.exit_code() == 128 + signal.SIGTERM


@pytest.mark.parametrize("terminal", [("late",)], indirect=True)
def test_a_size_that_was_told_too_late_is_found(terminal: Terminal) -> None:
    terminal.read_until(ON_SCREEN)
    time.sleep(0.2)
    terminal.resize(3, 10)
    terminal.read_until(b"too small")


@pytest.mark.parametrize("terminal", [(), ("nohup",)], indirect=True)
def test_a_vanished_terminal_ends_the_process(terminal: Terminal) -> None:
    terminal.read_until(ON_SCREEN)
    os.close(terminal.fd)
    assert terminal.exit_code() in (128 + signal.SIGHUP, 1)


def test_nothing_but_known_sequences_reaches_the_terminal(terminal: Terminal) -> None:
    terminal.read_until(ON_SCREEN)
    os.write(terminal.fd, b"6rc?")
    time.sleep(0.3)
    os.write(terminal.fd, b"q")
    terminal.rest()
    # Textual's own pointer shape is the only operating system command.
    rest = terminal.output.replace(b"\x1b]22;default\x07", b"")
    assert b"\x1b]" not in rest
    assert b"\x1bP" not in rest
