"""How good a detector is on runs whose faults are known: recall, precision, cause, delay, false alarms and their bound.

An alarm is what a user was told at least to watch. In a faulty run it counts from the onset of the fault on: before it,
and anywhere in a healthy run, it is a false alarm.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradtop.finding import Severity

NOTED = frozenset(("amp_overflow", "empty_batch", "measurement_suspect"))
"""Kinds that leave the training as it is: where a run expects one of them, a notice is enough."""
PER_STEPS = 10_000
"""Steps that rates of false alarms are given for."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of a run, whatever any detector says of it."""

    name: str
    kinds: tuple[str, ...] = ()
    """Kinds that an expert accepts for the fault, the first one its cause; empty for a healthy run."""
    onset: int = 0
    """The step at which the fault begins."""
    steps: int = 0

    @property
    def healthy(self) -> bool:
        """There is nothing to find."""
        return not self.kinds


@dataclass(frozen=True, slots=True)
class Alarm:
    """One anomaly as a user saw it: the worst that was ever said of it."""

    kind: str
    severity: Severity
    step: float
    """The first step at which it could be known to be worth watching; of a notice, to be there."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was said of one run."""

    truth: Truth
    seed: int | None
    """None for a real log."""
    alarms: tuple[Alarm, ...]
    """In the order in which they were raised, notices included."""
    primary: str = ""
    """The kind of the one diagnosis at its end, empty where there was none."""
    rows: int = 0
    us_per_row: float = 0.0
    """Microseconds that the rules and the store took for a row."""
    state_bytes: int = 0
    """Memory of the rules at the end."""
    backdated: int = 0
    """Alarms that say they could be known at a step at which they were not yet told; they count from when they were."""
    steady: bool = True
    """Read at once and row by row, the findings are the same."""

    @property
    def label(self) -> str:
        """What it is called in lists."""
        return self.truth.name if self.seed is None else f"{self.truth.name}, seed {self.seed}"

    @property
    def onset(self) -> float:
        """The step from which on there is something to find; infinite in a healthy run."""
        return math.inf if self.truth.healthy else self.truth.onset

    @property
    def loud(self) -> tuple[Alarm, ...]:
        """What the user was told to watch or to act on."""
        return tuple(alarm for alarm in self.alarms if alarm.severity > Severity.NOTICE)

    @property
    def false_alarms(self) -> tuple[Alarm, ...]:
        """Alarms while there was nothing to find."""
        return tuple(alarm for alarm in self.loud if alarm.step < self.onset)

    @property
    def true_alarms(self) -> tuple[Alarm, ...]:
        """Alarms of a kind that an expert accepts for this fault, and notices of kinds that need be no more."""
        return tuple(
            alarm
            for alarm in self.alarms
            if alarm.step >= self.onset
            and alarm.kind in self.truth.kinds
            and (alarm.severity > Severity.NOTICE or alarm.kind in NOTED)
        )

    @property
    def found(self) -> bool:
        """The fault was found."""
        return bool(self.true_alarms)

    @property
    def delay(self) -> float | None:
        """Steps from the onset to the first true alarm; None where there is none."""
        return min((alarm.step - self.onset for alarm in self.true_alarms), default=None)

    @property
    def named(self) -> bool:
        """The one diagnosis is the cause."""
        return self.truth.kinds[:1] == (self.primary,)

    @property
    def in_family(self) -> bool:
        """The one diagnosis is one that an expert accepts."""
        return self.primary in self.truth.kinds


@dataclass(frozen=True, slots=True)
class Count:
    """Some of several."""

    some: int
    of: int

    @property
    def share(self) -> float:
        """The part; NaN of none."""
        return self.some / self.of if self.of else math.nan


@dataclass(frozen=True, slots=True)
class Rate:
    """Events in a number of steps."""

    events: int
    steps: int

    @property
    def per_10k(self) -> float:
        """Events per 10,000 steps; NaN without steps."""
        return self.events * PER_STEPS / self.steps if self.steps else math.nan

    @property
    def bound(self) -> float:
        """The one-sided exact 95 % upper limit of the true rate per 10,000 steps."""
        return poisson_upper(self.events) * PER_STEPS / self.steps if self.steps else math.nan


@dataclass(frozen=True, slots=True)
class KindScore:
    """One kind: the runs of which it is the cause, and how often it was raised at all."""

    kind: str
    found: Count
    """Runs with this cause that were found, by any accepted kind."""
    named: Count
    """Runs with this cause whose one diagnosis was this kind."""
    in_family: Count
    delays: tuple[float, ...]
    """Steps from the onset to the first true alarm of those runs that were found, ascending."""
    right: Count
    """Alarms of this kind in all runs that were right."""


