"""Lock-on: a line that was read becomes a pattern, and lines of the same wording are read by it alone.

What each number of a line is for is found by changing it: the line is read again by the rules with one number
replaced, and what changes in the row tells its field. So a template knows nothing about formats, and every rule can
be locked on to. All that is not a number is literal in the pattern, so a line with another word in it is no match and
is read by the rules.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gradtop.sources.fields.names import WALL_CLOCK_FROM, normalised
from gradtop.sources.fields.number import Number, finite, parse
from gradtop.sources.fields.plan import Plan, Take, converted, plan_row
from gradtop.sources.fields.prefix import seconds
from gradtop.sources.fields.printed import Fields
from gradtop.sources.reader import Block, Line
from gradtop.sources.text.found import Found

MAX_NUMBERS = 60
"""Numbers of a line beyond which it is not worth a pattern."""
MAX_LINE = 4000
"""Bytes of a line beyond which it is not worth a pattern."""
MAX_TEMPLATES = 8
"""Wordings of one log that are kept."""
FIRST_ROWS = 16
"""Lines that the rules have to read before the first wording is learned."""
MIN_RUN = 8
"""Lines of one wording in a row that are taken at once."""
DENSE = 0.5
"""Part of a block's lines that have one wording, from which on the block is cut by it."""

Read = Callable[[bytes], tuple[str, Found] | None]
"""The rules: the rule that reads a line, and the row; None where the line is not just a row. It remembers nothing."""

