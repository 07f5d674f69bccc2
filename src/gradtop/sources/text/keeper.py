"""Which fields of a text line are a row, and what it counts by: its own step, a bar's, an epoch, or its number."""

import math
import re
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from operator import lt
from typing import TYPE_CHECKING

from gradtop.record import End, Event, Record, Rows, RunFacts, Scalar, Train
from gradtop.sources.fields.block import Blocks
from gradtop.sources.fields.epoch import EpochSteps
from gradtop.sources.fields.names import normalised
from gradtop.sources.fields.number import is_whole
from gradtop.sources.fields.plan import Plan, plan_row
from gradtop.sources.fields.quality import is_goal
from gradtop.sources.fields.usage import Usage
from gradtop.sources.reader import MAX_MESSAGE, Account, Line
from gradtop.sources.text.average import Averages
from gradtop.sources.text.bar import Bar
from gradtop.sources.text.barrow import BarRows, State
from gradtop.sources.text.found import Found, Row, last_rows, row_of, same, value_of
from gradtop.sources.text.optimizer import Reports
from gradtop.sources.text.progress import ELAPSED, MAX_HELD, BarSteps, Stop
from gradtop.sources.text.rank import Ranks
from gradtop.sources.text.rowcount import RowCount, scalar

if TYPE_CHECKING:
    from gradtop.sources.text.template import Run, Template

_LONE = re.compile(
    r"\W*(?:train(?:ing)?|epoch|average|avg|mean)?[\s_]*loss(?:\s*[:=]\s*|\s+)[-+.\w]+\W*", re.IGNORECASE
)
_RECENT = 64
"""Rows among which the same row of another process is looked for."""
_OF_EPOCH = {"loss": "train_loss_epoch", "accuracy": "train_accuracy_epoch", "ppl": "train_ppl_epoch"}
"""Names of an epoch's averages in a log that counts steps: they are not the step's."""


