"""Signals that are sent to us alone are passed on to the command; those that it has got already are not."""

import math
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType

RELAYED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_ENOUGH = b"\0"
"""No number of a signal: the relay ends."""
WITNESS_S = 0.05
"""Seconds that a signal to the whole group may take to its other members."""


class Witness:
    """A process of our process group that does nothing but tell which signals it gets.

    A key such as Ctrl-C, `timeout`, `kill %1` and a scheduler signal the whole group, the command included; `kill PID`
    reaches us alone. What the witness got, the command got. It ends with us, however we end.
    """

    def __init__(self) -> None:
        """Fork it; it has the handlers that are set now. To be made before there are threads."""
        told, telling = os.pipe()
        self.ears: tuple[int, ...] = (told,)
        """Readable when there is something to `listen` to; none when the witness was killed."""
        life, self._life = os.pipe()
        self._heard: dict[int, float] = {}
        os.set_blocking(telling, False)
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(self._life)
                _watch(life, telling)
            finally:
                os._exit(0)
        os.close(life)
        os.close(telling)

    def listen(self, timeout_s: float = 0.0) -> None:
        """Take in what it tells within this time."""
        for told in select.select(self.ears, [], [], timeout_s)[0]:
            numbers = os.read(told, 256)
            self._heard.update(dict.fromkeys(numbers, time.monotonic()))
            if not numbers:
                os.close(told)
                self.ears = ()

    def saw(self, number: int) -> bool:
        """The signal reached the witness just now too; waits a moment for it."""
        deadline = time.monotonic() + WITNESS_S
        while (left := deadline - time.monotonic()) > 0 and not self._just_heard(number):
            self.listen(left)
        return self._just_heard(number)

    def close(self) -> None:
        """Let it go."""
        os.close(self._life)
        os.waitpid(self._pid, 0)
        for told in self.ears:
            os.close(told)

    def _just_heard(self, number: int) -> bool:
        return time.monotonic() - self._heard.get(number, -math.inf) < 2 * WITNESS_S


def _watch(life: int, telling: int) -> None:
    """Tell of signals by their numbers until nobody listens."""
    signal.signal(signal.SIGWINCH, signal.SIG_DFL)
    signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.read(life, 1)


class Relay:
    """Passes signals on in a thread of its own; a signal that was ignored when we were started stays ignored."""

    def __init__(self, resized: Callable[[], None]) -> None:
        """Catch signals from now on; `resized` is called when the size of our terminal has changed."""
        self._caught: dict[int, float] = {}
        self._resized = resized
        self._stops = {n: signal.getsignal(n) for n in (signal.SIGTSTP, signal.SIGCONT)}
        self._numbers = [n for n in RELAYED if signal.getsignal(n) is not signal.SIG_IGN]
        self._arrived, self._wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        self.catch()
        self._witness = Witness()
        self._thread: threading.Thread | None = None

    def catch(self) -> None:
        """Set the handlers, again where a screen has set its own; for the main thread."""
        for number in (*self._numbers, signal.SIGWINCH):
            signal.signal(number, _nothing)
        # The screen has handlers for Ctrl-Z and `fg` that outlive it and fail without it.
        for number, handler in self._stops.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)

    def start(self, command: "subprocess.Popen[bytes]") -> None:
        """Pass on to this process what was caught, and what will be."""
        self._thread = threading.Thread(target=self._run, args=(command,), name="gradtop-relay", daemon=True)
        self._thread.start()

    def caught(self, numbers: Iterable[int], within_s: float) -> bool:
        """One of these signals reached us, alone or with the whole group, in the last `within_s` seconds."""
        since = time.monotonic() - within_s
        return any(self._caught.get(number, -math.inf) >= since for number in numbers)

    def stop(self) -> None:
        """The command has ended, or never began: from now on a signal ends us."""
        signal.set_wakeup_fd(-1)
        for number in (*self._numbers, signal.SIGWINCH):
            signal.signal(number, signal.SIG_DFL)
        if self._thread is not None:
            os.write(self._wakeup, _ENOUGH)
            self._thread.join()
        os.close(self._wakeup)
        os.close(self._arrived)
        self._witness.close()

    def _run(self, command: "subprocess.Popen[bytes]") -> None:
        while True:
            ready, _, _ = select.select([self._arrived, *self._witness.ears], [], [])
            self._witness.listen()
            if self._arrived in ready:
                numbers = os.read(self._arrived, 256)
                if _ENOUGH in numbers:
                    return
                self._caught.update(dict.fromkeys(numbers, time.monotonic()))
                for number in sorted(set(numbers)):
                    self._relay(number, command)

    def _relay(self, number: int, command: "subprocess.Popen[bytes]") -> None:
        if number == signal.SIGWINCH:
            self._resized()
        elif number in self._numbers and not self._witness.saw(number):
            command.send_signal(number)


def _nothing(number: int, frame: FrameType | None) -> None:
    """A handler, so that the signal is caught; the relay's thread learns of it by the wakeup descriptor."""
