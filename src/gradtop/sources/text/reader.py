"""The reader of text logs: every line goes through one tuple of rules, and the first that finds a row has it."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradtop.clean import strip_sequences
from gradtop.record import Record, Rows
from gradtop.sources.fields.launched import RULE, ended, launched
from gradtop.sources.fields.plan import plan_row
from gradtop.sources.fields.prefix import Prefix, strip_prefix
from gradtop.sources.fields.printed import Fields, json_object, printed_dict
from gradtop.sources.reader import Account, Block, Line
from gradtop.sources.text.bar import may_hold_bar, split_bar
from gradtop.sources.text.crash import Crashes, may_tell
from gradtop.sources.text.fact import FactReader
from gradtop.sources.text.found import Found
from gradtop.sources.text.head import headed, heading
from gradtop.sources.text.keeper import RowKeeper
from gradtop.sources.text.keyvalue import MAX_CHARS, key_values
from gradtop.sources.text.layouts import Layouts
from gradtop.sources.text.overheard import Overheard
from gradtop.sources.text.progress import BarSteps
from gradtop.sources.text.signs import Place, found_in, signs_in
from gradtop.sources.text.template import MIN_RUN, Run, Template, Templates
from gradtop.sources.text.triplet import Triplets, triplet
from gradtop.sources.text.word import may_hold_row, may_say


@dataclass(frozen=True, slots=True)
class Rule:
    """One way of reading a row from a line."""

    name: str
    """Shown by `explain`."""
    read: Callable[[str], Fields | None]
    """The fields of the line without prefixes; None where it is not of this kind, which lets the next rule try."""
    structured: bool
    """The line is data, so that unknown names are kept; prose keeps known names only."""
    groups: tuple[tuple[str, str], ...] = ()
    """(metric name, what the user calls it): of a user's own profile."""


RULES: tuple[Rule, ...] = (
    Rule("JSON object", json_object, structured=True),
    Rule("printed dict", printed_dict, structured=True),
    Rule("line head", headed, structured=False),
    Rule("key-value", key_values, structured=False),
)
"""How rows are read, in the order of trial."""

MAX_GLUED = 50
"""Bars that follow each other in one state of a line, without a carriage return; more are data."""

_STATES = re.compile(r"[\r\n]+|\x08{3,}")
_SOURCE = re.compile(
    r"\s*(?:def |class |import |from \S+ import |if |elif |else:|for |while |return\b|with |try:|except|assert |raise "
    r"|@\w|#|//|/\*"
    r"|self\.|\+{1,5} |[\w.\[\]\"']+ (?:[-+*/]?=) (?![-+.\deE]+[,;] \w+ ?=).*[()]|usage: |\w+\(.*,\Z)"
    r"|.*(?:\bprint\w*\(|\{[a-z_][\w.\[\]]*(?::[^{}'\"]*)?\}|Namespace\(|Config\()"
    r"|\s*[\w-]+ \.{3,} "
)
_ANNOUNCEMENT = re.compile(
    r"\W*(?:(?:auto[- ]?)?(?:resum|restor|load|sav|continu)(?:ed|ing)\b"
    r"|(?:the |new |previous )?best (?:checkpoint|model|epoch|step|iteration|trial|run|result)s?\b"
    r"|(?:the|our|we|this|an?)\s(?:[a-z-]+\s){0,4}?(?:reach|achiev|obtain|attain|report|yield|scor|got|had|has|gives)"
    r"(?:e[ds]?|s)?\s)",
    re.IGNORECASE,
)
"""What is said of a training elsewhere or as a whole: its numbers belong to no step of this log."""
_JUDGEMENT = re.compile(
    r"\b(?:exceed(?:s|ed|ing)?|above|below|over|under|(?:greater|less) than)(?: \w+){0,2} (?:threshold|limit)\b",
    re.IGNORECASE,
)
"""A value is held against a threshold: an alarm."""
HEADING = "epoch heading"
"""The rule of lines that only say which epoch begins."""
FACTS = "run facts"
"""The rule of lines that state facts of the run, and never a metric."""
_STEPLESS_BEFORE = re.compile(r"\{.*", re.DOTALL)


