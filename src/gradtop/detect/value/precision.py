"""`amp_overflow`, `amp_skip_storm`, `amp_scale_collapse`: steps that mixed precision skips.

Lines that announce a skip, counts of skipped steps in rows and falls of the loss scale say the same thing: of one
interval the largest counts.
"""

from collections import deque
from collections.abc import Iterator

from gradtop.detect.case import Case, criterion, finding, opened
from gradtop.detect.signals import Signals
from gradtop.detect.wording import numbers, place, short, span
from gradtop.finding import Criterion, Finding, Severity
from gradtop.record import Event
from gradtop.units import count, percent

_NEAR_STEPS = 20.0
_FAR_STEPS = 200.0


class MixedPrecision:
    """Follows the skipped steps of a run and its loss scale."""

    kind = "amp_overflow"
    kinds = ("amp_overflow", "amp_skip_storm", "amp_scale_collapse")
    """All that it finds."""
    inputs = ("loss", "grad_norm", "lr", "loss_scale", "skipped")

    def __init__(self, s: Signals) -> None:
        """No skip seen yet; `s` has the limits."""
        self._begin(s)
        self._skips: Case | None = None
        self._storm: Case | None = None
        self._collapse: Case | None = None
        self._skipped = 0.0
        self._scale: float | None = None

    def _begin(self, s: Signals) -> None:
        self._first: float | None = None
        self._last = s.step
        self._announced = 0
        self._peak = 0.0
        self._blocked = 0.0
        self._intervals: deque[tuple[float, float, float]] = deque()

    def resume(self, s: Signals, anew: bool) -> None:
        """The scale is searched anew in every session."""
        self._begin(s)

    def see(self, event: Event, s: Signals) -> None:
        """A line announces a skipped step."""
        self._announced += 1
        scale = event.data.get("loss_scale")
        if isinstance(scale, int | float) and scale > 0:
            self._scale = float(scale)

    def row(self, s: Signals) -> None:
        """Count the steps skipped since the last row."""
        if not s.unit_steps or s.step <= self._last:
            return
        steps = s.step - self._last if self._first is not None else self._steps_before(s)
        skipped = 0.0
        if self._announced or s.skips or s.scale_dropped:
            skipped = min(steps, max(float(self._announced), s.skips, float(s.scale_dropped)))
        self._first = s.step if self._first is None else self._first
        self._last, self._announced = s.step, 0
        self._scale = s.scale if s.scale is not None else self._scale
        if skipped or self._skips is not None:
            self._take(s, steps, skipped)
        if self._scale is not None:
            self._follow_scale(s, self._scale, skipped)

    @staticmethod
    def _steps_before(s: Signals) -> float:
        """Steps that the first row of a session can speak of; that of a run speaks of all before it."""
        return max(s.interval, s.step if s.rows == 1 else 1.0)

    def _take(self, s: Signals, steps: float, skipped: float) -> None:
        if skipped:
            self._skipped += skipped
            self._skips = self._skips or opened(s)
            self._skips.extend(s)
            # A skip is over with its step.
            self._skips.active = False
        if self._calibrating(s):
            return
        self._blocked = self._blocked + steps if skipped == steps else 0.0
        self._intervals.append((s.step, steps, skipped))
        while self._intervals and self._intervals[0][0] <= s.step - _FAR_STEPS:
            self._intervals.popleft()
        stormy = self._near(s) >= s.limits.amp_storm_steps or self._far() > s.limits.amp_storm_share * _FAR_STEPS
        self._storm = self._followed(self._storm, stormy, s, Severity.WATCH)
        if self._storm is not None and self._storm.active and self._blocked >= s.limits.amp_blocked_steps:
            self._storm.raise_to(Severity.INTERVENE, s.step)

    def _follow_scale(self, s: Signals, scale: float, skipped: float) -> None:
        if self._calibrating(s) or scale - scale != 0.0:
            return
        if scale > self._peak and not skipped:
            self._peak = scale
        low = self._peak > 1.0 and (scale <= 1.0 or scale <= self._peak / s.limits.amp_collapse_factor)
        if low or self._collapse is not None:
            self._collapse = self._followed(self._collapse, low, s, Severity.INTERVENE)

    @staticmethod
    def _followed(case: Case | None, holds: bool, s: Signals, severity: Severity) -> Case | None:
        if holds:
            if case is None or not case.active:
                case = opened(s)
                case.raise_to(severity, s.step)
            else:
                case.extend(s)
        elif case is not None and case.active:
            case.misses += 1
            case.back_step = case.back_step or s.step
            case.active = case.misses < s.limits.clear_rows
        return case

    def _calibrating(self, s: Signals) -> bool:
        return self._first is None or s.step - self._first < s.limits.amp_early_steps

    def _near(self, s: Signals) -> float:
        """Skipped steps of the last 20, where the log has rows that close."""
        near = [(steps, n) for at, steps, n in self._intervals if at > s.step - _NEAR_STEPS]
        return sum(n for _, n in near) if sum(steps for steps, _ in near) <= _NEAR_STEPS else 0.0

    def _far(self) -> float:
        """Skipped steps of the last 200."""
        covered = sum(steps for _, steps, _ in self._intervals)
        skipped = sum(n for _, _, n in self._intervals)
        return skipped if covered <= _FAR_STEPS else skipped * _FAR_STEPS / covered

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        if self._first is None or (self._skips is None and s.scale is None and "skipped" not in s.names):
            return "neither loss scale nor skipped steps in this log"
        if kind == "amp_scale_collapse" and self._scale is None:
            return "no loss scale in this log"
        return "" if s.unit_steps else f"this log counts {s.counts}s, not steps"

    def findings(self, s: Signals) -> Iterator[Finding]:
        """All skips as one notice, unless a storm or a collapse explains them."""
        for kind, case in (("amp_skip_storm", self._storm), ("amp_scale_collapse", self._collapse)):
            if case is not None:
                yield self._finding(kind, case, s)
        if self._skips is not None and self._storm is None and self._collapse is None:
            yield self._finding(self.kind, self._skips, s)

    def _finding(self, kind: str, case: Case, s: Signals) -> Finding:
        evidence: dict[str, float | str] = {"skipped_steps": self._skipped}
        evidence |= {"loss_scale": self._scale} if self._scale is not None else {}
        return finding(
            kind,
            case,
            self._message(kind, case, s),
            tuple(self._criteria(kind, case, s)),
            numbers=numbers(s, case),
            evidence=evidence,
        )

    def _message(self, kind: str, case: Case, s: Signals) -> str:
        scale = f", loss scale {short(self._scale)}" if self._scale is not None else ""
        over = "" if case.active else f"; over since {place(s, case.back_step or case.last_step)}"
        if kind == "amp_scale_collapse":
            return f"The loss scale fell to {short(self._scale or 0.0)}, from {short(self._peak)}{over}."
        where = f"{'at' if case.first_step == case.last_step else 'in'} {span(s, case)}"
        if kind == "amp_skip_storm" and not case.active:
            return f"Far too many steps were skipped {where} because the gradient overflowed{scale}{over}."
        if kind == "amp_skip_storm":
            share = self._share(s)
            return f"{share[0].upper()}{share[1:]} were skipped because the gradient overflowed{scale}."
        steps = max(1.0, s.step - s.first_step + s.interval)
        of = f" ({percent(self._skipped / steps)})" if s.step > s.first_step else ""
        some = "1 step was" if self._skipped == 1 else f"{count(self._skipped)} steps were"
        return f"{some} skipped by mixed precision {where}{of}{scale}: that is how a loss scale finds its range."

    def _share(self, s: Signals) -> str:
        if self._blocked >= s.limits.amp_blocked_steps:
            return f"the last {count(self._blocked)} steps"
        covered = min(_FAR_STEPS, sum(steps for _, steps, _ in self._intervals))
        return f"{count(round(self._far()))} of the last {count(covered)} steps"

    def _criteria(self, kind: str, case: Case, s: Signals) -> Iterator[Criterion]:
        if kind == "amp_scale_collapse":
            yield criterion(kind, "collapsed", case.active, f"{short(self._scale or 0.0)} after {short(self._peak)}")
        else:
            yield criterion(kind, "frequent", kind == "amp_skip_storm" and case.active, self._share(s))
        if kind == "amp_skip_storm":
            blocked = f"{count(self._blocked)} in a row, {s.limits.amp_blocked_steps:g} would be"
            yield criterion(kind, "blocked", self._blocked >= s.limits.amp_blocked_steps, blocked)
        if kind != "amp_overflow":
            since = f"{place(s, case.last_step)}, {s.limits.amp_early_steps:g} steps are for the search"
            yield criterion(kind, "after_calibration", case.active, since)

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """A claim of an overflow is a skipped step; how many there were says whether it matters."""
        why = f"{count(self._skipped)} skipped steps so far"
        return why, (criterion(self.kind, "frequent", False, why),)
