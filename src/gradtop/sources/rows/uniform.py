"""The fast path for JSON lines: typed decoding of many lines at once, straight to columns.

A struct is made of the keys of rows that were read the long way. It forbids other keys, so that a line with one is an
error here and is read the long way; nothing is dropped in silence. A file may have rows of several shapes (training
rows and evaluation rows): keys that some of them lack are optional, and what is missing tells the shapes apart.
"""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np
import numpy.typing as npt

from gradtop.record import Rows, Scalar
from gradtop.sources.fields.names import WALL_CLOCK_FROM, normalised
from gradtop.sources.fields.plan import Plan, Take
from gradtop.sources.fields.printed import flattened
from gradtop.sources.reader import Block

MAX_KEYS = 500
"""Keys of a row that the fast path takes; wider rows are read the long way."""
MAX_SHAPES = 16
"""Shapes that are told apart in one file; rows of further ones are read the long way."""

Floats = npt.NDArray[np.float64]
# A pattern that begins with a plain word is searched for as fast as the word.
_BARE = tuple(
    (word, re.compile(rb"%b(?<=[:\[,\s]%b)(?=\s*[,}\]])" % (word, word)))
    for word in (b"NaN", b"Infinity", b"-Infinity")
)
_MISSING = struct.unpack("<d", struct.pack("<Q", 0x7FF8_6A0D_70B0_0001))[0]
"""A NaN that no text decodes to."""
_MISSING_BITS = np.float64(_MISSING).view(np.int64)


@dataclass(frozen=True, slots=True)
class Shape:
    """Rows with exactly these keys, all of them plain numbers (and perhaps `"type": "metrics"`)."""

    plan: Plan
    keys: tuple[str, ...]
    clock: str
    """The key that is `time`; empty where there is none."""
    wall: bool
    """That `time` is Unix seconds, not seconds per step."""


class Run(NamedTuple):
    """Rows that follow each other and have one shape; None for a shape that is not known."""

    start: int
    stop: int
    shape: Shape | None


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a block as one array, a column for each key that the shapes have."""

    cells: Floats
    """Shape (rows, keys)."""
    keys: tuple[str, ...]
    runs: tuple[Run, ...]

    def column(self, run: Run, take: Take) -> Floats:
        """The values of one field of a run's rows, in its canonical unit."""
        assert run.shape is not None
        return scaled(self.cells[run.start : run.stop, self.keys.index(run.shape.keys[take.index])], take)

    def rows(self, run: Run, steps: Floats, number: int, x_kind: str) -> Rows:
        """The rows of a run; `number` is the line of its first one."""
        assert run.shape is not None
        columns: Mapping[str, Any] = {take.canonical: self.column(run, take) for take in run.shape.plan.takes}
        lines = range(number, number + run.stop - run.start)
        return Rows(as_steps(steps), columns, lines, x_kind=x_kind)

    def clock_differs(self, run: Run) -> bool:
        """Some of the run's times are of the other kind than its shape has: Unix seconds, or seconds per step."""
        assert run.shape is not None
        if not run.shape.clock:
            return False
        times = self.cells[run.start : run.stop, self.keys.index(run.shape.clock)]
        return bool(((times > WALL_CLOCK_FROM) != run.shape.wall).any())


