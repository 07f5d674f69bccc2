"""What the rows of one file count by: their step, a step within the epoch, an epoch, tokens, samples, or themselves."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gradtop.errors import RecordError
from gradtop.record import Scalar
from gradtop.sources.fields.epoch import EpochSteps
from gradtop.sources.fields.names import normalised
from gradtop.sources.fields.number import is_whole
from gradtop.sources.fields.plan import Plan, Take, converted

Floats = npt.NDArray[np.float64]
Numbers = Sequence[float | None]
"""The numbers of a row's fields in their order, as written; None for a cell that is empty."""

_SINCE_START = """
    consumed_samples consumed_train_samples global_samples time/sample
    consumed_tokens total_tokens tokens_seen n_tokens_seen num_input_tokens_seen num_tokens_seen tokens/total
    train/total_tokens throughput/total_tokens time/token total_train_tokens
"""
_CONSUMED = frozenset(_SINCE_START.split())
"""Names of counts since the start. Other `tokens` and `samples` may be those of one batch."""
_OF_SAMPLES = "train/samples/"


def counted_by(name: str) -> str:
    """What the steps in a file of this name count: DeepSpeed's monitor writes one table for each metric."""
    return "samples" if name.startswith("Train_Samples_") else "step"


class NegativeStep(RecordError):
    """A row with a step below zero among rows that count from zero or one."""


class Counting:
    """Gives every row of one file its place, row after row."""

    __slots__ = ("_counted", "_epochs", "_kind", "_newest", "_top", "below_zero")

    def __init__(self, x_kind: str = "step", below_zero: bool = True) -> None:
        """`x_kind` is what the file's steps count, where its name says so (`samples`)."""
        self._kind = x_kind
        self.below_zero = below_zero
        """A negative number is a step too, and not a way to say that there is none."""
        self._epochs = EpochSteps()
        self._newest: tuple[float, float] | None = None
        self._top = -math.inf
        self._counted = 0

    @property
    def within(self) -> bool:
        """The steps of this file begin anew with every epoch, and are added up."""
        return self._epochs.within

    def place(self, plan: Plan, numbers: Numbers) -> tuple[Scalar, str]:
        """The number that a row counts by, and what it counts (`Rows.x_kind`).

        Raises:
            NegativeStep: its step is below zero, where that is none.
            RecordError: it has no step where other rows have one, or no finite one.
        """
        epoch = _finite(plan.epoch, numbers)
        if plan.x_kind != "step" and (inner := _finite(plan.epoch_step, numbers)) is not None:
            return _scalar(self._epochs.of(epoch, inner, _finite(plan.epoch_steps, numbers))), "step"
        if plan.step is None:
            return self._without_step(plan, numbers)
        step = _finite(plan.step, numbers)
        if step is None:
            raise RecordError("the step is no finite number")
        if step < 0 and not self.below_zero:
            raise NegativeStep("the step is negative")
        if plan.x_kind == "epoch":
            return self._at_epoch(step, plan)
        return _scalar(self._at_step(step, epoch, plan)), self.kind_of(plan)

    def follow(self, plan: Plan, steps: Floats, epochs: Floats | None) -> bool:
        """Take many rows at once; False, and nothing is taken, where one of them is not simply at its step."""
        if plan.x_kind != "step" or plan.epoch_step is not None or self._epochs.within or not np.isfinite(steps).all():
            return False
        if not self.below_zero and bool((steps < 0).any()):
            return False
        if (epochs is not None or self._epochs.epoch is not None) and not self._rise(steps, epochs):
            return False
        # Of the rows of a block only the last ones tell how the steps go on.
        lower = int(np.searchsorted(steps, steps[-1])) - 1
        for at in (lower, len(steps) - 1) if 0 <= lower < len(steps) - 1 else (len(steps) - 1,):
            epoch = float(epochs[at]) if epochs is not None and math.isfinite(epochs[at]) else None
            self._note(plan, epoch, float(steps[at]))
        return True

    def _rise(self, steps: Floats, epochs: Floats | None) -> bool:
        """No step falls, and where an epoch begins the step has risen."""
        if steps[0] <= self._top or bool((steps[1:] < steps[:-1]).any()):
            return False
        return epochs is None or not bool(((steps[1:] == steps[:-1]) & (epochs[1:] != epochs[:-1])).any())

    def _note(self, plan: Plan, epoch: float | None, step: float) -> float:
        """Take note of a row's own step and epoch; its step of the run."""
        trains = "loss" in plan.names
        found = self._epochs.plain(epoch, step, None, trains)
        self._newest = found, math.nan if epoch is None else epoch
        if trains or step > self._top:
            self._top = step
        return found

    def _at_step(self, step: float, epoch: float | None, plan: Plan) -> float:
        """The step of the run for the step of a row."""
        if epoch is None and self._newest is not None:
            last, newest_epoch = self._newest
            # mmengine's validation rows give the epoch of the training rows before them as their step.
            if step < last and step == newest_epoch and "loss" not in plan.names:
                return last
        return self._note(plan, epoch, step)

    def _at_epoch(self, epoch: float, plan: Plan) -> tuple[Scalar, str]:
        """The last step for a validation between rows that have steps, else the epoch."""
        if self._newest is not None and plan.validation:
            return _scalar(self._newest[0]), self._kind
        return _scalar(epoch), "epoch"

    def _without_step(self, plan: Plan, numbers: Numbers) -> tuple[Scalar, str]:
        for take in plan.takes:
            if take.known and take.canonical in ("tokens", "samples") and normalised(take.raw) in _CONSUMED:
                count = _finite(take, numbers)
                if count is not None and self._newest is None:
                    return _scalar(count), take.canonical
        if self._newest is not None and plan.validation:
            return _scalar(self._newest[0]), self._kind
        if self._newest is not None or not plan.measured:
            raise RecordError("a row without a step")
        self._counted += 1
        return self._counted, "row"

    def kind_of(self, plan: Plan) -> str:
        """What the steps of rows with this plan count: DeepSpeed's monitor says samples in the names of its metrics."""
        if self._kind == "step" and any(take.raw[:14].lower() == _OF_SAMPLES for take in plan.takes):
            return "samples"
        return self._kind


def _finite(take: Take | None, numbers: Numbers) -> float | None:
    value = numbers[take.index] if take is not None else None
    return converted(value, take) if take is not None and value is not None and math.isfinite(value) else None


def _scalar(step: float) -> Scalar:
    return int(step) if is_whole(step) else step
