"""Blocks of one metric a line under a line that says their step: OLMo, Composer, Coqui and home-made loops."""

import re
from dataclasses import dataclass, field

from gradtop.sources.fields.names import meaning_of
from gradtop.sources.fields.number import Number
from gradtop.sources.fields.plan import MEASURED, PACE
from gradtop.sources.fields.prefix import Prefix
from gradtop.sources.fields.printed import Fields
from gradtop.sources.reader import Line
from gradtop.sources.text.keyvalue import key_values
from gradtop.sources.text.layout import MAX_NAMES, Row, Taken, row_of
from gradtop.sources.text.layouts.head import Head, head_of
from gradtop.sources.text.layouts.pair import Pair, is_counter, is_measured, pair, pairs, told

MAX_RANKS = 64
"""Ranks whose blocks may be open at the same time."""
MAX_STRAYS = 200
"""Lines of ranks without a block, one after another, after which the blocks of the others have ended."""
MAX_BETWEEN = 20
"""Other lines within a home-made block before it ends: a loop prints what it saves and how long it took."""

_OF_A_LOOP = MEASURED | PACE
_RULE = re.compile(r"[-=*_#~─━═+]{3,}\Z")
_LABEL = re.compile(r"(\d{1,4}): (?=\s\s)")
_BULLET = re.compile(r"(?:[-*•·>└├│|╰─]+)[─>-]*\s+(?:>\s+)?")
_PHASE = re.compile(r"(?:train|val|valid|eval|test|dev)(?:ing|idation|uation)?\b", re.IGNORECASE)


@dataclass(slots=True)
class _Block:
    """A head and the metrics that stood under it so far."""

    head: Head
    prefix: Prefix
    line: Line
    phase: str
    """`train` or `val` stood alone over the metrics that follow."""
    fields: Fields = field(default_factory=list)
    names: dict[str, Number] = field(default_factory=dict)
    between: int = 0
    measured: bool = False
    """A metric that only a training loop can know was among them."""
    repeats: bool = False
    """A home-made block names a metric twice: it holds several rows, and whose step each has is not said."""

    def add(self, found: list[Pair]) -> None:
        """Take in the pairs of one line."""
        for name, number in found:
            if self.head.home_made and number is None and _PHASE.fullmatch(name):
                self.phase = name
                continue
            name = told(f"{self.phase} {name}") if self.phase else name
            if (before := self.names.get(name.lower())) is not None:
                self.repeats = self.repeats or (self.head.home_made and before != number)
            elif number is not None and len(self.names) < MAX_NAMES:
                self.names[name.lower()] = number
                self.fields.append((name, number))
                self.measured = self.measured or is_measured(name)

    def handed(self) -> Fields:
        """What was taken in since the last time; the head stays for what may follow."""
        if self.repeats or (self.head.home_made and not self.measured):
            return []
        fields, self.fields = self.fields, []
        return fields

    def placed(self, fields: Fields) -> Fields:
        """The row of a training: where it is, by the head or, with some units of Composer's, by the block."""
        head = self.head
        if not head.before:
            return [*head.fields, *fields]
        if not any(name in ("step", "epoch_step", "time/batch") for name, _ in head.fields):
            batch = [named for named in fields if named[0] == "time/batch"]
            self.head = head = head._replace(fields=(*head.fields, *batch))
        return [*head.fields, *[named for named in fields if not is_counter(named[0])]]


