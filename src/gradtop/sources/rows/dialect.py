"""JSON lines of trackers that wrap their rows: what such a line says, as a plain row or as something that is none."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from gradtop.errors import RecordError
from gradtop.record import End, Record, number
from gradtop.sources.fields.names import canonical
from gradtop.sources.fields.setting import facts_from

Object = Mapping[str, Any]
_MACHINE = ":monitor:"
_MILLISECONDS_FROM = 1e11
_SETTINGS_DEPTH = 4


def unwrapped(found: dict[str, Any], line: int) -> dict[str, Any] | tuple[Record, ...]:
    """The row that a tracker's line wraps, or the records that it stands for; other objects as they are."""
    if isinstance(found.get("log_type_name"), str):
        return _structured(found)
    if "tracker" in found and isinstance(found.get("event"), str):
        return _tracked(found, line)
    return found


def _structured(found: Object) -> dict[str, Any] | tuple[Record, ...]:
    """torchtitan's structured log: one value, or the time that a phase took, which is no metric."""
    name = found.get("event_name")
    if found["log_type_name"] != "metric_value" or not isinstance(name, str) or number(found.get("value")) is None:
        return ()
    return {"step": found.get("step"), name: found.get("value"), "timestamp": found.get("time")}


def _tracked(found: Object, line: int) -> dict[str, Any] | tuple[Record, ...]:
    """Levanter's JSON tracker."""
    metrics = found.get("metrics")
    if found["event"] == "log" and isinstance(metrics, dict):
        return {"step": found.get("step"), **metrics}
    if found["event"] == "hparams":
        facts = facts_from(settings_in(found.get("hparams")), f"line {line:,}")
        return (facts,) if facts is not None else ()
    return (End(line=line),) if found["event"] == "finish" else ()


def settings_in(found: object, depth: int = _SETTINGS_DEPTH) -> Iterator[tuple[str, object]]:
    """The settings of a configuration, those of its sections after its own."""
    if not isinstance(found, Mapping) or depth == 0:
        return
    sections = [value for value in found.values() if isinstance(value, Mapping)]
    yield from ((str(name), value) for name, value in found.items() if isinstance(value, str | int | float))
    for section in sections:
        yield from settings_in(section, depth - 1)


def rows_in_list(data: bytes) -> list[dict[str, Any]]:
    """The rows of a line that is a list of single values, as ClearML writes them: values of one step make a row.

    Raises:
        RecordError: the line is no such list.
    """
    try:
        found = json.loads(data.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {type(error).__name__}") from None
    rows: list[dict[str, Any]] = []
    for value in found if isinstance(found, list) else ():
        if not isinstance(value, dict) or not isinstance(value.get("variant"), str):
            raise RecordError("not an object: a list")
        step, name = value.get("iter"), _name(str(value.get("metric", "")), value["variant"])
        if number(step) is None or number(value.get("value")) is None or name.startswith(_MACHINE):
            continue
        if not rows or rows[-1]["step"] != step or name in rows[-1]:
            rows.append({"step": step})
        rows[-1][name] = value["value"]
        rows[-1].setdefault("timestamp", _unix_seconds(value.get("timestamp")))
    return rows


def _name(metric: str, variant: str) -> str:
    """`loss` and `train` are written as `train/loss` elsewhere."""
    if metric == variant:
        return metric
    turned = f"{variant}/{metric}"
    return turned if canonical(turned) is not None else f"{metric}/{variant}"


def _unix_seconds(written: object) -> float | None:
    when = number(written)
    return None if when is None else when / 1000 if when > _MILLISECONDS_FROM else when
