"""The fast path for JSON lines of one shape: typed decoding of many lines at once, straight to columns.

A struct is made from the keys of a row that was read the long way. It forbids other keys and missing ones, so that
a line of another shape is an error here and is read the long way; nothing is dropped in silence.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from gradtop.record import Rows
from gradtop.sources.names import WALL_CLOCK_FROM, normalised
from gradtop.sources.plan import Plan, Take
from gradtop.sources.reader import Line

MAX_KEYS = 500
"""Keys of a row that the fast path takes; wider rows are read the long way."""

Floats = npt.NDArray[np.float64]
_BARE = re.compile(rb"([:\[,]\s*)(NaN|-?Infinity)(?=\s*[,}\]])")


@dataclass(frozen=True, slots=True)
class Shape:
    """Rows with exactly these keys, all of them plain numbers (and perhaps `"type": "metrics"`)."""

    plan: Plan
    keys: tuple[str, ...]
    decoder: msgspec.json.Decoder[Any]
    clock: int | None
    """The place of `time` among the keys; None where there is none."""
    wall: bool
    """That `time` is Unix seconds, not seconds per step."""

    def read(self, lines: Sequence[Line]) -> Rows | None:
        """The rows of these lines; None where one of them has another shape."""
        joined = b"\n".join([line.data for line in lines])
        if b"NaN" in joined or b"Infinity" in joined:
            joined = _BARE.sub(rb'\1"\2"', joined)
        try:
            found = self.decoder.decode_lines(joined)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if len(found) != len(lines):
            return None
        cells = chain.from_iterable(map(msgspec.structs.astuple, found))
        table = np.fromiter(cells, dtype=np.float64, count=len(found) * len(self.keys))
        return self._rows(table.reshape(len(found), len(self.keys)), lines)

    def _rows(self, table: Floats, lines: Sequence[Line]) -> Rows | None:
        step = self.plan.step
        if step is None:
            return None
        steps = _scaled(table[:, step.index], step)
        if not np.isfinite(steps).all() or (self.clock is not None and _differs(table[:, self.clock], self.wall)):
            return None
        columns = {take.canonical: _scaled(table[:, take.index], take) for take in self.plan.takes}
        numbers: Sequence[int] = range(lines[0].number, lines[0].number + len(lines))
        if lines[-1].number != numbers[-1]:
            numbers = [line.number for line in lines]
        return Rows(cast("Sequence[float]", steps), cast("Mapping[str, Sequence[float]]", columns), numbers)


def _differs(times: Floats, wall: bool) -> bool:
    """Some of the times are of the other kind."""
    return bool(((times > WALL_CLOCK_FROM) != wall).any())


def _scaled(values: Floats, take: Take) -> Floats:
    """A column in its canonical unit, as `plan.converted` does it for one value."""
    if take.scale != 1.0:
        return values * take.scale if take.scale >= 1.0 else values / round(1.0 / take.scale)
    if take.canonical == "mfu":
        return np.where(np.abs(values) > 1.0, values / 100.0, values)
    return np.ascontiguousarray(values)


def shape_of(found: Mapping[str, Any], plan: Plan) -> Shape | None:
    """The shape of a row that was read the long way; None where it does not consist of plain numbers."""
    if plan.step is None or plan.x_kind != "step" or plan.total is not None or len(found) > MAX_KEYS:
        return None
    keys = tuple(key for key in found if key != "type")
    if not all(type(found[key]) in (int, float) for key in keys) or found.get("type", "metrics") != "metrics":
        return None
    if any(not key.isprintable() or '"' in key or "\\" in key for key in keys):
        return None
    clock = next((i for i, key in enumerate(keys) if normalised(key) == "time"), None)
    wall = clock is not None and found[keys[clock]] > WALL_CLOCK_FROM
    return Shape(plan, keys, _decoder(keys), clock, wall)


@lru_cache(maxsize=64)
def _decoder(keys: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    fields = [f"f{i}" for i in range(len(keys))]
    row = msgspec.defstruct(
        "Row",
        [(field, float) for field in fields],
        rename=dict(zip(fields, keys, strict=True)),
        tag_field="type",
        tag="metrics",
        forbid_unknown_fields=True,
        gc=False,
    )
    return msgspec.json.Decoder(row, strict=False)
