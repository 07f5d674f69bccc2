"""`crashed`: the log says that the process died, and no rows came after it."""

import re
from collections.abc import Iterator

from gradtop.clean import clean
from gradtop.detect.case import EVERY, Case, criterion, finding, opened
from gradtop.detect.signals import Signals
from gradtop.detect.wording import numbers, place, rows
from gradtop.finding import Criterion, Finding, Severity
from gradtop.record import End, Event
from gradtop.units import count

_RESUMED_ROWS = 5
"""Rows of the same session after which an error was not the end."""
_QUOTED = 160
_CAUSES = (
    (re.compile(r"out of memory|OutOfMemoryError|OUT_OF_MEMORY|oom-?kill", re.I), "out of memory"),
    (re.compile(r"loss scale already at minimum|minimum loss scale", re.I), "the loss scale is at its minimum"),
    (re.compile(r"collective operation timeout|NCCL|ProcessGroup|c10d", re.I), "a collective operation failed"),
    (re.compile(r"No space left", re.I), "the disk is full"),
    (re.compile(r"CANCELLED|TIME LIMIT|PREEMPT", re.I), "ended by the scheduler"),
    (
        re.compile(r"Signal \d+|SIG(?:KILL|TERM|SEGV|ABRT|BUS|INT)|\bKilled\b|Segmentation fault", re.I),
        "killed by a signal",
    ),
    (re.compile(r"\w+(?:Error|Exception)\b", re.I), "an exception"),
    (
        re.compile(r"\b(?:closed|reset) by peer\b|remote process exited|remote worker crash", re.I),
        "another rank failed",
    ),
    (re.compile(r"\Aexit code \d+", re.I), "an exit code that is not 0"),
)
"""What an error line says, the most telling first; the rest is `an error`."""
_ECHO = next(i for i, (_, cause) in enumerate(_CAUSES) if cause == "another rank failed")
"""The place of what the other ranks say when one has failed: any word of that one tells more."""
_OF_PROCESS = re.compile(r"exit code \d+")
"""What `gradtop run` adds to the stream of a process that failed after it told its end: that was no clean one."""


class Crashed:
    """One finding for each death; several lines of one crash are one."""

    kind = "crashed"
    kinds = (kind,)
    inputs = (EVERY,)

    def __init__(self) -> None:
        """No crash seen yet."""
        self._cases: list[tuple[Case, str, str]] = []
        self._rank = len(_CAUSES)
        self._finished = False

    def see(self, event: Event, s: Signals) -> None:
        """Take in a line that says so."""
        self._finished = self._finished and _OF_PROCESS.fullmatch(event.message) is None
        self._die(s, event.message, event.line, float(event.step) if event.step is not None else None)

    def end(self, end: End, s: Signals) -> None:
        """Take in the end of the run."""
        if end.status == "crashed":
            self._finished = False
            self._die(s, "", end.line, float(end.step) if end.step is not None else None)
        elif end.status == "finished":
            self._finished = True

    def _die(self, s: Signals, message: str, line: int | None, step: float | None) -> None:
        rank = _rank(message)
        if self._cases and self._cases[-1][0].active:
            case = self._cases[-1][0]
            case.count += bool(message)
            case.severity = case.severity if self._finished else Severity.INTERVENE
            if rank < self._rank:
                self._rank = rank
                self._cases[-1] = (case, _CAUSES[rank][1], _quote(message, line))
            return
        case = opened(s)
        case.first_step = case.last_step = case.raised_step = step if step is not None else s.step if s.rows else 0.0
        case.severity = Severity.NOTICE if self._finished else Severity.INTERVENE
        if line is not None:
            case.seen["line"] = float(line)
        cause = _CAUSES[rank][1] if rank < len(_CAUSES) else "an error" if message else "its own record says so"
        self._rank = rank
        self._cases = [*self._cases[-7:], (case, cause, _quote(message, line))]

    def resume(self, s: Signals, anew: bool) -> None:
        """The next row tells."""

    def row(self, s: Signals) -> None:
        """A row arrived: after a relaunch, or some of them without one, the run goes on."""
        self._finished = False
        if not self._cases:
            return
        case = self._cases[-1][0]
        if case.active and (s.session != case.session or s.rows - case.last_row >= _RESUMED_ROWS):
            case.active, case.back_step = False, s.step

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return ""

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each death."""
        for case, cause, quote in self._cases:
            where = f"after {place(s, case.first_step)}" if case.last_row else "before its first row"
            message = f"The run died {where}: {cause}{quote}."
            if case.severity is Severity.NOTICE:
                message = f"After its end the log reports {cause}{quote}."
            elif case.back_step is not None:
                message = f"The run died {where} ({cause}{quote}) and went on at {place(s, case.back_step)}."
            line = {"line": count(case.seen["line"])} if "line" in case.seen else {}
            evidence: dict[str, float | str] = {"cause": cause} | {k: v for k, v in case.seen.items() if k == "line"}
            yield finding(
                self.kind,
                case,
                message,
                _criteria(case, s),
                numbers=numbers(s, case) | line,
                form=cause,
                evidence=evidence,
            )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """A claim of a crash is a crash event; nothing else is known of it."""
        why = "no line names an error that ends a process"
        return why, (criterion(self.kind, "died", False, why), criterion(self.kind, "not_resumed", None, why))


def _rank(message: str) -> int:
    if _CAUSES[_ECHO][0].search(message) is not None:
        return _ECHO
    return next((i for i, (pattern, _) in enumerate(_CAUSES) if pattern.search(message)), len(_CAUSES))


def _quote(message: str, line: int | None) -> str:
    text = clean(" ".join(message.split()), _QUOTED)
    place = f"line {line:,}" if line is not None else ""
    if text:
        return f" ({place}: “{text}”)" if place else f" (“{text}”)"
    return f" ({place})" if place else ""


def _lines(n: int) -> str:
    return "1 line of the log says so" if n == 1 else f"{n:,} lines of the log say so"


def _criteria(case: Case, s: Signals) -> tuple[Criterion, ...]:
    after = s.rows - case.last_row
    return (
        criterion("crashed", "died", True, _lines(case.count)),
        criterion("crashed", "not_resumed", case.active, f"{rows(after) if after else 'no row'} after it"),
    )
