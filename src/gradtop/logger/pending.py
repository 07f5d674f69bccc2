"""Rows whose values are still on the device."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from math import inf, isfinite
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from gradtop.logger.readback import Readback

if TYPE_CHECKING:
    from torch import Tensor

    Value = float | Tensor
"""A value of a row: a number, or a scalar tensor on any device."""


at_hand: Callable[[Any], bool] = attrgetter("is_cpu")
"""Whether a tensor's number can be had without waiting: on the CPU it has been computed when its tensor is there."""


class Row(NamedTuple):
    """One step, its time in Unix seconds, and its values, which are its own."""

    step: float
    time: float
    values: dict[str, Value]


class Flight:
    """Rows on their way to the host."""

    def __init__(self, rows: list[Row]) -> None:
        """Queue the copies of all tensors in `rows`: one for each device and type of number."""
        self._rows = rows
        self._groups: dict[tuple[object, object], list[Tensor]] = {}
        self._places: list[tuple[int, str, tuple[object, object], int]] = []
        for number, row in enumerate(rows):
            for name, value in row.values.items():
                if tensor(value):
                    self._places.append((number, name, *self._place(value)))
        self._readback = Readback([_stacked(group) for group in self._groups.values()]) if self._groups else None

    def _place(self, value: Tensor) -> tuple[tuple[object, object], int]:
        key = (value.device, value.dtype)
        group = self._groups.setdefault(key, [])
        group.append(value)
        return key, len(group) - 1

    def ready(self) -> bool:
        """All values have arrived; never waits."""
        return self._readback is None or self._readback.ready()

    def rows(self) -> list[tuple[float, float, dict[str, float]]]:
        """Step, time and values of each row, once; waits where they are not ready."""
        rows: list[Any] = self._rows
        if self._readback is not None:
            values = dict(zip(self._groups, self._readback.values(), strict=True))
            for number, name, key, index in self._places:
                rows[number].values[name] = values[key][index]
        return rows


def tensor(value: Value) -> TypeGuard[Tensor]:
    """A value is a tensor, not a number."""
    return not isinstance(value, float)


def kept(value: Any) -> Value | None:
    """A value as it can wait: a float, or the detached copy of a scalar tensor. None for what is no number.

    Nothing is waited for.
    """
    kind = type(value)
    if kind is float:
        return value  # type: ignore[no-any-return]
    if hasattr(value, "detach"):
        if kind is getattr(sys.modules.get("torch"), "Tensor", None) and at_hand(value) and not value.dim():
            number = value.tolist()
            return float(number) if isinstance(number, float | int) else None
        return _copied(value)
    if isinstance(value, str | bytes) or value is None:
        return None
    try:
        # An array of one element is one number; of more it is none.
        return float(value.reshape(()) if getattr(value, "ndim", 0) else value)
    except OverflowError:
        return inf if value > 0 else -inf
    except (TypeError, ValueError):
        return None


def _copied(value: Tensor) -> Tensor | None:
    """A copy, for the caller may go on to change the tensor in place; its graph is not kept."""
    if value.numel() != 1 or value.is_meta or value.is_complex() or hasattr(value, "placements"):
        return None
    copy = value.detach().clone()
    return copy if type(copy) is _torch().Tensor else _base(copy)


def _base(value: Tensor) -> Tensor:
    """The tensor without a class of the program's own, whose rules would hold when values are put together."""
    return value if hasattr(value, "__tensor_flatten__") else value.as_subclass(_torch().Tensor)


def _torch() -> Any:
    """Torch, which is there where a tensor is."""
    return sys.modules["torch"]


def ordinal(step: Any) -> float | None:
    """The number of a step as Python's own; None for what is none, or would have to be read from a device."""
    if type(step) is int:
        return step
    if isinstance(step, str | bytes) or str(getattr(step, "device", "cpu")) != "cpu":
        return None
    try:
        return operator.index(step)
    except (TypeError, ValueError):
        pass
    try:
        number = float(step)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None
    return number if isfinite(number) else None


def _stacked(group: list[Tensor]) -> Tensor:
    """Scalars as one vector of a float type."""
    import torch

    stacked = torch.stack([value.reshape(()) for value in group])
    return stacked if stacked.is_floating_point() else stacked.float()
