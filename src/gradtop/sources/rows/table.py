"""The reader of CSV and TSV: a header of names, then rows that may leave cells empty."""

import csv
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, methodcaller
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtop.errors import RecordError
from gradtop.record import Record, Rows
from gradtop.sources.fields.block import Blocks
from gradtop.sources.fields.launched import RULE, ended, launched
from gradtop.sources.fields.names import canonical, normalised
from gradtop.sources.fields.number import Number, parse
from gradtop.sources.fields.plan import Plan, Take, converted, has_wall_clock, plan_for
from gradtop.sources.reader import Account, Line
from gradtop.sources.rows.counting import Counting
from gradtop.sources.rows.past import Past
from gradtop.sources.rows.uniform import as_steps, scaled

SMALL = 32
"""Rows that are read one by one where many of them cannot be read at once."""

_DELIMITERS = (",", "\t", ";", "|")
_DECIMAL_COMMA = re.compile(r"[-+]?[\d.]*,\d+(?:[eE][-+]?\d+)?\Z")
_OF_DETECTION = frozenset(("box_loss", "giou_loss"))
"""A part of the loss by which a detector's table is known; its trainers write no total."""
_SUMS = {"train/": "loss", "val/": "val_loss"}
_ROW = "table row"
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Sum:
    """A loss that the table has only in parts."""

    canonical: str
    parts: tuple[int, ...]
    """Cells of a row."""
    raw: str


@dataclass(frozen=True, slots=True)
class _Pick:
    """What is taken of the rows with the same cells filled."""

    names: tuple[str, ...]
    takes: tuple[Take, ...]
    sums: tuple[_Sum, ...]

    def values(self, numbers: Sequence[float | None]) -> list[float]:
        """The values of a row in canonical units, the sums last."""
        values = [converted(value, t) for t in self.takes if (value := numbers[t.index]) is not None]
        return values + [reduce(add, [value for i in t.parts if (value := numbers[i]) is not None]) for t in self.sums]


