"""The command's standard streams: a terminal stays one, other output becomes a pipe, what is closed stays closed.

Only output goes through us. Standard input is passed on as it is, and the command stays in our session and process
group: keys, Ctrl-C, Ctrl-Z, `fg` and `bg` are between the user's terminal and the command, and the terminal's modes are
never touched, so that there is nothing to restore whatever happens to us.
"""

import fcntl
import os
import termios
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass

STANDARD = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Channel:
    """A way for output: the command writes to `inlet`, we read from `outlet` and pass it on to `sink`."""

    sink: int
    """Our own descriptor: 1 or 2."""
    outlet: int
    inlet: int
    terminal: bool

    def resize(self) -> bool:
        """Give the command's terminal the size of ours; whether that changed it."""
        if not self.terminal:
            return False
        with suppress(OSError):
            size, before = (fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)) for fd in (self.sink, self.outlet))
            fcntl.ioctl(self.outlet, termios.TIOCSWINSZ, size)
            return size != before
        return False


def fill_closed() -> frozenset[int]:
    """Keep what we open from becoming a standard stream; the descriptors that are closed. To be called first of all.

    What takes their places is closed again in the command.
    """
    closed = frozenset(fd for fd in STANDARD if not _is_open(fd))
    for _ in closed:
        os.open(os.devnull, os.O_RDWR)
    return closed


def open_channels(closed: Container[int]) -> dict[int, Channel]:
    """A channel for standard output and one for standard error, by number; the same where both go to one place."""
    channels: dict[int, Channel] = {}
    places: dict[tuple[int, int], Channel] = {}
    for fd in (1, 2):
        if fd not in closed:
            status = os.fstat(fd)
            place = (status.st_dev, status.st_ino)
            channels[fd] = places[place] = places.get(place) or _channel(fd)
    return channels


def distinct(channels: dict[int, Channel]) -> Iterator[Channel]:
    """Each channel once."""
    yield from dict.fromkeys(channels.values())


def _channel(fd: int) -> Channel:
    if not os.isatty(fd):
        outlet, inlet = os.pipe()
        return Channel(fd, outlet, inlet, terminal=False)
    outlet, inlet = os.openpty()
    channel = Channel(fd, outlet, inlet, terminal=True)
    modes = termios.tcgetattr(fd)
    # The user's own terminal turns "\n" into "\r\n" as it is set to; twice would be once too often.
    modes[1] &= ~termios.OPOST
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(inlet, termios.TCSANOW, modes)
    channel.resize()
    return channel


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
