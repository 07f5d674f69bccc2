"""`overfitting`: the validation loss rises far above its best while the training loss goes on falling."""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator

from gradtop.detect.case import MAX_CASES, Case, criterion, finding, lacking, off, opened
from gradtop.detect.loss.spike import MATERIAL
from gradtop.detect.robust import median
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, numbers, place, short
from gradtop.finding import Criterion, Finding, Severity
from gradtop.units import percent

_TRAIN_RISE = 1.05
_BACK = 1.05
"""Multiple of the best validation loss at which it is back."""
_NORMAL = 0.6745 * math.sqrt(6.0)
"""Median absolute second difference to standard deviation of a normal distribution."""
_NOISE_KEPT = 24
_BESTS_KEPT = 64
_TRAIN_ROWS, _TRAIN_EPOCHS = 20, 3
_IDS = ("persists", "above_best", "train_falls", "gap")


class Overfitting:
    """Evaluations in a row that are 25 % above the best one, and more where they are noisy, with a gap to the training.

    The gap is compared with that of the best evaluation too: dropout and label smoothing lift the training loss alone,
    and a sum instead of a mean lifts the validation loss.
    """

    kind = "overfitting"
    kinds = (kind,)
    inputs = ("val_loss",)

    def __init__(self, s: Signals) -> None:
        """No evaluation seen yet; `s` has the limits."""
        self.cases: list[Case] = []
        self._current: Case | None = None
        self._begin()

    def _begin(self) -> None:
        self._bests: list[tuple[float, float, float]] = []
        """(step, validation loss, training loss) of evaluations that were the best so far."""
        self._last: tuple[float, float] = (-math.inf, math.nan)
        self._logs = math.nan, math.nan
        """Logarithms of the two evaluations before."""
        self._noise: deque[float] = deque(maxlen=_NOISE_KEPT)
        self._seen = 0
        self._high = 0
        self._train_best = math.inf
        self._interval = math.nan
        self._train_from = 0
        """The loss, by its number, from which on the training loss could be lower than at any evaluation before."""
        self._negative = False

    def row(self, s: Signals) -> None:
        """Look at the evaluation of this row; one that is repeated in further rows is the same one."""
        val = s.values.get("val_loss")
        if val is None or s.other_goals or not math.isfinite(val) or val == self._last[1]:
            return
        if val <= 0.0 or s.loss_level.linear:
            self._negative = True
            return
        if s.step < self._last[0]:
            self._go_back(s.step)
        self._last = s.step, val
        self._seen += 1
        self._see_noise(math.log(val))
        if s.losses >= self._train_from or s.interval != self._interval:
            self._see_train(s)
        if not self._bests or val < self._bests[-1][1]:
            self._see_best(s, val, _train(s))
        else:
            self._see(s, val)

    def resume(self, s: Signals, anew: bool) -> None:
        """A run that starts over has nothing to compare with."""
        self._train_from = 0
        if anew:
            self._close(None)
            self._begin()

    def _see_train(self, s: Signals) -> None:
        """Keep the lowest training loss, a median, and how soon it can be lower: when half of its losses are."""
        newest = sorted(list(s.loss_tail)[-_train_rows(s) :])
        if not newest:
            return
        best = self._train_best = min(self._train_best, median(newest))
        self._interval, self._train_from = s.interval, s.losses + len(newest) // 2 - bisect_left(newest, best)

    def _go_back(self, step: float) -> None:
        while self._bests and self._bests[-1][0] >= step:
            self._bests.pop()
        self._high = 0
        self._logs = math.nan, math.nan

    def _see_noise(self, log: float) -> None:
        first, second = self._logs
        self._logs = second, log
        if first == first:
            self._noise.append(abs(first - 2 * second + log))

    def _see_best(self, s: Signals, val: float, train: float | None) -> None:
        self._bests.append((s.step, val, train if train is not None else math.nan))
        if len(self._bests) > _BESTS_KEPT:
            del self._bests[1:-1:2]
        self._high = 0
        self._close(s.step)

    def _see(self, s: Signals, val: float) -> None:
        best = self._bests[-1][1]
        # The limit takes sorting, and is at least so much above the best.
        high = val > best * (1 + s.limits.overfit_rise) and val > self._limit(s)
        self._high = self._high + 1 if high else 0
        case = self._current
        if case is not None:
            if val <= _BACK * best:
                self._close(s.step)
            elif self._high:
                case.extend(s)
        elif self._high >= s.limits.overfit_evaluations:
            train = _train(s)
            if self._falls(train) and self._gap(s, val, train):
                self._open(s, val)

    def _open(self, s: Signals, val: float) -> None:
        case = opened(s)
        best_step, best, _ = self._bests[-1]
        case.first_step, case.count, case.severity = best_step, self._high, Severity.WATCH
        case.seen = {"best": best, "val": val}
        self.cases = [*self.cases[1 - MAX_CASES :], case]
        self._current = case

    def _close(self, step: float | None) -> None:
        if self._current is not None:
            self._current.active, self._current.back_step, self._current = False, step, None

    @property
    def _spread(self) -> float:
        """Standard deviation of single evaluations around their course, relative."""
        return median(list(self._noise)) / _NORMAL if self._noise else 0.0

    def _limit(self, s: Signals) -> float:
        """Above it a validation loss is high: the best of many noisy ones is low by chance."""
        chance = (2.0 + math.sqrt(2.0 * math.log(max(self._seen, 1)))) * self._spread
        return self._bests[-1][1] * (1 + s.limits.overfit_rise) * math.exp(min(chance, 20.0)) + MATERIAL * (
            s.first_loss or 0.0
        )

    def _falls(self, train: float | None) -> bool:
        return train is not None and train <= _TRAIN_RISE * self._train_best

    def _gap(self, s: Signals, val: float, train: float | None) -> bool:
        best, beside = self._bests[-1][1:]
        usual = min(1.0, best / beside) if beside > 0.0 else 1.0
        return train is not None and val > s.limits.overfit_gap * usual * train

    def blind(self, s: Signals, kind: str) -> str:
        """Why it cannot tell."""
        if why := lacking(s, "val_loss") or lacking(s, "loss") or off(s):
            return why
        if self._negative:
            return "losses at or below 0 have no ratio"
        least = s.limits.overfit_evaluations + 1
        return f"only {self._seen} of {least} evaluations" if self._seen < least else ""

    def findings(self, s: Signals) -> Iterator[Finding]:
        """One finding for each time that the validation loss left its best."""
        for case in self.cases:
            best, at = case.seen["best"], place(s, case.first_step)
            yield finding(
                self.kind,
                case,
                self._message(s, case),
                self._criteria(s, case.active),
                numbers=numbers(s, case) | {"best_step": at, "val_loss": short(best)},
                scope="val_loss",
                evidence={"val_loss": self._last[1] if case.active else case.seen["val"], "best": best},
            )

    def _message(self, s: Signals, case: Case) -> str:
        best, at = case.seen["best"], place(s, case.first_step)
        if not case.active:
            over = f"is over: better {back(s, case)}" if case.back_step is not None else "is over"
            return f"Overfitting after {at}, where the validation loss was {short(best)}, {over}."
        train = _train(s)
        beside = f", while the training loss is {short(train)}" if train is not None else ""
        val = self._last[1]
        return (
            f"The validation loss is {short(val)}, {percent(val / best - 1)} above its best of {short(best)} "
            f"at {at}{beside}: the model overfits."
        )

    def _criteria(self, s: Signals, active: bool) -> tuple[Criterion, ...]:
        if not self._bests:
            why = lacking(s, "val_loss") or "no evaluation yet"
            return tuple(criterion(self.kind, id, None, why) for id in _IDS)
        val, train, best = self._last[1], _train(s), self._bests[-1][1]
        now = f"{short(val)}, at best {short(best)} at {place(s, self._bests[-1][0])}"
        least = s.limits.overfit_evaluations
        high = f"{self._high} evaluation{'' if self._high == 1 else 's'} in a row above {short(self._limit(s))}"
        falls = "no training loss" if train is None else f"{short(train)} now, {short(self._train_best)} at best"
        gap = "no training loss" if train is None else f"{short(val)} against {short(train)} in training"
        return (
            criterion(self.kind, "persists", active or self._high >= least, f"{high}, {least} needed"),
            criterion(self.kind, "above_best", val > self._limit(s), now),
            criterion(self.kind, "train_falls", None if train is None else self._falls(train), falls),
            criterion(self.kind, "gap", None if train is None else self._gap(s, val, train), gap),
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """The newest validation loss against its best."""
        criteria = self._criteria(s, self._current is not None)
        if not self._bests:
            return f"cannot be told: {criteria[0].evidence}", criteria
        return f"the validation loss is {criteria[1].evidence}", criteria


def _train(s: Signals) -> float | None:
    """The training loss around this row: a median of few rows where each is an epoch's mean."""
    return s.recent_loss(_train_rows(s))


def _train_rows(s: Signals) -> int:
    return s.rows_for(_TRAIN_ROWS, _TRAIN_EPOCHS) if s.unit_steps else _TRAIN_EPOCHS
