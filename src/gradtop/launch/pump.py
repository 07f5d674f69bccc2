"""Output on its way from the command to where ours goes, byte for byte, and into the record."""

import os
import select
import threading
import time

from gradtop.launch.output import OutputLog
from gradtop.launch.stream import Channel

CHUNK_BYTES = 256 * 1024
GRACE_S = 0.2
"""Seconds of waiting for the end of the output after the command has ended, while something it left holds it open."""
HELD_BYTES = 1024 * 1024
"""The most that a pipe holds on Linux (pipe-max-size): no more of what is read after its end is the command's own."""


class Pump:
    """A thread that passes one channel on; a reader that is slow slows the command down, as without us."""

    def __init__(self, channel: Channel, log: OutputLog, over: int, shown: bool) -> None:
        """Begin. `over` becomes readable when the command has ended; without `shown`, output is recorded alone."""
        self.shown = shown
        """Output is passed on, and not only recorded; may be set at any time."""
        self.held = False
        """The command has ended, and something that it left behind still holds the channel open."""
        self.mid_line = False
        """What was passed on last was no whole line."""
        self._channel, self._log, self._over = channel, log, over
        self._ended = False
        self._patience_s, self._left_bytes = GRACE_S, HELD_BYTES
        self._thread = threading.Thread(target=self._run, name="gradtop-pump", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until all that the command wrote is passed on."""
        self._thread.join()

    def _run(self) -> None:
        outlet = self._channel.outlet
        while self._readable():
            data = _read(outlet)
            if not data:
                return
            self._log.put(data)
            if self._ended:
                self._left_bytes -= len(data)
            if self.shown and not self._pass_on(data):
                # The command is to learn at its next line, as without us, that nobody reads on.
                os.close(outlet)
                return
        self.held = True

    def _readable(self) -> bool:
        """There is something to read, or the end of it; False when what the command itself wrote is through."""
        outlet = self._channel.outlet
        if not self._ended:
            ready, _, _ = select.select([outlet, self._over], [], [])
            if outlet in ready:
                self._ended = self._over in ready
                return True
            self._ended = True
        if self._left_bytes <= 0:
            return False
        began = time.monotonic()
        ready, _, _ = select.select([outlet], [], [], max(self._patience_s, 0.0))
        self._patience_s -= time.monotonic() - began
        return bool(ready)

    def _pass_on(self, data: bytes) -> bool:
        """Write all of it; False where nobody reads it any more."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._channel.sink, left) :]
            except BlockingIOError:
                # Another process has made the terminal that we share non-blocking.
                select.select([], [self._channel.sink], [])
            except OSError:
                return False
        self.mid_line = data[-1:] not in (b"\n", b"\r")
        return True


def _read(outlet: int) -> bytes:
    """Some bytes; none at the end, which a terminal tells by an error."""
    try:
        return os.read(outlet, CHUNK_BYTES)
    except OSError:
        return b""