class RowKeeper:
    """Takes the fields of lines, decides which of them are rows, and collects these with all other records in order.

    Of several ranks that write to one log one is heard; the same row of several processes is one row. A log counts in
    one way: rows of epochs among rows of steps stand at the last step, and steps that begin anew with every epoch
    become steps of the run.
    """

    def __init__(self, account: Account, bars: BarSteps) -> None:
        self._account = account
        self._usage = Usage(account)
        self._blocks = Blocks()
        self._bars = bars
        self._states = BarRows()
        self._epochs = EpochSteps()
        self._averages: Averages[Row] = Averages()
        self._ranks: Ranks[tuple[Found, Plan, Line]] = Ranks()
        self._waiting: list[Row] = []
        self._reports: Reports[tuple[Found, Plan, Line]] = Reports()
        self._rows = RowCount()
        self._counted: tuple[float | None, tuple[str, ...], str] | None = None
        self._prints_losses = False
        self._total: int | None = None
        self._recent: deque[tuple[Scalar, Row]] = deque(maxlen=_RECENT)
        self._x_kind = "step"
        self.last_step: Scalar | None = None
        """The step of the newest row; None before one that has a step."""

    def put(self, record: Record) -> None:
        """A record that is no row."""
        self._settle_state()
        if isinstance(record, RunFacts) and self._epochs.total is None:
            self._epochs.plan(record.train.epochs)
        self._blocks.put(record)

    def take(self) -> list[Record]:
        """All records since the last take, in order; rows that wait for what follows them stay."""
        self._usage.settle()
        return self._blocks.take()

    def enter(self, epoch: int, epochs: int | None) -> None:
        """A heading says that an epoch begins, and how many there will be."""
        self._settle_state()
        self._epochs.enter(epoch)
        self._epochs.plan(epochs)
        self._states.enter()

    def see(self, bar: Bar, line: Line) -> None:
        """One state of a progress bar: rows that waited for it get their steps, and what it carries may be a row."""
        self._give(self._bars.see(bar))
        self._plan_total(self._bars.total if self._bars.locked else None)
        if bar.epoch is not None and bar.trains:
            self._epochs.enter(bar.epoch)
        for state in self._states.see(bar, line):
            self._keep_state(state)

    def release(self) -> None:
        """Give out the rows that wait for a bar, with the steps known so far."""
        self._settle_state()
        self._give(self._bars.release())

    def finish(self) -> None:
        """Nothing more comes: give out what waits for anything."""
        self.release()
        for report in self._reports.settle():
            self._place(*report)
        for step, row in self._averages.settle():
            self._add(step, row)

    def keep(self, found: Found, line: Line) -> str | None:
        """Take a line's fields in.

        Returns:
            "row", or the name of what else they were, or None where they are nothing, or "" where they were rejected.
        """
        if not found.fields:
            return None
        plan = found.plan or plan_row(found.fields, found.structured)
        if plan.summary:
            return self._close(found, plan, line)
        if not self._is_row(found, plan):
            return None
        if not self._hears(found, plan, line):
            return "row of another rank"
        self._settle_state()
        if self._is_held(found, plan, line):
            return "row"
        placed = self._place(found, plan, line)
        # Once lines give the loss of the steps, the bar's copy of it, which is shorter, is not taken as well.
        if placed == "row" and "loss" in plan.names and not self._rows.n and self._is_of_a_step(found, plan):
            self._prints_losses = True
        return placed

    def _is_of_a_step(self, found: Found, plan: Plan) -> bool:
        """The row that was placed has the loss of a step, and not the average of an epoch that bars were drawn for."""
        stepped = (plan.step is not None and plan.x_kind == "step") or plan.epoch_step is not None
        return stepped or found.structured or self._bars.holding > 0

    def keep_run(self, run: "Run", numbers: Sequence[int]) -> bool:
        """Take in many rows of one wording, from the lines of these numbers.

        False, and nothing is taken, where they have to be looked at one by one.
        """
        plan = run.template.plan
        if not self._is_steady(run.template) or plan.step is None or (found := run.columns()) is None:
            return False
        steps = found.of(plan.step)
        rising = self._is_new(steps[0], plan.names) and all(map(lt, steps, steps[1:]))
        epochs = found.values[plan.epoch.index] if plan.epoch is not None else ()
        same_epoch = found.constant(plan.epoch) and self._epochs.is_in(epochs[0] if epochs else None)
        if not (rising and same_epoch and found.constant(plan.total) and found.constant(plan.total_epochs)):
            return False
        columns = {take.canonical: found.of(take) for take in plan.takes}
        if found.times is not None:
            columns.setdefault("time", found.times)
        self._epochs.went_on(epochs[0] if epochs else None, steps[-2], steps[-1])
        at: Sequence[Scalar] = [int(step) for step in steps] if all(map(is_whole, steps)) else steps
        self._blocks.put(Rows(at, columns, numbers, x_kind=self._x_kind))
        self._usage.count(plan, len(steps))
        self._recent.extend(last_rows(plan.names, columns, at, numbers, _RECENT))
        self.last_step = at[-1]
        return True

    def _is_steady(self, template: "Template") -> bool:
        """A row of the training like this one, at a later step, changes nothing but the last step."""
        plan = template.plan
        plain = plan.x_kind == "step" and "loss" in plan.names and not plan.validation and not plan.summary
        clear = template.structured or self._averages.settled_for(plan.names)
        settled = clear and not self._reports.waits and not self._states.waits
        heard = template.rank is None or self._ranks.hears(template.rank)
        counted = plan.step is not None and not _counts_batches(plan.step.raw) and not self._rows.settled
        return plain and settled and heard and counted and not self._epochs.within

    def _is_new(self, step: float, names: tuple[str, ...]) -> bool:
        """No row with these names stands at `step` or after it."""
        if self.last_step is None or step != self.last_step:
            return self.last_step is not None and step > self.last_step
        return not any(at >= step and row.names == names for at, row in self._recent)

    def _is_row(self, found: Found, plan: Plan) -> bool:
        if plan.measured:
            if plan.step is None or plan.x_kind == "step":
                self._reports.learn(plan)
            return found.sure or not (plan.validation and _is_partial(found, plan))
        if found.sure:
            return True
        by_step = plan.step is not None and plan.x_kind == "step"
        return by_step and plan.paced and _is_under_way(found, plan) and not self._reports.repeats(plan)

    def _is_held(self, found: Found, plan: Plan, line: Line) -> bool:
        """Keep a report of the optimizer back, or give out the ones that wait."""
        if not self._reports.waits or (found.sure and not plan.measured):
            return False
        step = value_of(found, plan.step)
        if self._reports.hold(plan, step, (found, plan, line)):
            return True
        for report in self._reports.settle(step if plan.measured else None):
            self._place(*report)
        return False

    def _hears(self, found: Found, plan: Plan, line: Line) -> bool:
        """The row is of the rank that is heard; when that is another one from now on, its rows so far come first."""
        if found.rank is None:
            return True
        verdict = self._ranks.hear(found.rank, (found, plan, line), "loss" in plan.names)
        for late in verdict.late:
            # What the silent rank has told is told.
            step = value_of(late[0], late[1].step) if late[1].x_kind == "step" else None
            if step is None or self.last_step is None or step > self.last_step:
                self._place(*late)
        return verdict.heard

    def _place(self, found: Found, plan: Plan, line: Line) -> str | None:
        row = row_of(found, plan, line)
        if plan.step is not None and plan.x_kind == "step":
            if self._rows.settled and not found.structured:
                return None
            return self._keep_step(found, plan, row, line)
        if plan.epoch_step is not None and not plan.validation:
            return self._keep_in_epoch(found, plan, row)
        return self._keep_stepless(found, plan, row)

    def _keep_step(self, found: Found, plan: Plan, row: Row, line: Line) -> str:
        """A row with a step, which may turn out to count within the epoch."""
        step, total = value_of(found, plan.step), value_of(found, plan.total)
        if step is None or not math.isfinite(step):
            self._account.reject("the step is no finite number", line)
            return ""
        epoch = value_of(found, plan.epoch)
        self._epochs.plan(value_of(found, plan.total_epochs))
        if plan.step is not None and _counts_batches(plan.step.raw) and (epoch or self._epochs.epoch) is not None:
            at = self._epochs.of(epoch, step, total)
        else:
            at = self._epochs.plain(epoch, step, total, "loss" in row.names)
        self._add_settled(scalar(at), row, found.structured)
        self._usage.count(plan)
        self._plan_total(self._epochs.run_total(total, told_first=_tells_epoch_first(plan)))
        return "row"

    def _keep_in_epoch(self, found: Found, plan: Plan, row: Row) -> str | None:
        """A row that says how far it is within its epoch."""
        at, of = value_of(found, plan.epoch_step), value_of(found, plan.epoch_steps)
        if at is None or not math.isfinite(at) or plan.epoch_step is None:
            return None
        self._epochs.plan(value_of(found, plan.total_epochs))
        step = self._epochs.of(value_of(found, plan.epoch), at, of)
        if plan.epoch_step.raw == "epoch_sample":
            self._x_kind = "samples"
        self._add_settled(scalar(step), row, found.structured)
        self._usage.count(plan)
        if of and self._epochs.total and self._x_kind == "step":
            self._plan_total(of * self._epochs.total)
        return "row"

    def _keep_stepless(self, found: Found, plan: Plan, row: Row) -> str | None:
        """A row that says no step: the training bar's, the last row's for a validation, its epoch, or its number."""
        own = row.epoch is not None and is_whole(row.epoch)
        heads = self._epochs.epoch is not None
        lone = not found.structured and not plan.validation and len(found.fields) < 2
        if lone and not (heads and _LONE.fullmatch(found.text)):
            return None
        own_kind = found.sure and own
        if self._bars.total is not None and not own_kind and (found.structured or not (own or heads)):
            self._wait(plan, row)
        elif self.last_step is not None:
            if (own_kind or not found.structured) and not plan.validation:
                if not (own or heads) or plan.epoch_step is not None:
                    return None
                row = row.renamed(_OF_EPOCH)
            self._add(self.last_step, row)
        elif not (found.structured or "loss" in plan.names or (heads and plan.validation) or _is_of_an_episode(plan)):
            return None
        else:
            self._count(found, row)
        self._usage.count(plan)
        return "row"

    def _wait(self, plan: Plan, row: Row) -> None:
        self._waiting.append(row)
        self._bars.hold(plan.validation)
        if self._bars.holding > MAX_HELD:
            self.release()

    def _count(self, found: Found, row: Row) -> None:
        """Put a row of a log without steps at its epoch, where rows say or headings tell it, or else at its number."""
        heading = self._epochs.epoch if row.epoch is None and not found.structured else None
        epoch = heading if row.epoch is None else row.epoch
        if not found.structured:
            if self._counted == (epoch, row.names, repr(row.values)):
                return
            self._counted = (epoch, row.names, repr(row.values))
            if "loss" in row.names and epoch is not None:
                self._rows.trained(epoch)
        place: tuple[Scalar, str] | None
        if epoch is None and "episode" in row.names:
            place = scalar(row.values[row.names.index("episode")]), "episode"
        elif heading is not None:
            place = self._rows.under(heading)
        else:
            place = self._rows.own(row.epoch, found.text, found.structured, found.sure)
        if place is not None:
            self._put_row(place[0], row, place[1])

    def _keep_state(self, state: State) -> None:
        """A state of a bar whose metrics are a row: it takes no line's place, and lines after it come after it."""
        if self._prints_losses:
            return
        plan = plan_row(state.fields, True)
        found = Found(state.fields, True, "", state.rank, None)
        if self._hears(found, plan, state.line):
            self._place(found, plan, state.line)

    def _settle_state(self) -> None:
        """Give out the newest state of a bar, which is kept back because a redraw may complete it."""
        if (state := self._states.settle()) is not None:
            self._keep_state(state)

    def _add_settled(self, step: Scalar, row: Row, structured: bool) -> None:
        """Add a row once it is clear whether its loss is the step's or an average beside the validation's."""
        settled = [(step, row)] if structured else self._averages.take(step, row)
        self.last_step = step
        for at, one in settled:
            self._add(at, one)
        self.last_step = step

    def _add(self, step: Scalar, row: Row) -> None:
        newest = self._recent[-1][0] if self._recent else None
        if newest is not None and step <= newest and any(at == step and same(one, row) for at, one in self._recent):
            return
        self._recent.append((step, row))
        self.last_step = step
        self._put_row(step, row, self._x_kind)

    def _put_row(self, step: Scalar, row: Row, x_kind: str) -> None:
        names, values = row.names, row.values
        if row.epoch is not None and x_kind != "epoch":
            names, values = (*names, "epoch"), (*values, row.epoch)
        if row.time is not None and "time" not in names:
            names, values = (*names, "time"), (*values, row.time)
        self._blocks.add(step, names, values, row.line, x_kind, row.below)

    def _give(self, stops: list[Stop]) -> None:
        rows, self._waiting = self._waiting[: len(stops)], self._waiting[len(stops) :]
        for (step, elapsed_s), row in zip(stops, rows, strict=True):
            self.last_step = step
            if elapsed_s is not None and row.time is None:
                row = row._replace(names=(*row.names, ELAPSED), values=(*row.values, elapsed_s))
            self._put_row(step, row, "step")

    def _plan_total(self, total: float | None) -> None:
        if total is not None and is_whole(total) and total > 0 and total != self._total:
            self._total = int(total)
            self._blocks.put(RunFacts(train=Train(total_steps=self._total)))

    def _close(self, found: Found, plan: Plan, line: Line) -> str:
        """The closing words of a run: its averages, and that it is over."""
        self.release()
        self._bars.ended()
        numbers = [number.value for _, number in found.fields]
        data = {take.raw: numbers[take.index] for take in plan.takes}
        step, text = self.last_step, found.text.strip()[:MAX_MESSAGE]
        self.put(Event(event="summary", message=text, step=step, time=found.time, line=line.number, data=data))
        self.put(End(step=step, time=found.time, line=line.number))
        return "summary at the end"


def _is_of_an_episode(plan: Plan) -> bool:
    """A row of reinforcement learning, which may tell its rewards and no loss."""
    return "episode" in plan.names and any(is_goal(name) for name in plan.names)


def _is_partial(found: Found, plan: Plan) -> bool:
    """A validation that is still going on: its last line has the result, the lines before it have one batch each."""
    at, of = value_of(found, plan.epoch_step), value_of(found, plan.epoch_steps)
    return at is not None and of is not None and at < of - 1


@lru_cache(maxsize=256)
def _counts_batches(raw: str) -> bool:
    return normalised(raw) == "batch"


def _tells_epoch_first(plan: Plan) -> bool | None:
    """The epoch stands before the step, as where the step counts within it; None where the line has no epoch."""
    return None if plan.epoch is None or plan.step is None else plan.epoch.index < plan.step.index


def _is_under_way(found: Found, plan: Plan) -> bool:
    """At step 0 a learning rate and the like are settings that are reported, not yet a row of the training."""
    return plan.step is not None and found.fields[plan.step.index][1].value > 0
