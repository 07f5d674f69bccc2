"""The terminal is left as it was found: after a signal, a crash, a lost connection, or when nothing answers."""

import os
import select
import signal
import sys
import termios
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from gradtop.clean import clean

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT)
"""Signals that end the app in order; the exit code is 128 plus their number."""
DEADLINE_S = 3.0
"""Seconds for an orderly end; after that the terminal is restored by hand and the process leaves."""
CHECK_S = 1.0
"""Seconds between two looks at whether the terminal is still there."""
RESTORE = (
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"  # mouse reports
    b"\x1b[?1004l\x1b[?2004l\x1b[?2048l\x1b[?2026l"  # focus reports, bracketed paste, resize reports, held output
    b"\x1b[<u\x1b[?7h\x1b[?1049l\x1b[?25h\x1b[0m\r\n"  # keyboard, line wrap, main screen, cursor, colours
)
"""Undoes what Textual switches on."""


@contextmanager
def guarded(leave: Callable[[int], object]) -> Iterator[None]:
    """Inside, a signal or a vanished terminal calls `leave(exit code)`, and a hard deadline begins.

    `leave` is called from a signal handler or from another thread. The handlers are Python's own and not the event
    loop's: a terminal that takes no output blocks the loop.
    """
    guard = _Guard(leave)
    before = {number: signal.signal(number, guard.on_signal) for number in SIGNALS}
    threading.Thread(target=guard.watch, name="gradtop-terminal", daemon=True).start()
    try:
        yield
    finally:
        guard.done.set()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Guard:
    def __init__(self, leave: Callable[[int], object]) -> None:
        self._leave = leave
        self._modes = _modes()
        self._leaving = threading.Lock()
        self.done = threading.Event()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        self._end(128 + number)

    def watch(self) -> None:
        """End the app when the terminal is gone and nobody said so (nohup, a killed multiplexer)."""
        poll = select.poll()
        poll.register(0, 0)
        while not self.done.wait(CHECK_S):
            if any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0)):
                self._end(128 + signal.SIGHUP)
                return

    def _end(self, code: int) -> None:
        if self._leaving.acquire(blocking=False):
            threading.Thread(target=self._force, args=(code,), name="gradtop-deadline", daemon=True).start()
            self._leave(code)

    def _force(self, code: int) -> None:
        if not self.done.wait(DEADLINE_S):
            restore(self._modes)
            os._exit(code)


def _modes() -> list[Any] | None:
    with suppress(termios.error):
        return termios.tcgetattr(0)
    return None


def restore(modes: list[Any] | None) -> None:
    """Reset the terminal without waiting for it: modes as they were, main screen, cursor, no reports."""
    with suppress(OSError, termios.error):
        # A terminal that takes no output must not hold up the way out.
        os.set_blocking(2, False)
        os.write(2, RESTORE)
    with suppress(OSError):
        os.set_blocking(2, True)
    if modes is not None:
        with suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, modes)


def look_at_size() -> None:
    """Have Textual look at the size of the terminal again.

    It reads the size inside the signal's handler, and handlers nest: of two changes in a row, the older size can be
    handed on last.
    """
    signal.raise_signal(signal.SIGWINCH)


def report_crash(error: BaseException) -> None:
    """Say on stderr what went wrong: the traceback in cleaned text, without the values of variables."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    text = "\n".join(clean(line, 1000) for line in lines[-60:])
    with suppress(OSError):
        sys.stderr.write(f"gradtop ended by a fault of its own. Please report it with these lines:\n{text}\n")
        sys.stderr.flush()
