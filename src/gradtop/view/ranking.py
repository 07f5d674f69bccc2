"""In which order runs are listed, and which of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from gradtop.clean import clean
from gradtop.filter import Filter
from gradtop.snapshot import RunSnapshot, RunState
from gradtop.verdict import Verdict
from gradtop.view.header import state_word
from gradtop.view.natural import natural

FIELDS = frozenset(("state", "verdict"))
"""What a filter of runs can name beside the name: `state:live`, `verdict:watch`."""
_STATES = (
    *(RunState.LIVE, RunState.STALLED, RunState.LOADING),
    *(RunState.CRASHED, RunState.QUIET, RunState.FINISHED),
)
_VERDICTS = (Verdict.INTERVENE, Verdict.WATCH, Verdict.UNKNOWN, Verdict.KEEP_TRAINING)


class Order(StrEnum):
    """What a list of runs is sorted by."""

    NEWEST = "newest"
    NAME = "name"
    STATE = "state"
    VERDICT = "verdict"
    LOSS = "loss"
    STEPS = "steps"


@dataclass(frozen=True, slots=True)
class Ranking:
    """The order of a list: the newest first, names from a to z, the worst state and verdict, the least loss, the most
    steps; or the other way round."""

    order: Order = Order.NEWEST
    backwards: bool = False

    def next(self) -> Self:
        """By what comes next."""
        orders = list(Order)
        return type(self)(orders[(orders.index(self.order) + 1) % len(orders)])

    def turned(self) -> Self:
        """The other way round."""
        return replace(self, backwards=not self.backwards)

    @property
    def arrow(self) -> str:
        """Up where the values rise down the list."""
        return "↑" if (self.order in (Order.NAME, Order.LOSS)) != self.backwards else "↓"

    def sorted(self, runs: Sequence[RunSnapshot]) -> Sequence[RunSnapshot]:
        """The runs in this order; those that it says nothing of come last either way, those alike as they were."""
        if self.order is Order.NEWEST:
            return runs[::-1] if self.backwards else runs
        value = _VALUES[self.order]
        keys = [value(run) for run in runs]
        known = [i for i, key in enumerate(keys) if key is not None]
        known.sort(key=keys.__getitem__, reverse=self.backwards)
        return [runs[i] for i in (*known, *(i for i, key in enumerate(keys) if key is None))]


def unread(run: RunSnapshot) -> bool:
    """It was found, and nothing of it was read."""
    return not run.sources and not run.view.rows


def chosen(runs: Sequence[RunSnapshot], found: Filter) -> Sequence[RunSnapshot]:
    """The runs that a filter admits."""
    return [run for run in runs if found.admits(clean(run.name, 200), fields=_fields(run))] if found else runs


def _fields(run: RunSnapshot) -> dict[str, str]:
    if unread(run):
        return {"state": "not read yet"}
    return {"state": state_word(run), "verdict": run.judgement.verdict.value.replace("_", " ")}


def _state(run: RunSnapshot) -> float | None:
    return None if unread(run) else _STATES.index(run.state)


def _verdict(run: RunSnapshot) -> float | None:
    return None if unread(run) else _VERDICTS.index(run.judgement.verdict)


def _loss(run: RunSnapshot) -> tuple[bool, float] | None:
    """What is not a number is worse than any number."""
    series = run.view.series.get("loss")
    if series is None or not len(series):
        return None
    last = series.stats.last
    return math.isnan(last), last if last == last else 0.0


def _steps(run: RunSnapshot) -> float | None:
    return None if run.view.last_step is None else -run.view.last_step


_VALUES: dict[Order, Callable[[RunSnapshot], Any]] = {
    Order.NAME: lambda run: natural(run.name),
    Order.STATE: _state,
    Order.VERDICT: _verdict,
    Order.LOSS: _loss,
    Order.STEPS: _steps,
}
