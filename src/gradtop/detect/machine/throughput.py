"""`throughput_drop`: a step takes longer than it used to, row after row."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gradtop.detect.case import MAX_CASES, Case, criterion, finding, opened
from gradtop.detect.machine.pace import INPUTS, MEASURES, TIMED, Pace
from gradtop.detect.machine.track import Track
from gradtop.detect.robust import median
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, change, fold, numbers, place, rows, short, span
from gradtop.finding import Criterion, Finding, Severity

_BLOCK = 5
"""Rows whose median is one observation: a pause for an evaluation or a checkpoint is a single long row."""
_SPARSE_BLOCK, _SPARSE_STEPS = 3, 5.0
"""The same where a row stands for so many steps."""
_SHARE = 0.8
"""Part of the blocks of a window that have to be high."""
_LEAST_BLOCKS = 8
_LARGE_BLOCKS, _LARGE_NEEDED = 6, 5
"""Of so many blocks, how many have to be as slow as is worth watching."""
_QUICK = {_BLOCK: ((5.0, 3), (2.5, 4)), _SPARSE_BLOCK: ((2.5, 3),)}
"""Rows of a block → multiples of the usual time, and how many blocks in a row are enough for them."""
_NEWEST = 6
"""High blocks whose median is the time now."""
_RESUMED = 1.1
"""Multiple of the time before a resume that is worth telling."""
_LARGEST_LOG = 709.0


class _Block(NamedTuple):
    """Some rows in a row."""

    step: float
    """Of the first of them."""
    row: int
    time: float
    """Logarithm of the time of a step."""
    unit: float
    """Logarithm of the time of a token or sample; NaN where the log does not say."""
    rise: float
    """Over what was usual then, in logarithms; 0 where it is not high."""


class ThroughputDrop:
    """Step times by blocks of rows against those of the last 1,000 rows: a notice, worth watching from 1.5 times on."""

    kind = "throughput_drop"
    kinds = (kind,)
    inputs = INPUTS

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._large = math.log(s.limits.throughput_watch)
        self._pace = Pace()
        self._by = ""
        self._cases: list[Case] = []
        self._before = math.nan
        self._begin(s)

    def _begin(self, s: Signals) -> None:
        """Forget what is usual."""
        self._time, self._unit = Track(s.limits.throughput_rise), Track(s.limits.throughput_rise)
        self._recent: deque[_Block] = deque()
        self._filled = self._blocks = 0
        self._window = _LEAST_BLOCKS
        """Blocks that a small drop has to last."""
        self._first = (0.0, 0)
        self._row = s.rows
        """The row before the first that counts, or the session's first before there is one."""
        self._case: Case | None = None
        self._began: float | None = None
        self._settled = False
        self._size = _BLOCK
        """Rows of a block."""

    def resume(self, s: Signals, anew: bool) -> None:
        """A session may run on other hardware: what was usual before is told, not expected."""
        for case in self._cases:
            case.active = False
        usual = self._time.usual
        self._before = math.nan if anew else usual if usual == usual else self._before
        self._pace.resume()
        self._begin(s)

    def row(self, s: Signals) -> None:
        """Look at the time of this row's step."""
        pace = self._pace
        seconds = pace.row(s)
        if seconds <= 0.0:
            return
        if not self._settled:
            self._settle(s)
            return
        if pace.by != self._by:
            self._change(s)
            return
        if not self._filled:
            self._first = s.step, s.rows
        self._time.rows.append(seconds)
        if pace.per_unit > 0.0:
            self._unit.rows.append(pace.per_unit)
        self._filled += 1
        if self._filled == self._size:
            self._filled = 0
            self._see(s, self._time.close(), self._unit.close() if self._unit.rows else math.nan)

    def _change(self, s: Signals) -> None:
        """Another measure tells the time: what is known by the one before says nothing of it."""
        if self._by:
            if self._case is not None:
                self._case.active = False
            self._before = math.nan
            self._begin(s)
        self._by = self._pace.by

    def _settle(self, s: Signals) -> None:
        """The first steps compile, tune and fill caches."""
        self._began = s.step if self._began is None else self._began
        self._filled += 1
        steps = (s.rows - self._row) * s.interval
        if steps >= s.limits.burn_in_rows:
            self._size = _SPARSE_BLOCK if steps >= _SPARSE_STEPS * self._filled else _BLOCK
            self._settled, self._row, self._filled = True, s.rows, 0

    def _see(self, s: Signals, time: float, unit: float) -> None:
        """Take a block in."""
        rise = self._time.rise(time) if time > self._time.limit else 0.0
        if rise > 0.0 and unit == unit:
            # Longer sequences and larger batches take longer, and are no fault.
            rise = min(rise, self._unit.rise(unit))
        block = _Block(*self._first, time, unit, rise)
        self._recent.append(block)
        self._blocks += 1
        if self._blocks % _LEAST_BLOCKS == 1:
            self._window = self._needed(s)
        while len(self._recent) > self._window:
            old = self._recent.popleft()
            if self._case is None:
                self._keep(s, old)
        if self._case is not None:
            self._follow(s, self._case, block)
        elif rise > 0.0 and (severity := self._severity()) is not None:
            self._open(s, severity)

    def _needed(self, s: Signals) -> int:
        """Blocks that a small drop has to last: fewer where a row, or a reading of a coarse clock, is many steps."""
        rows_each = (s.rows - self._row) / (self._blocks * self._size)
        return max(_LEAST_BLOCKS, math.ceil(s.limits.throughput_rows / (self._size * max(1.0, rows_each * s.interval))))

    def _keep(self, s: Signals, block: _Block) -> None:
        """A block has been followed by a window of others: it is a part of what is usual."""
        self._time.keep(block.time)
        if block.unit == block.unit:
            self._unit.keep(block.unit)
        usual, before = self._time.usual, self._before
        if usual == usual and before == before:
            self._before = math.nan
            if usual > before + math.log(_RESUMED):
                case = opened(s)
                case.first_step = self._began if self._began is not None else s.step
                self._add(case, before, usual, {"resumed": 1.0})

    def _severity(self) -> Severity | None:
        """How severe it is by now; None where it does not persist."""
        rises = [block.rise for block in self._recent]
        quick = any(len(rises) >= n and min(rises[-n:]) >= math.log(factor) for factor, n in _QUICK[self._size])
        if quick or sum(rise >= self._large for rise in rises[-_LARGE_BLOCKS:]) >= _LARGE_NEEDED:
            return Severity.WATCH
        high = [rise for rise in rises if rise > 0.0]
        if len(high) < _SHARE * self._window:
            return None
        return Severity.WATCH if median(high) >= self._large else Severity.NOTICE

    def _open(self, s: Signals, severity: Severity) -> None:
        first = _onset(self._recent)
        case = opened(s)
        case.first_step, case.first_row = self._recent[first].step, self._recent[first].row
        case.count = self._size * (len(self._recent) - first)
        case.severity = severity
        self._case = case
        self._add(case, self._time.usual, self._now(), {})

    def _add(self, case: Case, usual: float, now: float, more: dict[str, float]) -> None:
        case.seen = {
            "usual": _value(usual),
            "now": _value(now),
            "by": MEASURES.index(self._by),
            "per_unit": float(self._by not in TIMED or (self._unit.usual == self._unit.usual and not more)),
        } | more
        self._cases = [*self._cases[1 - MAX_CASES :], case]

    def _now(self) -> float:
        """The logarithm of the time of a step now."""
        return median([block.time for block in self._recent if block.rise > 0.0][-_NEWEST:])

    def _follow(self, s: Signals, case: Case, block: _Block) -> None:
        if block.rise > 0.0:
            case.extend(s)
            case.count += self._size - 1
            case.seen["now"] = _value(self._now())
            if case.severity is Severity.NOTICE and self._severity() is Severity.WATCH:
                case.raise_to(Severity.WATCH, s.step)
            return
        case.back_step = block.step if case.back_step is None else case.back_step
        case.misses += self._size
        if case.misses >= s.limits.clear_rows:
            case.active, self._case = False, None
            self._recent.clear()

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        if not self._pace.by:
            return "no step time, no tokens per second and no times of rows in this log"
        return "" if self._time.usual == self._time.usual else f"{rows(s.rows)} are too few to know what is usual"

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each drop."""
        for case in self._cases:
            usual, now = case.seen["usual"], case.seen["now"]
            yield finding(
                self.kind,
                case,
                _message(s, case),
                self._criteria(s, case),
                numbers=numbers(s, case) | {"usual_time": _told(_by(case), usual), "time": _told(_by(case), now)},
                form="resumed" if "resumed" in case.seen else "",
                evidence={"usual": usual, "now": now, "ratio": now / usual, "by": _by(case)},
                caveats=_caveats(case),
            )

    def _criteria(self, s: Signals, case: Case) -> tuple[Criterion, ...]:
        resumed, since = "resumed" in case.seen, place(s, case.first_step)
        over = "" if case.active else f", {_over(s, case)}"
        per_unit = True if case.seen["per_unit"] else None
        large = case.seen["now"] >= s.limits.throughput_watch * case.seen["usual"]
        return (
            self._criterion("persists", case.active, f"{rows(case.count)} since {since}{over}"),
            self._criterion("large", case.active and large, f"{_times(case)} the time{over}"),
            self._criterion("per_unit", per_unit, _SAID[per_unit]),
            self._criterion("same_session", not resumed, f"{'resumed' if resumed else 'no resume'} at {since}"),
        )

    def _criterion(self, id: str, met: bool | None, evidence: str) -> Criterion:
        return criterion(self.kind, id, met, evidence)

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """The time of a step now against what is usual."""
        blind = self.blind(s, self.kind)
        why = blind or f"usual: {_told(self._by, _value(self._time.usual))}, no drop seen"
        met = None if blind else False
        return why, tuple(self._criterion(id, met, why) for id in ("persists", "large", "per_unit", "same_session"))


_SAID = {True: "tokens or samples per second fell as well", None: "neither tokens nor samples per second in this log"}


def _onset(recent: Sequence[_Block]) -> int:
    """The place of the block with which the drop began: most blocks from there on are high."""
    high = [block.rise > 0.0 for block in recent]
    return next(i for i in range(len(high)) if high[i] and sum(high[i:]) >= _SHARE * (len(high) - i))


def _times(case: Case) -> str:
    """`1.06×`, `12×`."""
    ratio = case.seen["now"] / case.seen["usual"]
    return f"{ratio:.2f}×" if ratio < 2 else fold(ratio)


def _value(y: float) -> float:
    """A logarithm's number, within what a float can hold."""
    return math.exp(min(y, _LARGEST_LOG))


