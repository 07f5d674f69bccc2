"""The first line of the screen, written before there is anything that could draw it: importing that takes a while."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_UP = b"\x1b[?1049h\x1b[2J\x1b[H \x1b[1mgradtop\x1b[0m   looking for runs\x1b[?25l"
"""The other screen, empty but for the words that the app begins with; no cursor."""
_DOWN = b"\x1b[?1049l\x1b[?25h"
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@contextmanager
def curtain() -> Iterator[None]:
    """Inside, the terminal shows that something comes. It stays for the app to draw over, unless the block fails.

    What is written here goes where Textual writes: to standard error.
    """
    before = {number: signal.signal(number, _fall) for number in _SIGNALS}
    _write(_UP)
    try:
        yield
    except BaseException:
        _write(_DOWN)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fall(number: int, frame: FrameType | None) -> None:
    """A signal ends the process as it would have, with the terminal as it was."""
    _write(_DOWN)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _write(data: bytes) -> None:
    with suppress(OSError):
        os.write(2, data)
