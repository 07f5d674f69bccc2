"""The reader of JSON lines: gradtop's own stream, and any JSONL that counts its rows."""

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec

from gradtop.errors import RecordError
from gradtop.machine import Machine
from gradtop.record import (
    SAMPLE_START,
    End,
    Event,
    LayerNames,
    Record,
    Restart,
    RunFacts,
    Train,
    WireRecord,
    decode_object,
    merged,
    number,
    sample,
    typed,
)
from gradtop.sources.fields.block import Blocks
from gradtop.sources.fields.launched import RULE, ended, launched
from gradtop.sources.fields.names import canonical, layer_name
from gradtop.sources.fields.number import Number, is_whole
from gradtop.sources.fields.plan import Plan, plan_row
from gradtop.sources.fields.prefix import seconds
from gradtop.sources.fields.printed import Fields, flattened
from gradtop.sources.fields.setting import facts_from
from gradtop.sources.fields.usage import Usage
from gradtop.sources.reader import MAX_MESSAGE, MAX_SAMPLES, Account, Block, Line, text_of
from gradtop.sources.rows.counting import Counting, NegativeStep
from gradtop.sources.rows.dialect import rows_in_list, settings_in, unwrapped
from gradtop.sources.rows.uniform import Run, Shapes, Table

MAX_BATCH = 4096
"""Lines that are decoded at once."""
SMALL = 32
"""Lines that are read one by one where a block of them cannot be read at once."""
MAX_BELOW_ZERO = 1000
"""Rows in front with negative steps after which steps are taken to be negative in this file."""
MAX_FIELDS = 10_000
"""Values of one row; a row with more holds data, not metrics."""

_TIME_KEYS = ("time", "timestamp", "_timestamp", "datetime", "date")
_LAYER_COLUMNS_LEFT_OUT = frozenset(("type", "step", "time", "names"))
_LAYERS = re.compile(rb'^\{"type": ?"layers".*\n', re.MULTILINE)
_SUMMARY = "summary at the end"
_ROW = "metrics row"


