"""`gradient_exploding`: the grad norm leaves its usual range upwards, at once or over decades."""

import math
from collections.abc import Iterator

from gradtop.detect.case import Case, Episodes, lacking
from gradtop.detect.gradient import explosion
from gradtop.detect.gradient.ground import DECADE, LEAST_STEADY_ROWS, STEADY_ROWS, Ground, Mark
from gradtop.detect.loss.impact import ROWS, Before, before, falls
from gradtop.detect.robust import Window
from gradtop.detect.signals import Signals
from gradtop.finding import Criterion, Finding, Severity

_WATCH_ROWS, _WATCH_OF = 2, 3
_ACT_ROWS, _ACT_OF = 3, 10
_LASTING_Z = 2.0
"""Mean deviation of some rows that is a lasting rise in a noisy stream: 8 of its own standard deviations."""
_BACK_DECADES = 0.3
"""Decades above the usual grad norm below which it is back."""
_BACK_ROWS = 3
_SETTLED_ROWS, _LEAST_SETTLED = 500, 50
"""Rows after which a higher level is the usual one; the least of them where a row stands for several steps."""
_LEARNED = 0.1
"""Fall of the loss since the last calm row, as a part, that explains a larger gradient."""
_ANYWAY_DECADES = 1.0
"""Decades of growth beyond the limit that are named whatever the loss does."""
_STEADY, _STEADY_FLOOR = 0.25, 0.5
"""Parts of the growth that counts from which a steady one does: since the loss fell, and since the lowest level."""
_STEADY_RISE = 0.4
"""Decades that a steady growth makes within its rows."""
_ABOVE_BEST = 0.01
"""Logarithm by which the level of the loss has to be above its best by then: it falls no more."""
_GROWTH_HIGH = 0.75
"""Part of the growth above which it goes on."""
_FELT_Z = 6.0
_AFTER_STEPS, _AFTER_PART = 100.0, 0.05
"""Steps after the end of the warm-up, and part of it, in which a fault is most likely its doing."""