class HeadedBlocks:
    """Follows the blocks of one log, those of each rank on their own; see `Layout`."""

    name = "block under its step"
    marks = ("step", "epoch", "iter", "batch=", "[token=", "[sample=", "--> ", "metrics:", "eval/")
    bars = False

    def __init__(self) -> None:
        self._blocks: dict[int | None, _Block] = {}
        self._newest: int | None = None
        self._strays = 0
        self._last: tuple[tuple[str, Number], ...] = ()

    @property
    def open(self) -> bool:
        """A block has begun and has not ended."""
        return bool(self._blocks)

    def take(self, text: str, prefix: Prefix, line: Line) -> Taken:
        """One line; see `Layout`."""
        prefix = self._unlabelled(prefix)
        rank = self._newest if prefix.rank is None and self._newest in self._blocks else prefix.rank
        block = self._blocks.get(rank)
        indent = _indent(text, prefix.rest)
        if indent < 8 and (head := head_of(prefix.rest)) is not None:
            rows = self._row(block)
            self._begin(head, prefix, line)
            return Taken(not head.home_made, rows)
        if block is None:
            self._strays += 1
            if self._strays > MAX_STRAYS:
                rows = self.close()
                self._blocks.clear()
                return Taken(False, rows)
            return self._take_orphan(indent, prefix, line)
        self._strays = 0
        found = _continuation(prefix.rest, indent, block.head)
        if found is None:
            return Taken(False, self._pass_by(rank, block))
        block.between = 0
        block.add(found)
        return Taken(True)

    def close(self) -> tuple[Row, ...]:
        """The rows of all open blocks so far; what still follows a head is another row of its step."""
        return tuple(row for block in self._blocks.values() for row in self._row(block))

    def _unlabelled(self, prefix: Prefix) -> Prefix:
        """Without the rank that srun puts before a line, where a block of that rank is open; else it may be a step."""
        if not self._blocks or prefix.rank is not None or (match := _LABEL.match(prefix.rest)) is None:
            return prefix
        rank = int(match[1])
        return Prefix(prefix.rest[match.end() :], rank, prefix.time) if rank in self._blocks else prefix

    def _begin(self, head: Head, prefix: Prefix, line: Line) -> None:
        if prefix.rank in self._blocks or len(self._blocks) < MAX_RANKS:
            self._blocks[prefix.rank] = _Block(head, prefix, line, head.phase)
            self._newest = prefix.rank

    def _pass_by(self, rank: int | None, block: _Block) -> tuple[Row, ...]:
        """A line that is not the block's: it ends a framework's block, and a home-made one after some more."""
        block.between += 1
        if not block.head.home_made or block.between > MAX_BETWEEN:
            del self._blocks[rank]
        return self._row(block)

    def _take_orphan(self, indent: int, prefix: Prefix, line: Line) -> Taken:
        """OLMo prints evaluations under their label alone: they belong to the last step."""
        rest = prefix.rest.strip()
        if indent < 4 or not self._last or not rest.startswith("eval/"):
            return Taken()
        if (found := pair(rest)) is None or found.number is None:
            return Taken()
        self._begin(Head(use="validation"), prefix, line)
        if (block := self._blocks.get(prefix.rank)) is not None:
            block.add([found])
        return Taken(True)

    def _row(self, block: _Block | None) -> tuple[Row, ...]:
        """The row of what a block holds, if it is one."""
        if block is None or not (fields := block.handed()) or block.head.use == "none":
            return ()
        if block.head.use == "validation":
            fields = [(name, number) for name, number in fields if meaning_of(name).canonical not in PACE]
            found = [*self._last, *fields] if self._last else []
        else:
            found = block.placed(fields)
            self._last = tuple(named for named in block.head.fields if is_counter(named[0]))
        if all(is_counter(name) for name, _ in found):
            return ()
        prefix = block.prefix
        return (row_of(found, prefix, block.line),)


def _indent(text: str, rest: str) -> int:
    """Columns by which a line is set in; a tab is 8, and one blank behind a prefix is none."""
    before = text[: len(text) - len(rest.lstrip())]
    head = before.rstrip()
    blanks = before[len(head) :]
    return 0 if head and len(blanks) == 1 else len(blanks.expandtabs(8))


def _continuation(rest: str, indent: int, head: Head) -> list[Pair] | None:
    """The metrics of a line under a head; none where the line is part of the block all the same."""
    text = rest.strip()
    if _RULE.match(text):
        return [] if head.home_made else None
    bullet = _BULLET.match(text)
    body = text[bullet.end() :] if bullet else text
    if bullet or indent >= 2 or (head.before and indent):
        return _listed(body, head)
    # What stands flush under an epoch is read line by line.
    return _unlisted(text) if head.home_made and head.fields[0][0] == "step" else None


def _listed(body: str, head: Head) -> list[Pair] | None:
    """The pairs of a line that is set in or has a bullet. Several of them with a step are a row of their own."""
    found = pairs(body) if head.home_made else _only(body)
    if found is None:
        return _unlisted(body) if head.home_made else None
    if head.home_made:
        named = [Pair(told(name), number) for name, number in found]
        return named if len(named) == 1 or not any(is_counter(name) for name, _ in named) else None
    return [Pair(_renamed(name, head), number) for name, number in found]


def _only(body: str) -> list[Pair] | None:
    return None if (found := pair(body)) is None else [found]


def _renamed(name: str, head: Head) -> str:
    return head.instead + name[len(head.before) :] if head.before and name.startswith(head.before) else name


def _unlisted(text: str) -> list[Pair] | None:
    """The known metrics of a line that is nothing but pairs or begins with the phase: `train Loss: 0.5 Acc: 0.7`."""
    found = pairs(text)
    if found is None and not _PHASE.match(text):
        return None
    known = [Pair(told(name), number) for name, number in found] if found else []
    if not known:
        known = [Pair(name, number) for name, number in key_values(text) or ()]
    if any(is_counter(name) for name, _ in known):
        return None
    kept = [each for each in known if each.number is not None and meaning_of(each.name).known]
    return kept if any(meaning_of(name).canonical in _OF_A_LOOP for name, _ in kept) else None