_ESCAPE = rb"\x1b\[[0-9;]*m"
_STAMP = rb"\d{4}[-/]\d\d[-/]\d\d[T _,]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_DAY = rb"\d\d/\d\d \d\d:\d\d:\d\d"
_CLOCK = rb"\d+(?::\d\d)+(?:\.\d+)?"
_GROUPED = rb"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,.])"
_PLAIN = rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TOKEN = re.compile(
    rb"(?P<escape>%b)|(?<![\w.])(?:(?P<stamp>%b)|(?P<day>%b)|(?P<clock>%b)|(?P<grouped>%b)|(?P<plain>%b))"
    % (_ESCAPE, _STAMP, _DAY, _CLOCK, _GROUPED, _PLAIN)
)
_SHAPES = {"stamp": _STAMP, "day": _DAY, "clock": _CLOCK, "grouped": _GROUPED, "plain": _PLAIN}
_CAPTURED = {**_SHAPES, "plain": rb"[-+.\deE]+"}
"""Looser than what is a number, and faster: what is none fails to convert, and its line is read by the rules."""
_NEXT_DIGIT = bytes.maketrans(b"0123456789", b"1234567891")
_TIME_OF_DAY = re.compile(rb"(.*:)(\d\d)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Token:
    """One number, date or time of a line."""

    start: int
    end: int
    shape: str
    text: bytes


@dataclass(frozen=True, slots=True)
class _Field:
    """Where a field of the row comes from."""

    group: int | None
    """The capture that holds it; None for a value that stays."""
    name: str
    constant: Number
    shape: str = "plain"
    rounds: bool = False
    """A zero of this field tells how much was rounded away."""

    def number(self, groups: Sequence[bytes]) -> Number:
        """The field's number in a matching line.

        Raises:
            ValueError: what stands there is no number.
        """
        if self.group is None:
            return self.constant
        text = groups[self.group].decode()
        if self.shape == "clock":
            return Number(self._parsed(groups[self.group]), self.constant.unit)
        found = finite(text, self.constant.unit)
        return found if self.rounds or not found.below else Number(found.value, found.unit)

    def column(self, captured: Sequence[Sequence[bytes]], n: int) -> Sequence[float] | None:
        """The field's values in `n` matching lines; None where one of them has to be looked at by itself."""
        if self.group is None:
            return [self.constant.value] * n if not self.constant.below else None
        texts = captured[self.group]
        try:
            values = list(map(float, texts)) if self.shape == "plain" else [self._parsed(text) for text in texts]
        except ValueError:
            return None
        if self.rounds and 0.0 in values:
            zeros = {text for text, value in zip(texts, values, strict=True) if value == 0.0}
            if any(finite(zero.decode()).below for zero in zeros):
                return None
        return values

    def _parsed(self, text: bytes) -> float:
        found = parse(text.decode())
        if found is None:
            raise ValueError(text)
        return found.value


@dataclass(frozen=True, slots=True)
class Template:
    """One wording of a row."""

    rule: str
    """The rule that reads such lines."""
    pattern: re.Pattern[bytes]
    """Matches whole lines of this wording."""
    plan: Plan
    structured: bool
    rank: int | None
    text: str
    """The line that it was made from, without prefixes."""
    fields: tuple[_Field, ...]
    time: int | None
    """The capture that holds the time of a prefix."""
    sure: bool
    clock: int | None
    """The field that is called `time`, which may be Unix seconds or a duration."""

    def found(self, groups: Sequence[bytes]) -> Found | None:
        """The row of a matching line; None where its values make it another kind of row."""
        try:
            fields: Fields = [(field.name, field.number(groups)) for field in self.fields]
        except ValueError:
            return None
        if self.clock is not None and not self._same_clock([fields[self.clock][1].value]):
            return None
        time = None if self.time is None else seconds(groups[self.time].decode())
        return Found(fields, self.structured, self.text, self.rank, time, self.sure, self.plan)

    def _same_clock(self, times: Sequence[float]) -> bool:
        """The values of `time` are of the kind that it was in the line that this was made from."""
        assert self.clock is not None
        wall = self.fields[self.clock].constant.value > WALL_CLOCK_FROM
        return all((time > WALL_CLOCK_FROM) == wall for time in times)


class Run(NamedTuple):
    """Lines that follow each other with one wording."""

    template: Template
    captured: Sequence[Sequence[bytes]]
    """What each group of the pattern captured, line by line."""
    n: int
    """Lines."""

    def columns(self) -> "Columns | None":
        """The values of all fields; None where one of them has to be looked at by itself."""
        template, captured = self.template, self.captured
        values: list[Sequence[float]] = []
        for field in template.fields:
            column = field.column(captured, self.n)
            if column is None:
                return None
            values.append(column)
        if template.clock is not None and not template._same_clock(values[template.clock]):
            return None
        times = None if template.time is None else [seconds(text.decode()) for text in captured[template.time]]
        if times is not None and None in times:
            return None
        return Columns(values, [time for time in times if time is not None] if times is not None else None)


class Columns(NamedTuple):
    """The values of a run, one sequence for each field of its row."""

    values: list[Sequence[float]]
    times: list[float] | None
    """Unix seconds, from the prefixes."""

    def of(self, take: Take) -> Sequence[float]:
        """A field in its canonical unit."""
        column = self.values[take.index]
        if take.scale == 1.0 and take.canonical != "mfu":
            return column
        return [converted(value, take) for value in column]

    def constant(self, take: Take | None) -> bool:
        """The field has one value only, or there is none."""
        return take is None or self.values[take.index].count(self.values[take.index][0]) == len(self.values[take.index])


class Templates:
    """The wordings of one log: learned from lines that the rules read, the latest first."""

    def __init__(self, read: Read) -> None:
        """Learn with `read`, the rules."""
        self._read = read
        self._known: list[Template] = []
        self._seen = 0
        self._next = FIRST_ROWS

    def consider(self, line: Line) -> None:
        """The rules had to read this line: learn from it now and then, the rarer the more often that was."""
        self._seen += 1
        if self._seen < self._next:
            return
        self._next = 2 * self._seen
        if (template := learn(line.data, self._read)) is not None:
            self._known = [template, *self._known[: MAX_TEMPLATES - 1]]

    def run(self, lines: Sequence[Line], at: int) -> Run | None:
        """The lines from `at` on that repeat one wording; None where there is none."""
        data = lines[at].data
        for i, template in enumerate(self._known):
            fullmatch = template.pattern.fullmatch
            if (match := fullmatch(data)) is None:
                continue
            groups = [match.groups()]
            for j in range(at + 1, len(lines)):
                if (match := fullmatch(lines[j].data)) is None:
                    break
                groups.append(match.groups())
            if i and len(groups) >= MIN_RUN:
                self._known.insert(0, self._known.pop(i))
            return Run(template, list(zip(*groups, strict=True)), len(groups))
        return None

    def pieces(self, block: Block) -> "list[Run | bytes] | None":
        """A block as runs of the wording that is most common by now, and the lines between them.

        None where there is no such wording, or most of the lines have another.
        """
        if not self._known or block.n < MIN_RUN:
            return None
        template = self._known[0]
        parts, width = template.pattern.split(block.data), template.pattern.groups + 1
        between = parts[::width]
        n = len(between) - 1
        if n < DENSE * block.n:
            return None
        captured = [parts[group::width] for group in range(1, width)]
        found: list[Run | bytes] = [between[0]] if between[0] else []
        start = 0
        for cut in (*[i for i, text in enumerate(between) if text != b"\n" and 0 < i < n], n):
            found.append(Run(template, [texts[start:cut] for texts in captured], cut - start))
            # The first line end is that of the run's last line.
            if other := between[cut][1:]:
                found.append(other)
            start = cut
        return found


def learn(data: bytes, read: Read) -> Template | None:
    """The template of a line; None where the rules do not read it as just a row."""
    base = read(data) if len(data) <= MAX_LINE else None
    if base is None or not base[1].fields:
        return None
    tokens = [_Token(m.start(), m.end(), m.lastgroup or "", m[0]) for m in _TOKEN.finditer(data)]
    numbers = [token for token in tokens if token.shape != "escape"]
    if len(numbers) > MAX_NUMBERS or _odd(data):
        return None
    return _Learning(data, read, *base).template(numbers)


def _odd(data: bytes) -> bool:
    """There are escape sequences other than colours, or several states of one line."""
    return any(mark in re.sub(_ESCAPE, b"", data) for mark in (b"\x1b", b"\r", b"\b", b"\0"))


class _Learning:
    """The making of one template."""

    def __init__(self, data: bytes, read: Read, rule: str, found: Found) -> None:
        self._data, self._read, self._rule, self._found = data, read, rule, found
        self._of_field: dict[int, _Field] = {}
        self._time: int | None = None
        self._groups = 0

    def template(self, tokens: Sequence[_Token]) -> Template | None:
        """The template, with everything in it that may change; None where no field may."""
        pattern = re.compile(b"^%b$" % self._pattern(tokens), re.MULTILINE)
        if not self._of_field or pattern.fullmatch(self._data) is None:
            return None
        found = self._found
        fields = [self._of_field.get(i, _Field(None, *field)) for i, field in enumerate(found.fields)]
        return Template(
            rule=self._rule,
            pattern=pattern,
            plan=plan_row(found.fields, found.structured),
            structured=found.structured,
            rank=found.rank,
            text=found.text,
            fields=tuple(fields),
            time=self._time,
            sure=found.sure,
            clock=next((i for i, (name, _) in enumerate(found.fields) if normalised(name) == "time"), None),
        )

    def _pattern(self, tokens: Sequence[_Token]) -> bytes:
        pieces: list[bytes] = []
        at = 0
        for token in tokens:
            use = self._use(token)
            if use is not None:
                pieces += [_literal(self._data[at : token.start], first=at == 0, last=False), use]
                at = token.end
        return b"".join([*pieces, _literal(self._data[at:], first=at == 0, last=True)])

    def _use(self, token: _Token) -> bytes | None:
        """The pattern for a token: captured as a field or the time, or free to change; None for one that must stay."""
        shape = _SHAPES[token.shape]
        changed = self._with(token, _changed(token))
        differing = None if changed is None else _differing(self._found, changed)
        if changed is None or differing is None:
            return None
        if changed.time != self._found.time:
            if differing or token.shape != "stamp" or self._time is not None:
                return None
            self._time = self._next_group()
        elif not differing:
            return b"(?:%b)" % shape
        elif not self._captures(token, changed, differing):
            return None
        return b"(%b)" % _CAPTURED[token.shape]

    def _captures(self, token: _Token, changed: Found, differing: Sequence[int]) -> bool:
        """Take the token as the one place of a field, where it is that."""
        index = differing[0]
        name, number = changed.fields[index]
        plain = parse(_changed(token).decode())
        if len(differing) > 1 or index in self._of_field or plain is None or plain.value != number.value:
            return False
        field = _Field(self._next_group(), name, self._found.fields[index][1], token.shape, self._rounds(token, index))
        self._of_field[index] = field
        return True

    def _rounds(self, token: _Token, index: int) -> bool:
        """A zero in this place is read as a rounded one."""
        zero = self._with(token, b"0.0000") if token.shape != "clock" else None
        return zero is not None and index < len(zero.fields) and zero.fields[index][1].below > 0

    def _next_group(self) -> int:
        self._groups += 1
        return self._groups - 1

    def _with(self, token: _Token, text: bytes) -> Found | None:
        """The row of the line with another text in the place of a token."""
        read = self._read(self._data[: token.start] + text + self._data[token.end :])
        return read[1] if read is not None and read[0] == self._rule else None


def _changed(token: _Token) -> bytes:
    """Another text of the same shape."""
    match = _TIME_OF_DAY.match(token.text)
    if match is None:
        return token.text.translate(_NEXT_DIGIT)
    return match[1] + (b"18" if match[2] == b"17" else b"17") + token.text[match.end() :]


def _differing(one: Found, other: Found) -> list[int] | None:
    """Fields with other values; None where the rows differ in more than values and time."""
    if (one.structured, one.rank, len(one.fields)) != (other.structured, other.rank, len(other.fields)):
        return None
    pairs = list(zip(one.fields, other.fields, strict=True))
    if any(a[0] != b[0] or a[1].unit != b[1].unit for a, b in pairs):
        return None
    return [i for i, (a, b) in enumerate(pairs) if a[1].value != b[1].value]


def _literal(text: bytes, *, first: bool, last: bool) -> bytes:
    """A pattern for the text between two numbers: only the blanks beside the numbers may be as many as they like."""
    body = text.strip(b" ") if not (first or last) else text.rstrip(b" ") if first and not last else text
    if last and not first:
        body = text.lstrip(b" ")
    if not body:
        return b" +" if text else b""
    before = b"" if first or text.startswith(body) else b" +"
    after = b"" if last or text.endswith(body) else b" +" if body[-1:].isalnum() else b" *"
    return before + re.escape(body) + after