def _by(case: Case) -> str:
    return MEASURES[int(case.seen["by"])]


def _told(by: str, seconds: float) -> str:
    """`1.2 s`, or `12,300 tokens per second`."""
    return f"{short(seconds)} s" if by in TIMED else f"{short(1 / seconds)} {by.partition('_')[0]} per second"


def _message(s: Signals, case: Case) -> str:
    usual, now, by = case.seen["usual"], case.seen["now"], _by(case)
    if by in TIMED:
        told = f"{change(usual, now)} s per {s.counts}"
    else:
        told = f"{change(1 / usual, 1 / now)} {by.partition('_')[0]} per second"
    if "resumed" in case.seen:
        return f"Slower since the resume at {place(s, case.first_step)}: {told}, {_times(case)} the time."
    if case.active:
        return f"Slower since {place(s, case.first_step)}: {told}, {_times(case)} the time."
    return f"A slow stretch, {span(s, case)}, is over: {told}, {_times(case)} the time, {_over(s, case)}."


def _over(s: Signals, case: Case) -> str:
    return f"back to usual {back(s, case)}" if case.back_step is not None else "the run was resumed"


def _caveats(case: Case) -> tuple[str, ...]:
    found = []
    if _by(case) == "time":
        found.append("Told by the times of the rows alone: pauses for evaluations and checkpoints count as well.")
    if not case.seen["per_unit"]:
        found.append("Longer sequences or a larger batch look the same here: log tokens_per_s to tell them apart.")
    return tuple(found)