class GradientExploding:
    """One high row is a notice, two of three are worth watching; with a loss that rises too, act."""

    kind = explosion.KIND
    kinds = (kind,)
    inputs = ("grad_norm",)

    def __init__(self, s: Signals) -> None:
        """No row seen yet; `s` has the limits."""
        self._z = s.limits.explode_z
        self._above = s.limits.explode_decades * DECADE
        self._growth = s.limits.explode_growth_decades * DECADE
        self._early = s.limits.reference_burn_in_rows
        self._episodes = Episodes(s.limits)
        self._before: Before | None = None
        self._begin()

    def _begin(self) -> None:
        self._near, self._far = Window(_WATCH_OF), Window(_ACT_OF)
        self._back = 0
        self._ground = Ground()

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours."""
        self._near.bits = self._far.bits = 0
        self._ground.mean = 0.0
        if anew:
            self._begin()

    def row(self, s: Signals) -> None:
        """Look at the grad norm of this row."""
        level, ground = s.grad_level, self._ground
        z = level.z
        if not s.fresh_grad or z is None:
            return
        top = ground.top
        ground.see(s, z, early=level.n <= self._early)
        case = self._episodes.current
        if case is not None and case.severity > Severity.NOTICE:
            self._follow(s, case)
        elif z > self._z and _log(s) > max(top, level.y) + self._above:
            self._hit(s, level.y)
        elif ground.mean > _LASTING_Z and ground.fast > ground.calm_top + self._above:
            self._row_lasting(s)
        else:
            if self._far.bits or self._episodes.near:
                self._miss(s)
            if level.y > ground.ceiling + self._above and level.y > ground.floor + _STEADY_FLOOR * self._growth:
                self._row_grown(s)

    def _hit(self, s: Signals, usual: float) -> None:
        """This row is high against `usual`, a logarithm, and no case above a notice goes on."""
        if self._starts_low(s):
            return
        self._push(True)
        new = self._episodes.hit(s)
        case = self._episodes.current
        if case is None or s.grad is None:
            return
        if new and not case.recurring:
            self._describe(s, case, usual)
        self._peak(s, case)
        if new and not s.early and self._episodes.recurs(s):
            case = self._recurring(s)
        if self._near.count >= _WATCH_ROWS and not case.recurring:
            self._raise(s, case)
        elif case.recurring and case.seen["felt"] and not self._doubtful(s):
            case.raise_to(Severity.WATCH, s.step)

    def _starts_low(self, s: Signals) -> bool:
        """The first rows may have been the odd ones, as long as the loss does not suffer."""
        known = before(s) if s.grad_level.n <= self._early else None
        return s.grad_level.n <= self._early and not (known is not None and known.hurt(s, 1))

    def _describe(self, s: Signals, case: Case, usual: float, newer: int | None = None) -> None:
        self._before = before(s, newer)
        case.seen = {"y": usual, "usual": math.exp(min(usual, 700.0)), "peak": 0.0, "felt": 0.0}
        case.seen |= {"top": s.grad_level.y, "top_row": float(s.rows)}
        if self._before is not None:
            case.seen |= {"loss": self._before.loss, "hurt": 0.0}
        end = s.schedule.warmup_end
        if end is not None and 0.0 <= s.step - end <= max(_AFTER_STEPS, _AFTER_PART * end):
            case.seen["warmup_end"] = end

    def _recurring(self, s: Signals) -> Case:
        since = s.step - s.limits.recurring_steps
        highest = max((case.seen for case in self._episodes.cases if case.last_step >= since), key=lambda c: c["peak"])
        case = self._episodes.gather()
        case.seen |= {"peak": highest["peak"], "peak_step": highest["peak_step"]}
        return case

    @staticmethod
    def _peak(s: Signals, case: Case) -> None:
        if s.grad is not None and s.grad > case.seen["peak"]:
            case.seen |= {"peak": s.grad, "peak_step": s.step}
        z = s.loss_level.z
        if s.fresh_loss and z is not None and z > _FELT_Z:
            case.seen["felt"] = 1.0

    def _doubtful(self, s: Signals) -> bool:
        """Nothing follows from this norm: it contradicts the loss, or the task is solved and this is noise."""
        return s.suspect or s.solved

    def _raise(self, s: Signals, case: Case) -> None:
        """Two of three rows are high: worth watching, unless the gradient grows because the loss falls."""
        if self._doubtful(s):
            return
        if self._learns(s):
            case.seen["falls"] = 1.0
            return
        case.seen.pop("falls", None)
        case.raise_to(Severity.WATCH, s.step)
        self._judge(s, case)

    def _judge(self, s: Signals, case: Case) -> None:
        """Act when the loss rises with it; two rows are enough after the end of the warm-up."""
        soon = "warmup_end" in case.seen
        often = self._near.count >= _WATCH_ROWS if soon else self._far.count >= _ACT_ROWS
        if self._before is None or self._doubtful(s) or not often:
            return
        if self._before.hurt(s, _WATCH_OF if soon else ROWS):
            case.seen["hurt"] = 1.0
            if case.severity is Severity.WATCH:
                case.raise_to(Severity.INTERVENE, s.step)

    def _follow(self, s: Signals, case: Case) -> None:
        """A case that is worth watching goes on while the grad norm is above what was usual before it."""
        if "grown" in case.seen:
            above = s.grad_level.y - case.seen["y"]
            high, back = above > _GROWTH_HIGH * case.seen["grown"], above < case.seen["grown"] / 2
        else:
            above = _log(s) - case.seen["y"]
            high, back = above > self._above, above < _BACK_DECADES * DECADE
        self._push(high)
        self._back = self._back + 1 if back else 0
        if high:
            self._episodes.hit(s)
            self._peak(s, case)
            self._judge(s, case)
        else:
            self._episodes.miss(s)
        if s.grad_level.y > case.seen["top"] + _BACK_DECADES * DECADE:
            case.seen |= {"top": s.grad_level.y, "top_row": float(s.rows)}
        still = s.rows - case.seen["top_row"] >= s.rows_for(_SETTLED_ROWS, _LEAST_SETTLED)
        settled = still and not self._hurts(s)
        if not case.recurring and (self._back >= _BACK_ROWS or settled):
            case.seen["settled"] = float(settled)
            self._episodes.close()
        if self._episodes.current is not case:
            self._over(s, case)

    def _hurts(self, s: Signals) -> bool:
        return self._before is not None and bool(self._before.hurt(s))

    def _over(self, s: Signals, case: Case) -> None:
        case.seen["after"] = s.grad_level.level or 0.0
        self._back = 0
        self._ground.forget()

    def _miss(self, s: Signals) -> None:
        self._push(False)
        self._episodes.miss(s)

    def _push(self, high: bool) -> None:
        self._near.push(high)
        self._far.push(high)

    def _row_lasting(self, s: Signals) -> None:
        """The mean of some rows is high, though none of them stands out of the noise."""
        calm = self._ground.calm
        if calm is not None and s.grad_level.n > self._early and not self._doubtful(s) and not self._learns(s):
            self._open(s, calm.y, calm)

    def _row_grown(self, s: Signals) -> None:
        """The level is decades above its lowest: the slow form, which a level that follows does not show."""
        ground, y = self._ground, s.grad_level.y
        flat = s.loss_level.ready and y > ground.lowest + _STEADY * self._growth and not falls(s)
        enough = y > ground.lowest + self._growth or self._steady(s)
        anyway = y > ground.floor + self._growth + _ANYWAY_DECADES * DECADE
        if self._doubtful(s) or not ((flat and enough) or anyway):
            return
        since = ground.base if flat and enough else ground.low
        if since is not None:
            self._open(s, ground.lowest if flat and enough else ground.floor, since)
            if self._episodes.current is not None:
                self._episodes.current.seen["grown"] = y - self._episodes.current.seen["y"]

    def _steady(self, s: Signals) -> bool:
        """It grows row by row in a run that has learned, and whose loss has come no lower for as long."""
        level, rows = s.loss_level, s.rows_for(STEADY_ROWS, LEAST_STEADY_ROWS)
        learned = level.start is not None and not level.linear and level.best < level.start + math.log1p(-_LEARNED)
        return learned and self._ground.rise(s, rows) > _STEADY_RISE * DECADE and level.y > level.best + _ABOVE_BEST

    def _learns(self, s: Signals) -> bool:
        """The gradient grows because the loss falls, as where a run leaves a plateau."""
        calm = self._ground.calm
        known = before(s, s.losses - calm.losses) if calm is not None else None
        rise = known.rise(s) if known is not None else None
        return falls(s) or (rise is not None and rise < -_LEARNED)

    def _open(self, s: Signals, usual: float, since: Mark) -> None:
        """A case that began after an earlier row, and is worth watching."""
        if self._episodes.current is None:
            self._episodes.hit(s)
        case = self._episodes.current
        if case is None:
            return
        self._describe(s, case, usual, s.losses - since.losses)
        case.first_step, case.first_row = since.step, since.row
        case.recurring = False
        self._peak(s, case)
        case.raise_to(Severity.WATCH, s.step)

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        return lacking(s, "grad_norm") or explosion.too_few(s)

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each explosion."""
        return (explosion.described(s, case, self._before) for case in self._episodes.cases)

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """The grad norm at `step` against the usual range."""
        return explosion.answer(s, step)


def _log(s: Signals) -> float:
    return math.log(s.grad) if s.grad else -math.inf
