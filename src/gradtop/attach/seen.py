"""What torch's functions were seen to return on the way to an optimizer's step."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Values:
    """What was seen on the way to one step of one optimizer."""

    loss: Tensor | None
    """The sum over the backward passes: the mean where each was divided by their number."""
    norms: tuple[Tensor, ...]
    """Gradient norms before clipping, of disjoint parameters."""
    clipped: int
    """How many parameters these norms are of."""
    wait_s: float | None
    """Seconds in which data loaders were waited for."""
    skipped: bool
    """A GradScaler kept the optimizer from stepping."""


class Seen:
    """Gathers until it is asked; all on the thread that trains, once that is known."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.thread: int | None = None
        """The thread that trains; others are not listened to."""
        self.clip_norm: float | None = None
        """The first finite norm that gradients were clipped to."""
        self.resumed = False
        """An optimizer was given the state of a checkpoint."""
        self._stepping = self._first = False
        self._scaler: weakref.ref[Any] | None = None
        self._unscaled: list[tuple[weakref.ref[Tensor], Tensor]] = []
        self._waits: dict[int, float] = {}
        self._clear()

    def _clear(self) -> None:
        self._loss: Tensor | None = None
        self._norms: dict[tuple[int, int], Tensor] = {}
        self._wait_s: float | None = None
        self._unscaled.clear()

    @property
    def scaler(self) -> Any:
        """The GradScaler that scaled a loss last, while it lives."""
        return self._scaler() if self._scaler is not None else None

    def listens(self) -> bool:
        """The calling thread is the one that trains, as far as is known."""
        return self.thread is None or self.thread == get_ident()

    def entered(self) -> None:
        """A step begins: of a closure that it calls, the first loss counts."""
        self._stepping = self._first = True

    def scaled(self, scaler: Any, loss: Tensor, scaled: Tensor) -> None:
        """A loss was multiplied by the scale of a GradScaler."""
        self._scaler = weakref.ref(scaler)
        self._unscaled = [pair for pair in self._unscaled if pair[0]() is not None]
        self._unscaled.append((weakref.ref(scaled), loss.detach()))

    def backward(self, roots: Sequence[Tensor]) -> None:
        """A backward pass from scalar roots ended well."""
        for iterator_wait in self._waits.values():
            self._wait_s = (self._wait_s or 0.0) + iterator_wait
        self._waits.clear()
        if self._stepping and not self._first:
            return
        self._first = False
        for root in roots:
            loss = self._plain(root)
            self._loss = loss if self._loss is None else self._loss + loss

    def clipped(self, key: tuple[int, int], norm: Tensor, max_norm: object) -> None:
        """Gradients had the 2-norm `norm` before clipping; `key` is their first parameter's identity and their number.

        Clipping to infinity only measures: the norm of the same parameters that is seen first is the one.
        """
        if self.clip_norm is None and isinstance(max_norm, int | float) and 0 < max_norm < inf:
            self.clip_norm = float(max_norm)
        if not hasattr(norm, "placements"):
            self._norms.setdefault(key, norm.detach())

    def waited(self, iterator: int, seconds: float) -> None:
        """A data loader's iterator took so long; it counts once a backward pass follows."""
        self._waits[iterator] = seconds

    def take(self, skipped: bool) -> Values:
        """What was seen since the last time, of a step that was made or skipped."""
        self._stepping = False
        clipped = sum(count for _, count in self._norms)
        values = Values(self._loss, tuple(self._norms.values()), clipped, self._wait_s, skipped)
        self._clear()
        return values

    def close(self) -> None:
        """Listen to no thread any more."""
        self.thread = 0
        self._waits.clear()
        self._clear()

    def _plain(self, root: Tensor) -> Tensor:
        """A loss before scaling, as a copy of its own, in at least single precision."""
        import torch

        found = next((loss for scaled, loss in self._unscaled if scaled() is root), None)
        scaler = self.scaler if found is None and self._unscaled else None
        loss = (root if found is None else found).detach().reshape(())
        loss = loss.float() if loss.dtype in (torch.float16, torch.bfloat16) else loss.clone()
        return loss if scaler is None else loss / scaler._scale.to(loss.device)