class CsvReader:
    """Reads a table; see `Reader`. Names are settled by the whole header, so that an empty cell moves no other.

    A writer that meets a new name writes its table anew, with a longer header: the rows that were there are no news.
    """

    def __init__(self, x_kind: str = "step") -> None:
        """`x_kind` is what the steps of the file count, where its name says so (`samples`)."""
        self.format = "csv"
        self.account = Account()
        self._blocks = Blocks()
        self._x_kind = x_kind
        self._past = Past()
        self._begin()

    def _begin(self) -> None:
        self._counting = Counting(self._x_kind)
        self._header: tuple[str, ...] = ()
        self._delimiter = ","
        self._plan: Plan | None = None
        self._sums: tuple[_Sum, ...] = ()
        self._picked: dict[tuple[int, ...], _Pick] = {}
        self._uses: dict[tuple[int, ...], int] = {}

    def rewind(self, reason: str) -> None:
        """The table is written anew, for `reason`; it is accounted for anew, too."""
        self.account = Account()
        self._begin()
        self._past.rewind(reason)

    def feed(self, lines: Sequence[Line]) -> list[Record]:
        """The records of the next whole lines, in order."""
        waiting = [lines]
        while waiting:
            part = waiting.pop()
            if len(part) <= SMALL:
                for line in part:
                    self._read(line)
            elif not self._read_many(part):
                half = SMALL if self._plan is None else len(part) // 2
                waiting += (part[half:], part[:half])
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
        if said := launched(line) or ended(line):
            for record in said:
                self._blocks.put(record)
            self.account.read(RULE, line)
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
        numbers = [_value(cell, self._delimiter) for cell in cells]
        plan = self._plan or self._settle(numbers)
        try:
            step, x_kind = self._counting.place(plan, numbers)
        except RecordError as error:
            self.account.reject(str(error), line)
            return
        mask = tuple([i for i, value in enumerate(numbers) if value is not None])
        pick = self._picked.get(mask) or self._pick(plan, mask)
        if not pick.names:
            self.account.skip(line)
            return
        values = pick.values(numbers)
        self._uses[mask] = self._uses.get(mask, 0) + 1
        self.account.read(self._rule, line)
        before = self._past.admit((hash(pick.names), array("d", [step, *values]).tobytes()))
        if before is None:
            return
        for record in before:
            self._blocks.put(record)
        self._blocks.add(step, pick.names, values, line.number, x_kind)

    @property
    def _rule(self) -> str:
        return f"{_ROW}, steps of an epoch added up" if self._counting.within else _ROW

    def _read_many(self, lines: Sequence[Line]) -> bool:
        """Read rows of plain numbers at once; False, and nothing is taken, where one of them is no such row."""
        if self._plan is None or self._past.repeating:
            return False
        delimiter, width = self._delimiter.encode(), len(self._header)
        rows = [line.data for line in lines]
        if set(map(methodcaller("count", delimiter), rows)) != {width - 1}:
            return False
        cells = delimiter.join(rows).split(delimiter)
        try:
            numbers = np.fromiter(map(float, filter(None, cells)), np.float64)
        except ValueError:
            return False
        filled = np.fromiter(map(bool, cells), np.bool_, len(cells)).reshape(len(rows), width)
        table = np.full(filled.shape, np.nan)
        table[filled] = numbers
        cuts = (np.flatnonzero((filled[1:] != filled[:-1]).any(axis=1)) + 1).tolist()
        for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
            mask = tuple(np.flatnonzero(filled[start]).tolist())
            if not self._take_run(self._plan, table[start:stop], mask, lines[start:stop]):
                for line in lines[start:stop]:
                    self._read(line)
        return True

    def _take_run(self, plan: Plan, table: _Floats, mask: tuple[int, ...], lines: Sequence[Line]) -> bool:
        """Take rows with the same cells filled; False, and nothing is taken, where they need a closer look."""
        pick = self._picked.get(mask) or self._pick(plan, mask)
        if plan.step is None or not pick.names:
            return False
        epoch = plan.epoch if plan.epoch is not None and plan.epoch.index in mask else None
        steps = scaled(table[:, plan.step.index], plan.step)
        if not self._counting.follow(plan, steps, scaled(table[:, epoch.index], epoch) if epoch is not None else None):
            return False
        values = [scaled(table[:, take.index], take) for take in pick.takes]
        values += [reduce(add, [table[:, i] for i in total.parts]) for total in pick.sums]
        raw, width = np.column_stack([steps, *values]).tobytes(), 8 * (1 + len(values))
        mark = hash(pick.names)
        self._past.extend((mark, raw[at : at + width]) for at in range(0, len(raw), width))
        columns: Mapping[str, Any] = dict(zip(pick.names, values, strict=True))
        numbers = [line.number for line in lines]
        self._blocks.put(Rows(as_steps(steps), columns, numbers, x_kind=self._counting.kind_of(plan)))
        self._uses[mask] = self._uses.get(mask, 0) + len(lines)
        self.account.read_all(self._rule, lines)
        return True

    def _settle(self, numbers: list[float | None]) -> Plan:
        """The plan of the whole header; the first row tells what kind of time `time` is."""
        known = [(raw, Number(v)) for raw, v in zip(self._header, numbers, strict=True) if v is not None]
        self._plan = plan_for(self._header, ("",) * len(self._header), True, has_wall_clock(known))
        self._sums = tuple(_sums(self._header, self._plan))
        return self._plan

    def _pick(self, plan: Plan, mask: tuple[int, ...]) -> _Pick:
        takes = tuple(take for take in plan.takes if take.index in mask and take.raw)
        sums = tuple(total for total in self._sums if all(i in mask for i in total.parts))
        names = (*(take.canonical for take in takes), *(total.canonical for total in sums))
        self._picked[mask] = _Pick(names, takes, sums)
        return self._picked[mask]

    def _tell_names(self) -> None:
        for mask, rows in self._uses.items():
            pick, step = self._picked[mask], self._plan.step if self._plan is not None else None
            for take in (*pick.takes, *([step] if step is not None else [])):
                self.account.name(take.raw, take.canonical, take.known, take.unit, rows)
            for total in pick.sums:
                self.account.name(total.raw, total.canonical, True, "sum", rows)
        self._uses.clear()


def _sums(header: Sequence[str], plan: Plan) -> Iterator[_Sum]:
    """The losses that a detector's table has only in parts."""
    for folder, name in _SUMS.items():
        parts = [i for i, raw in enumerate(header) if _is_part(normalised(raw), folder)]
        detects = any(normalised(header[i]).removeprefix(folder) in _OF_DETECTION for i in parts)
        if detects and len(parts) > 1 and all(take.canonical != name for take in plan.takes):
            yield _Sum(name, tuple(parts), " + ".join(header[i] for i in parts))


def _is_part(name: str, folder: str) -> bool:
    return name.startswith(folder) and name.endswith("_loss")


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
    words = cells[1:] if not cells[0] else cells
    return all(cell and _value(cell, ",") is None for cell in words) and any(canonical(cell) for cell in words)


def _value(cell: str, delimiter: str) -> float | None:
    """The number in a cell; None where it is empty, says that it is missing, or holds text."""
    try:
        return float(cell)
    except ValueError:
        pass
    if delimiter == ";" and _DECIMAL_COMMA.match(cell):
        # Where commas do not separate cells they stand before the decimals, as in German and French tables.
        return float(cell.replace(".", "").replace(",", "."))
    found = parse(cell) if len(cell) <= 64 else None
    return found.value if found is not None and not found.unit else None
