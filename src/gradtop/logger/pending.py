"""Rows whose values are still on the device."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, TypeGuard

from gradtop.logger.readback import Readback

if TYPE_CHECKING:
    from torch import Tensor

    Value = float | Tensor
"""A value of a row: a number, or a scalar tensor on any device."""


@dataclass(frozen=True, slots=True)
class Row:
    """One step, its time in Unix seconds, and its values."""

    step: float
    time: float
    values: Mapping[str, Value]


class Flight:
    """Rows on their way to the host."""

    def __init__(self, rows: list[Row]) -> None:
        """Queue the copies of all tensors in `rows`: one for each device and type of number."""
        self._rows = rows
        self._groups: dict[tuple[object, object], list[Tensor]] = {}
        self._places: list[list[tuple[str, tuple[object, object], int]]] = []
        for row in rows:
            self._places.append([(name, *self._place(value)) for name, value in row.values.items() if tensor(value)])
        self._readback = Readback([_stacked(group) for group in self._groups.values()]) if self._groups else None

    def _place(self, value: Tensor) -> tuple[tuple[object, object], int]:
        key = (value.device, value.dtype)
        group = self._groups.setdefault(key, [])
        group.append(value)
        return key, len(group) - 1

    def ready(self) -> bool:
        """All values have arrived; never waits."""
        return self._readback is None or self._readback.ready()

    def rows(self) -> Iterator[tuple[float, float, dict[str, float]]]:
        """Step, time and values of each row; waits where they are not ready."""
        arrived = self._readback.values() if self._readback is not None else []
        values = dict(zip(self._groups, arrived, strict=True))
        for row, places in zip(self._rows, self._places, strict=True):
            numbers = dict(row.values)
            for name, key, index in places:
                numbers[name] = values[key][index]
            yield row.step, row.time, {name: float(value) for name, value in numbers.items()}


def tensor(value: Value) -> TypeGuard[Tensor]:
    """A value is a tensor, not a number."""
    return not isinstance(value, float)


def kept(value: Any) -> Value | None:
    """A value as it can wait: a float, or the detached copy of a scalar tensor. None for what is no number.

    Nothing is read from a device.
    """
    if type(value) is float:
        return value
    if hasattr(value, "detach"):
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
