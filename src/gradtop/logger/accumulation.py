"""Which calls of `log.step` come before the optimizer's step: micro-batches of gradient accumulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradtop.logger.notice import Notices

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

UNHEARD = 64
"""Calls without a step after which each is taken for one: a CUDA graph and some optimizers step past their hooks."""
MOVED = 4
"""The same where the weights have changed from call to call: there the step is known, only not from a hook."""
LOOKED_AT = 8
"""Weights of the first group, and of the last one, that are looked at."""


class Accumulation:
    """Tells micro-batches by the optimizers' hooks and by the scaler; nothing is read from a device."""

    def __init__(self, optimizers: Sequence[Optimizer], scaler: Any, stated: int | None, notices: Notices) -> None:
        """`optimizers` is kept; `stated` is how many micro-batches a step is said to have."""
        self.overflow: Tensor | None = None
        """Not 0 on its device if the scaler kept the optimizers from stepping; None where they stepped."""
        self._optimizers, self._scaler, self._notices = optimizers, scaler, notices
        self._longest = stated if isinstance(stated, int) else 0
        self._silent = 0
        self._moving = True
        self._versions: tuple[int, ...] | None = None
        self._states = getattr(scaler, "_per_optimizer_states", None)
        self._counted = False

    def goes_on(self, stepped: bool) -> bool:
        """A call after which more micro-batches follow; `stepped`: an optimizer was heard since the last one."""
        self.overflow = None
        if stepped and self._scaler is None and not self._silent:
            return False
        if self._scaled(stepped) or stepped:
            if self._silent:
                self._longest = max(self._longest, min(self._silent, 2 * self._patience()))
                self._silent, self._moving = 0, True
            return False
        self._silent += 1
        versions = self._seen()
        self._moving = self._moving and versions is not None and versions != self._versions
        self._versions = versions
        if self._silent <= self._patience():
            return True
        name = type(self._optimizers[0]).__name__ if self._optimizers else "the optimizer"
        message = f"{name} has not been heard to step in {self._silent} calls of log.step()"
        self._notices.say("unheard", f"{message}: each call is taken for a step, and update ratios are not known")
        return False

    def _patience(self) -> int:
        """Calls that may pass without a step."""
        return max(MOVED, 2 * self._longest) if self._moving else max(UNHEARD, 4 * self._longest)

    def _scaled(self, stepped: bool) -> bool:
        """The scaler was asked for a step since the last call, whether or not it took it.

        `update` begins with a new table of what each optimizer did, so a step shows in this one or by its replacement.
        """
        scaler, before = self._scaler, self._states
        states = getattr(scaler, "_per_optimizer_states", None)
        if states is None or not scaler.is_enabled():
            return False
        asked = any(getattr(state.get("stage"), "name", "") == "STEPPED" for state in states.values())
        replaced = states is not before
        ended = replaced and not self._counted
        happened = ended or (asked and (replaced or not self._counted))
        self._states, self._counted = states, asked
        if happened and not stepped:
            self.overflow = _overflow(before if ended else states)
        return happened

    def _seen(self) -> tuple[int, ...] | None:
        """How often some weights were changed in place; None where they do not count."""
        groups = [group["params"] for one in self._optimizers for group in getattr(one, "param_groups", None) or ()]
        if not groups:
            return None
        try:
            return tuple(weight._version for weight in (*groups[0][:LOOKED_AT], *groups[-1][-LOOKED_AT:]))
        except (AttributeError, RuntimeError):
            return None


def _overflow(states: Any) -> Tensor | None:
    """What the scaler found before a step, on the first of its devices."""
    found = [tensor for state in states.values() for tensor in state.get("found_inf_per_device", {}).values()]
    total: Tensor | None = None
    for tensor in found:
        total = tensor if total is None else total + tensor.to(total.device, non_blocking=True)
    return total
