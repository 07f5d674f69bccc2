"""The reader of JSON lines: gradtop's own stream, and any flat JSONL that counts its rows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gradtop.errors import RecordError
from gradtop.record import (
    End,
    Event,
    LayerNames,
    Record,
    Restart,
    RunFacts,
    Scalar,
    Train,
    WireRecord,
    decode_object,
    number,
    typed,
)
from gradtop.sources.block import Blocks
from gradtop.sources.names import canonical, layer_name
from gradtop.sources.number import Number, is_whole
from gradtop.sources.plan import Plan, converted, plan_row
from gradtop.sources.prefix import seconds
from gradtop.sources.printed import Fields, flattened
from gradtop.sources.reader import Account, Line
from gradtop.sources.uniform import Shape, shape_of
from gradtop.sources.usage import Usage

MAX_BATCH = 4096
"""Lines that are decoded at once."""
MIN_BATCH = 64
"""Lines that are read one by one after a batch with a line of another shape in it."""
MAX_FIELDS = 5000
"""Values of one row; a row with more holds data, not metrics."""

_TIME_KEYS = ("time", "timestamp", "_timestamp", "datetime", "date")
_LAYER_COLUMNS_LEFT_OUT = frozenset(("type", "step", "time", "names"))


class RowReader:
    """Reads JSON lines; see `Reader`. `format` turns to `gradtop` at the first typed record of that stream."""

    def __init__(self) -> None:
        self.format = "jsonl"
        self.account = Account()
        self._usage = Usage(self.account)
        self._blocks = Blocks()
        self._layers: dict[str, tuple[str, ...]] = {}
        self._shape: Shape | None = None
        self._last: tuple[dict[str, Any], Plan] | None = None
        self._total: int | None = None
        self._refused = ""
        self._counted = 0
        self._newest: tuple[float, float] | None = None

    def feed(self, lines: Sequence[Line]) -> list[Record]:
        """The records of the next whole lines, in order."""
        at, size = 0, MAX_BATCH
        while at < len(lines):
            batch = lines[at : at + size]
            if self._read_uniform(batch):
                at, size = at + len(batch), MAX_BATCH
            elif size > MIN_BATCH:
                size = MIN_BATCH
            else:
                for line in batch:
                    self._read(line)
                at, size = at + len(batch), MAX_BATCH if self._find_shape() else MIN_BATCH
        self._usage.settle()
        return self._blocks.take()

    def idle(self) -> list[Record]:
        """Nothing is held back."""
        return []

    def finish(self) -> list[Record]:
        """Nothing is held back."""
        return []

    def _read_uniform(self, batch: Sequence[Line]) -> bool:
        """Read lines of the shape of the last row at once; False, and nothing is read, where one of them differs."""
        shape = self._shape
        if shape is None or not self._may_be_steps(shape.plan) or (rows := shape.read(batch)) is None:
            return False
        self._blocks.put(rows)
        self._usage.count(shape.plan, len(rows))
        self.account.read("metrics row", batch[0])
        self.account.rules["metrics row"].count += len(batch) - 1
        self._newest = (
            float(rows.steps[-1]),
            float(rows.columns["epoch"][-1]) if "epoch" in rows.columns else math.nan,
        )
        return True

    def _may_be_steps(self, plan: Plan) -> bool:
        """No row with an epoch came before that would make these steps epochs."""
        return plan.epoch is not None or self._newest is None or not math.isfinite(self._newest[1])

    def _find_shape(self) -> bool:
        """Take the shape of the last row that was read the long way."""
        if self._last is not None:
            self._shape, self._last = shape_of(*self._last), None
        return self._shape is not None

    def _read(self, line: Line) -> None:
        data = line.data.removeprefix(b"\xef\xbb\xbf").strip(b"\0 \t\r")
        if not data:
            self.account.skip(line)
            return
        if self._refused:
            self.account.reject(self._refused, line)
            return
        try:
            self._take(decode_object(data), line)
        except RecordError as error:
            reason = _phrase(error)
            self._refused = reason if reason.startswith("schema") else ""
            self.account.reject(reason, line)

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
        else:
            self._take_row(found, line)

    def _take_typed(self, record: WireRecord, found: Mapping[str, Any], line: Line) -> None:
        self.format = "gradtop"
        if isinstance(record, LayerNames):
            self._layers[record.id] = tuple(layer_name(name) for name in record.names)
        else:
            self._blocks.put(_at_line(record, line))
        self.account.read(f"{found['type']} record", line)

    def _take_layers(self, found: Mapping[str, Any], line: Line) -> None:
        """One row of per-layer values: `null` is a layer without a gradient, and no value here."""
        names = self._layers.get(str(found.get("names")))
        step = number(found.get("step"))
        if names is None or step is None or not math.isfinite(step):
            raise RecordError("a layers row without its layer_names or step")
        columns: list[str] = []
        values: list[float] = []
        for key, column in found.items():
            if key in _LAYER_COLUMNS_LEFT_OUT or not isinstance(column, list):
                continue
            if len(column) != len(names):
                raise RecordError("a layers row with another number of values than names")
            for name, value in zip(names, column, strict=True):
                if (plain := number(value)) is not None:
                    columns.append(f"{key}/{name}")
                    values.append(plain)
        time = number(found.get("time"))
        if time is not None:
            columns.append("time")
            values.append(time)
        self._blocks.add(_scalar(step), tuple(columns), values, line.number)
        self.account.read("layers row", line)

    def _take_row(self, found: dict[str, Any], line: Line) -> None:
        fields = _with_time(found, flattened(found))
        if len(fields) > MAX_FIELDS:
            raise RecordError(f"more than {MAX_FIELDS} values in a row")
        if not fields:
            self._skip_or_reject(found, line)
            return
        plan = plan_row(fields, structured=True)
        self._tell_total(plan, fields)
        if plan.step is None and any(canonical(key) == "step" for key in found):
            raise RecordError("the step is no finite number")
        step, x_kind = self._step(plan, fields)
        if not plan.names:
            self.account.skip(line)
            return
        self._blocks.add(step, plan.names, plan.values([n.value for _, n in fields]), line.number, x_kind)
        self._usage.count(plan)
        self.account.read("metrics row", line)
        self._last = (found, plan)

    def _skip_or_reject(self, found: Mapping[str, Any], line: Line) -> None:
        if "type" in found:
            self.account.skip(line)
        else:
            raise RecordError("an object without a number")

    def _step(self, plan: Plan, fields: Fields) -> tuple[Scalar, str]:
        """What the row counts by.

        Raises:
            RecordError: it has no step where other rows have one, or no finite one.
        """
        if plan.step is None:
            if self._newest is not None or not plan.measured:
                raise RecordError("a row without a step")
            self._counted += 1
            return self._counted, "row"
        step = converted(fields[plan.step.index][1].value, plan.step)
        if not math.isfinite(step):
            raise RecordError("the step is no finite number")
        if plan.x_kind == "step":
            step = self._step_of_epoch(step, plan, fields)
        return _scalar(step), plan.x_kind

    def _step_of_epoch(self, step: float, plan: Plan, fields: Fields) -> float:
        """The last step, where a row without an epoch gives the epoch of the rows before it as its step."""
        if plan.epoch is not None:
            self._newest = (step, fields[plan.epoch.index][1].value)
        elif self._newest is not None:
            last, epoch = self._newest
            if step < last and step == epoch and "loss" not in plan.names:
                return last
            self._newest = (step, math.nan)
        else:
            self._newest = (step, math.nan)
        return step

    def _tell_total(self, plan: Plan, fields: Fields) -> None:
        total = fields[plan.total.index][1].value if plan.total is not None else 0.0
        if total > 0 and is_whole(total) and total != self._total:
            self._total = int(total)
            self._blocks.put(RunFacts(train=Train(total_steps=self._total)))


def _with_time(found: Mapping[str, Any], fields: Fields) -> Fields:
    """The fields with a time that is written as a date."""
    for key in _TIME_KEYS:
        value = found.get(key)
        if isinstance(value, str) and len(value) >= 16 and (when := seconds(value)) is not None:
            return [*[f for f in fields if f[0] != key], ("timestamp", Number(when))]
    return fields


def _at_line(record: RunFacts | Event | End | Restart, line: Line) -> Record:
    """The record with the number of its line, where it has a place for it."""
    if isinstance(record, RunFacts):
        return record
    return msgspec.structs.replace(record, line=line.number)


def _scalar(step: float) -> Scalar:
    return int(step) if is_whole(step) else step


def _phrase(error: RecordError) -> str:
    """The reason without what belongs to the line: explanations are counted by reason."""
    text = str(error)
    return "not JSON" if text.startswith("not JSON") else text