@dataclass(frozen=True, slots=True)
class Score:
    """A detector on a set of runs."""

    found: Count
    named: Count
    in_family: Count
    warnings: Rate
    """False alarms in healthy runs that said: watch."""
    criticals: Rate
    """False alarms in healthy runs that said: intervene."""
    flagged: Count
    """Healthy runs with at least one false alarm."""
    early: Rate
    """False alarms before the onset of a fault, in the steps before it."""
    kinds: tuple[KindScore, ...]
    """By cause in the order of the runs, then the kinds that were raised and are no cause."""
    us_per_row: float
    """Median over the runs."""
    state_bytes: tuple[int, int]
    """Median and maximum over the runs."""
    backdated: int
    """Alarms that claim to have been known before they were told."""
    unsteady: int
    """Runs in which the findings depend on how the stream is cut."""


def score(outcomes: Sequence[Outcome]) -> Score:
    """The score of at least one outcome."""
    healthy = [o for o in outcomes if o.truth.healthy]
    faulty = [o for o in outcomes if not o.truth.healthy]
    steps = sum(o.truth.steps for o in healthy)
    false = Counter(alarm.severity for o in healthy for alarm in o.false_alarms)
    return Score(
        found=_count(o.found for o in faulty),
        named=_count(o.named for o in faulty),
        in_family=_count(o.in_family for o in faulty),
        warnings=Rate(false[Severity.WATCH], steps),
        criticals=Rate(false[Severity.INTERVENE], steps),
        flagged=_count(bool(o.false_alarms) for o in healthy),
        early=Rate(sum(len(o.false_alarms) for o in faulty), sum(o.truth.onset for o in faulty)),
        kinds=tuple(_kind(kind, outcomes) for kind in _kinds(outcomes)),
        us_per_row=quantile([o.us_per_row for o in outcomes], 0.5),
        state_bytes=(int(quantile([o.state_bytes for o in outcomes], 0.5)), max(o.state_bytes for o in outcomes)),
        backdated=sum(o.backdated for o in outcomes),
        unsteady=sum(not o.steady for o in outcomes),
    )


def _kinds(outcomes: Sequence[Outcome]) -> list[str]:
    causes = [o.truth.kinds[0] for o in outcomes if o.truth.kinds]
    raised = sorted({alarm.kind for o in outcomes for alarm in o.loud})
    return list(dict.fromkeys([*causes, *raised]))


def _kind(kind: str, outcomes: Sequence[Outcome]) -> KindScore:
    mine = [o for o in outcomes if o.truth.kinds[:1] == (kind,)]
    raised = [(o, alarm) for o in outcomes for alarm in o.loud if alarm.kind == kind]
    return KindScore(
        kind=kind,
        found=_count(o.found for o in mine),
        named=_count(o.named for o in mine),
        in_family=_count(o.in_family for o in mine),
        delays=tuple(sorted(o.delay for o in mine if o.delay is not None)),
        right=_count(alarm in o.true_alarms for o, alarm in raised),
    )


def _count(flags: Iterable[bool]) -> Count:
    listed = list(flags)
    return Count(sum(listed), len(listed))


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed; NaN of none."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else math.nan


def poisson_upper(events: int, confidence: float = 0.95) -> float:
    """The largest mean count under which so few events are not rarer than 1 - `confidence`: 3.0 for none."""
    low, high = float(events), events + 10.0 * math.sqrt(events + 1.0) + 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _poisson_cdf(events, middle) > 1 - confidence else (low, middle)
    return high


def _poisson_cdf(events: int, mean: float) -> float:
    """The probability of at most so many events; terms in the logarithm, so that large counts do not overflow."""
    if mean <= 0.0:
        return 1.0
    return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(events + 1))


Span = tuple[float, float]
"""The first and the last step of an alarm."""


@dataclass(frozen=True, slots=True)
class PeerScore:
    """A rule that says no more than that something is wrong."""

    name: str
    found: Count
    """Faulty runs with an alarm after the onset, even where it began before it."""
    early: Count
    """Faulty runs with an alarm that began before it."""
    flagged: Count
    """Healthy runs with an alarm."""
    rate: Rate
    """Alarms in healthy runs."""


def peer_score(name: str, runs: Sequence[tuple[Outcome, Sequence[Span]]]) -> PeerScore:
    """The score of a rule from its alarms in each run."""
    healthy = [(o, spans) for o, spans in runs if o.truth.healthy]
    faulty = [(o, spans) for o, spans in runs if not o.truth.healthy]
    return PeerScore(
        name=name,
        found=_count(any(last >= o.onset for _, last in spans) for o, spans in faulty),
        early=_count(any(first < o.onset for first, _ in spans) for o, spans in faulty),
        flagged=_count(bool(spans) for _, spans in healthy),
        rate=Rate(sum(len(spans) for _, spans in healthy), sum(o.truth.steps for o, _ in healthy)),
    )
