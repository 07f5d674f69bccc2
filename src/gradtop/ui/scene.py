"""What the app hands to the room on the screen."""

from dataclasses import dataclass, field

from gradtop.snapshot import RunSnapshot, Snapshot
from gradtop.view import Marks, Other, others_of


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment, as the screen shows it."""

    snapshot: Snapshot
    run: RunSnapshot | None
    """The run that is open; None while there is none."""
    stale_s: float = 0.0
    """Seconds since the snapshot was taken: it is paused, or nothing new came."""
    paused: bool = False
    marks: Marks = field(default_factory=Marks)
    """Runs that are drawn over the open one."""

    @property
    def others(self) -> tuple[Other, ...]:
        """The marked runs beside the open one, or why they are not drawn."""
        return others_of(self.snapshot, self.run, self.marks)

    @property
    def age_s(self) -> float | None:
        """Seconds since the files of the run changed; None where unknown."""
        if self.run is None or self.run.changed_at is None:
            return None
        return max(0.0, self.snapshot.now - self.run.changed_at) + self.stale_s


def same(a: Snapshot, b: Snapshot) -> bool:
    """Nothing on the screen differs, ages apart."""
    return (
        (a.notes, a.searching, len(a.runs)) == (b.notes, b.searching, len(b.runs))
        and a.machine is b.machine
        and (all(_same_run(x, y) for x, y in zip(a.runs, b.runs, strict=True)))
    )


def _same_run(x: RunSnapshot, y: RunSnapshot) -> bool:
    return x.view is y.view and x.machine is y.machine and (
        (x.id, x.state, x.read, x.judgement, x.findings, x.sources, x.changed_at, x.attention)
        == (y.id, y.state, y.read, y.judgement, y.findings, y.sources, y.changed_at, y.attention)
    )  # fmt: skip
