"""A series as the pixel columns of a chart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradtop.series.column import Floats
from gradtop.series.pyramid import Blocks, Places, ranges


@dataclass(frozen=True, slots=True)
class Envelope:
    """A series as `n` pixel columns over `first_step`..`last_step`; every list has length `n`.

    Ghosts (values that a later session repeated) are left out. An empty column holds NaN in `low`, `high`, `mean`.
    """

    first_step: float
    last_step: float
    low: list[float]
    high: list[float]
    mean: list[float]
    """Mean of the finite values of a column; NaN where their sum overflows."""
    last: list[float]
    """The last finite value of a column, where the line goes on to the next."""
    nan: list[int]
    """NaN values per column."""
    inf: list[int]
    """Infinite values per column."""
    rows: int
    """Values in the range, finite or not."""
    edges: Sequence[float] = ()
    """The step at which each column begins; empty where all are equally wide."""

    @property
    def n(self) -> int:
        """Number of pixel columns."""
        return len(self.low)

    def mended(self, k: int, rows: int, made: "Envelope") -> "Envelope":
        """With columns that were `made` anew in the place of those from `k` on; it holds `rows` values then."""
        z = k + made.n
        return Envelope(
            self.first_step,
            self.last_step,
            self.low[:k] + made.low + self.low[z:],
            self.high[:k] + made.high + self.high[z:],
            self.mean[:k] + made.mean + self.mean[z:],
            self.last[:k] + made.last + self.last[z:],
            self.nan[:k] + made.nan + self.nan[z:],
            self.inf[:k] + made.inf + self.inf[z:],
            rows,
            self.edges,
        )


MOST_LISTED = 128
"""Values that are added up faster one by one than by some fifty calls of arrays."""


def of_lists(first: float, last: float, parts: Sequence[Sequence[float]]) -> Envelope:
    """Columns that hold these values."""
    finite = [[value for value in values if math.isfinite(value)] for values in parts]
    nan = [sum(value != value for value in values) for values in parts]
    totals = [sum(values, 0.0) for values in finite]
    return Envelope(
        first_step=first,
        last_step=last,
        low=[min(values, default=math.nan) for values in finite],
        high=[max(values, default=math.nan) for values in finite],
        mean=[
            total / len(values) if values and math.isfinite(total) else math.nan
            for total, values in zip(totals, finite, strict=True)
        ],
        last=[values[-1] if values else math.nan for values in finite],
        nan=nan,
        inf=[len(all_) - len(some) - lost for all_, some, lost in zip(parts, finite, nan, strict=True)],
        rows=sum(map(len, parts)),
    )


@dataclass(frozen=True, slots=True)
class Made:
    """Columns that were made of the first `n` values of a series."""

    asked: object
    """What for."""
    n: int
    begins: Floats
    """The step at which each column begins."""
    found: Envelope


class Newest:
    """The columns that were made last of a growing series: next time only those with new values are made anew."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        """None yet."""
        self._made: Made | None = None

    def keep(self, made: Made) -> Envelope:
        """Start the next ones from these."""
        self._made = made
        return made.found

    def of(self, asked: object, n: int) -> Made | None:
        """Those of the first `n` values or of fewer; None where others were asked for."""
        # One look: views in several threads may share it.
        made = self._made
        return made if made is not None and made.asked == asked and made.n <= n else None


class Sums:
    """What the pixel columns hold, added up over the segments of a series, inside of `quiet`."""

    def __init__(self, columns: int, lost: bool) -> None:
        """`lost`: some values of the series are NaN or infinite."""
        self._held = Blocks.nothing(columns, lost)
        self._last = np.full(columns, np.nan)
        self._rows = np.zeros(columns, dtype=np.int64)
        self._lost = lost

    def add(self, values: Floats, levels: tuple[Blocks, ...], edges: Places) -> None:
        """Add one segment: column `k` holds the values from `edges[k]` up to the next edge."""
        starts, stops = edges[:-1], edges[1:]
        at = np.flatnonzero(stops > starts)
        if not len(at):
            return
        starts, stops = starts[at], stops[at]
        held = ranges(values, levels, starts, stops, self._lost)
        self._held.take_in(at, held)
        self._rows[at] += stops - starts
        some = held.low <= held.high
        self._last[at[some]] = _last_finite(values, starts[some], stops[some]) if self._lost else values[stops - 1]

    def envelope(self, first: float, last: float, edges: Floats | None) -> Envelope:
        """The columns as plain lists."""
        held, rows = self._held, int(self._rows.sum())
        nan, inf = held.nan, held.inf
        finite = self._rows - nan - inf
        mean = np.where(np.isfinite(held.total) & (finite > 0), held.total / finite, np.nan)
        return Envelope(
            first_step=first,
            last_step=last,
            low=np.where(finite > 0, held.low, np.nan).tolist(),
            high=np.where(finite > 0, held.high, np.nan).tolist(),
            mean=mean.tolist(),
            last=self._last.tolist(),
            nan=nan.tolist(),
            inf=inf.tolist(),
            rows=rows,
            edges=edges.tolist() if edges is not None else (),
        )


_NEAR = 32
"""Values before the end of a column that are looked at side by side; longer stretches without a finite one are rare."""


def _last_finite(values: Floats, starts: Places, stops: Places) -> Floats:
    """The last finite value of each range, which has one."""
    at = stops - 1
    for _ in range(_NEAR):
        left = np.flatnonzero(~np.isfinite(values[at]))
        if not len(left):
            return values[at]
        at[left] -= 1
    for k in np.flatnonzero(~np.isfinite(values[at])):
        at[k] = starts[k] + np.flatnonzero(np.isfinite(values[starts[k] : at[k]]))[-1]
    return values[at]
