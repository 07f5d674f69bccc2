"""JSON objects and printed Python dicts inside lines of text, and nested objects made flat."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gradtop.record import number
from gradtop.sources.fields.names import meaning_of
from gradtop.sources.fields.number import Number, is_missing, parse
from gradtop.sources.fields.plan import MEASURED

Fields = list[tuple[str, Number]]
"""Names as written with their numbers, in the order of the line."""

MAX_DEPTH = 8
"""Levels of nesting that are read; deeper ones are left out."""
_WRAPPERS = frozenset(("data", "metrics"))
_PLACES = frozenset(("step", "epoch", "samples"))
_PAIR = re.compile(
    r"""(?P<quote>['"])(?P<key>(?:(?!(?P=quote)).){1,200})(?P=quote)\s*:\s*"""
    r"""(?P<value>'[^']*'|"[^"]*"|\w[\w.]*\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\]|[^,{}\[\]'"\s][^,{}\[\]]*)"""
)
_WORD = re.compile(r"[A-Za-z_]")
_STRICT = msgspec.json.Decoder()


def json_object(text: str) -> Fields | None:
    """The fields of a JSON object in the text, nested ones flattened; None where there is none.

    No fields for a configuration: one where a measured name has a word.
    """
    start = text.find('{"')
    if start < 0:
        return None
    try:
        found = _STRICT.decode(text[start : text.rfind("}") + 1])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    if not isinstance(found, dict):
        return None
    if isinstance(found.get("key"), str) and (value := number(found.get("value"))) is not None:
        return _named_value(found["key"], value, found.get("metadata"))
    if any(isinstance(value, str) and _is_choice(key, value) for key, value in found.items()):
        return []
    return list(flattened(found))


def _is_choice(name: str, value: str) -> bool:
    """A measured name has a word for its value: `"loss": "ce"` says which loss, not how large it is."""
    chosen = _WORD.match(value) is not None and not is_missing(value) and parse(value) is None
    return chosen and meaning_of(name).canonical in MEASURED


def _named_value(name: str, value: float, beside: object) -> Fields:
    """The one value of an object of MLPerf's logs, and the counters beside it."""
    told = flattened(beside) if isinstance(beside, Mapping) else []
    return [*[field for field in told if meaning_of(field[0]).canonical in _PLACES], (name, Number(value))]


def printed_dict(text: str) -> Fields | None:
    """The fields of a dict as `print` writes it: bare `nan`, `tensor(..)`, `np.float64(..)`, quoted numbers.

    None where there is no dict; no fields for a configuration: one with more words than numbers in it, or with a word
    for a measured name.
    """
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return None
    fields: Fields = []
    words = pairs = 0
    for match in _PAIR.finditer(text, start, end):
        value = match["value"]
        pairs += 1
        if (found := parse(value)) is not None:
            fields.append((match["key"], found))
        elif value[0] in "'\"" and _is_choice(match["key"], value[1:-1]):
            return []
        elif not is_missing(value):
            words += 1
    if not pairs:
        return None
    return fields if len(fields) > words else []


def flattened(found: Mapping[str, Any]) -> Fields:
    """The numbers of an object, nested names joined by `/`; wrappers (`data`, `metrics`) are not in the names."""
    fields: Fields = []
    _flatten(found, "", 0, fields)
    return fields


def _flatten(found: Mapping[str, Any], prefix: str, depth: int, fields: Fields) -> None:
    for raw, value in found.items():
        # A lone surrogate can be decoded, but never be written again.
        key = raw if raw.isascii() else raw.encode("utf-8", "replace").decode()
        if isinstance(value, dict):
            # What has a type is a histogram, an image or a table of W&B.
            if depth < MAX_DEPTH and "_type" not in value:
                _flatten(value, prefix if key in _WRAPPERS else f"{prefix}{key}/", depth + 1, fields)
        elif (plain := number(value)) is not None:
            fields.append((f"{prefix}{key}", Number(plain)))
        elif isinstance(value, str):
            if len(value) <= 64 and (quoted := parse(value)) is not None:
                fields.append((f"{prefix}{key}", quoted))
        elif isinstance(value, list) and value and (first := number(value[0])) is not None:
            fields.append((f"{prefix}{key}", Number(first)))
