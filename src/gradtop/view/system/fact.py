"""One line of a panel about the machine: a value with its bar and its history, or why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gradtop.clean import clean
from gradtop.machine import Gpu, Host, Machine, Process
from gradtop.view.header import Part

ABSENT = "n/a"
NOT_SAMPLED = "not sampled"
"""The reason of a value that is neither there nor told of."""


@dataclass(frozen=True, slots=True)
class History:
    """A value in the newest samples."""

    times: tuple[float, ...]
    values: tuple[float, ...]
    """NaN where it is absent."""
    low: float
    high: float
    """The ends of its scale."""
    top: str
    """The upper one in words; the lower one is 0."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line: a label, a value, what is drawn beside it, and a remark."""

    label: str
    value: str
    ink: str = "plain"
    share: float | None = None
    """Of a bar, 0 to 1."""
    history: History | None = None
    note: str = ""
    """Of an absent value: why."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Facts about one thing. Folded up, its title, its summary and its name are all there is."""

    title: str
    name: str = ""
    """What the thing calls itself; foreign text, clean."""
    summary: tuple[Part, ...] = ()
    """What matters most of it, the least important with the highest rank."""
    facts: tuple[Fact, ...] = ()
    note: str = ""
    """For the lower edge."""


def absent(label: str, why: str, ink: str = "quiet") -> Fact:
    """A value that is not there, and why."""
    return Fact(label, ABSENT, ink, note=why)


def dimmed(facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """The same facts as what was, not as what is."""
    return tuple(replace(fact, ink="quiet") for fact in facts)


def why(owner: Gpu | Process | Host, *fields: str) -> str:
    """Why fields of a sample are None: the reasons that are told, each once."""
    problem = getattr(owner, "problem", "")
    told = [owner.absent[field] for field in fields if field in owner.absent]
    return clean(", ".join(dict.fromkeys(told)) or problem or NOT_SAMPLED, 120)


def highest(values: Sequence[float], least: float) -> float:
    """The upper end of a scale: a little above the largest of the values that are there, but `least` at least."""
    return max([least, *(1.2 * value for value in values if value == value)])


def cores(used: float) -> str:
    """CPU time per second: `1.02 cores`. As wide from sample to sample, so that no line is wrapped anew."""
    return f"{used:.2f} cores" if used < 9.995 else f"{used:,.1f} cores"


def times_of(samples: Sequence[Machine]) -> tuple[float, ...]:
    """Unix seconds of samples."""
    return tuple(sample.time for sample in samples)
