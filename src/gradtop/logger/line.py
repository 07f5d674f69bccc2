"""The stream as lines of strict JSON (schema `gradtop/1`), with nothing but the standard library.

The reading side has types for the same lines (`gradtop.record`); this side runs in the environment of the training,
which need not have anything of gradtop's but these files.
"""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from operator import index
from typing import Any

SCHEMA = "gradtop/1"
"""The schema that is written."""

Value = float | int | str | None
"""A value of a row: NaN and infinities go out as strings; None is a layer without a gradient."""

LONGEST = 2000
"""Characters that are told of a value that is neither number nor text."""


def run(**facts: object) -> bytes:
    """The facts of a session; those that are None are left out."""
    return _line({"type": "run", "schema": SCHEMA, **_known(facts)})


def metrics(step: float, time: float, values: Mapping[str, float]) -> bytes:
    """The values of one step; `time` is Unix seconds."""
    fields: dict[str, object] = {"type": "metrics", "step": step, "time": round(time, 3)}
    for name, value in values.items():
        fields.setdefault(name, plain(value))
    return _line(fields)


def layer_names(id: str, names: Sequence[str], numel: Sequence[int]) -> bytes:
    """The names that layers lines refer to by `id`, with their numbers of elements."""
    return _line({"type": "layer_names", "id": id, "names": list(names), "numel": list(numel)})


def layers(step: float, time: float, names: str, columns: Mapping[str, Sequence[float | None]]) -> bytes:
    """Values per layer at one step, each column in the order of the names."""
    fields: dict[str, object] = {"type": "layers", "step": step, "time": round(time, 3), "names": names}
    for column, values in columns.items():
        fields[column] = [None if value is None else plain(short(value)) for value in values]
    return _line(fields)


def event(word: str, *, step: float | None, time: float, message: str, level: str, data: Mapping[str, object]) -> bytes:
    """Something that happened and is not a number; `level` is `info`, `warning` or `error`."""
    fields = {"step": step, "time": round(time, 3), "event": word, "level": level, "message": message, "data": data}
    return _line({"type": "event", **_known({k: v for k, v in fields.items() if v != "" and v != {}})})


def end(status: str, *, step: float | None, time: float) -> bytes:
    """The session is over: `finished`, `crashed` or `aborted`."""
    return _line({"type": "end", **_known({"step": step, "time": round(time, 3), "status": status})})


def short(value: float) -> float:
    """Six significant digits: more than any rule or chart needs of a layer, in half the bytes."""
    return float(f"{value:.6g}") if math.isfinite(value) else value


def plain(value: float) -> Value:
    """A number as strict JSON can carry it: NaN and infinities become strings."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _known(fields: Mapping[Any, object]) -> dict[str, object]:
    """The fields that have a value, inside too, as JSON can carry them."""
    carried = {str(name): _carried(value) for name, value in fields.items()}
    return {name: value for name, value in carried.items() if value is not None and value != {}}


def _carried(value: object) -> object:
    """A value with floats that JSON cannot carry as strings, also deep inside."""
    if isinstance(value, Mapping):
        return _known(value)
    if isinstance(value, list | tuple):
        return [_carried(one) for one in value]
    return plain(value) if isinstance(value, float) else value


def _foreign(value: Any) -> object:
    """A number of another library (`numpy.int64`) as Python's own; anything else as text."""
    value = value.detach() if hasattr(value, "detach") else value
    single = getattr(value, "shape", ()) == ()
    if single and hasattr(value, "__index__"):
        with suppress(TypeError, ValueError):
            return index(value)
    if single and hasattr(value, "__float__"):
        with suppress(TypeError, ValueError, OverflowError, RuntimeError):
            return plain(float(value))
    return str(value)[:LONGEST]


_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False, default=_foreign).encode


def _line(fields: Mapping[str, object]) -> bytes:
    """One line, with its newline; lone surrogates in foreign text become question marks."""
    return _encode(fields).encode("utf-8", errors="replace") + b"\n"