class RowReader:
    """Reads JSON lines; see `Reader`. `format` turns to `gradtop` at the first typed record of that stream."""

    def __init__(self, writer: str = "") -> None:
        """Read a file; runs in one of several streams of a directory are called after its `writer`, too."""
        self.format = "jsonl"
        self._writer = writer
        self.account = Account()
        self._usage = Usage(self.account)
        self._blocks = Blocks()
        self._layers: dict[str, tuple[str, ...]] = {}
        self._facts: RunFacts | None = None
        self._counting = Counting(below_zero=False)
        self._below_zero: list[Line] = []
        self._placed = False
        self._shapes = Shapes()
        self._measured: set[str] = set()
        self._total: int | None = None
        self._refused = ""

    def feed(self, lines: Sequence[Line]) -> list[Record]:
        """The records of the next whole lines, in order."""
        start = 0
        for i in range(1, len(lines) + 1):
            # Numbers leave out what was too long to be read.
            if i == len(lines) or lines[i].number != lines[i - 1].number + 1 or i - start == MAX_BATCH:
                part = lines[start:i]
                self._read_block(Block(part[0].number, len(part), b"".join([line.data + b"\n" for line in part])))
                start = i
        return self._taken()

    def feed_block(self, block: Block) -> list[Record]:
        """The records of the next whole lines, as one block."""
        self._read_block(block)
        return self._taken()

    def idle(self) -> list[Record]:
        """Nothing is held back."""
        return []

    def finish(self) -> list[Record]:
        """The rows of a file in which every step is negative."""
        self._allow_below_zero()
        return self._taken()

    def _taken(self) -> list[Record]:
        self._usage.settle()
        return self._blocks.take()

    def _read_block(self, block: Block) -> None:
        """Read plain rows at once; where a line is none, look for it in ever smaller blocks."""
        waiting = [block]
        while waiting:
            part = waiting.pop()
            if self._layers and self._shapes.known and len(parts := _around_layers(part)) > 1:
                waiting += reversed(parts)
            elif (table := self._shapes.read(part)) is not None:
                self._take_table(table, part)
            elif part.n <= SMALL or part.data.startswith(SAMPLE_START):
                for line in part.lines():
                    self._read(line)
            else:
                # Before the first plain row a few lines are enough to show one.
                first, rest = part.parts(part.n // 2 if self._shapes.known else SMALL)
                waiting += (rest, first)

    def _take_table(self, table: Table, block: Block) -> None:
        lines: list[Line] = []
        for run in table.runs:
            if self._take_run(table, run, block):
                continue
            lines = lines or block.lines()
            for line in lines[run.start : run.stop]:
                self._read(line)

    def _take_run(self, table: Table, run: Run, block: Block) -> bool:
        """Take rows of one shape; False, and nothing is taken, where one of them needs a closer look."""
        if run.shape is None or run.shape.plan.step is None or table.clock_differs(run):
            return False
        plan = run.shape.plan
        if plan.total is not None and bool((table.column(run, plan.total) != self._total).any()):
            return False
        epochs = table.column(run, plan.epoch) if plan.epoch is not None else None
        steps = table.column(run, run.shape.plan.step)
        if not self._counting.follow(plan, steps, epochs):
            return False
        self._blocks.put(table.rows(run, steps, block.number + run.start, self._counting.kind_of(plan)))
        self._usage.count(plan, run.stop - run.start)
        self._tell_rows(run, block)
        return True

    def _tell_rows(self, run: Run, block: Block) -> None:
        """Account for the rows of a run; lines are made of them only where samples are still kept."""
        tally = self.account.rules.get(_ROW)
        if tally is None or len(tally.samples) < MAX_SAMPLES:
            self.account.read_all(_ROW, block.lines()[run.start : run.stop])
        else:
            tally.count += run.stop - run.start

    def _read(self, line: Line) -> None:
        data = line.data.removeprefix(b"\xef\xbb\xbf").strip(b"\0 \t\r")
        if not data:
            self.account.skip(line)
            return
        if self._refused:
            self.account.reject(self._refused, line)
            return
        if said := launched(line) or ended(line):
            self._put(said, RULE, line)
            return
        if data.startswith(SAMPLE_START) and (found := sample(data)) is not None:
            self._take_typed(found, {"type": "machine"}, line)
            return
        try:
            if data.startswith(b"["):
                self._take_list(data, line)
            else:
                self._take(decode_object(data), line)
        except NegativeStep as error:
            self._hold_below_zero(str(error), line)
        except RecordError as error:
            reason = _phrase(error)
            self._refused = reason if reason.startswith("schema") else ""
            self.account.reject(reason, line)

    def _hold_below_zero(self, reason: str, line: Line) -> None:
        """A negative step is none, unless the file has no others: rows in front are held until that is known."""
        if self._placed:
            self.account.reject(reason, line)
            return
        self._below_zero.append(line)
        if len(self._below_zero) > MAX_BELOW_ZERO:
            self._allow_below_zero()

    def _allow_below_zero(self) -> None:
        held, self._below_zero = self._below_zero, []
        self._counting.below_zero = self._counting.below_zero or bool(held)
        for line in held:
            self._read(line)

    def _take_list(self, data: bytes, line: Line) -> None:
        rows = rows_in_list(data)
        for row in rows:
            self._take_row(row, line)
        if not rows:
            self.account.skip(line)

    def _take(self, found: dict[str, Any], line: Line) -> None:
        """One decoded object.

        Raises:
            RecordError: it should have been a record and is not.
        """
        record = typed(found) if isinstance(found.get("type"), str) else None
        if record is not None:
            self._take_typed(record, found, line)
        elif found.get("type") == "layers":
            self._take_layers(found, line)
        elif self.format == "gradtop" and found.get("type", "metrics") != "metrics":
            self.account.skip(line)
        elif isinstance(inside := unwrapped(found, line.number), dict):
            self._take_row(inside, line)
        else:
            self._put(inside, "tracker record", line)

    def _put(self, records: Sequence[Record], rule: str, line: Line) -> None:
        """Records that are no rows; a line without any has nothing to read in it."""
        for record in records:
            self._blocks.put(record)
        if records:
            self.account.read(rule, line)
        else:
            self.account.skip(line)

    def _take_typed(self, record: WireRecord, found: Mapping[str, Any], line: Line) -> None:
        self.format = "gradtop"
        if isinstance(record, LayerNames):
            self._layers[record.id] = tuple(layer_name(name) for name in record.names)
        else:
            if isinstance(record, RunFacts):
                if self._writer and record.run:
                    record = msgspec.structs.replace(record, run=f"{record.run} ({self._writer})")
                self._begin(record, line)
            self._blocks.put(_at_line(record, line))
        self.account.read(f"{found['type']} record", line)

    def _begin(self, facts: RunFacts, line: Line) -> None:
        """The record of another launch begins a session, though its steps may go on where the last one ended."""
        if self._facts is not None and _relaunched(self._facts, facts):
            self._blocks.put(Restart(reason="relaunched", line=line.number))
        self._facts = merged(self._facts, facts) if self._facts is not None else facts

    def _take_layers(self, found: Mapping[str, Any], line: Line) -> None:
        """One row of per-layer values: `null` is a layer without a gradient, and no value here."""
        names = self._layers.get(str(found.get("names")))
        step = number(found.get("step"))
        if names is None or step is None or not math.isfinite(step):
            raise RecordError("a layers row without its layer_names or step")
        given = {k: v for k, v in found.items() if isinstance(v, list) and k not in _LAYER_COLUMNS_LEFT_OUT}
        if any(len(column) != len(names) for column in given.values()):
            raise RecordError("a layers row with another number of values than names")
        columns = _layer_columns(tuple(given), names)
        values: list[float | None] = list(chain.from_iterable(given.values()))
        if not {float}.issuperset(map(type, values)):
            values = [number(value) for value in values]
        time = number(found.get("time"))
        # The metrics row of the same step has it already.
        if time is not None and not self._placed:
            columns, values = (*columns, "time"), [*values, time]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            columns = tuple(name for name, value in zip(columns, values, strict=True) if value is not None)
        self._blocks.add(int(step) if is_whole(step) else step, columns, known, line.number)
        self.account.read("layers row", line)

    def _take_row(self, found: dict[str, Any], line: Line) -> None:
        fields = _with_time(found, flattened(found)) + self._not_finite(found)
        if len(fields) > MAX_FIELDS:
            raise RecordError(f"more than {MAX_FIELDS} values in a row")
        if not fields:
            self._skip_or_reject(found, line)
            return
        plan = plan_row(fields, structured=True)
        self._tell_total(plan, fields)
        if plan.summary:
            self._close(plan, fields, line)
            return
        if plan.step is None and any(canonical(key) == "step" for key in found):
            raise RecordError("the step is no finite number")
        if plan.step is None and not plan.measured and self._take_settings(found, line):
            return
        numbers = [value.value for _, value in fields]
        step, x_kind = self._counting.place(plan, numbers)
        for held in self._below_zero:
            self.account.reject("the step is negative", held)
        self._below_zero.clear()
        self._placed = True
        if not plan.names:
            self.account.skip(line)
            return
        self._blocks.add(step, plan.names, plan.values(numbers), line.number, x_kind)
        self._usage.count(plan)
        self.account.read(self._rule(found), line)
        self._shapes.learn(found, plan)

    def _rule(self, found: Mapping[str, Any]) -> str:
        """What the row is called in the account: a metric that became null may have been missing, or not finite."""
        rule = f"{_ROW}, steps of an epoch added up" if self._counting.within else _ROW
        if None in found.values() and any(found[key] is None and key in self._measured for key in found):
            rule = f"{rule}, without a null"
        if len(self._measured) < MAX_FIELDS:
            self._measured.update(key for key, value in found.items() if type(value) is float)
        return rule

    def _not_finite(self, found: Mapping[str, Any]) -> Fields:
        """What verl could not write: a step's `data` holds only what was measured, and its JSON has no NaN."""
        data = found.get("data")
        if not isinstance(data, dict) or len(found) != 2 or "step" not in found or None not in data.values():
            return []
        return [(key, Number(math.nan)) for key, value in data.items() if value is None]

    def _take_settings(self, found: Mapping[str, Any], line: Line) -> bool:
        """An object that measures and counts nothing is a configuration, or nothing."""
        facts = facts_from(settings_in(found), f"line {line.number:,}")
        self._put((facts,) if facts is not None else (), "settings", line)
        return True

    def _skip_or_reject(self, found: Mapping[str, Any], line: Line) -> None:
        if "type" in found:
            self.account.skip(line)
        else:
            raise RecordError("an object without a number")

    def _close(self, plan: Plan, fields: Fields, line: Line) -> None:
        """The closing words of a run: its averages, and that it is over."""
        numbers = [value.value for _, value in fields]
        step = numbers[plan.step.index] if plan.step is not None and plan.x_kind == "step" else None
        data = {take.raw: numbers[take.index] for take in plan.takes}
        text = text_of(line)[:MAX_MESSAGE]
        self._put((Event(event="summary", message=text, step=step, line=line.number, data=data),), _SUMMARY, line)
        self._blocks.put(End(step=step, line=line.number))

    def _tell_total(self, plan: Plan, fields: Fields) -> None:
        total = fields[plan.total.index][1].value if plan.total is not None else 0.0
        if total > 0 and is_whole(total) and total != self._total:
            self._total = int(total)
            self._blocks.put(RunFacts(train=Train(total_steps=self._total)))


@lru_cache(maxsize=8)
def _layer_columns(keys: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """The metrics of a layers row, in the order of its values."""
    return tuple(f"{key}/{name}" for key in keys for name in names)


def _around_layers(block: Block) -> list[Block]:
    """The block cut before and after each layers row, which no block of plain rows can have; itself without one."""
    parts: list[Block] = []
    at, number = 0, block.number
    for found in _LAYERS.finditer(block.data):
        for stop in (found.start(), found.end()):
            if stop > at:
                data = block.data[at:stop]
                parts.append(Block(number, data.count(b"\n"), data))
                at, number = stop, number + parts[-1].n
    if at < len(block.data):
        parts.append(Block(number, block.number + block.n - number, block.data[at:]))
    return parts


def _with_time(found: Mapping[str, Any], fields: Fields) -> Fields:
    """The fields with a time that is written as a date."""
    for key in _TIME_KEYS:
        value = found.get(key)
        if isinstance(value, str) and len(value) >= 16 and (when := seconds(value)) is not None:
            return [*[f for f in fields if f[0] != key], ("timestamp", Number(when))]
    return fields


def _relaunched(old: RunFacts, new: RunFacts) -> bool:
    """Two run records are of different launches: the session, or the process, that both state is another."""
    both: list[tuple[object, object]] = [(old.session, new.session), (old.host, new.host), (old.pid, new.pid)]
    stated = [pair for pair in both if None not in pair]
    if not stated:
        return old.time is not None and new.time is not None and old.time != new.time
    return any(before != now for before, now in stated)


def _at_line(record: RunFacts | Event | End | Restart | Machine, line: Line) -> Record:
    """The record with the number of its line, where it has a place for it."""
    if isinstance(record, RunFacts):
        return record
    return msgspec.structs.replace(record, line=line.number)


def _phrase(error: RecordError) -> str:
    """The reason without what belongs to the line: explanations are counted by reason."""
    text = str(error)
    return "not JSON" if text.startswith("not JSON") else text
