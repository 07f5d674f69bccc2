"""Whether the loss has stopped improving since something began."""

from dataclasses import dataclass

from gradtop.detect.robust import trend_of
from gradtop.detect.signals import LOSSES_KEPT, Signals
from gradtop.detect.wording import change, short, training

_SIGNIFICANT = 2.0
_BEYOND_DOUBT = 4.0
"""The same, where the loss was called flat before: what is asked row after row is answered wrongly at times."""
_ROOM = 0.02
"""Fall over the window that the noise may still hide when the loss is called flat."""
_LEAST_LOSSES = 5


@dataclass(frozen=True, slots=True)
class Flat:
    """The answer, None where it cannot be told, with the numbers behind it."""

    met: bool | None
    evidence: str


def loss_flat(s: Signals, losses_before: int, effective_before: float, *, was_flat: bool = False) -> Flat:
    """Flat: no significant fall, and room for only a small one, over enough effective steps since it began.

    Args:
        s: the run now.
        losses_before: finite losses seen when it began.
        effective_before: effective steps done when it began.
        was_flat: it was called flat before, which only a fall beyond doubt takes back.
    """
    if not s.losses:
        return Flat(None, "no loss in this log")
    since = min(s.losses - losses_before, LOSSES_KEPT)
    if since < _LEAST_LOSSES:
        return Flat(None, f"only {max(since, 0)} losses since it began")
    mean, change_, error = trend_of(list(s.loss_tail)[-since:])
    unit = max(abs(mean), s.loss_level.unit) if s.loss_level.linear else abs(mean)
    fall = -change_
    if fall > (_BEYOND_DOUBT if was_flat else _SIGNIFICANT) * error and fall >= s.limits.flat_fall * unit:
        return Flat(False, f"it falls by {100 * fall / unit:.2g} % in {since} rows")
    steps = s.schedule.effective - effective_before
    if steps < s.limits.flat_steps:
        return Flat(None, f"only {training(s, steps)} since it began, {s.limits.flat_steps:.0f} needed")
    if fall + _SIGNIFICANT * error > _ROOM * unit:
        return Flat(
            None, f"the noise hides a fall below {100 * (fall + _SIGNIFICANT * error) / unit:.2g} % in {since} rows"
        )
    return Flat(True, f"no fall in {since} rows: {short(mean)} ± {100 * _SIGNIFICANT * error / unit:.1g} %")


def fallen_since(s: Signals, before: float | None, losses_before: int, effective_before: float) -> Flat:
    """The same for something that is over: the loss now against the loss when it began."""
    since = s.losses - losses_before
    if not s.losses or before is None:
        return Flat(None, "no loss in this log" if not s.losses else "no loss before it")
    now = s.recent_loss(min(since, 5))
    if now is None or since <= 0:
        return Flat(None, "no loss since it began")
    if before - now >= s.limits.flat_fall * abs(before):
        return Flat(False, f"{change(before, now)} since")
    if s.schedule.effective - effective_before >= s.limits.flat_steps:
        return loss_flat(s, losses_before, effective_before)
    return Flat(None, f"{change(before, now)} since, too few steps to tell")
