"""A growing array, and places in a sorted one."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from gradtop.series.spill import LEAST_BYTES, Place, Spill

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]

_START_CAPACITY = 256
_FEW = 8
"""Values that are looked at faster one by one."""
_ROOM = 4
"""Times the need that is set aside on a disk, where what is empty takes nothing."""


class Column:
    """A growing one-dimensional array; views of earlier lengths stay valid.

    Integers start as int32 and widen to int64, or to float64 where a fraction arrives. A long one lies on the disk of
    its `spill`, where it has one that takes it, and else in memory.
    """

    __slots__ = ("_buffer", "_place", "_spill", "n")

    def __init__(self, dtype: npt.DTypeLike = np.float64, spill: Spill | None = None) -> None:
        self._buffer: Array = np.empty(_START_CAPACITY, dtype=dtype)
        self._spill, self._place = spill, cast("Place | None", None)
        self.n = 0

    def extend(self, values: Sequence[float]) -> None:
        """Append values, widening the type where they need it."""
        if len(values) <= _FEW and self._holds(values):
            # Row by row, to ask an array of one what it is costs more than all the rest.
            self._append(np.array(values, dtype=self._buffer.dtype))
            return
        # One by one, the numbers of a range would cost a hundred times as much.
        added = np.arange(values.start, values.stop, values.step) if isinstance(values, range) else np.asarray(values)
        dtype = _wide_enough(self._buffer.dtype, added)
        needed = self.n + len(added)
        if needed > len(self._buffer) or dtype != self._buffer.dtype:
            self._move(needed, dtype)
        self._append(added.astype(dtype, copy=False))

    def _append(self, added: Array) -> None:
        """Put values of the right type into the buffer, which has room for them."""
        needed = self.n + len(added)
        if self._place is not None and not self._place.write(self.n * added.itemsize, added):
            self._spill = None
            self._move(needed, added.dtype)
        if self._place is None:
            self._buffer[self.n : needed] = added
        self.n = needed

    def _move(self, needed: int, dtype: np.dtype[np.generic]) -> None:
        """Into a new buffer for `needed` values and more, never a resize: views of the old one stay what they were."""
        held, left = self._buffer[: self.n], self._place
        self._place = self._placed(needed, held.astype(dtype, copy=False))
        if self._place is not None:
            self._buffer = self._place.bytes.view(dtype)
            if left is not None:
                # All of it has just been read.
                left.let_go()
            return
        room = len(self._buffer)
        self._buffer = np.empty(max(needed, 2 * room if needed > room else room), dtype=dtype)
        self._buffer[: self.n] = held

    def _placed(self, needed: int, held: Array) -> Place | None:
        """A place on the disk that holds what there is; None where it takes nothing, or it is too little."""
        if self._spill is None or needed * held.itemsize < LEAST_BYTES:
            return None
        place = self._spill.place(_ROOM * needed * held.itemsize)
        return place if place is not None and place.write(0, held) else None

    def _holds(self, values: Sequence[float]) -> bool:
        """A few values go into the buffer as it is."""
        if self.n + len(values) > len(self._buffer):
            return False
        most = 2**31 - 1 if self._buffer.itemsize < 8 else 2**53
        return self._buffer.dtype.kind == "f" or all(-most <= v <= most and v % 1 == 0 for v in values)

    def view(self) -> Array:
        """The values so far, shape (n,), read-only."""
        seen = self._buffer[: self.n]
        seen.flags.writeable = False
        return seen


def _wide_enough(held: np.dtype[np.generic], added: Array) -> np.dtype[np.generic]:
    if held.kind == "f":
        return held
    if added.dtype.kind == "f":
        whole = bool(np.all(np.isfinite(added))) and bool(np.all(added == np.floor(added)))
        if not whole or (len(added) and float(np.max(np.abs(added))) > 2**53):
            return np.dtype(np.float64)
    elif added.dtype.kind not in "iu":
        return np.dtype(np.float64)
    if len(added) and held.itemsize < 8 and float(np.max(np.abs(added))) > 2**31 - 1:
        return np.dtype(np.int64)
    return held


_LONG = 1 << 16
"""Steps from which on it pays to guess."""
_WHOLE = 2.0**53
"""Floats up to this tell whole numbers apart."""


def before(steps: Array, edges: Sequence[float] | Floats) -> npt.NDArray[np.intp]:
    """How many of some rising steps are below each edge."""
    wanted = _in_kind_of(steps, np.ceil(edges), edges)
    found = _among_even(steps, wanted) if len(steps) >= _LONG else None
    return found if found is not None else np.searchsorted(steps, wanted)


def _among_even(steps: Array, edges: Array) -> npt.NDArray[np.intp] | None:
    """The same where steps lie evenly, at two looks for an edge; None where one of them is elsewhere.

    A search of ten million steps looks at some twenty for an edge, all over the memory.
    """
    first, most = float(steps[0]), len(steps) - 1
    apart = (float(steps[-1]) - first) / most
    if not 0.0 < apart < np.inf:
        return None
    at = np.clip(np.ceil((edges.astype(np.float64) - first) / apart), 0, len(steps)).astype(np.intp)
    high = np.greater_equal(steps[np.minimum(at, most)], edges) | (at > most)
    low = np.less(steps[np.maximum(at - 1, 0)], edges) | (at == 0)
    return at if bool((high & low).all()) else None


def upto(steps: Array, edges: Sequence[float] | Floats) -> npt.NDArray[np.intp]:
    """How many of some rising steps are not above each edge."""
    if steps.dtype.kind != "i":
        return np.searchsorted(steps, edges, side="right")
    return np.searchsorted(steps, _in_kind_of(steps, np.floor(edges), edges), side="right")


def _in_kind_of(steps: Array, rounded: Floats, edges: Sequence[float] | Floats) -> Array:
    """Rounded edges for a search among whole steps: in their own kind, all of them would be copied to floats."""
    if steps.dtype.kind == "i":
        most = min(_WHOLE, 2.0 ** (8 * steps.dtype.itemsize - 1) - 1)
        # Edges that the kind cannot hold are compared as floats.
        if bool((np.abs(rounded) <= most).all()):
            return rounded.astype(steps.dtype)
    return np.asarray(edges, dtype=np.float64)
