"""The reader of CSV and TSV: a header of names, then rows that may leave cells empty."""

import csv
import math
from collections.abc import Sequence

from gradtop.record import Record, Scalar
from gradtop.sources.block import Blocks
from gradtop.sources.names import canonical
from gradtop.sources.number import Number, is_whole, parse
from gradtop.sources.plan import Plan, Take, converted, has_wall_clock, plan_for
from gradtop.sources.reader import Account, Line

_DELIMITERS = (",", "\t", ";", "|")
_Picked = tuple[tuple[str, ...], tuple[Take, ...]]


class CsvReader:
    """Reads a table; see `Reader`. Names are settled by the whole header, so that an empty cell moves no other."""

    def __init__(self) -> None:
        self.format = "csv"
        self.account = Account()
        self._blocks = Blocks()
        self._header: tuple[str, ...] = ()
        self._delimiter = ","
        self._plan: Plan | None = None
        self._picked: dict[tuple[int, ...], _Picked] = {}
        self._uses: dict[tuple[int, ...], int] = {}
        self._counted = 0

    def feed(self, lines: Sequence[Line]) -> list[Record]:
        """The records of the next whole lines, in order."""
        for line in lines:
            self._read(line)
        self._tell_names()
        return self._blocks.take()

    def idle(self) -> list[Record]:
        """Nothing is held back."""
        return []

    def finish(self) -> list[Record]:
        """Nothing is held back."""
        return []

    def _read(self, line: Line) -> None:
        text = line.data.decode("utf-8", errors="replace").strip("\0\r\ufeff")
        if not text.strip():
            self.account.skip(line)
            return
        if not self._header:
            self._delimiter = delimiter_of(text)
        cells = split_cells(text, self._delimiter)
        if cells is None:
            self.account.reject("a quoted field that does not end", line)
        elif not self._header or tuple(cells) == self._header or _is_header(cells):
            self._start(cells)
            self.account.read("header", line)
        elif len(cells) != len(self._header):
            self.account.reject("another number of cells than the header", line)
        else:
            self._read_cells(cells, line)

    def _start(self, cells: list[str]) -> None:
        if tuple(cells) != self._header:
            self._tell_names()
            self._header, self._plan = tuple(cells), None
            self._picked.clear()

    def _read_cells(self, cells: list[str], line: Line) -> None:
        numbers = [_value(cell) for cell in cells]
        plan = self._plan or self._settle(numbers)
        step = self._step(plan, numbers)
        if step is None:
            self.account.reject("a row without a finite step", line)
            return
        mask = tuple([take.index for take in plan.takes if numbers[take.index] is not None])
        names, takes = self._picked.get(mask) or self._pick(plan, mask)
        if not takes:
            self.account.skip(line)
            return
        values = [converted(value, t) for t in takes if (value := numbers[t.index]) is not None]
        self._blocks.add(step, names, values, line.number, plan.x_kind)
        self._uses[mask] = self._uses.get(mask, 0) + 1
        self.account.read("table row", line)

    def _settle(self, numbers: list[float | None]) -> Plan:
        """The plan of the whole header; the first row tells what kind of time `time` is."""
        known = [(raw, Number(v)) for raw, v in zip(self._header, numbers, strict=True) if v is not None]
        self._plan = plan_for(self._header, ("",) * len(self._header), True, has_wall_clock(known))
        return self._plan

    def _step(self, plan: Plan, numbers: list[float | None]) -> Scalar | None:
        if plan.step is None:
            self._counted += 1
            return self._counted
        value = numbers[plan.step.index]
        if value is None or not math.isfinite(value):
            return None
        step = converted(value, plan.step)
        return int(step) if is_whole(step) else step

    def _pick(self, plan: Plan, mask: tuple[int, ...]) -> _Picked:
        takes = tuple(take for take in plan.takes if take.index in mask)
        self._picked[mask] = tuple(take.canonical for take in takes), takes
        return self._picked[mask]

    def _tell_names(self) -> None:
        for mask, rows in self._uses.items():
            step = self._plan.step if self._plan is not None else None
            for take in (*self._picked[mask][1], *([step] if step is not None else [])):
                self.account.name(take.raw, take.canonical, take.known, take.unit, rows)
        self._uses.clear()


def delimiter_of(header: str) -> str:
    """What separates the cells of a header."""
    return max(_DELIMITERS, key=header.count)


def split_cells(text: str, delimiter: str) -> list[str] | None:
    """The cells of one row, without blanks around them; None for a quote that does not end on the line."""
    if '"' not in text:
        return [cell.strip() for cell in text.split(delimiter)]
    try:
        rows = list(csv.reader([text], delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error:
        return None
    return [cell.strip() for cell in rows[0]] if len(rows) == 1 else None


def _is_header(cells: Sequence[str]) -> bool:
    """All cells are words, and one is the name of a metric: the writer began a table with other columns."""
    return all(cell and _value(cell) is None for cell in cells) and any(canonical(cell) for cell in cells)


def _value(cell: str) -> float | None:
    """The number in a cell; None where it is empty, says that it is missing, or holds text."""
    try:
        return float(cell)
    except ValueError:
        found = parse(cell) if len(cell) <= 64 else None
        return found.value if found is not None and not found.unit else None
