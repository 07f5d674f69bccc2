"""Which samples a run is shown with: those of this machine, or those that were recorded beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gradtop import units
from gradtop.clean import clean
from gradtop.machine import Machine, Process
from gradtop.snapshot import RunSnapshot, Snapshot

OLD_S = 10.0
"""Seconds after which a sample is not how things are."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Samples, and how they are to be taken."""

    samples: tuple[Machine, ...] = ()
    """Of the GPUs and the host, the oldest first; empty while nobody takes any."""
    own: tuple[Machine, ...] = ()
    """Of the run's process."""
    recorded: bool = False
    age_s: float = 0.0
    """Of the newest one."""
    choice: bool = False
    """There are recorded samples as well as some of this machine."""

    @property
    def newest(self) -> Machine | None:
        """The last sample of the GPUs and the host."""
        return self.samples[-1] if self.samples else None

    @property
    def process(self) -> Process | None:
        """The run's process in its last sample."""
        return self.own[-1].process if self.own else None

    @property
    def stale(self) -> bool:
        """Nobody has taken a sample for a while."""
        return not self.recorded and self.age_s > OLD_S

    @property
    def problem(self) -> str:
        """What there is to say of the driver: that it is missing, or does not answer."""
        return clean(self.newest.gpu_problem, 400) if self.newest is not None else ""

    @property
    def when(self) -> str:
        """`recorded 2026-11-30 14:02:11`, `sampled 30s ago`; empty where it is now."""
        if self.newest is None or not (self.recorded or self.stale):
            return ""
        return f"recorded {moment(self.newest.time)}" if self.recorded else f"sampled {units.age(self.age_s)} ago"


def seen(snapshot: Snapshot, run: RunSnapshot | None, stale_s: float, live: bool = False) -> Seen:
    """The samples to show; with `live` those of this machine where there are recorded ones too."""
    of_run, here = run.machine if run is not None else None, snapshot.machine
    recorded = of_run is not None and of_run.recorded
    choice = recorded and here is not None and bool(here.samples)
    if of_run is not None and recorded and not (live and choice):
        return Seen(of_run.samples, of_run.samples, True, choice=choice)
    own = of_run.samples if of_run is not None and not recorded else ()
    samples: Sequence[Machine] = here.samples if here is not None else own
    age = snapshot.now + stale_s - samples[-1].time if samples else 0.0
    return Seen(tuple(samples), tuple(own), False, max(0.0, age), choice)


def moment(unix: float) -> str:
    """Local date and time of day."""
    # Years 1971 to 9999: what is outside is not a Unix time.
    return datetime.fromtimestamp(unix).strftime("%Y-%m-%d %H:%M:%S") if 3e7 < unix < 2.5e11 else "at an unknown time"
