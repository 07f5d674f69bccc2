"""One anomaly while it is being followed, and what makes single readings an episode, or recurring."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gradtop.catalogue import KINDS
from gradtop.config import Limits
from gradtop.detect.signals import Signals
from gradtop.finding import Criterion, Finding, FindingState, Severity

MAX_CASES = 8
"""Episodes of one kind that are listed one by one (notices and raised ones apart); later ones are counted together."""
EVERY = "*"
"""The pattern of a rule that looks at every row that some other rule looks at."""


class Rule(Protocol):
    """Follows one kind of anomaly, or a few that belong together, through the rows of a run."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it finds: ids of the catalogue."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of metrics, or patterns of them (`grad_norm/*`): it looks at rows that have at least one."""
        ...

    def row(self, s: Signals) -> None:
        """Look at a further row."""
        ...

    def resume(self, s: Signals, anew: bool) -> None:
        """A session begins; `anew`: at or before the first step, so that nothing learned so far holds."""
        ...

    def findings(self, s: Signals) -> Iterable[Finding]:
        """What there is to report by now."""
        ...

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """What speaks against somebody else's claim that the anomaly occurred at `step`, and the checklist."""
        ...

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell of one of its kinds in this run (`no loss in this log`); empty where it can."""
        ...


@dataclass(slots=True)
class Case:
    """An anomaly from its first row on."""

    first_step: float
    last_step: float
    raised_step: float
    first_row: int
    last_row: int
    session: int
    """The session that the count is of: a later one that repeats the same steps does not count them again."""
    count: int = 1
    severity: Severity = Severity.NOTICE
    active: bool = True
    episodes: int = 1
    recurring: bool = False
    misses: int = 0
    """Rows without it since the last with it."""
    back_step: float | None = None
    """The first step without it, after the last with it."""
    seen: dict[str, float] = field(default_factory=dict)
    """Numbers at its first row, for the texts."""

    def raise_to(self, severity: Severity, step: float) -> None:
        """It is known at `step` to be this severe."""
        if severity is not self.severity:
            self.severity, self.raised_step = severity, step

    def extend(self, s: Signals) -> None:
        """It holds at this row too."""
        self.active, self.misses, self.back_step = True, 0, None
        if s.step > self.last_step or (s.session == self.session and s.rows != self.last_row):
            self.count += 1
            self.session = s.session
        self.last_step = max(self.last_step, s.step)
        self.last_row = s.rows

    def absorb(self, other: "Case") -> None:
        """Count a later case as a further episode of this one."""
        self.count += other.count
        self.episodes += other.episodes
        self.first_step, self.last_step = min(self.first_step, other.first_step), max(self.last_step, other.last_step)
        self.last_row, self.session = other.last_row, other.session
        self.back_step = other.back_step
        for name, value in other.seen.items():
            if name in self.seen:
                self.seen[name] = min(value, self.seen[name]) if name == "low" else max(value, self.seen[name])

    @property
    def state(self) -> FindingState:
        """Active or recovered."""
        return FindingState.ACTIVE if self.active else FindingState.RECOVERED


def opened(s: Signals) -> Case:
    """A case that begins at this row."""
    return Case(s.step, s.step, s.step, s.rows, s.rows, s.session)


class Episodes:
    """The cases of one rule, oldest first; a bounded number, however often the anomaly occurs."""

    __slots__ = ("_latest", "_limits", "_starts", "cases", "current")

    def __init__(self, limits: Limits) -> None:
        """No case yet."""
        self._limits = limits
        self._starts: deque[float] = deque(maxlen=limits.recurring_episodes)
        self._latest: Case | None = None
        self.cases: list[Case] = []
        self.current: Case | None = None
        """The newest case while it is not over."""

    def hit(self, s: Signals) -> bool:
        """The anomaly holds at this row: go on with the case it belongs to, or open another. True for a new episode."""
        known = self.current or self._known(s.step)
        if known is not None:
            fresh = known.recurring and known.misses > self._limits.gap_rows
            known.episodes += fresh
            known.extend(s)
            self.current = self._latest = known
            return fresh
        known = opened(s)
        self._make_room()
        self.cases.append(known)
        self.current = self._latest = known
        return True

    def _make_room(self) -> None:
        """Count the newest of too many notices with the one before it; leave out the oldest of too many others."""
        notices = [case for case in self.cases if case.severity is Severity.NOTICE]
        raised = [case for case in self.cases if case.severity is not Severity.NOTICE]
        if len(notices) > MAX_CASES:
            notices[-2].absorb(notices[-1])
            self.cases.remove(notices[-1])
        if len(raised) > MAX_CASES:
            self.cases.remove(raised[0])

    def _known(self, step: float) -> Case | None:
        """The case that a row at `step` belongs to: a short gap after it, or a repeated step of it."""
        if self._latest is not None and self._latest.misses <= self._limits.gap_rows:
            return self._latest
        return next((c for c in self.cases if c.episodes == 1 and c.first_step <= step <= c.last_step), None)

    @property
    def near(self) -> bool:
        """A case goes on, or ended so few rows ago that the next row with it belongs to it."""
        return self._latest is not None and (self.current is not None or self._latest.misses <= self._limits.gap_rows)

    def miss(self, s: Signals) -> None:
        """The anomaly does not hold at this row: a notice is over at once, a raised case after some rows."""
        case = self._latest
        if case is None:
            return
        case.misses += 1
        if case.back_step is None:
            case.back_step = s.step
        if self.current is not None and self._over(case, s):
            self.close()

    def _over(self, case: Case, s: Signals) -> bool:
        if case.recurring:
            return s.step - case.last_step > self._limits.recurring_steps
        return case.severity is Severity.NOTICE or case.misses >= self._limits.clear_rows

    def close(self) -> None:
        """The current case is over."""
        if self.current is not None:
            self.current.active, self.current = False, None

    def add(self, case: Case) -> None:
        """A case that was seen only afterwards, and is over."""
        self._make_room()
        self.cases.append(case)

    def drop(self, case: Case) -> None:
        """It was none."""
        self.cases.remove(case)
        self.current = self._latest = None

    def recurs(self, s: Signals) -> bool:
        """Count a further episode; True when there are enough of them within the span."""
        self._starts.append(s.step)
        return (
            len(self._starts) == self._starts.maxlen and 0 <= s.step - self._starts[0] <= self._limits.recurring_steps
        )

    def gather(self) -> Case:
        """Make one recurring case of the episodes that `recurs` has counted; it is the current one."""
        since = self._starts[0]
        parts = [case for case in self.cases if case.last_step >= since]
        whole, newest = parts[0], parts[-1]
        if len(parts) > 1:
            whole.count = sum(case.count for case in parts)
            whole.episodes = sum(case.episodes for case in parts)
        whole.first_step = min(case.first_step for case in parts)
        whole.last_step = max(case.last_step for case in parts)
        whole.last_row, whole.session = newest.last_row, newest.session
        whole.active, whole.recurring, whole.misses, whole.back_step = True, True, newest.misses, newest.back_step
        self.cases = [case for case in self.cases if case is whole or case not in parts]
        self.current = self._latest = whole
        return whole


def lacking(s: Signals, *names: str) -> str:
    """`no learning rate in this log`: why a rule that needs all of these metrics is blind; empty where it is not."""
    missing = [name for name in names if name not in s.names]
    if missing and (kind := s.elsewhere.get(missing[0], "")):
        return f"the {_word(missing[0])} counts {_plural(kind)} and not {_plural(s.counts)} in this log"
    return f"no {' and no '.join(map(_word, missing))} in this log" if missing else ""


def _word(name: str) -> str:
    return _WORDS.get(name, name)


def _plural(kind: str) -> str:
    return kind.removesuffix("s") + "s"


def off(s: Signals) -> str:
    """Why a rule about a loss that has to fall is silent; empty where it is not."""
    return f"{s.goal.text}: the loss need not fall" if s.goal is not None else ""


_WORDS = {
    "lr": "learning rate",
    "grad_norm": "grad norm",
    "val_loss": "validation loss",
    "grad_norm/": "grad norm per layer",
    "weight_norm/": "weight norm per layer",
    "update_ratio/": "update ratio per layer",
}


def criterion(kind: str, id: str, met: bool | None, evidence: str) -> Criterion:
    """A criterion with the catalogue's text."""
    return Criterion(id, dict(KINDS[kind].criteria)[id], met, evidence)


def finding(
    kind: str,
    case: Case,
    message: str,
    criteria: tuple[Criterion, ...],
    *,
    numbers: Mapping[str, str],
    form: str = "",
    scope: str = "total",
    evidence: Mapping[str, float | str] | None = None,
    caveats: tuple[str, ...] = (),
) -> Finding:
    """A case as it is reported, with the catalogue's causes and checks of its `form`, with this run's `numbers`."""
    advice = KINDS[kind].advice(form)
    return Finding(
        kind=kind,
        scope=scope,
        severity=case.severity,
        state=case.state,
        first_step=case.first_step,
        last_step=case.last_step,
        raised_step=case.raised_step,
        count=case.count,
        message=message,
        evidence=evidence or {},
        criteria=criteria,
        causes=advice.causes,
        checks=tuple(text for check in advice.checks if (text := check.filled(numbers))),
        caveats=caveats,
    )
