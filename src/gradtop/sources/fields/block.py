"""Rows as they are read, joined to blocks of columns while their names stay the same."""

from collections.abc import Mapping, Sequence

from gradtop.record import Record, Rows, Scalar

_NOTHING: Mapping[str, float] = {}


class Blocks:
    """Collects the records of one feed in order; rows that follow each other with the same names become one `Rows`."""

    __slots__ = ("_below", "_lines", "_names", "_records", "_steps", "_values", "_x_kind")

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._steps: list[Scalar] = []
        self._values: list[Sequence[float]] = []
        self._lines: list[int] = []
        self._names: tuple[str, ...] = ()
        self._below: Mapping[str, float] = _NOTHING
        self._x_kind = "step"

    def add(
        self,
        step: Scalar,
        names: tuple[str, ...],
        values: Sequence[float],
        line: int,
        x_kind: str = "step",
        below: Mapping[str, float] = _NOTHING,
    ) -> None:
        """One row: `values` belong to `names`, one each."""
        if self._steps and (names != self._names or x_kind != self._x_kind or below != self._below):
            self._close()
        self._names, self._x_kind, self._below = names, x_kind, below
        self._steps.append(step)
        self._values.append(values)
        self._lines.append(line)

    def put(self, record: Record) -> None:
        """A record that is no row, or a finished block."""
        self._close()
        self._records.append(record)

    def take(self) -> list[Record]:
        """What was collected, in order; the collection starts anew."""
        self._close()
        records, self._records = self._records, []
        return records

    def _close(self) -> None:
        if not self._steps:
            return
        columns = dict(zip(self._names, zip(*self._values, strict=True), strict=True)) if self._names else {}
        self._records.append(Rows(self._steps, columns, self._lines, dict(self._below), self._x_kind))
        self._steps, self._values, self._lines = [], [], []
