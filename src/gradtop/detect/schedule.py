"""What the learning rate says: where warm-up ends, and how many full-size steps the run has made."""

from gradtop.record import RunFacts

MIN_RISES = 10
"""Rises of the learning rate in a row, from the start, that make a warm-up."""
_CYCLE_RISE = 2.0
"""Multiple of the lowest learning rate since the peak at which another cycle begins."""
_CYCLE_LEAST, _CYCLE_MOST = 0.05, 1.05
"""Parts of the peak between which such a rise is one by design."""
_MAX_TIES = 5
"""Rows without a rise (a rounded print of a slow ramp) after which the ramp is over."""


class Schedule:
    """The phase and the effective steps of a run, from its learning rates and what it declares.

    Effective steps are steps weighted by learning rate / peak: a flat loss says nothing while nothing is learned.
    """

    __slots__ = (
        "_declared",
        "_least",
        "_peak_declared",
        "_resumed",
        "_ties",
        "_top",
        "_weighted",
        "first_step",
        "last_rise",
        "lr",
        "peak",
        "rises",
        "rising",
    )

    def __init__(self) -> None:
        """Nothing is known of the schedule yet."""
        self.lr: float | None = None
        self.peak = 0.0
        """The highest learning rate so far."""
        self.rising = True
        """It has done nothing but rise since the start, as far as is known."""
        self.rises = 0
        self.last_rise: float | None = None
        """The step of the newest rise of the first ramp."""
        self.first_step: float | None = None
        self._ties = 0
        self._least = 0.0
        self._top = 0.0
        """The highest rate when it was at its lowest: a rise above it is no return."""
        self._weighted = 0.0
        self._declared: int | None = None
        self._peak_declared: float | None = None
        self._resumed = False

    def declare(self, facts: RunFacts, counts_steps: bool) -> None:
        """Take over what the run says of itself; a declared warm-up wins over the learning rates."""
        self._declared = facts.train.warmup if counts_steps else None
        self._peak_declared = facts.train.lr_max

    def resume(self) -> None:
        """A new session begins: the jump of the learning rate is neither a rise nor the end of the ramp."""
        self._resumed = True

    def see(self, lr: float, step: float) -> bool:
        """Take in a finite learning rate >= 0; True where it goes up again by design, as with warm restarts.

        That is a return to a rate of before after a decay. A jump above the peak or at a resume is none.
        """
        if lr == self.lr and not self.rising and not self._resumed:
            return False
        cycle = self._begins_cycle(lr)
        before, self.lr = self.lr, lr
        self._follow_ramp(before, lr, step)
        self._resumed = False
        return cycle

    def _begins_cycle(self, lr: float) -> bool:
        if self.rising or self._resumed or lr > _CYCLE_MOST * self._top:
            self._least, self._top = lr, max(lr, self.peak)
            return False
        if lr > _CYCLE_RISE * self._least and lr >= _CYCLE_LEAST * self.peak:
            self._least, self._top = lr, self.peak
            return True
        if lr <= self._least:
            self._least, self._top = lr, self.peak
        return False

    def _follow_ramp(self, before: float | None, lr: float, step: float) -> None:
        if lr > self.peak:
            self.peak = lr
        if self.first_step is None:
            self.first_step = step
        if not self.rising or before is None or self._resumed:
            return
        if lr > before:
            self.rises += 1
            self.last_rise, self._ties = step, 0
        else:
            self._ties += 1
            self.rising = lr == before and self._ties < _MAX_TIES

    def advance(self, steps: float) -> None:
        """The run went on by so many steps at the newest learning rate."""
        if self.lr is None:
            self._weighted += steps
        elif self._peak_declared is not None or not (self.rising and self.rises):
            self._weighted += self.lr * steps

    @property
    def effective(self) -> float:
        """Effective steps so far; none are counted in a warm-up whose peak is not known."""
        if self.lr is None:
            return self._weighted
        # A declared peak below what is seen was not this run's: it is scaled, or of a part of the model.
        peak = max(self._peak_declared or 0.0, self.peak)
        return self._weighted / peak if peak > 0 else 0.0

    def in_warmup(self, step: float) -> bool:
        """`step`, the newest, lies in a declared or an unmistakable warm-up."""
        if self._declared is not None:
            return step < self._declared
        return self.rising and self.rises >= MIN_RISES

    def was_warmup(self, step: float) -> bool:
        """An earlier step lay in the warm-up, as far as is known by now."""
        if self._declared is not None:
            return step < self._declared
        return self.rises >= MIN_RISES and self.last_rise is not None and step <= self.last_rise

    @property
    def warmup(self) -> str:
        """How long the warm-up is: `4,000 steps`, or `at least 399 steps` while it goes on; empty without one."""
        if self._declared:
            return f"{self._declared:,} steps"
        if self.rises < MIN_RISES or self.last_rise is None or self.first_step is None:
            return ""
        steps = f"{self.last_rise - self.first_step:,.0f} steps"
        return f"at least {steps}" if self.rising else steps

    @property
    def warmup_end(self) -> float | None:
        """The step at which it ends, where that is known."""
        if self._declared is not None:
            return float(self._declared)
        return self.last_rise if self.rises >= MIN_RISES and not self.rising else None
