"""What a line gave: the fields that a rule found in it, and the row that they are once they are understood."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gradtop.record import Scalar
from gradtop.sources.fields.plan import Plan, Take, converted
from gradtop.sources.fields.printed import Fields
from gradtop.sources.reader import Line


class Found(NamedTuple):
    """The fields that a rule found in a line, and what else the line says."""

    fields: Fields
    structured: bool
    text: str
    rank: int | None
    time: float | None
    sure: bool = False
    """A row beyond doubt, by its layout: it needs no metric that is known, and an epoch in it is what it counts by."""
    plan: Plan | None = None
    """What becomes of the fields, where it is known already."""


class Row(NamedTuple):
    """A row that is understood; its step may still be missing."""

    names: tuple[str, ...]
    values: tuple[float, ...]
    below: Mapping[str, float]
    line: int
    time: float | None
    epoch: float | None
    """Of a row that has no step of its own; a column wherever it is not what the row counts by."""

    def renamed(self, names: Mapping[str, str]) -> "Row":
        """The same values with other names for some of them."""
        below = {names.get(name, name): value for name, value in self.below.items()}
        return self._replace(names=tuple([names.get(name, name) for name in self.names]), below=below)


def row_of(found: Found, plan: Plan, line: Line) -> Row:
    """The row that the fields of a line are, in canonical names and units."""
    below = {t.canonical: b * t.scale for t in plan.takes if (b := found.fields[t.index][1].below)}
    values = plan.values([number.value for _, number in found.fields])
    epoch = found.fields[plan.epoch.index][1].value if plan.x_kind == "epoch" and plan.epoch is not None else None
    return Row(plan.names, values, below, line.number, found.time, epoch)


def last_rows(
    names: tuple[str, ...],
    columns: Mapping[str, Sequence[float]],
    steps: Sequence[Scalar],
    numbers: Sequence[int],
    n: int,
) -> Iterator[tuple[Scalar, Row]]:
    """The newest `n` rows of a run, one by one."""
    times = columns.get("time") if "time" not in names else None
    for i in range(max(0, len(steps) - n), len(steps)):
        values = tuple([columns[name][i] for name in names])
        yield steps[i], Row(names, values, {}, numbers[i], times[i] if times is not None else None, None)


def same(one: Row, other: Row) -> bool:
    """The same values under the same names; NaN equals NaN here."""
    return one.names == other.names and (one.values == other.values or repr(one.values) == repr(other.values))


def value_of(found: Found, take: Take | None) -> float | None:
    """The number of a counter; None where the row does not have it."""
    return None if take is None else converted(found.fields[take.index][1].value, take)
