"""`memory_leak`: memory that grows span after span and will run out."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gradtop.clean import clean
from gradtop.detect.case import MAX_CASES, Case, criterion, finding, opened
from gradtop.detect.machine.floor import SPANS, Floors, Growth
from gradtop.detect.signals import Signals
from gradtop.detect.wording import numbers, place, rows, short
from gradtop.device import MEMORY_TOTAL
from gradtop.finding import Criterion, Finding, Severity
from gradtop.units import count, duration, percent

_SPAN_ROWS, _LEAST_SPAN = 32, 16
_EVALUATIONS = 3
"""Ends of spans in a row at which the growth has to hold."""
_MATERIAL = 0.02
"""Part of the total by which memory has to have grown before a slow growth is thought to its end."""
_GROWN = 1.25
"""Multiple of what was in use after the first steps that is worth watching where the total is not known."""
_PAUSE, _PAUSE_SPANS = 0.1, 3
"""Part of its pace, over so many spans, below which it does not grow any more."""
_STREAMS = 32
_GIB = 2.0**30

_MEMORY = re.compile(
    r"(?:^|[^a-z])(?:rss(?:_?(?:bytes|[kmg]i?b))?|(?:gpu_?|max_?|peak_?)*mem(?:ory)?)$"
    r"|mem(?:ory)?.*(?:alloc|reserved|active|used)"
)
_NO_MEMORY = re.compile(r"total|free|avail|limit|retr|percent|%|util|count|num|loss|time|norm|ratio|fraction|logit")
_HOST = re.compile(r"rss|host|proc|cpu")
_DEVICE = re.compile(r"gpu\d+/")


@dataclass(slots=True)
class _Stream:
    """One metric of memory."""

    name: str
    floors: Floors = field(default_factory=Floors)
    seen: int = 0
    """The row that was counted last."""
    held: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    """Ends of spans in a row, by scale, at which it grew."""

    @property
    def host(self) -> bool:
        """It is memory of the machine, not of a GPU."""
        return _HOST.search(self.name) is not None

    @property
    def of_total(self) -> str:
        """The metric with all the memory there is."""
        device = _DEVICE.match(self.name)
        return f"{device.group() if device else ''}{MEMORY_TOTAL}"


@dataclass(slots=True)
class _Leak:
    """A case, and the metric that it is of."""

    case: Case
    stream: _Stream
    scale: int
    growth: Growth
    full: float | None = None
    """The step at which memory is full at this pace; None where the total is not known."""
    left_s: float | None = None
    """Seconds until then, where the log has times."""


class MemoryLeak:
    """Growth of the lowest values of eight spans in a row, three times over, that matters.

    Of several metrics of the GPUs that grow together one is reported, and one of the host.
    """

    kind = "memory_leak"
    kinds = (kind,)
    inputs = (
        "*rss*", "*mem*alloc*", "*mem*reserved*", "*mem*active*", "*mem*used*", "memory", "*max_mem*", "gpu_mem*",
        f"*{MEMORY_TOTAL}",
    )  # fmt: skip

    def __init__(self, s: Signals) -> None:
        """No row seen yet."""
        self._looked: set[str] = set()
        self._streams: dict[str, _Stream] = {}
        self._totals: dict[str, float] = {}
        self._since: float | None = None
        self._leaks: list[_Leak] = []
        self._current: dict[bool, _Leak] = {}

    def resume(self, s: Signals, anew: bool) -> None:
        """Another process: its memory starts over."""
        for leak in self._current.values():
            leak.case.active = False
        self._current = {}
        self._streams = {name: _Stream(name) for name in self._streams}
        self._since = None

    def row(self, s: Signals) -> None:
        """Look at the memory of this row."""
        if len(s.names) != len(self._looked):
            self._meet(s)
        if self._since is None:
            self._since = s.step
        if not s.unit_steps:
            return
        values, row = s.values, s.rows
        for name in self._totals:
            self._totals[name] = values.get(name, self._totals[name])
        for name, stream in self._streams.items():
            value = values.get(name, 0.0)
            if 0.0 < value < math.inf and stream.seen != row:
                stream.seen = row
                floors = stream.floors
                floors.see(value)
                if floors.rows >= _LEAST_SPAN and floors.rows >= s.rows_for(_SPAN_ROWS, _LEAST_SPAN):
                    self._close(s, stream)

    def _meet(self, s: Signals) -> None:
        """Find the metrics of memory among the names that are new."""
        for name in sorted(s.names - self._looked):
            if name.endswith(MEMORY_TOTAL):
                self._totals[name] = math.nan
            elif len(self._streams) < _STREAMS and _MEMORY.search(name) and not _NO_MEMORY.search(name):
                self._streams[name] = _Stream(name)
        self._looked |= s.names

    def _close(self, s: Signals, stream: _Stream) -> None:
        """A span of rows is complete."""
        leak = self._current.get(stream.host)
        for scale in range(stream.floors.close(s.step, s.values.get("time", math.nan))):
            found = stream.floors.growth(scale)
            grows = found is not None and self._material(s, stream, found)
            stream.held[scale] = stream.held[scale] + 1 if grows else 0
            if leak is None and found is not None and stream.held[scale] >= _EVALUATIONS:
                leak = self._open(s, stream, scale, found)
            elif leak is not None and leak.stream is stream and leak.scale == scale:
                self._follow(s, leak)

    def _total(self, stream: _Stream, now: float) -> float | None:
        """All the memory that there is; None where the log does not say, or says less than is used."""
        total = self._totals.get(stream.of_total, math.nan)
        return total if now <= total < math.inf else None

    def _material(self, s: Signals, stream: _Stream, found: Growth) -> bool:
        # What the first steps allocate is no leak.
        if self._since is None or found.first.step - self._since < s.limits.memory_from_step:
            return False
        total = self._total(stream, found.last.value)
        base = total if total is not None else found.first.value
        if found.per_step * 1000.0 >= s.limits.memory_growth * base:
            return True
        planned = s.facts.train.planned(s.counts)
        if total is None or planned is None or found.last.value - found.first.value < _MATERIAL * total:
            return False
        return s.step + (total - found.last.value) / found.per_step < planned

    def _open(self, s: Signals, stream: _Stream, scale: int, found: Growth) -> _Leak:
        leak = _Leak(opened(s), stream, scale, found)
        leak.case.first_step = found.first.step
        leak.case.count = SPANS * s.rows_for(_SPAN_ROWS, _LEAST_SPAN)
        self._leaks = [*self._leaks[1 - MAX_CASES :], leak]
        self._current[stream.host] = leak
        self._foresee(s, leak)
        return leak

    def _follow(self, s: Signals, leak: _Leak) -> None:
        floors = leak.stream.floors.scales[leak.scale]
        newest = Growth(floors[-1 - _PAUSE_SPANS], floors[-1])
        if newest.per_step < _PAUSE * leak.growth.per_step:
            leak.case.active, leak.case.back_step = False, newest.first.step
            del self._current[leak.stream.host]
            leak.stream.held = [0, 0, 0, 0]
            return
        leak.case.extend(s)
        whole = Growth(floors[0], floors[-1])
        leak.growth = whole if whole.per_step > 0.0 else newest
        self._foresee(s, leak)

    def _foresee(self, s: Signals, leak: _Leak) -> None:
        """When memory is full at this pace, and how much that matters."""
        found, case, start = leak.growth, leak.case, leak.stream.floors.start
        total = self._total(leak.stream, found.last.value)
        grown = start is not None and found.last.value >= _GROWN * start.value
        if case.severity is Severity.NOTICE and (total is not None or grown):
            case.raise_to(Severity.WATCH, s.step)
        if total is None or found.per_step <= 0.0:
            return
        steps = (total - found.last.value) / found.per_step
        if not steps < math.inf:
            return
        leak.full = found.last.step + steps
        step_s = found.step_s if found.step_s > 0.0 else s.values.get("step_time_s", math.nan)
        leak.left_s = steps * step_s if 0.0 < step_s < math.inf else None
        if leak.left_s is not None and leak.left_s < s.limits.memory_eta_s:
            case.raise_to(Severity.INTERVENE, s.step)

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        if not self._streams:
            return "no memory of the process or a GPU in this log"
        if not s.unit_steps:
            return f"this log counts {s.counts}s, not steps"
        if not any(len(stream.floors.scales[0]) == SPANS for stream in self._streams.values()):
            needed = SPANS * s.rows_for(_SPAN_ROWS, _LEAST_SPAN)
            return f"{rows(s.rows)} are too few: it takes {needed} after the first {s.limits.memory_from_step:g} steps"
        return ""

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each leak."""
        for leak in self._leaks:
            found = leak.growth
            evidence: dict[str, float | str] = {"first": found.first.value, "now": found.last.value}
            evidence |= {"per_1000_steps": 1000.0 * found.per_step}
            evidence |= {"full_at_step": round(leak.full)} if leak.full is not None else {}
            others = [t.name for t in self._streams.values() if t is not leak.stream and max(t.held) >= _EVALUATIONS]
            evidence |= {"also": ", ".join(clean(name, 60) for name in others[:4])} if others else {}
            full = {"full": _full(s, leak)} if leak.full is not None else {}
            yield finding(
                self.kind,
                leak.case,
                _message(s, leak),
                self._criteria(s, leak),
                numbers=numbers(s, leak.case) | full,
                scope=clean(leak.stream.name, 60),
                evidence=evidence,
                caveats=() if leak.full is not None else (_NO_TOTAL,),
            )

    def _criteria(self, s: Signals, leak: _Leak) -> tuple[Criterion, ...]:
        case, found = leak.case, leak.growth
        share = percent(1000.0 * found.per_step / found.first.value)
        soon = leak.left_s < s.limits.memory_eta_s if leak.left_s is not None else None
        when = _full(s, leak) if leak.full is not None else "how much there is, is not in this log"
        after = f"{count(found.last.step - (self._since or 0.0))} steps after the start"
        return (
            criterion(self.kind, "grows", case.active, f"{_from_to(leak)} since {place(s, found.first.step)}"),
            criterion(self.kind, "material", case.active, f"{share} per 1,000 steps"),
            criterion(self.kind, "runs_out", case.active and soon if soon is not None else None, when),
            criterion(self.kind, "after_start", case.active, after),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """The floors do not rise without a pause."""
        blind = self.blind(s, self.kind)
        why = blind or f"its lowest values did not rise in {SPANS} spans in a row"
        met = None if blind else False
        return why, tuple(criterion(self.kind, id, met, why) for id in ("grows", "material", "runs_out", "after_start"))


_NO_TOTAL = "How much memory there is, is not in this log: when it runs out cannot be told."


def _sized(leak: _Leak, value: float) -> str:
    return f"{short(value / _GIB)} GiB" if leak.stream.name.endswith("bytes") else short(value)


def _from_to(leak: _Leak) -> str:
    """`12.3 GiB → 18.4 GiB`."""
    return f"{_sized(leak, leak.growth.first.value)} → {_sized(leak, leak.growth.last.value)}"


def _full(s: Signals, leak: _Leak) -> str:
    """`full at step 2,400, in about 45m`."""
    when = f", in about {duration(leak.left_s)}" if leak.left_s is not None else ""
    return f"full at about {place(s, float(round(leak.full or 0.0)))}{when}"


def _message(s: Signals, leak: _Leak) -> str:
    case, found = leak.case, leak.growth
    what = "Memory of the process" if leak.stream.host else "GPU memory"
    pace = f"{_sized(leak, 1000.0 * found.per_step)} per 1,000 steps"
    if not case.active:
        stopped = f", until {place(s, case.back_step)}" if case.back_step is not None else ", until the run was resumed"
        return f"{what} grew from {place(s, case.first_step)} on ({_from_to(leak)}){stopped}."
    full = f"; {_full(s, leak)}" if leak.full is not None else ""
    return f"{what} keeps growing since {place(s, case.first_step)}: {_from_to(leak)}, {pace}{full}."
