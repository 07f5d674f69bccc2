"""Whether learning suffers, so that an odd layer is more than odd."""

import math

from gradtop.detect.case import off
from gradtop.detect.loss.flat import Flat
from gradtop.detect.signals import Signals
from gradtop.detect.wording import change, training

_WORSE = 1.05
"""Multiple of the loss before that counts as a loss that rose."""


def impaired(s: Signals, before: float | None = None, least: float = 0.0) -> Flat:
    """The loss is still near its first level, or clearly higher than when something began.

    Args:
        s: the run now.
        before: the level of the loss then.
        least: effective steps that the run has to have made before a loss near its start means anything.
    """
    if s.other_goals or not s.losses:
        return Flat(None, off(s) or "no loss in this log")
    level, start = s.loss_level, s.loss_level.start
    if start is None or level.level is None:
        return Flat(None, f"only {s.losses} losses so far")
    now = level.level
    if before is not None and not level.linear and now > _WORSE * before > 0:
        return Flat(True, f"the loss rose since: {change(before, now)}")
    # In a log with few rows most of the fall is between the first two of them.
    begun = max(level.value(start), *s.first_losses)
    unit = max(abs(begun), level.unit) if level.linear else begun
    met = begun - now < (1 - s.limits.impaired_level) * unit
    if met and s.schedule.effective < least:
        return Flat(None, f"only {training(s, s.schedule.effective)} so far, {least:.0f} needed")
    return Flat(met, f"loss {change(begun, now)} since the start")


def loss_before(s: Signals) -> float:
    """The level of the loss now, for `impaired` later; NaN where it is not known."""
    level = s.loss_level
    return level.value(level.y) if level.ready else math.nan
