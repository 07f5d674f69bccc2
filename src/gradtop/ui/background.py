"""Reads for the screen that must not hold up the screen."""

import threading
from collections.abc import Callable


class Background:
    """One daemon thread that does the newest piece of work it was given; older ones that wait are forgotten.

    A read from a disk that hangs keeps this thread, and neither the screen nor the way out.
    """

    def __init__(self) -> None:
        """The thread begins with the first piece of work."""
        self._ready = threading.Condition()
        self._work: Callable[[], object] | None = None
        self._started = False

    def __call__(self, work: Callable[[], object]) -> None:
        """Do this next."""
        with self._ready:
            self._work = work
            self._ready.notify_all()
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="gradtop-pages", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._work is not None)
                work, self._work = self._work, None
            if work is not None:
                work()
