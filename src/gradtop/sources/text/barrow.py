"""Rows from the metrics that progress bars carry: one for each count of the training's bar, from its last redraw."""

import re
from typing import NamedTuple

from gradtop.sources.fields.names import meaning_of
from gradtop.sources.fields.number import Number
from gradtop.sources.fields.plan import COUNTERS, MEASURED
from gradtop.sources.fields.printed import Fields
from gradtop.sources.reader import Line
from gradtop.sources.text.bar import TIME_PER_STEP, Bar, metrics_of
from gradtop.sources.text.keyvalue import as_validation

_NUMBERS = re.compile(r"[-+]?[\d.]+(?:e[-+]?\d+)?|nan|inf", re.IGNORECASE)
_PLANS = re.compile(r"step|iter|train", re.IGNORECASE)


class State(NamedTuple):
    """One state of a bar as a row: what it counts, then its metrics."""

    fields: Fields
    line: Line
    rank: int | None
    """The process that draws the bar, where the line says it."""
    at: tuple[float, ...]
    """What it counts, as values: states with the same ones are redraws of one."""


class BarRows:
    """Keeps the newest state of the training's bar back until the bar counts on: a redraw may complete it.

    The first bar with a measurement is the training's. One without an epoch that begins again after its end is drawn
    for every epoch anew. A Keras bar is within the epoch that a heading announced, and without a heading it evaluates;
    its values are averages since the epoch began, so that after the first epoch only the last ones are the training's.
    """

    __slots__ = ("_closed", "_headings", "_kind", "_n", "_newest", "_passed", "_total")

    def __init__(self) -> None:
        self._newest: State | None = None
        self._kind: tuple[str, bool] | None = None
        self._n = self._passed = self._total = 0
        self._headings = 0
        self._closed: int | None = None

    @property
    def waits(self) -> bool:
        """A state is kept back because a redraw may complete it."""
        return self._newest is not None

    def enter(self) -> None:
        """A heading announced an epoch."""
        self._headings, self._closed = self._headings + 1, None

    def see(self, bar: Bar, line: Line) -> list[State]:
        """Take one state in; the states that are complete, in order."""
        fields = metrics_of(bar) if bar.trains else []
        if bar.n == 0 and self._kind == (_NUMBERS.sub("", bar.label), bar.keras):
            self._begin_again(bar)
        if not any(meaning_of(name).canonical in MEASURED for name, _ in fields):
            return []
        kind = (_NUMBERS.sub("", bar.label), bar.keras)
        self._kind = self._kind or kind
        if kind != self._kind:
            return []
        if bar.keras and not self._is_of_epoch(bar, line):
            return self._evaluation(bar, fields, line)
        if bar.keras and bar.n != bar.total and self._headings > 1:
            fields = [(name if name == TIME_PER_STEP else f"{name}_in_epoch", number) for name, number in fields]
        counters = self._counters(bar, fields)
        at = tuple([number.value for name, number in [*counters, *fields] if meaning_of(name).canonical in COUNTERS])
        newest, self._newest = self._newest, State([*counters, *fields], line, bar.rank, at)
        return [newest] if newest is not None and newest.at != at else []

    def settle(self) -> State | None:
        """The newest state; it waits no longer."""
        newest, self._newest = self._newest, None
        return newest

    def _is_of_epoch(self, bar: Bar, line: Line) -> bool:
        """A heading announced the bar, and it did not reach its end in an earlier line."""
        if not self._headings or self._closed not in (None, line.number):
            return False
        if bar.n == bar.total:
            self._closed = line.number
        return True

    def _evaluation(self, bar: Bar, fields: Fields, line: Line) -> list[State]:
        """The result of an evaluation, which belongs to the last step; before its end it has none."""
        if not self._headings or bar.n != bar.total:
            return []
        newest, self._newest = self._newest, None
        result = State(as_validation(fields), line, bar.rank, ())
        return [newest, result] if newest is not None else [result]

    def _counters(self, bar: Bar, fields: Fields) -> Fields:
        """What the bar counts, as fields; none where its metrics tell the step."""
        if any(meaning_of(name).canonical == "step" for name, _ in fields):
            return []
        if bar.unit == "epoch":
            return _numbers(epoch=bar.n, total_epochs=bar.total)
        if bar.keras or bar.epoch is not None:
            if bar.unit == "samples":
                return _numbers(epoch=bar.epoch, total_epochs=bar.epochs, epoch_sample=bar.n, epoch_samples=bar.total)
            return _numbers(epoch=bar.epoch, total_epochs=bar.epochs, epoch_step=bar.n, epoch_steps=bar.total)
        self._begin_again(bar)
        self._n, self._total = bar.n, bar.total or 0
        planned = bar.total if self._passed == 0 and _PLANS.search(bar.label) else None
        return _numbers(step=self._passed + bar.n, total_steps=planned)

    def _begin_again(self, bar: Bar) -> None:
        """Note that the bar is drawn for another epoch, where it reached its end before."""
        if bar.n < self._n and self._total and self._n >= self._total:
            self._passed, self._n = self._passed + self._total, 0


def _numbers(**counters: int | None) -> Fields:
    return [(name, Number(float(value))) for name, value in counters.items() if value is not None]
