"""Which fields of a text line are a row, and what it counts by: its own step, a bar's, an epoch, or its number."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from gradtop.record import End, Event, Record, RunFacts, Scalar, Train
from gradtop.sources.block import Blocks
from gradtop.sources.number import is_whole
from gradtop.sources.plan import Plan, converted, plan_row
from gradtop.sources.printed import Fields
from gradtop.sources.progress import MAX_HELD, Bar, BarSteps
from gradtop.sources.reader import Account, Line
from gradtop.sources.signs import MAX_MESSAGE
from gradtop.sources.usage import Usage

_WITHIN_EPOCH = re.compile(r"\[\s*\d|batch|\(\s*\d+\s*/", re.IGNORECASE)
_COARSE_EPOCH = 0.02
"""An epoch printed with two decimals rises from row to row if the first row is at least at this part of it."""
_SETTLED = 5
"""After this many rows without a step, prose that names a step is no row: a log counts in one way."""


class Found(NamedTuple):
    """The fields that a rule found in a line, and what else the line says."""

    fields: Fields
    structured: bool
    text: str
    rank: int | None
    time: float | None


class _Row(NamedTuple):
    """A row that is understood; its step may still be missing."""

    names: tuple[str, ...]
    values: tuple[float, ...]
    below: Mapping[str, float]
    line: int
    time: float | None
    epoch: float | None
    """Of a row that has no step of its own; a column wherever it is not what the row counts by."""


class RowKeeper:
    """Takes the fields of lines, decides which of them are rows, and collects these with all other records in order.

    Of several ranks that write to one log the first that logs a loss is heard. Equal rows in a row are one row.
    """

    def __init__(self, account: Account, bars: BarSteps) -> None:
        self._account = account
        self._usage = Usage(account)
        self._blocks = Blocks()
        self._bars = bars
        self._waiting: list[_Row] = []
        self._rank: int | None = None
        self._printed: set[str] = set()
        self._counted = 0
        self._by_epoch: bool | None = None
        self._total: int | None = None
        self._newest: tuple[Scalar, _Row] | None = None
        self.last_step: Scalar | None = None
        """The step of the newest row; None before one that has a step."""

    def put(self, record: Record) -> None:
        """A record that is no row."""
        self._blocks.put(record)

    def take(self) -> list[Record]:
        """All records since the last take, in order; rows that wait for a bar stay."""
        self._usage.settle()
        return self._blocks.take()

    def see(self, bar: Bar) -> None:
        """One state of a progress bar: rows that waited for it get their steps."""
        self._give(self._bars.see(bar))
        self._plan_total(self._bars.total if self._bars.locked else None)

    def release(self) -> None:
        """Give out the rows that wait for a bar, with the steps known so far."""
        self._give(self._bars.release())

    def keep(self, found: Found, line: Line) -> str | None:
        """Take a line's fields in.

        Returns:
            "row", or the name of what else they were, or None where they are nothing, or "" where they were rejected.
        """
        if not found.fields:
            return None
        plan = plan_row(found.fields, found.structured)
        if plan.summary:
            return self._close(found, plan, line)
        by_step = plan.step is not None and plan.x_kind == "step"
        if plan.measured:
            self._printed.update(plan.names)
        elif not (by_step and plan.paced and _is_under_way(found, plan)) or self._printed.issuperset(plan.names):
            # What rows with a measurement print is not taken a second time from the optimizer's own report.
            return None
        if found.rank is not None and not self._hears(found.rank, plan):
            return "row of another rank"
        row = _row(found, plan, line)
        if by_step:
            if self._counted >= _SETTLED and not found.structured:
                return None
            return self._keep_step(found, plan, row, line)
        return self._keep_stepless(found, plan, row)

    def _keep_step(self, found: Found, plan: Plan, row: _Row, line: Line) -> str:
        assert plan.step is not None
        step = converted(found.fields[plan.step.index][1].value, plan.step)
        if not math.isfinite(step):
            self._account.reject("the step is no finite number", line)
            return ""
        self._add(_scalar(step), row)
        self._usage.count(plan)
        if plan.total is not None:
            total = found.fields[plan.total.index][1].value
            self._plan_total(round(total) if is_whole(total) and total > 0 else None)
        return "row"

    def _keep_stepless(self, found: Found, plan: Plan, row: _Row) -> str | None:
        """A row that says no step: the training bar's, the last row's for a validation, its epoch, or its number."""
        if not found.structured and not plan.validation and len(found.fields) < 2:
            return None
        if self._bars.total is not None:
            self._waiting.append(row)
            self._bars.hold(plan.validation)
            if self._bars.holding > MAX_HELD:
                self.release()
        elif self.last_step is not None:
            if not plan.validation and not found.structured:
                return None
            self._add(self.last_step, row)
        elif not found.structured and "loss" not in plan.names:
            return None
        else:
            self._count(found, row)
        self._usage.count(plan)
        return "row"

    def _count(self, found: Found, row: _Row) -> None:
        epoch = math.nan if row.epoch is None else row.epoch
        if self._by_epoch is None:
            self._by_epoch = _rises(epoch, found.structured) and not _WITHIN_EPOCH.search(found.text)
        self._counted += 1
        if self._by_epoch and math.isfinite(epoch):
            self._put_row(_scalar(epoch), row, "epoch")
        elif not self._by_epoch:
            self._put_row(self._counted, row, "row")

    def _add(self, step: Scalar, row: _Row) -> None:
        if self._newest is not None and self._newest[0] == step and _same(self._newest[1], row):
            return
        self._newest = (step, row)
        self.last_step = step
        self._put_row(step, row, "step")

    def _put_row(self, step: Scalar, row: _Row, x_kind: str) -> None:
        names, values = row.names, row.values
        if row.epoch is not None and x_kind != "epoch":
            names, values = (*names, "epoch"), (*values, row.epoch)
        if row.time is not None and "time" not in names:
            names, values = (*names, "time"), (*values, row.time)
        self._blocks.add(step, names, values, row.line, x_kind, row.below)

    def _give(self, steps: list[int]) -> None:
        rows, self._waiting = self._waiting[: len(steps)], self._waiting[len(steps) :]
        for step, row in zip(steps, rows, strict=True):
            self.last_step = step
            self._put_row(step, row, "step")

    def _hears(self, rank: int, plan: Plan) -> bool:
        if self._rank is None and "loss" in plan.names:
            self._rank = rank
        return self._rank is None or rank == self._rank

    def _plan_total(self, total: int | None) -> None:
        if total is not None and total != self._total:
            self._total = total
            self._blocks.put(RunFacts(train=Train(total_steps=total)))

    def _close(self, found: Found, plan: Plan, line: Line) -> str:
        """The closing words of a run: its averages, and that it is over."""
        self.release()
        numbers = [number.value for _, number in found.fields]
        data = {take.raw: numbers[take.index] for take in plan.takes}
        step, text = self.last_step, found.text.strip()[:MAX_MESSAGE]
        self.put(Event(event="summary", message=text, step=step, time=found.time, line=line.number, data=data))
        self.put(End(step=step, time=found.time, line=line.number))
        return "summary at the end"


def _row(found: Found, plan: Plan, line: Line) -> _Row:
    below = {t.canonical: b * t.scale for t in plan.takes if (b := found.fields[t.index][1].below)}
    values = plan.values([number.value for _, number in found.fields])
    epoch = found.fields[plan.epoch.index][1].value if plan.x_kind == "epoch" and plan.epoch is not None else None
    return _Row(plan.names, values, below, line.number, found.time, epoch)


def _same(one: _Row, other: _Row) -> bool:
    """The same values under the same names; NaN equals NaN here."""
    return one.names == other.names and (one.values == other.values or repr(one.values) == repr(other.values))


def _is_under_way(found: Found, plan: Plan) -> bool:
    """At step 0 a learning rate and the like are settings that are reported, not yet a row of the training."""
    return plan.step is not None and found.fields[plan.step.index][1].value > 0


def _scalar(step: float) -> Scalar:
    return int(step) if is_whole(step) else step


def _rises(epoch: float, structured: bool) -> bool:
    """The epoch of the first row says that later rows print higher ones: it counts epochs, or is not cut too short."""
    if not math.isfinite(epoch) or epoch == 0.0:
        return not structured and epoch == 0.0
    return epoch >= _COARSE_EPOCH or not is_whole(round(epoch * 100, 6))
