"""Whether the process of a run lives, from the samples of it."""

import math
from dataclasses import dataclass

from gradtop.detect.process.gone import finished
from gradtop.machine import Machine, MachineView
from gradtop.record import End
from gradtop.run import RunView

GONE_S = 5.0
"""Seconds for which a process has to be gone before its log is taken to be over: its last words may still come."""
_DEAD = ("gone", "zombie")
"""States of a process that computes no more."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What is known of the process of a run at one moment."""

    alive: bool | None
    """None where that is not known."""
    machine: Machine | None
    """The sample that says so."""
    end: End | None
    """The end of the run, by its log or by the exit code of its process."""


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

    def alive(self, at: float, last_row_at: float | None = None) -> bool | None:
        """It lives; None where that is not known: only a process that was seen alive can be gone.

        A row that came when it had been gone for longer than its last words take is another process's.
        """
        process = self.machine.process if self.machine is not None else None
        if process is None or not process.sure or process.pid != self._seen:
            return None
        if self._died_at is None:
            return True
        if last_row_at is not None and last_row_at - self._died_at > GONE_S:
            return None
        return False if at - self._died_at >= GONE_S else None


def fate(life: Life, seen: MachineView | None, view: RunView, at: float, last_row_at: float | None) -> Fate:
    """Whether the process of a run lives at `at`, by what was sampled live, else by what was recorded (`seen`)."""
    alive, machine = life.alive(at, last_row_at), life.machine
    if alive is None and (died := recorded_death(seen, view)) is not None:
        alive, machine = False, died
    process = machine.process if machine is not None else None
    end = End() if view.end is None and alive is False and finished(view, process) else view.end
    return Fate(alive, machine, end)


def recorded_death(seen: MachineView | None, view: RunView) -> Machine | None:
    """The last sample of a recording that saw the process alive and then gone, with no row of the run after that."""
    process = seen.newest.process if seen is not None and seen.recorded else None
    if seen is None or process is None or not process.sure or process.state not in _DEAD:
        return None
    own = [(sample.time, p.state in _DEAD) for sample in seen.samples if (p := sample.process) and p.pid == process.pid]
    alive = max((time for time, dead in own if not dead), default=math.inf)
    died_at = min((time for time, dead in own if dead and time > alive), default=math.inf)
    over = seen.newest.time - died_at >= GONE_S and not _went_on(seen.newest, view, died_at)
    return seen.newest if over else None


def _went_on(newest: Machine, view: RunView, died_at: float) -> bool:
    """The run has rows that are younger than the death of a process that was recorded."""
    times = view.series.get("time")
    if times is not None and len(times):
        return times.tail(1)[0] > died_at
    if newest.step is None or newest.session is None or view.last_step is None:
        return False
    return (len(view.sessions) - 1, view.last_step) > (newest.session, newest.step)
