"""Which of the living optimizers train together, and which are left from a training that is over."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gradtop.attach.model import parameters

if TYPE_CHECKING:
    from torch.optim import Optimizer


class Optimizers:
    """Some optimizers, in order, each for as long as it lives."""

    def __init__(self, optimizers: Iterable[Optimizer] = ()) -> None:
        """Those to begin with."""
        self._references: dict[int, weakref.ref[Optimizer]] = {}
        self.add(optimizers)

    def __contains__(self, optimizer: Optimizer) -> bool:
        reference = self._references.get(id(optimizer))
        return reference is not None and reference() is optimizer

    def add(self, optimizers: Iterable[Optimizer]) -> None:
        """Take up more."""
        self._references.update((id(optimizer), weakref.ref(optimizer)) for optimizer in optimizers)

    def living(self) -> list[Optimizer]:
        """Those that are still there."""
        found = [reference() for reference in self._references.values()]
        return [optimizer for optimizer in found if optimizer is not None]


class Company:
    """Who belongs to a training: all that live when it begins, but for those of trainings before it.

    One of these that steps again was not over: it and those that had taken its place alternate, and stay together.
    """

    def __init__(self) -> None:
        """No training yet."""
        self.members = Optimizers()
        """Those of the training that is under way; not all of them have stepped."""
        self._over, self._together = Optimizers(), Optimizers()

    def begin(self, optimizer: Optimizer, before: list[Optimizer], living: Iterable[Optimizer]) -> None:
        """A training begins with a step of `optimizer`; those of the one `before` end, where they share no weights."""
        if optimizer in self._over:
            self._together.add([optimizer, *before])
        self._over.add(before)
        chosen = [one for one in living if one not in self._over or one in self._together or one is optimizer]
        absent = [one for one in self._together.living() if one not in Optimizers(chosen)]
        self.members = Optimizers([*chosen, *absent, optimizer])

    def expected(self, optimizer: Optimizer) -> set[int]:
        """Identities of those that are to step in the first round: not two of the same weights."""
        own = parameters(optimizer)
        others = [one for one in self.members.living() if one is not optimizer and not parameters(one) & own]
        return {id(one) for one in (optimizer, *others)}
