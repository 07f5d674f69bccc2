"""Findings: one anomaly each, with the evidence, the checklist, the likely causes and the next checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How much a finding matters. The order is the order of the verdicts."""

    NOTICE = 0
    """Listed and counted, never alarmed."""
    WATCH = 1
    """Look at it again soon."""
    INTERVENE = 2
    """Act now."""

    @property
    def word(self) -> str:
        """The word used in JSON."""
        return self.name.lower()


class FindingState(StrEnum):
    """Whether the anomaly still holds."""

    ACTIVE = "active"
    RECOVERED = "recovered"


class Standing(StrEnum):
    """What the user said of a finding. Only open ones count for a verdict."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    """It is known, and counts again when it gets more severe."""
    MUTED = "muted"
    """No finding of its kind counts."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition for acting on a finding."""

    id: str
    """Stable id, e.g. `persists`, `loss_flat`, `below_level`, `after_burn_in`."""
    text: str
    """The condition as a short phrase that is true when it is met."""
    met: bool | None
    """True, False, or None: cannot tell (yet)."""
    evidence: str
    """The numbers behind `met`, or why it cannot be told."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One anomaly of one run. All texts are gradtop's own, but may quote names from the log."""

    kind: str
    """An id of the catalogue."""
    scope: str
    """`total`, `layer:<name>`, or the metric concerned."""
    severity: Severity
    state: FindingState
    first_step: float
    """Where the fault began."""
    last_step: float
    """The newest step at which it held."""
    raised_step: float
    """The first step at which it could be known."""
    count: int
    """Rows at which it held."""
    message: str
    """One or two sentences: what, where, and what it means."""
    evidence: Mapping[str, float | str] = field(default_factory=dict)
    criteria: tuple[Criterion, ...] = ()
    causes: tuple[str, ...] = ()
    """Likely causes, most likely first."""
    checks: tuple[str, ...] = ()
    """What to check or change next, with this run's own numbers."""
    caveats: tuple[str, ...] = ()
    """What the log cannot say, where it weakens the finding."""
    nth: int = 1
    """Which of those with this kind, scope and first step it is: a run that goes back can fail again at a step."""
    standing: Standing = Standing.OPEN

    @property
    def id(self) -> str:
        """Unique and stable within a run: names the finding in acknowledgements and jumps."""
        start = str(float(self.first_step)).removesuffix(".0")
        return f"{self.kind}:{self.scope}:{start}" + (f":{self.nth}" if self.nth > 1 else "")

    @property
    def counts(self) -> bool:
        """It is one to act on: it holds, is more than a notice, and nobody said that it does not count."""
        return self.standing is Standing.OPEN and self.state is FindingState.ACTIVE and self.severity > Severity.NOTICE

    @property
    def met(self) -> int:
        """Number of criteria that are met."""
        return sum(c.met is True for c in self.criteria)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Whether a kind of finding can be told of a run at all: a rule without its input is silent, not content."""

    kind: str
    why: str
    """Why it cannot be told, e.g. `no grad norm in this log`; empty where it can."""
    needs: str
    """What a log has to have for it."""
