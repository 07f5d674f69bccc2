"""The signs of a death: tracebacks and what kills from outside. One event for each reason until training goes on."""

import re

from gradtop.record import End, Event, Record
from gradtop.sources.text.signs import Place

_START = "traceback (most recent call last)"
_SIGNS: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (reason, word, re.compile(pattern, re.IGNORECASE))
    for reason, word, pattern in (
        ("cuda_oom", "memory", r"\bcuda out of memory|torch\.(?:cuda\.)?outofmemoryerror|\bhip out of memory"),
        ("nccl_timeout", "watchdog", r"watchdog caught collective operation timeout"),
        ("loss_scale_minimum", "loss scale", r"loss scale already at minimum"),
        ("scheduler", "slurmstepd", r"slurmstepd: error: .*(?:cancelled|out_of_memory|oom.kill|time limit)"),
        ("scheduler", "due to time limit", r"due to time limit"),
        ("signal", "signal", r"\bsignal \d+ \(SIG\w+\)"),
        (
            "signal",
            "segmentation fault",
            # As shells, launchers and runtimes print it, behind nothing but who says it; prose goes on behind it.
            r"(?:\A\s*|[:(]\s{0,8}(?:\d+\s+)?|\bunexpected )segmentation fault"
            r"(?=\s*(?:[.(:!)]|\Z)|\s{2,}|\s+encountered)",
        ),
        ("signal", "core dumped", r"\b(?:bus error|aborted) \(core dumped\)"),
        (
            "signal",
            "terminate called",
            r"\A\s*terminate called (?:after throwing an instance of|without an active exception)",
        ),
        ("traceback", "childfailederror", r"(?<!import )\bChildFailedError\b:?\s*\Z"),
        ("signal", "killed", r"(?:\A|: line \d+:|\A\S+: line \d+:) *\d* *killed(?:\s*\Z|\s{2,})"),
    )
)
_WORDS = (*dict.fromkeys(word for _, word, _ in _SIGNS), "traceback (most")
_EXCEPTION = re.compile(r"(?:[a-z_]\w*\.)*[A-Z]\w*(?:: .+|:)?\Z")
_OF_LAUNCHER = "ChildFailedError"
_ECHO = re.compile(r"\b(?:closed|reset) by peer\b|remote process exited|remote worker crash", re.IGNORECASE)
"""What the other ranks die of when one has failed: Gloo's and NCCL's words."""
_OF_PEER = "peer"
_STOPPED_BY_USER = re.compile(r"KeyboardInterrupt|(?:\w+\.)*SignalException: Process \d+ got signal: 2\b")
"""Ctrl-C, also as torchrun tells it."""
MAX_TRACEBACK = 400
"""Lines after which a traceback without an exception is given up."""


class Crashes:
    """Follows the lines of one log; a traceback is one crash, told by its exception line.

    Further tracebacks (other ranks, `During handling of ...`) belong to the same crash until a row of metrics follows.
    """

    __slots__ = ("_child", "_indent", "_lines", "_reasons", "_rulers", "_start")

    def __init__(self) -> None:
        self._reasons: set[str] = set()
        self._start: Place | None = None
        self._child: Place | None = None
        self._rulers = 0
        self._indent = 0
        self._lines = 0

    @property
    def inside(self) -> bool:
        """A traceback has begun and its exception is not read yet."""
        return self._start is not None or self._child is not None

    def recovered(self) -> None:
        """Training went on: the next sign is another crash."""
        self._reasons.clear()
        self._start = self._child = None

    def read(self, place: Place, lowered: str) -> tuple[bool, Record | None]:
        """Whether the line belongs to a death, and the record that it completes."""
        at = lowered.find(_START)
        if at >= 0:
            if self._start is None:
                self._start, self._lines = place, 0
            self._indent = len(place.text) - len(place.text.lstrip()) if not place.text[:at].strip() else 0
            return True, None
        if self._start is not None:
            return self._inside(place, self._start)
        if self._child is not None:
            return self._in_report(place, self._child)
        for reason, word, pattern in _SIGNS:
            if word in lowered and pattern.search(place.text):
                return True, self._event(reason, place, place.line)
        return False, None

    def _inside(self, place: Place, start: Place) -> tuple[bool, Record | None]:
        self._lines += 1
        text = place.text.rstrip()
        body = text.strip()
        if self._lines > MAX_TRACEBACK:
            self._start = None
            return False, self._event("traceback", start, start.line)
        if not body or (len(text) - len(text.lstrip()) > self._indent + 1 and not _plain_exception(body)):
            return True, None
        if not _EXCEPTION.match(body):
            return False, None
        self._start = None
        if _STOPPED_BY_USER.match(body):
            first = not self._reasons
            self._reasons.add("stopped by the user")
            return True, End(status="aborted", step=start.step, time=start.time, line=start.line) if first else None
        told = Place(body, start.line, start.step, place.time or start.time)
        if _OF_LAUNCHER in body and self._child is None:
            self._child, self._rulers = told, 0
            return True, None
        self._child = None
        return True, self._event(_reason(body), told, start.line)

    def _in_report(self, place: Place, child: Place) -> tuple[bool, Record | None]:
        """The launcher's report of which rank failed: its traceback says more than the launcher's own."""
        self._rulers += place.text.startswith("=====")
        if self._rulers < 2:
            return True, None
        self._child = None
        return True, self._event("traceback", child, child.line)

    def finish(self) -> Record | None:
        """A traceback that the log ends in."""
        start = self._start or self._child
        self._start = self._child = None
        return self._event("traceback", start, start.line) if start is not None else None

    def _event(self, reason: str, place: Place, line: int) -> Event | None:
        known = self._reasons if reason == _OF_PEER else self._reasons - {_OF_PEER}
        if reason in known or (reason in ("signal", "traceback", _OF_PEER) and known):
            return None
        self._reasons.add(reason)
        return Event(
            event="crash",
            level="error",
            message=place.message,
            step=place.step,
            time=place.time,
            line=line,
            data={"reason": reason},
        )


def _plain_exception(body: str) -> bool:
    """An exception line beyond doubt, however far it is indented (torchrun indents the tracebacks that it quotes)."""
    return re.match(r"(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception): ", body) is not None


def _reason(message: str) -> str:
    if _ECHO.search(message) is not None:
        return _OF_PEER
    return next((reason for reason, _, pattern in _SIGNS if pattern.search(message)), "traceback")


def may_tell(lowered: str) -> bool:
    """The line has a word in it that deaths have."""
    return bool([word for word in _WORDS if word in lowered])
