"""Whether the process of a run lives, from the samples of it."""

from gradtop.machine import Machine

GONE_S = 5.0
"""Seconds for which a process has to be gone before its log is taken to be over: its last words may still come."""
_DEAD = ("gone", "zombie")
"""States of a process that computes no more."""


class Life:
    """What the samples of a run say of its process. It has no clock: times are seconds of any origin."""

    def __init__(self) -> None:
        """No sample yet."""
        self.machine: Machine | None = None
        """The newest sample."""
        self._seen: int | None = None
        self._died_at: float | None = None

    def see(self, machine: Machine, at: float) -> None:
        """Take in a sample that was there at `at`."""
        self.machine, process = machine, machine.process
        if process is None or not process.sure:
            return
        if process.state not in _DEAD:
            self._seen, self._died_at = process.pid, None
        elif self._died_at is None:
            self._died_at = at

    def alive(self, at: float) -> bool | None:
        """It lives; None where that is not known: only a process that was seen alive can be gone."""
        process = self.machine.process if self.machine is not None else None
        if process is None or not process.sure or process.pid != self._seen:
            return None
        if self._died_at is None:
            return True
        return False if at - self._died_at >= GONE_S else None
