"""The gradient norms that a framework throws away after it has clipped."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class ClippedNorms:
    """Hears what `torch.nn.utils.clip_grad_norm_` returns while it is open; the gradients are not read again."""

    def __init__(self) -> None:
        """Closed."""
        self._norm: Tensor | None = None
        self._calls = 0
        self._original: Callable[..., Tensor] | None = None
        self._heard: Callable[..., Tensor] | None = None

    def open(self) -> None:
        """Hear every call from now on."""
        from torch.nn import utils

        original = utils.clip_grad_norm_

        @wraps(original)
        def heard(*args: Any, **kwargs: Any) -> Tensor:
            norm = original(*args, **kwargs)
            if self._heard is not None and _kind(args, kwargs) == 2.0:
                self._norm = norm
                self._calls += 1
            return norm

        self._original, self._heard = original, heard
        utils.clip_grad_norm_ = heard

    def take(self) -> Tensor | None:
        """The norm that was returned since the last call of this, where there is exactly one.

        Two are of parts of the model. One in shards is on its way over all ranks, and not asked for here.
        """
        norm, calls = self._norm, self._calls
        self._norm, self._calls = None, 0
        return norm if calls == 1 and not hasattr(norm, "placements") else None

    def close(self) -> None:
        """Hear no more; where another wrapper stands around this one, it stays and only passes calls on."""
        from torch.nn import utils

        if self._heard is not None and self._original is not None and utils.clip_grad_norm_ is self._heard:
            utils.clip_grad_norm_ = self._original
        self._heard = self._norm = None
        self._calls = 0


def _kind(args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    """Which norm is asked for: the third argument, 2 by default."""
    return float(kwargs.get("norm_type", args[2] if len(args) > 2 else 2.0))
