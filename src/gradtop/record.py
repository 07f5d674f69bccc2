"""The wire: what a source can yield, and how it is written as JSON lines (schema `gradtop/1`).

A source yields `Rows` (metric values of one or many steps, as columns), `RunFacts`, `Event`, `End`, `Restart` and
`Machine` (a sample, see `machine.py`). Nothing else enters the store, so a recorded run, a test and a live log are the
same to it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gradtop.errors import RecordError
from gradtop.machine import Machine

SCHEMA = "gradtop/1"
"""The schema that this version writes and reads."""

Scalar = float | int


@dataclass(frozen=True, slots=True)
class Rows:
    """Metric values of `n` consecutive rows with the same columns, in the order they were written.

    Every column has the length of `steps`. A metric that a row does not have is not a column: a row with
    other names starts another block. NaN and infinities are values like any other.
    """

    steps: Sequence[Scalar]
    """What the rows count, as written: see `x_kind`."""
    columns: Mapping[str, Sequence[float]]
    """Canonical name (or the file's own, where none is known) to values; `time` is Unix seconds."""
    lines: Sequence[int] = ()
    """Line number of each row in its file, from 1; empty where there are no lines."""
    below: Mapping[str, float] = field(default_factory=dict)
    """Metrics printed as zero in this block: the true absolute value is at most this (half the last digit)."""
    x_kind: str = "step"
    """What a step counts: `step`, `epoch`, `samples`, `tokens`, `episode` or `row` (no step was written)."""

    def __len__(self) -> int:
        return len(self.steps)


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="event"):
    """Something that happened in the run and is not a number."""

    event: str
    """One of `alarm`, `crash`, `resume`, `checkpoint`, `skipped_step`, `validation`, or the writer's own word."""
    message: str = ""
    level: str = "info"
    """`info`, `warning` or `error`."""
    step: Scalar | None = None
    time: float | None = None
    """Unix seconds."""
    data: dict[str, Any] = {}
    """For an alarm: `kind` (a finding kind, where recognised) and `limit` (the other tool's threshold)."""
    line: int | None = None
    """Line number in the file, from 1."""


class End(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="end"):
    """The run says that it is over."""

    status: str = "finished"
    """`finished`, `crashed` or `aborted`."""
    step: Scalar | None = None
    time: float | None = None
    line: int | None = None


class Restart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="restart"):
    """A new session of the run begins here, whatever the next step number is."""

    reason: str
    """What says so: `truncated`, `replaced`, `resumed`, ..."""
    step: Scalar | None = None
    line: int | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Facts about the model."""

    params: int | None = None
    trainable: int | None = None
    """Parameters that are trained, where that is told apart."""
    layers: int | None = None

    @property
    def trained(self) -> int | None:
        """Elements of the gradient: the trained parameters, all of them where nothing says otherwise."""
        return self.trainable or self.params


class Train(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Facts about the schedule and the optimizer, each as it was stated."""

    total_steps: int | None = None
    epochs: float | None = None
    warmup_steps: int | None = None
    warmup_ratio: float | None = None
    """Warm-up as a part of all steps, 0 to 1."""
    warmup_epochs: float | None = None
    lr_max: float | None = None
    clip_norm: float | None = None
    optimizer: str | None = None
    precision: str | None = None
    accumulation: int | None = None
    """Micro-batches of one optimizer step."""
    batch_size: int | None = None
    """Samples of one optimizer step, over all devices."""
    micro_batch_size: int | None = None
    """Samples that one device takes at once."""
    batch_tokens: int | None = None
    """Tokens of one optimizer step."""

    decay_steps: int | None = None
    """Steps of the learning-rate schedule, where it is not as long as the run."""

    @property
    def warmup(self) -> int | None:
        """Steps of the warm-up, stated or worked out from a part of the total; None where nothing says."""
        if self.warmup_steps or not self.total_steps:
            return self.warmup_steps
        if self.warmup_ratio:
            return math.ceil((self.decay_steps or self.total_steps) * self.warmup_ratio)
        if self.warmup_epochs and self.epochs:
            return math.ceil(self.total_steps * min(1.0, self.warmup_epochs / self.epochs))
        return self.warmup_steps

    def planned(self, x_kind: str) -> float | None:
        """The planned end in what the rows count (`Rows.x_kind`); None where nothing says."""
        return {"step": self.total_steps, "epoch": self.epochs}.get(x_kind)


class RunFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="run"):
    """What a run says about itself, once a session."""

    schema: str = SCHEMA
    run: str | None = None
    time: float | None = None
    session: int | None = None
    host: str | None = None
    pid: int | None = None
    rank: int | None = None
    world_size: int | None = None
    argv: tuple[str, ...] = ()
    model: Model = Model()
    train: Train = Train()
    semantics: dict[str, str] = {}
    versions: dict[str, str] = {}
    origin: dict[str, str] = {}
    """Where a fact of `model` or `train` was read, by its name: `line 12`, `args.yaml`; a run's own word has none."""
    beside: bool = False
    """Found beside the log, not in it: what the log says goes before it."""


def merged(old: RunFacts, new: RunFacts) -> RunFacts:
    """Facts with the newer ones on top; a fact that is not given anew stays, with where it was read."""

    def over(a: dict[str, object], b: dict[str, object]) -> dict[str, object]:
        out = dict(a)
        for key, value in b.items():
            mine = out.get(key)
            out[key] = over(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
        return out

    told = msgspec.to_builtins(new)
    stated = {*told.get("model", ()), *told.get("train", ())}
    kept = msgspec.to_builtins(old)
    kept["origin"] = {name: where for name, where in old.origin.items() if name not in stated}
    return msgspec.convert(over(kept, told) | {"beside": False}, RunFacts)


class LayerNames(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="layer_names"):
    """Names that later `layers` records refer to by `id`, written once."""

    id: str
    names: tuple[str, ...]
    numel: tuple[int, ...] = ()


Record = Rows | RunFacts | Event | End | Restart | Machine
"""What the store takes."""

WireRecord = RunFacts | Event | End | Restart | LayerNames | Machine
"""What a typed line of the stream decodes to; metrics and layers lines stay mappings for the row reader."""

_TYPED: dict[str, type[WireRecord]] = {
    "run": RunFacts,
    "event": Event,
    "end": End,
    "restart": Restart,
    "layer_names": LayerNames,
    "machine": Machine,
}
_NOT_OBJECTS = {type(None): "null", list: "a list", str: "a string", bool: "true or false"}
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def decode_object(line: bytes) -> dict[str, Any]:
    """One JSON object from one line; bare and quoted NaN and infinities are kept.

    Raises:
        RecordError: the line is not a JSON object, is nested too deep or holds a number that is no number.
    """
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _decode_lenient(line)
    if not isinstance(found, dict):
        raise RecordError(f"not an object: {_NOT_OBJECTS.get(type(found), 'a number')}")
    return found


def _decode_lenient(line: bytes) -> Any:
    """Decode what `json.dumps` writes and a strict decoder refuses: bare NaN, Infinity and overflowing numbers."""
    try:
        return json.loads(line.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {type(error).__name__}: {str(error)[:120]}") from None


SAMPLE_START = b'{"type":"machine"'
"""How `encode` begins a sample: recordings hold nothing else, a line a second for days."""


def sample(line: bytes) -> Machine | None:
    """The sample of a line that begins like one, four times as fast as by its fields; None where that does not do."""
    try:
        return msgspec.json.decode(line, type=Machine)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def typed(fields: Mapping[str, Any]) -> WireRecord | None:
    """The typed record of a decoded line, or None for a metrics row, a layers row or an unknown type.

    Raises:
        RecordError: a known type with fields that do not fit, or a schema newer than this version reads.
    """
    kind = _TYPED.get(str(fields.get("type", "metrics")))
    if kind is None:
        return None
    _check_schema(fields.get("schema", SCHEMA))
    try:
        return msgspec.convert(fields, kind, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise RecordError(f"a {fields['type']!r} record that does not fit its schema: {error}") from None


def _check_schema(schema: object) -> None:
    family, _, number = str(schema).partition("/")
    if family == "gradtop" and number.isdigit() and int(number) > int(SCHEMA.partition("/")[2]):
        raise RecordError(f"schema {schema} is newer than {SCHEMA}: this file needs a newer gradtop")


def number(value: object) -> float | None:
    """A float from a decoded JSON value, with the strings `"NaN"`, `"Infinity"`, `"-Infinity"`; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return _NON_FINITE.get(value) if isinstance(value, str) else None


def json_value(value: float) -> float | str:
    """A float as strict JSON can carry it: non-finite values become strings."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def encode(record: WireRecord) -> bytes:
    """One line of the stream, with its newline. Facts that are not known are left out; the schema never is."""
    if isinstance(record, RunFacts):
        return msgspec.json.encode({"type": "run", "schema": record.schema, **msgspec.to_builtins(record)}) + b"\n"
    return msgspec.json.encode(record) + b"\n"


def encode_metrics(step: Scalar, values: Mapping[str, float], time: float | None = None) -> bytes:
    """One metrics line of the stream, with its newline."""
    fields: dict[str, object] = {"type": "metrics", "step": step}
    if time is not None:
        fields["time"] = time
    fields |= {name: json_value(value) for name, value in values.items()}
    return msgspec.json.encode(fields) + b"\n"
