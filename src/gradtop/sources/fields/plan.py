"""The fields of one row to its step and its metrics: which name means what, and which of two wins.

What depends on names and units alone is settled once for each set of names, so that a million rows of one
shape cost one decision.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gradtop.sources.fields.names import WALL_CLOCK_FROM, Meaning, is_twin, meaning_of, normalised, scale_for
from gradtop.sources.fields.number import Number
from gradtop.sources.fields.quality import is_goal, is_quality

MEASURED = frozenset(
    ("loss", "val_loss", "ppl", "val_ppl", "val_bpb", "grad_norm", "accuracy", "val_accuracy", "param_norm")
)
"""Metrics that only a training loop can know: one of them makes a row, where a learning rate may be a setting."""
PACE = frozenset(("lr", "step_time_s", "tokens_per_s", "samples_per_s", "tflops", "mfu", "loss_scale", "skipped"))
"""Metrics that make a row only beside a step that is a step beyond doubt."""
COUNTERS = frozenset(("step", "total_steps", "epoch", "epoch_step", "epoch_steps", "total_epochs"))
"""What rows count by and what they plan: never columns, save for the epoch of a row that has a step."""

_LAYER_KINDS = ("grad_norm/", "weight_norm/", "update_ratio/")
_NEEDS_COMPANY = frozenset(("norm", "scale", "s", "it", "val", "batch", "data"))
_COMPANY = frozenset(("loss", "val_loss", "lr"))
_PLURAL = frozenset(("steps", "iterations", "iters", "updates", "global_steps"))
_SUMMARY = frozenset(("train_runtime", "train_loss"))
_CLOCK = Meaning("time", True)


@dataclass(frozen=True, slots=True)
class Take:
    """One field that is kept."""

    index: int
    raw: str
    canonical: str
    known: bool
    scale: float
    unit: str
    """Label of the conversion, e.g. `ms → s`; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of the fields of all rows with the same names and units."""

    names: tuple[str, ...]
    """Canonical names of the columns, in the order of `takes`."""
    takes: tuple[Take, ...]
    step: Take | None
    """The field that the row counts by; None where the row has neither step nor epoch."""
    x_kind: str
    total: Take | None
    """The planned number of steps, where the row has it."""
    epoch: Take | None
    epoch_step: Take | None
    """The batch within the epoch (the sample, where its name says so); the reader of text makes a step of it."""
    epoch_steps: Take | None
    """How many of these an epoch has."""
    total_epochs: Take | None
    measured: bool
    """At least one metric is of the kinds that only a training loop can know."""
    paced: bool
    """At least one metric is of the kinds that a step makes a row of."""
    validation: bool
    """All measured values are validation values."""
    summary: bool
    """The closing words of a run, not a row."""

    def values(self, numbers: Sequence[float]) -> tuple[float, ...]:
        """The values of the columns in canonical units, from the fields' numbers in their order."""
        return tuple([converted(numbers[t.index], t) for t in self.takes])


def converted(value: float, take: Take) -> float:
    """One value in its canonical unit."""
    if take.scale != 1.0:
        return value * take.scale if take.scale >= 1.0 else value / round(1.0 / take.scale)
    # A utilisation above 1 without a percent sign can only be a percentage.
    if take.canonical == "mfu" and abs(value) > 1.0:
        return value / 100.0
    return value


def plan_row(fields: Sequence[tuple[str, Number]], structured: bool) -> Plan:
    """The plan for one row of fields; `structured` keeps unknown names as well."""
    raws = tuple([raw for raw, _ in fields])
    units = tuple([number.unit for _, number in fields])
    return plan_for(raws, units, structured, has_wall_clock(fields))


def has_wall_clock(fields: Iterable[tuple[str, Number]]) -> bool:
    """A field `time` is as large as Unix seconds."""
    return any(number.value > WALL_CLOCK_FROM and normalised(raw) == "time" for raw, number in fields)


@lru_cache(maxsize=4096)
def plan_for(raws: tuple[str, ...], units: tuple[str, ...], structured: bool, wall_clock: bool) -> Plan:
    """The plan for rows with these names and units; `wall_clock` says that `time` is Unix seconds."""
    lowered = frozenset(normalised(raw) for raw in raws)
    meanings = [
        _CLOCK if wall_clock and normalised(raw) == "time" else _meaning(raw, lowered, structured) for raw in raws
    ]
    summary = lowered >= _SUMMARY and "loss" not in lowered
    best = _preferred(meanings)
    takes: list[Take] = []
    for i, (raw, meaning) in enumerate(zip(raws, meanings, strict=True)):
        if (take := _take(i, raw, units[i], meaning, best, structured)) is not None:
            takes.append(take)
    return _assemble(takes, summary, structured)