class TextReader:
    """Reads the lines of a text log; see `Reader`."""

    def __init__(self, profiles: Sequence[Rule] = (), *, lock_on: bool = True) -> None:
        """Read with the user's own `profiles` before all other rules; `lock_on` to wordings that repeat."""
        self.format = "text"
        self.account = Account(groups={name: group for rule in profiles for name, group in rule.groups})
        self._profiles = profiles
        self._begin()
        self._templates = Templates(self._alone) if lock_on else None

    def _begin(self) -> None:
        """Nothing is known of the lines that follow."""
        self._layouts = Layouts()
        self._bars = BarSteps()
        self._crashes = Crashes()
        self._facts = FactReader()
        self._triplets = Triplets()
        self._rows: RowKeeper | Overheard = RowKeeper(self.account, self._bars)

    def feed(self, lines: Sequence[Line]) -> list[Record]:
        """The records of the next whole lines, in order."""
        self._feed(lines)
        return self._rows.take()

    def feed_block(self, block: Block) -> list[Record]:
        """The records of the next whole lines, as one block."""
        pieces = self._templates.pieces(block) if self._templates is not None and self._quiet else None
        if pieces is None:
            return self.feed(block.lines())
        at, lines = 0, list[Line]()
        for piece in pieces:
            n = piece.count(b"\n") if isinstance(piece, bytes) else piece.n
            if isinstance(piece, Run) and self._take_at_once(piece, range(block.number + at, block.number + at + n)):
                self.account.count(piece.template.rule, n)
            else:
                lines = lines or block.lines()
                self._feed(lines[at : at + n])
            at += n
        return self._rows.take()

    def _take_at_once(self, run: Run, numbers: Sequence[int]) -> bool:
        """Take in the lines of a run, where that comes to the same as one by one."""
        return run.n >= MIN_RUN and self._quiet and self._rows.keep_run(run, numbers)

    def _feed(self, lines: Sequence[Line]) -> None:
        at = 0
        while at < len(lines):
            run = self._templates.run(lines, at) if self._templates is not None and self._quiet else None
            if run is None:
                self._read_next(lines[at])
                at += 1
            else:
                self._take_run(run, lines[at : at + run.n])
                at += run.n

    def _read_next(self, line: Line) -> None:
        begun, over = launched(line), ended(line)
        if begun:
            self._begin_launch(begun)
        if over:
            self._put_behind(over)
        if begun or over:
            self.account.read(RULE, line)
            return
        for clear in self._triplets.take(line) if self._triplets.open else (line,):
            self._read(clear)

    def _begin_launch(self, begun: Sequence[Record]) -> None:
        """The output of another process follows, which knows nothing of what came before."""
        before = self.finish()
        self._begin()
        for record in (*before, *begun):
            self._rows.put(record)

    def _put_behind(self, records: Sequence[Record]) -> None:
        """Put records behind all that was open; processes that a command left behind may have more to say."""
        for record in (*self.finish(), *records):
            self._rows.put(record)

    @property
    def _quiet(self) -> bool:
        """Nothing is open that the next line might belong to: a row is just a row."""
        return not (self._triplets.open or self._triplets.sure or self._inside)

    @property
    def _inside(self) -> bool:
        """A traceback, a dump of settings or a block of lines is open."""
        return self._crashes.inside or self._facts.inside or self._layouts.open

    def _take_run(self, run: Run, lines: Sequence[Line]) -> None:
        """Take in lines of one wording: at once, where that comes to the same as one by one."""
        if self._take_at_once(run, [line.number for line in lines]):
            self.account.count(run.template.rule, len(lines))
            return
        for groups, line in zip(zip(*run.captured, strict=True), lines, strict=True):
            self._take_locked(run.template, groups, line)

    def _take_locked(self, template: Template, groups: Sequence[bytes], line: Line) -> None:
        """Take in one line of a known wording, by the rules where its values are out of the ordinary."""
        found = template.found(groups)
        if found is None:
            self._read(line)
            return
        verdict = self._keep(found, line)
        if verdict is None:
            self.account.skip(line)
        elif verdict:
            self.account.read(template.rule if verdict == "row" else verdict, line)

    def _alone(self, data: bytes) -> tuple[str, Found] | None:
        """What a line is by itself: its rule and its row; None for a line that is not just a row."""
        reader = TextReader(self._profiles, lock_on=False)
        heard = reader._rows = Overheard()
        reader._facts.seen_row()
        reader._read(Line(1, data))
        if heard.disturbed or len(heard.found) != 1 or len(reader.account.rules) != 1 or reader._inside:
            return None
        return next(iter(reader.account.rules)), heard.found[0]

    def idle(self) -> list[Record]:
        """Blocks of lines that are still open, and rows that waited for a bar."""
        self._close_layouts()
        self._rows.release()
        return self._rows.take()

    def finish(self) -> list[Record]:
        """What `idle` gives out, and a traceback that the log ends in."""
        for line in self._triplets.close():
            self._read(line)
        self._close_layouts()
        self._rows.finish()
        if (crash := self._crashes.finish()) is not None:
            self._rows.put(crash)
        return self._rows.take()

    def _close_layouts(self) -> None:
        for found, line in self._layouts.close():
            self._keep(found, line)

    def _read(self, line: Line) -> None:
        text = line.data.decode("utf-8", errors="replace").strip("\0")
        if self._triplets.sure and (fields := triplet(text)) is not None:
            self._keep(Found(fields, True, text, None, None, sure=True), line)
            self.account.read("step, name, value", line)
            return
        lowered = text.lower()
        inside = self._crashes.inside or self._facts.inside or bool(self._profiles)
        if not (inside or self._layouts.open or may_say(lowered) or self._layouts.may_begin(lowered)):
            if len(text) > 2 and text.isspace():
                # Read live, the blanks that wipe a bar may come as a line of their own.
                self._bars.cleared()
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
            if self._templates is not None:
                self._templates.consider(line)

    def _read_state(self, state: str, line: Line) -> str | None:
        """Read one state of a line; the rule that read it, None where nothing did, "" where it was rejected."""
        may_bar = may_hold_bar(state.lower())
        barred = may_bar and self._layouts.open and split_bar(state) is not None
        if barred and (rule := self._read_layouts(state, strip_prefix(state), line, barred)):
            return rule
        rest = self._read_bars(state, line) if may_bar else state
        bar = "progress bar" if rest is not state else None
        state = rest
        if not state.strip():
            if len(state) > 2:
                self._bars.cleared()
            return bar
        prefix = strip_prefix(state)
        if self._profiles and (rule := self._read_profiles(prefix, line)) is not None:
            return rule
        lowered = prefix.rest.lower()
        # A block ends before what the line tells: a crash stands after the block's step.
        opened = (self._layouts.open or state.count("{") > state.count("}")) and not barred
        laid = self._read_layouts(state, prefix, line) if opened else None
        said = self._read_signs(prefix, lowered, line)
        if said == FACTS:
            return said
        rule = laid or self._read_row(prefix, lowered, line)
        if rule in (None, HEADING) and not (opened or said) and self._layouts.may_begin(lowered):
            rule = self._read_layouts(state, prefix, line) or rule
        return rule or said or bar

    def _read_bars(self, state: str, line: Line) -> str:
        """Take in the bars of one state of a line; the text that is glued behind them."""
        for _ in range(MAX_GLUED):
            if (split := split_bar(state)) is None:
                break
            bar, state = split
            self._rows.see(bar, line)
            if not state:
                break
        return state

    def _read_layouts(self, state: str, prefix: Prefix, line: Line, barred: bool = False) -> str | None:
        """Offer a line to all layouts; the one whose line it is."""
        rule, rows = self._layouts.take(state, prefix, line, barred)
        for found, at in rows:
            self._keep(found, at)
        return rule

    def _keep(self, found: Found, line: Line) -> str | None:
        """Take a row in; a traceback before it was not the end."""
        if self._crashes.inside and (crash := self._crashes.finish()) is not None:
            self._rows.put(crash)
        verdict = self._rows.keep(found, line)
        if verdict == "row":
            self._crashes.recovered()
            self._facts.seen_row()
        return verdict

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
        if self._facts.listens(lowered):
            if (facts := self._facts.read(place, lowered)) is not None:
                self._rows.put(facts)
            if facts is not None or self._facts.inside:
                rule = FACTS
        if (candidates := signs_in(lowered)) and (_SOURCE.match(prefix.rest) is None or "...." in lowered):
            for found, record in found_in(candidates, place):
                self._rows.put(record)
                rule = found
        return rule

    def _read_profiles(self, prefix: Prefix, line: Line) -> str | None:
        """Offer a line to the user's own profiles, which know what a row is; the one that has it."""
        for rule in self._profiles:
            if fields := rule.read(prefix.rest):
                found = Found(fields, rule.structured, prefix.rest, prefix.rank, prefix.time, sure=True)
                verdict = self._keep(found, line)
                return rule.name if verdict == "row" else verdict
        return None

    def _read_row(self, prefix: Prefix, lowered: str, line: Line) -> str | None:
        if not may_hold_row(lowered) or _SOURCE.match(prefix.rest):
            return None
        told = _is_told(prefix.rest, lowered)
        for rule in RULES:
            if told and not rule.structured:
                return None
            fields = rule.read(prefix.rest)
            if fields is None:
                continue
            if not fields:
                break
            if rule.structured:
                fields = _with_step(prefix.rest, fields)
            verdict = self._keep(Found(fields, rule.structured, prefix.rest, prefix.rank, prefix.time), line)
            if verdict is not None:
                return rule.name if verdict == "row" else verdict
            break
        if "epoch" in lowered or "回合" in lowered:
            return self._read_heading(prefix)
        return None

    def _read_heading(self, prefix: Prefix) -> str | None:
        """A line that announces an epoch, for the rows that come after it."""
        found = heading(prefix.rest)
        if found is None:
            return None
        self._rows.enter(*found)
        return HEADING


def _is_told(text: str, lowered: str) -> bool:
    """The line tells of other steps than the one it stands at, or raises an alarm: no row, unless it holds data."""
    if _ANNOUNCEMENT.match(text) is not None:
        return True
    return ("threshold" in lowered or "limit" in lowered) and _JUDGEMENT.search(text) is not None


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
