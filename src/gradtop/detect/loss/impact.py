"""What the loss did since something began: whether it hurt, or whether the loss falls all the same."""

import math
from dataclasses import dataclass
from itertools import pairwise

from gradtop.detect.robust import DIFFERENCES, median
from gradtop.detect.signals import Signals
from gradtop.detect.wording import change

ROWS = 5
"""Losses whose median is the loss of now."""
_LEAST = 0.05
"""Part of the loss that a rise has to make up."""
_SPREADS = 3.0
"""Robust deviations that a rise has to stand out by."""
_LEVEL_SPREADS = 0.5
"""The same for the level, whose own noise is a tenth of a single loss's."""
_UNKNOWN_SPREAD = 0.1
"""Relative noise of the loss that is assumed before anything is known of it."""
_OLD_ROWS = 20
_FALL = 0.03
_FALL_SPREADS = 1.5


@dataclass(frozen=True, slots=True)
class Before:
    """The loss before something began."""

    loss: float
    """Median of the losses before it."""
    spread: float
    """Robust deviation of a single loss, as a part of it."""
    level: float | None
    """The robust level in its own form, None in the burn-in."""

    def rise(self, s: Signals, rows: int = ROWS) -> float | None:
        """How far the median of the newest losses lies above it, as a part of it; None where it cannot be told."""
        now = s.recent_loss(rows)
        return _relative(s, self.loss, now) if now is not None else None

    def hurt(self, s: Signals, rows: int = ROWS, least: float = _LEAST) -> bool | None:
        """The loss is clearly higher than before; None where it cannot be told."""
        rise = self.rise(s, rows)
        return None if rise is None else rise > max(least, _SPREADS * self.spread)

    def lifted(self, s: Signals, least: float) -> bool:
        """The robust level of the loss rose by this part: what noisy losses show, though some rows later."""
        level = s.loss_level
        if self.level is None or not level.ready:
            return False
        rise = level.y - self.level
        least = least if level.linear else math.log1p(least)
        return rise / (level.unit if level.linear else 1.0) > least + _LEVEL_SPREADS * self.spread

    def told(self, s: Signals) -> str:
        """`2.21 → 3.49`."""
        return change(self.loss, s.recent_loss() or 0.0)


def before(s: Signals, newer: int | None = None) -> Before | None:
    """The loss before the newest `newer` losses, or else before this row; None where it has none or need not fall."""
    if s.other_goals or not s.loss_tail:
        return None
    loss = s.loss_before() if newer is None else _median_before(s, newer)
    return None if loss is None else Before(loss, _spread(s), s.loss_level.y if s.loss_level.ready else None)


def _median_before(s: Signals, newer: int) -> float:
    """Of as many as are kept; of the oldest that are, where it is longer ago."""
    kept = list(s.loss_tail)
    end = max(len(kept) - newer, min(ROWS, len(kept)))
    return median(kept[max(0, end - ROWS) : end])


def falls(s: Signals) -> bool:
    """The newest losses are clearly lower than those of the rows before them."""
    tail = s.loss_tail
    if len(tail) < 2 * ROWS:
        return False
    newest = list(tail)[-ROWS - _OLD_ROWS :]
    fall = -_relative(s, median(newest[:-ROWS]), median(newest[-ROWS:]))
    return fall > max(_FALL, _FALL_SPREADS * _spread(s))


def _spread(s: Signals) -> float:
    level = s.loss_level
    if not level.ready:
        newest = list(s.loss_tail)[-_OLD_ROWS:]
        steps = [abs(_relative(s, a, b)) for a, b in pairwise(newest)]
        return DIFFERENCES * sum(steps) / len(steps) if len(steps) >= ROWS else _UNKNOWN_SPREAD
    return level.spread / level.unit if level.linear else level.spread


def _relative(s: Signals, old: float, new: float) -> float:
    """The change as a part of the old value; logarithmic where all losses are positive."""
    level = s.loss_level
    if level.linear or old <= 0.0 or new <= 0.0:
        unit = max(abs(old), level.unit if level.linear else 0.0)
        return (new - old) / unit if unit else 0.0
    return math.log(new) - math.log(old)
