"""The reader of text logs: every line goes through one tuple of rules, and the first that finds a row has it."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradtop.clean import strip_sequences
from gradtop.record import Record, Rows
from gradtop.sources.crash import Crashes, may_tell
from gradtop.sources.keyvalue import MAX_CHARS, key_values
from gradtop.sources.layout import LAYOUTS
from gradtop.sources.plan import plan_row
from gradtop.sources.prefix import Prefix, strip_prefix
from gradtop.sources.printed import Fields, json_object, printed_dict
from gradtop.sources.progress import BarSteps, may_hold_bar, split_bar
from gradtop.sources.reader import Account, Line
from gradtop.sources.signs import Place, found_in, signs_in
from gradtop.sources.textrow import Found, RowKeeper


@dataclass(frozen=True, slots=True)
class Rule:
    """One way of reading a row from a line."""

    name: str
    """Shown by `explain`."""
    read: Callable[[str], Fields | None]
    """The fields of the line without prefixes; None where it is not of this kind, which lets the next rule try."""
    structured: bool
    """The line is data, so that unknown names are kept; prose keeps known names only."""


RULES: tuple[Rule, ...] = (
    Rule("JSON object", json_object, structured=True),
    Rule("printed dict", printed_dict, structured=True),
    Rule("key-value", key_values, structured=False),
)
"""How rows are read, in the order of trial."""

_WORDS = (
    "loss",
    "norm",
    "step",
    "iter",
    "lr",
    "learning",
    "trl:",
    "tel:",
    "bpb",
    "ppl",
    "perplexity",
    "accuracy",
    "损失",
)
_STATES = re.compile(r"[\r\n]+|\x08{3,}")
_SOURCE = re.compile(
    r"\s*(?:def |class |import |from \S+ import |if |elif |else:|for |while |return\b|with |try:|except|assert |raise "
    r"|@\w|#|//|/\*"
    r"|self\.|\+{1,5} |[\w.\[\]\"']+ (?:[-+*/]?=) .*[()]|usage: |\w+\(.*,\Z)"
    r"|.*(?:\bprint\w*\(|\{[a-z_][\w.\[\]]*(?::[^{}'\"]*)?\}|Namespace\(|Config\()"
    r"|\s*[\w-]+ \.{3,} "
)
_STEPLESS_BEFORE = re.compile(r"\{.*", re.DOTALL)


class TextReader:
    """Reads the lines of a text log; see `Reader`."""

    def __init__(self, profiles: Sequence[Rule] = ()) -> None:
        """Read with the user's own `profiles` before all other rules."""
        self.format = "text"
        self.account = Account()
        self._rules = (*profiles, *RULES)
        self._layouts = tuple(make() for make in LAYOUTS)
        self._bars = BarSteps()
        self._crashes = Crashes()
        self._rows = RowKeeper(self.account, self._bars)

    def feed(self, lines: Sequence[Line]) -> list[Record]:
        """The records of the next whole lines, in order."""
        for line in lines:
            self._read(line)
        return self._rows.take()

    def idle(self) -> list[Record]:
        """Blocks of lines that are still open, and rows that waited for a bar."""
        for layout in self._layouts:
            for found, line in layout.close():
                self._rows.keep(found, line)
        self._rows.release()
        return self._rows.take()

    def finish(self) -> list[Record]:
        """What `idle` gives out, and a traceback that the log ends in."""
        for record in self.idle():
            self._rows.put(record)
        if (crash := self._crashes.finish()) is not None:
            self._rows.put(crash)
        return self._rows.take()

    def _read(self, line: Line) -> None:
        text = line.data.decode("utf-8", errors="replace").strip("\0")
        lowered = text.lower()
        if not self._crashes.inside and not self._laid_out(lowered) and not _may_say(lowered):
            self.account.skip(line)
            return
        text = strip_sequences(text)
        states = _STATES.split(text) if "\r" in text or "\b\b\b" in text or "\n" in text else [text]
        rule: str | None = None
        for state in states:
            rule = self._read_state(state, line) or rule
        if rule is None:
            self.account.skip(line)
        elif rule:
            self.account.read(rule, line)

    def _read_state(self, state: str, line: Line) -> str | None:
        """Read one state of a line; the rule that read it, None where nothing did, "" where it was rejected."""
        bar: str | None = None
        while may_hold_bar(state) and (split := split_bar(state)) is not None:
            self._rows.see(split[0])
            state, bar = split[1], "progress bar"
        if not state.strip():
            if len(state) > 2:
                self._bars.cleared()
            return bar
        prefix = strip_prefix(state)
        lowered = prefix.rest.lower()
        said = self._read_signs(prefix, lowered, line)
        laid = self._read_layouts(state, prefix, line) if self._laid_out(lowered) else None
        return laid or self._read_row(prefix, lowered, line) or said or bar

    def _laid_out(self, lowered: str) -> bool:
        """A block of lines is open, or the line may begin one."""
        return any(layout.open or any(mark in lowered for mark in layout.marks) for layout in self._layouts)

    def _read_layouts(self, state: str, prefix: Prefix, line: Line) -> str | None:
        """Offer a line to every layout, so that an open block ends where it does; the layout whose line it is."""
        rule: str | None = None
        for layout in self._layouts:
            taken = layout.take(state, prefix, line)
            for found, at in taken.rows:
                self._rows.keep(found, at)
            if taken.mine:
                rule = rule or layout.name
        return rule

    def _read_signs(self, prefix: Prefix, lowered: str, line: Line) -> str | None:
        """Events, facts and ends in a line; the rule that found one."""
        place = Place(prefix.rest[:MAX_CHARS], line.number, self._rows.last_step, prefix.time)
        if self._crashes.inside or may_tell(lowered):
            told, crash = self._crashes.read(place, lowered)
            if crash is not None:
                self._rows.release()
                self._rows.put(crash)
            if told:
                return "crash"
        rule: str | None = None
        if (candidates := signs_in(lowered)) and (_SOURCE.match(prefix.rest) is None or "...." in lowered):
            for found, record in found_in(candidates, place):
                self._rows.put(record)
                rule = found
        return rule

    def _read_row(self, prefix: Prefix, lowered: str, line: Line) -> str | None:
        if not _may_hold_row(lowered) or _SOURCE.match(prefix.rest):
            return None
        for rule in self._rules:
            fields = rule.read(prefix.rest)
            if fields is None:
                continue
            if fields and self._crashes.inside and (crash := self._crashes.finish()) is not None:
                self._rows.put(crash)
            if rule.structured:
                fields = _with_step(prefix.rest, fields)
            verdict = self._rows.keep(Found(fields, rule.structured, prefix.rest, prefix.rank, prefix.time), line)
            if verdict == "row":
                self._crashes.recovered()
                return rule.name
            return verdict
        return None


def _may_say(lowered: str) -> bool:
    """Something in the line may be read: a metric, a bar, a sign."""
    return _may_hold_row(lowered) or may_hold_bar(lowered) or may_tell(lowered) or bool(signs_in(lowered))


def _may_hold_row(lowered: str) -> bool:
    return bool([word for word in _WORDS if word in lowered])


def _with_step(text: str, fields: Fields) -> Fields:
    """A dict's fields with the step that stands before the dict, where the dict has none: `step 10: {...}`."""
    if not fields or plan_row(fields, True).step is not None:
        return fields
    before = key_values(_STEPLESS_BEFORE.sub("", text)) or []
    steps = [(name, number) for name, number in before if math.isfinite(number.value)]
    plan = plan_row(steps, False) if steps else None
    return [*fields, steps[plan.step.index]] if plan is not None and plan.step is not None else fields


def probe(lines: Sequence[Line]) -> int:
    """Metric rows in a sample of a file's head: how likely it is a training log. Costs one reading of the sample."""
    reader = TextReader()
    records = [*reader.feed(lines), *reader.finish()]
    return sum(len(record) for record in records if isinstance(record, Rows))
