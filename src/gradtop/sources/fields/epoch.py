"""Steps that count within an epoch, made into steps of the whole run.

A step that begins anew with every epoch is no restart of the run. Where a line says how many steps an epoch has,
the step of the run is exact; where none does, an epoch begins where the one before it was last seen.
"""

from typing import NamedTuple

from gradtop.sources.fields.number import is_whole


class _Seen(NamedTuple):
    epoch: float
    step: float
    total: float | None


class EpochSteps:
    """Where each epoch of one log begins, from its lines in order."""

    __slots__ = ("_base", "_gap", "_high", "_last", "_plain", "_starts", "across", "epoch", "total", "within")

    def __init__(self) -> None:
        self.within = False
        """Plain steps of this log count within the epoch: one fell back while its epoch rose."""
        self.across = False
        """Plain steps of this log count on from epoch to epoch."""
        self.total: float | None = None
        """Epochs that are planned."""
        self.epoch: float | None = None
        """The epoch that the newest line was in, or that a heading announced."""
        self._base: float | None = None
        self._starts: dict[float, float] = {}
        self._last: _Seen | None = None
        self._plain: _Seen | None = None
        self._high = 0.0
        self._gap = 1.0

    def plan(self, epochs: float | None) -> None:
        """So many epochs are planned, where it is told."""
        self.total = self.total if epochs is None else epochs

    def enter(self, epoch: float) -> None:
        """An epoch begins, as a heading or the label of a bar says."""
        if is_whole(epoch):
            self.epoch = epoch

    def plain(self, epoch: float | None, step: float, total: float | None, trains: bool = True) -> float:
        """The step of the run for a line's own step, which may turn out to count within the epoch.

        `trains`: the line has a loss of the training. Of two epochs such lines never stand at the same step.
        """
        epoch = self.epoch if epoch is None else epoch
        if epoch is None or not is_whole(epoch):
            return step
        self._row_in(epoch)
        before, now = self._plain, _Seen(epoch, step, total)
        if trains or before is None or step > before.step:
            self._plain = now
        if before is not None and epoch == before.epoch and step > before.step:
            self._gap = step - before.step
        if (
            not self.within
            and before is not None
            and epoch > before.epoch
            and (step < before.step or (step == before.step and trains))
        ):
            self.within = True
            self._starts[before.epoch] = 0.0
            self._last, self._high = before, max(self._high, before.step)
        self.across = self.across or (before is not None and epoch > before.epoch and not self.within)
        return self.of(epoch, step, total) if self.within else step

    def is_in(self, epoch: float | None) -> bool:
        """A plain step of this epoch, further on than the newest one, is the step of the run and begins nothing."""
        if epoch is None:
            return self.epoch is None
        return is_whole(epoch) and self.epoch == epoch and self._plain is not None and not self.within

    def went_on(self, epoch: float | None, before: float, step: float) -> None:
        """Rows of the epoch have gone on to `step`, by way of `before`."""
        if epoch is not None and self._plain is not None:
            self._plain, self._gap = _Seen(epoch, step, self._plain.total), step - before

    def run_total(self, total: float | None, told_first: bool | None) -> float | None:
        """The planned steps of the run, from the total behind a plain step; None where it may be the epoch's.

        `told_first`: the line tells its epoch before its step; None where it tells no epoch.
        """
        if total is None or self.within:
            return total * self.total if total is not None and self.total is not None else None
        if self.epoch is None or told_first is False or self.across or self.total == 1:
            return total
        return None

    def of(self, epoch: float | None, step: float, total: float | None) -> float:
        """The step of the run for a step that counts within the epoch; without an epoch the newest one is meant."""
        epoch = self.epoch if epoch is None else epoch
        if epoch is None:
            epoch = 1.0
        self._row_in(epoch)
        if epoch not in self._starts:
            self._starts[epoch] = self._start(epoch, step, total)
        found = self._starts[epoch] + step
        if self._last is not None and self._last.epoch == epoch and step > self._last.step:
            self._gap = step - self._last.step
        self._last = _Seen(epoch, step, total)
        self._high = max(self._high, found)
        return found

    def _row_in(self, epoch: float) -> None:
        """A row of an epoch: a run whose first row is in epoch 0 counts epochs from 0, any other from 1."""
        self.enter(epoch)
        if self._base is None:
            self._base = 0.0 if epoch == 0 else 1.0

    def _start(self, epoch: float, step: float, total: float | None) -> float:
        """The step of the run at which an epoch begins that is seen for the first time."""
        before = self._last
        if before is not None and before.total is not None and epoch > before.epoch:
            return self._starts[before.epoch] + (epoch - before.epoch) * before.total
        if total is not None:
            return (epoch - (self._base or 0.0)) * total
        if before is None or epoch < before.epoch:
            return 0.0
        # The last line of an epoch is rarely its last step: the first line of the next one comes after it.
        return self._high if step > 0 else self._high + self._gap