class Shapes:
    """The shapes that the rows of one file have shown."""

    def __init__(self) -> None:
        self._keys: tuple[str, ...] = ()
        self._shapes: dict[frozenset[str], Shape] = {}
        self._by_mask: dict[bytes, Shape] = {}
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self._wrapper = ""

    @property
    def known(self) -> bool:
        """There is a shape to read rows by."""
        return self._decoder is not None

    def learn(self, found: Mapping[str, Any], plan: Plan) -> None:
        """Take note of a row that was read the long way, if it consists of plain numbers."""
        wrapper, found = _flat(found)
        if self._shapes and wrapper != self._wrapper:
            return
        keys = frozenset(found)
        if keys in self._shapes or len(self._shapes) >= MAX_SHAPES or (shape := _shape_of(found, plan)) is None:
            return
        self._shapes[keys] = shape
        self._wrapper = wrapper
        self._keys += tuple(key for key in shape.keys if key not in self._keys)
        self._decoder = self._make_decoder()
        self._by_mask = {
            np.array([key not in shape.keys for key in self._keys]).tobytes(): shape for shape in self._shapes.values()
        }

    def _make_decoder(self) -> msgspec.json.Decoder[Any]:
        always = frozenset.intersection(*(frozenset(shape.keys) for shape in self._shapes.values()))
        fields: list[Any] = [
            (f"f{i}", float) if key in always else (f"f{i}", float, _MISSING) for i, key in enumerate(self._keys)
        ]
        row = msgspec.defstruct(
            "Row",
            fields,
            rename={f"f{i}": key for i, key in enumerate(self._keys)},
            tag_field="type",
            tag="metrics",
            forbid_unknown_fields=True,
            kw_only=True,
            gc=False,
        )
        return msgspec.json.Decoder(row, strict=False)

    def read(self, block: Block) -> Table | None:
        """The rows of a block; None where one of its lines is no plain row with these keys."""
        if self._decoder is None or len(self._keys) > MAX_KEYS:
            return None
        data = _without_wrapper(block, self._wrapper) if self._wrapper else block.data
        if b"N" in data or b"I" in data:
            data = quoted(data)
        try:
            found = self._decoder.decode_lines(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if len(found) != block.n or not _every_line_opens(data, block.n):
            return None
        cells = np.fromiter(
            chain.from_iterable(map(msgspec.structs.astuple, found)), np.float64, len(found) * len(self._keys)
        ).reshape(len(found), len(self._keys))
        return Table(cells, self._keys, tuple(self._runs(cells)))

    def _runs(self, cells: Floats) -> Iterator[Run]:
        """Cut where the keys that are missing change."""
        if len(self._shapes) == 1:
            yield Run(0, len(cells), next(iter(self._shapes.values())))
            return
        missing = cells.view(np.int64) == _MISSING_BITS
        cuts = (np.flatnonzero((missing[1:] != missing[:-1]).any(axis=1)) + 1).tolist()
        for start, stop in zip([0, *cuts], [*cuts, len(cells)], strict=True):
            yield Run(start, stop, self._by_mask.get(missing[start].tobytes()))


def _every_line_opens(data: bytes, lines: int) -> bool:
    """Every line begins with a brace: a blank line beside a line of two objects would make their count right."""
    chars = np.frombuffer(data, np.uint8)
    begun = np.count_nonzero((chars[:-1] == ord("\n")) & (chars[1:] == ord("{")))
    return int(begun) + data.startswith(b"{") == lines


def _flat(found: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The last key of a row whose object leaves no trace in the names, and the row without it; else the row itself."""
    last = next(reversed([*found]), "")
    inside = found.get(last)
    if not isinstance(inside, dict) or not last.isidentifier():
        return "", found
    flat = {**found, **inside}
    del flat[last]
    same = len(flat) == len(found) - 1 + len(inside) and [name for name, _ in flattened(found)] == list(flat)
    return (last, flat) if same else ("", found)


def _without_wrapper(block: Block, wrapper: str) -> bytes:
    """The rows of a block on one level; as they are, which no decoder of flat rows takes, where one is not wrapped."""
    for opening in (b'"%b": {' % wrapper.encode(), b'"%b":{' % wrapper.encode()):
        if block.data.count(opening) == block.n == block.data.count(b"}}\n"):
            return block.data.replace(opening, b"").replace(b"}}\n", b"}\n")
    return block.data


def as_steps(steps: Floats) -> Sequence[Scalar]:
    """Steps as the store takes them: whole numbers where they are."""
    whole = bool((steps == np.floor(steps)).all()) and bool((np.abs(steps) < 2**53).all())
    return cast("Sequence[Scalar]", steps.astype(np.int64) if whole else steps)


def quoted(data: bytes) -> bytes:
    """JSON with the bare NaN and infinities that `json.dumps` writes put in quotes, as a strict decoder takes them."""
    for word, pattern in _BARE:
        if word in data:
            data = pattern.sub(b'"%b"' % word, data)
    return data


def scaled(values: Floats, take: Take) -> Floats:
    """A column in its canonical unit, as `plan.converted` does it for one value; contiguous."""
    if take.scale != 1.0:
        return values * take.scale if take.scale >= 1.0 else values / round(1.0 / take.scale)
    if take.canonical == "mfu":
        return np.where(np.abs(values) > 1.0, values / 100.0, values)
    return np.ascontiguousarray(values)


def _shape_of(found: Mapping[str, Any], plan: Plan) -> Shape | None:
    """The shape of a row; None where it does not consist of plain numbers at steps."""
    if plan.step is None or plan.x_kind != "step" or plan.summary or len(found) > MAX_KEYS:
        return None
    keys = tuple(key for key in found if key != "type")
    if not all(type(found[key]) in (int, float) for key in keys) or found.get("type", "metrics") != "metrics":
        return None
    if any(not key.isprintable() or '"' in key or "\\" in key for key in keys):
        return None
    clock = next((key for key in keys if normalised(key) == "time"), "")
    return Shape(plan, keys, clock, bool(clock) and found[clock] > WALL_CLOCK_FROM)