def _assemble(takes: list[Take], summary: bool, structured: bool) -> Plan:
    """Tell the counters from the metrics."""
    counters = {t.canonical: t for t in takes if t.known and t.canonical in COUNTERS}
    step, epoch = counters.get("step"), counters.get("epoch")
    by_epoch = step is None and epoch is not None
    columns = [t for t in takes if t is not counters.get(t.canonical) or (t is epoch and not by_epoch)]
    found = {t.canonical for t in columns}
    measured = {n for n in found if n in MEASURED or n.startswith(_LAYER_KINDS)}
    goals = measured or {t.canonical for t in columns if not t.known and _is_result(t.canonical)}
    validation = bool(goals) and all(n.startswith("val_") for n in goals)
    columns = _renamed_times(columns, step is None and "epoch_step" not in counters)
    if validation and not structured:
        columns = _times_of_validation(columns)
    found = {t.canonical for t in columns}
    return Plan(
        names=tuple(t.canonical for t in columns),
        takes=tuple(columns),
        step=step or epoch,
        x_kind="step" if step else "epoch" if epoch else "row",
        total=counters.get("total_steps"),
        epoch=epoch,
        epoch_step=counters.get("epoch_step"),
        epoch_steps=counters.get("epoch_steps"),
        total_epochs=counters.get("total_epochs"),
        measured=bool(goals),
        paced=step is not None and normalised(step.raw) not in _PLURAL and not found.isdisjoint(PACE),
        validation=validation,
        summary=summary,
    )


def _is_result(name: str) -> bool:
    """What a training makes larger or smaller, or a score of a validation."""
    return is_goal(name) or (name.startswith("val_") and is_quality(name))


_OWN_TIMES = {"time": "val_time_s", "data_time": "val_data_time_s"}


def _times_of_validation(columns: list[Take]) -> list[Take]:
    """In a line about a validation `time` is the validation's, and not that of a step."""
    renamed = [(t, _OWN_TIMES.get(normalised(t.raw)) if t.known else None) for t in columns]
    return [Take(t.index, t.raw, name, False, t.scale, t.unit) if name else t for t, name in renamed]


def _renamed_times(columns: list[Take], stepless: bool) -> list[Take]:
    """In rows that count no steps, `time` is no time per step: an epoch's time or the time so far."""
    return [
        Take(t.index, t.raw, "time_s", False, t.scale, t.unit)
        if stepless and t.canonical == "step_time_s" and normalised(t.raw) == "time"
        else t
        for t in columns
    ]


def _meaning(raw: str, lowered: frozenset[str], structured: bool) -> Meaning | None:
    """What a name stands for beside the other names of its row; None where it is left out."""
    if is_twin(raw):
        return None
    meaning = meaning_of(raw)
    name = normalised(raw)
    if name in _NEEDS_COMPANY and not any(_is_company(other) for other in lowered if other != name):
        return Meaning(name, False)
    if name == "cost" and structured:
        # In data it may be money as well; in a line about an iteration it is the loss.
        return Meaning(name, False)
    if name == "throughput" and not lowered.isdisjoint(("iteration-time", "iteration_time")):
        return Meaning("tflops", True)
    return meaning


@lru_cache(maxsize=4096)
def _is_company(name: str) -> bool:
    return meaning_of(name).canonical in _COMPANY


def _preferred(meanings: Iterable[Meaning | None]) -> dict[str, int]:
    """The best preference seen for each canonical name."""
    best: dict[str, int] = {}
    for meaning in meanings:
        if meaning is not None and meaning.known:
            best[meaning.canonical] = min(meaning.preference, best.get(meaning.canonical, meaning.preference))
    return best


def _take(
    index: int, raw: str, unit: str, meaning: Meaning | None, best: dict[str, int], structured: bool
) -> Take | None:
    """The field as it is kept, or None."""
    if meaning is None:
        return None
    if meaning.known and meaning.preference == best.get(meaning.canonical):
        scaled = scale_for(meaning.canonical, unit or _stated(meaning))
        if scaled is None:
            return None
        # Of two names with one meaning and one rank the first is it.
        best[meaning.canonical] = -1_000_000
        return Take(index, raw, meaning.canonical, True, *scaled)
    if meaning.canonical in COUNTERS or meaning.canonical == "time":
        return None
    if not structured and (meaning.known or not is_quality(raw)):
        return None
    own = meaning.canonical if not meaning.known else normalised(raw)
    if own in best or own == "time":
        return None
    best[own] = -1_000_000
    return Take(index, raw, own, False, 1.0, "")


def _stated(meaning: Meaning) -> str:
    """The unit in a name, where it is one that this metric is converted by."""
    return meaning.unit if meaning.unit in ("ms", "us", "s", "min", "%") else ""
