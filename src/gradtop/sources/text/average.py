"""Averages that a log prints beside its steps' own losses: they are not the loss of the step.

`step 2000: train loss 1.08, val loss 1.12` evaluates both parts of the data. Where `iter 2000: loss 1.05` is
printed as well, that one is the loss; where nothing else is, the average is all there is. The first such line waits
for the next row, which tells.
"""

from collections.abc import Mapping
from typing import Generic, Protocol, Self, TypeVar

from gradtop.record import Scalar

AVERAGE = {"loss": "train_loss_eval", "accuracy": "train_accuracy_eval", "ppl": "train_ppl_eval"}
"""Names of the averages in a log that prints the steps' own values as well."""

_OF_EVALUATION = frozenset(("loss", "val_loss", "accuracy", "val_accuracy", "ppl", "val_ppl", "epoch", "time"))


class Renamable(Protocol):
    """A row: its names, and a copy of it with others."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its values."""
        ...

    def renamed(self, names: Mapping[str, str], /) -> Self:
        """The same row with other names for some of its values."""
        ...


T = TypeVar("T", bound=Renamable)


class Averages(Generic[T]):
    """Tells the averages of evaluations from the losses of steps, row by row."""

    __slots__ = ("_beside", "_held", "_known")

    def __init__(self) -> None:
        self._held: tuple[Scalar, T] | None = None
        self._known = False
        self._beside = False

    def take(self, step: Scalar, row: T) -> list[tuple[Scalar, T]]:
        """The rows that are clear now, this one or one that waited for it included, in order."""
        if _evaluates(row):
            if not self._known and self._held is None:
                self._held = (step, row)
                return []
            settled = self.settle()
            self._known = True
            return [*settled, (step, row.renamed(AVERAGE) if self._beside else row)]
        if "loss" in row.names:
            self._known = self._beside = True
            return [*self.settle(), (step, row)]
        if self._held is not None and step > self._held[0]:
            return [*self.settle(), (step, row)]
        return [(step, row)]

    def settled_for(self, names: tuple[str, ...]) -> bool:
        """A row with these names and a loss is the step's, and none waits."""
        return self._beside and self._held is None and not ("val_loss" in names and _OF_EVALUATION.issuperset(names))

    def settle(self) -> list[tuple[Scalar, T]]:
        """The row that waits."""
        held, self._held = self._held, None
        if held is None:
            return []
        return [(held[0], held[1].renamed(AVERAGE))] if self._beside else [held]


def _evaluates(row: Renamable) -> bool:
    """Training and validation loss and nothing of how the step went."""
    return "val_loss" in row.names and "loss" in row.names and _OF_EVALUATION.issuperset(row.names)
