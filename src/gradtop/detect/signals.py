"""What the rules look at: the state of a run at one row, built row by row from its streams."""

import math
from collections import deque
from collections.abc import Iterable

from gradtop.config import Limits
from gradtop.detect.course import Course, Trail
from gradtop.detect.goal import goal
from gradtop.detect.perlayer import FAMILIES, Layers, is_layered
from gradtop.detect.robust import Level, median
from gradtop.detect.schedule import Schedule
from gradtop.record import RunFacts

LOSSES_KEPT = 200
"""Losses kept for trends over the newest rows."""
READINGS_KEPT = 64
"""(step, loss, grad norm) kept to answer for a step that somebody else complains about."""
_INTERVAL_ROWS = 20
_BEST_STEP = 0.02
_BEST_KEPT = 4096


class Signals:
    """One row of one run and what came before it. Values of one step in several rows are merged."""

    __slots__ = (
        "_bests", "_gaps", "_max_step", "_pinned", "_skip_count", "_skips_add_up", "counts", "dead", "elsewhere",
        "facts", "first_losses", "first_step", "fresh_grad", "fresh_loss", "goal", "grad", "grad_bound", "grad_level",
        "interval", "judged", "layers", "limits", "line", "loss", "loss_level", "loss_tail", "losses", "lr_bound",
        "names", "other_goals", "param_norm", "readings", "rows", "scale", "scale_dropped", "schedule",
        "session", "skips", "step", "suspect", "trails", "unit_steps", "update_ratio", "values",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        """No row seen yet; `limits` are the thresholds of all rules."""
        self.limits = limits
        self.facts = RunFacts()
        self.names: set[str] = set()
        """All metrics of the run so far; `grad_norm/` for those per layer."""
        self.elsewhere: dict[str, str] = {}
        """Metrics that count something else than the run, each with what that is."""
        self.layers = Layers()
        """What the newest row with per-layer values says of them."""
        self.rows = 0
        """Rows so far; rows of one step count once."""
        self.judged = 0
        """Rows with a loss or a grad norm so far."""
        self.session = -1
        self.step = -math.inf
        self.first_step = math.nan
        self.unit_steps = True
        """Steps count steps, as opposed to epochs, samples or tokens."""
        self.counts = "step"
        """What the log counts, in the singular."""
        self.goal = goal((), limits.profile)
        """What the training is after where its loss need not fall."""
        self.other_goals = self.goal is not None
        """It is one of reinforcement learning, a GAN or a VAE: the loss need not fall."""
        self.suspect = False
        """The grad norm contradicts the loss: what follows from it is not to be trusted."""
        self.dead = False
        """Loss and grad norm have been 0 for so many rows that these are no empty batches."""
        self._max_step = -math.inf
        self._gaps: list[float] = []
        self._pinned: dict[float, tuple[float | None, float | None] | None] = {}
        self.interval = 1.0
        """Steps per row."""
        self._clear_row()
        self._forget()

    def _clear_row(self) -> None:
        self.line: int | None = None
        self.fresh_loss = self.fresh_grad = False
        self.loss: float | None = None
        self.grad: float | None = None
        self.grad_bound = 0.0
        """Where the grad norm was printed as zero: it is at most this."""
        self.lr_bound = 0.0
        """Where the learning rate was printed as zero: it is at most this."""
        self.skips = 0.0
        """Steps skipped by mixed precision since the last row, as far as rows say so."""
        self.scale_dropped = False
        self.update_ratio: float | None = None
        self.param_norm: float | None = None
        self.values: dict[str, float] = {}
        """What else this step has, of what some rule asks for: `val_loss`, `step_time_s`, ..."""

    def _forget(self) -> None:
        """Start over: no level, no best, no schedule."""
        self.schedule = Schedule()
        self.schedule.declare(self.facts, self.unit_steps)
        self.loss_level = Level(self.limits.burn_in_rows)
        self.grad_level = Level(self.limits.burn_in_rows)
        self.trails = {"loss": Trail(), "grad_norm": Trail()}
        self.losses = 0
        """Finite losses so far, zeros left out."""
        self.first_losses: list[float] = []
        self.loss_tail: deque[float] = deque(maxlen=LOSSES_KEPT)
        self.readings: deque[tuple[float, float | None, float | None]] = deque(maxlen=READINGS_KEPT)
        self.scale: float | None = None
        self._skip_count = 0.0
        self._skips_add_up = False
        self._bests: list[tuple[float, float]] = []

    def learn(self, facts: RunFacts) -> None:
        """Take in what the run says of itself."""
        self.facts = facts
        self.schedule.declare(facts, self.unit_steps)

    def meet(self, names: Iterable[str]) -> None:
        """Take in the names of further metrics of the log."""
        fresh = [name for name in names if name not in self.names]
        for name in fresh:
            self.names.add(name)
            self.names |= {family + "/" for family in FAMILIES if name.startswith(family + "/")}
        self._aim(fresh)

    def meet_elsewhere(self, names: Iterable[str], x_kind: str) -> None:
        """Take in the names of metrics that count something else than the run: they tell what it is after, too."""
        fresh = [name for name in names if name not in self.elsewhere]
        self.elsewhere |= dict.fromkeys(fresh, x_kind)
        self._aim(fresh)

    def _aim(self, fresh: Iterable[str]) -> None:
        known = (self.goal.metric,) if self.goal is not None else ()
        self.goal = goal((*known, *(name for name in fresh if not is_layered(name))), self.limits.profile)
        self.other_goals = self.goal is not None

    def begin_session(self, number: int, step: float, counts: str) -> bool:
        """A session begins at `step`; True when the run starts over and nothing known of it holds any more."""
        first = self.session < 0
        self.session = number
        self.unit_steps = counts in ("step", "row")
        self.counts = counts.removesuffix("s")
        self.schedule.declare(self.facts, self.unit_steps)
        if first:
            return False
        anew = step <= self.first_step
        for trail in self.trails.values():
            trail.rewind(step)
        if anew:
            self._forget()
            self._max_step = -math.inf
        elif step <= self.step:
            self._rewind(step)
        else:
            self.loss_level.restart()
            self.grad_level.restart()
        self.schedule.resume()
        self.step = -math.inf
        return anew

    def _rewind(self, step: float) -> None:
        """Go back to what was known at `step`: the best loss so far is that of the steps before it."""
        while self._bests and self._bests[-1][0] >= step:
            self._bests.pop()
        self.loss_level.restart(self._bests[-1][1] if self._bests else math.inf)
        self.grad_level.restart()

    def see_lr(self, lr: float) -> None:
        """The learning rate of this step; where a cycle of the schedule begins, the loss finds its level anew."""
        if self.schedule.see(lr, self.step):
            self.loss_level.restart(math.inf)
            self._bests.clear()

    def begin_step(self, step: float, line: int | None) -> None:
        """A row of a further step begins."""
        if self.step != -math.inf:
            self.readings.append((self.step, self.loss, self.grad))
            if self._pinned and self.step in self._pinned:
                self._pinned[self.step] = self.loss, self.grad
        self._clear_row()
        self.rows += 1
        self.line = line
        if self.rows == 1 or step < self.first_step:
            self.first_step = step
        self.step = step

    def advance(self) -> None:
        """Count the way to this step, once for each step of the run, at the newest learning rate."""
        step = self.step
        if step <= self._max_step:
            return
        if self._max_step != -math.inf:
            gap = (step - self._max_step) if self.unit_steps else 1.0
            self.schedule.advance(gap)
            if len(self._gaps) < _INTERVAL_ROWS:
                self._gaps.append(gap)
                self.interval = max(1.0, median(self._gaps))
        self._max_step = step

    def clashes(self, loss: float | None, grad: float | None) -> bool:
        """A further value of a metric that this step has already: another row, though the step is the same."""
        return (loss is not None and self.loss is not None and _differ(loss, self.loss)) or (
            grad is not None and self.grad is not None and _differ(grad, self.grad)
        )

    def see_loss(self, loss: float) -> None:
        """The loss of this step."""
        if self.loss is not None:
            return
        self.judged += self.grad is None
        self.loss, self.fresh_loss = loss, True
        if loss == 0.0 or loss - loss != 0.0:  # zero, NaN or Inf: no part of a level
            self.loss_level.z = None
            return
        level = self.loss_level
        level.see(loss)
        self.trails["loss"].see(self.step, level)
        self.losses += 1
        self.loss_tail.append(loss)
        if self.losses <= 3:
            self.first_losses.append(loss)
        if level.y == level.best and level.ready:
            self._keep_best(level)

    def _keep_best(self, level: Level) -> None:
        step = _BEST_STEP * level.unit if level.linear else _BEST_STEP
        if not self._bests or level.best < self._bests[-1][1] - step:
            self._bests.append((self.step, level.best))
            if len(self._bests) > _BEST_KEPT:
                del self._bests[::2]

    def see_grad(self, grad: float, bound: float) -> None:
        """The grad norm of this step; `bound` is the most that a printed zero can be, 0 for a true one."""
        if self.grad is not None:
            return
        self.judged += self.loss is None
        self.grad, self.fresh_grad, self.grad_bound = grad, True, bound
        if grad > 0.0 and grad - grad == 0.0:
            self.grad_level.see(grad)
            self.trails["grad_norm"].see(self.step, self.grad_level)
        else:
            self.grad_level.z = None

    @property
    def course(self) -> Course:
        """What is usual, and the phase."""
        usual = {name: trail.band for name, trail in self.trails.items() if trail.band}
        return Course(usual, self.schedule.warmup_end, self.in_warmup)

    def see_layers(self) -> None:
        """The per-layer values of this step are in `layers`: their median update ratio stands for the run's."""
        ratios = self.layers.update_ratio
        if self.update_ratio is None and ratios is not None and (known := [r for r in ratios.tolist() if r >= 0.0]):
            self.update_ratio = median(known)

    def see_scale(self, scale: float) -> None:
        """The loss scale of mixed precision; a fall of it means that this step was skipped."""
        if self.scale is not None and scale < self.scale:
            self.scale_dropped = True
        self.scale = scale

    @property
    def skipped(self) -> bool:
        """Rows say that steps were skipped since the last row."""
        return self.skips > 0.0

    def see_skipped(self, n: float) -> None:
        """A count of skipped steps: since the last row, or, once it is more than there were steps, since the start.

        Of the first row that is the same, and a count that falls is not one since the start.
        """
        self._skips_add_up = n >= self._skip_count and (self._skips_add_up or (self.rows > 1 and n > self.interval))
        same = n == self._skip_count and n < self.interval
        self.skips = max(0.0, n - self._skip_count if self._skips_add_up or same else n)
        self._skip_count = n

    def rows_for(self, n: int, least: int) -> int:
        """`n` rows of a log with every step, as rows of this log."""
        return max(least, math.ceil(n / self.interval)) if self.interval > 1.0 else n

    @property
    def early(self) -> bool:
        """The burn-in of the run is not over: its first rows."""
        return self.rows < self.limits.burn_in_rows

    @property
    def in_warmup(self) -> bool:
        """This step lies in the warm-up."""
        return self.schedule.in_warmup(self.step)

    @property
    def first_loss(self) -> float | None:
        """The lowest of the first three finite losses: a reference that one wild first step cannot spoil."""
        return min(self.first_losses) if self.first_losses else None

    @property
    def converged(self) -> bool:
        """The loss level is below 5 % of the first losses: solved."""
        first, level = self.first_loss, self.loss_level
        return bool(
            first and level.ready and not level.linear and level.level is not None and level.level < 0.05 * first
        )

    @property
    def solved(self) -> bool:
        """The same, for the burn-in as well."""
        first, level = self.first_loss, self.loss_level.level
        return self.converged or (level is not None and first is not None and 0.0 < level < 0.05 * first)

    @property
    def losses_before(self) -> int:
        """Finite losses before this row."""
        return self.losses - self._counted

    def loss_before(self, rows: int = 5) -> float | None:
        """The median of the newest finite losses before this row, None before the first."""
        before = list(self.loss_tail)[: len(self.loss_tail) - self._counted]
        return median(before[-rows:]) if before else None

    @property
    def _counted(self) -> bool:
        """This row's loss is one of the finite losses."""
        return self.fresh_loss and self.loss is not None and self.loss != 0.0 and math.isfinite(self.loss)

    def recent_loss(self, rows: int = 5) -> float | None:
        """The median of the newest finite losses, None before the first."""
        return median(list(self.loss_tail)[-rows:]) if self.loss_tail and rows > 0 else None

    def pin(self, step: float) -> None:
        """Keep what is read at `step`, past or to come."""
        if step not in self._pinned and len(self._pinned) < READINGS_KEPT:
            self._pinned[step] = None
            self._pinned[step] = self.reading(step)

    def reading(self, step: float) -> tuple[float | None, float | None] | None:
        """(loss, grad norm) of a step of the last rows or a pinned one; None for any other."""
        if step == self.step:
            return self.loss, self.grad
        if (kept := self._pinned.get(step)) is not None:
            return kept
        return next(((loss, grad) for at, loss, grad in reversed(self.readings) if at == step), None)


def _differ(a: float, b: float) -> bool:
    return a != b and not (a != a and b != b)
