"""The message, the checklist and the numbers of `gradient_exploding`."""

import math

from gradtop.detect.case import Case, criterion, finding
from gradtop.detect.loss.impact import Before
from gradtop.detect.signals import Signals
from gradtop.detect.wording import at, back, change, fold, numbers, place, rows, short, span
from gradtop.finding import Criterion, Finding, Severity
from gradtop.units import count

KIND = "gradient_exploding"
_IDS = ("persists", "loss_flat", "above_level", "after_burn_in")
_STILL_HIGHER = 0.05
"""Part by which a loss that rose clearly has to stay above what it was, however noisy it has become since."""


def described(s: Signals, case: Case, before: Before | None) -> Finding:
    """A case as it is reported; `before` is the loss before it, where it goes on."""
    known = numbers(s, case)
    if "warmup_end" in case.seen:
        ago = count(case.first_step - case.seen["warmup_end"])
        known["warmup_ended"] = f"{place(s, case.seen['warmup_end'])}, {ago} {s.counts}s before"
    peak, usual = case.seen["peak"], case.seen["usual"]
    return finding(
        KIND,
        case,
        _message(s, case, before),
        _criteria(s, case, before),
        numbers=known,
        evidence={"grad_norm": peak, "usual": usual, "peak_step": case.seen["peak_step"]},
        caveats=_caveats(s),
    )


def _message(s: Signals, case: Case, before: Before | None) -> str:
    usual, peak = case.seen["usual"], case.seen["peak"]
    times = f"{fold(_ratio(peak, usual))} above usual"
    if case.episodes > 1:
        again = "Recurring: " if case.recurring else ""
        felt = "the loss rises with it" if case.seen["felt"] else "the loss does not react"
        return (
            f"{again}{case.episodes:,} spikes of the grad norm in {span(s, case)}, the highest {short(peak)}; {felt}."
        )
    since = at(s, case.first_step)
    if not case.active:
        return _over(s, case, f"{change(usual, peak)}, {times}")
    if "grown" in case.seen:
        what = f"The grad norm grows: {change(usual, peak)} since {since}, {fold(_ratio(peak, usual))} its lowest level"
        return f"{what}{_loss(s, case, before)}."
    if case.severity is Severity.NOTICE:
        what = f"Grad norm {change(usual, peak)} at {since}, {times}"
        return f"{what}{_clipped(s, peak)}. {_why_only_a_notice(s, case)}"
    high = f"Grad norm far above usual since {since}: {change(usual, peak)}, {times}, in {rows(case.count)}"
    return f"{high}{_clipped(s, peak)}{_loss(s, case, before)}."


def _over(s: Signals, case: Case, far: str) -> str:
    after, usual = case.seen.get("after", 0.0), case.seen["usual"]
    lasted = f" for {rows(case.count)}" if case.count > 1 else ""
    if "grown" in case.seen or (case.seen.get("settled") and after > usual):
        return f"The grad norm grew from {at(s, case.first_step)} on ({far}{lasted}) and settled around {short(after)}."
    name = "An explosion" if case.severity > Severity.NOTICE else "A spike"
    felt = "" if case.seen["felt"] or case.seen.get("hurt") else "; the loss did not react"
    return f"{name} of the grad norm at {at(s, case.first_step)} is over: {far}{lasted}, back {back(s, case)}{felt}."


def _why_only_a_notice(s: Signals, case: Case) -> str:
    if s.suspect:
        return "The reading itself is in doubt."
    if s.solved:
        return "The loss is below 5 % of its start: the task is solved, and what is left is noise."
    if "falls" in case.seen:
        return "The loss falls at the same time: so a run leaves a plateau."
    return "One row so far, the next ones decide." if case.count == 1 else "The next rows decide."


def _ratio(peak: float, usual: float) -> float:
    return math.exp(min(math.log(peak) - math.log(usual), 700.0)) if usual > 0.0 else math.inf


def _clipped(s: Signals, peak: float) -> str:
    """What the clip did to it, where its value is known."""
    clip = s.facts.train.clip_norm
    if not clip or clip <= 0.0 or peak <= clip:
        return ""
    return f" (clipped to {short(clip)}: scaled down {fold(_ratio(peak, clip))})"


def _loss(s: Signals, case: Case, before: Before | None) -> str:
    if before is None:
        return ""
    if _hurts(s, case, before):
        return f"; the loss rises with it ({before.told(s)})"
    if case.seen.get("hurt"):
        return f"; the loss rose with it, and has come down again ({before.told(s)})"
    return f"; the loss has not reacted ({before.told(s)})"


def _hurts(s: Signals, case: Case, before: Before) -> bool:
    """The loss rose clearly, and is still above what it was: message and checklist say the same of it."""
    return bool(before.hurt(s)) or bool(case.seen.get("hurt") and (before.rise(s) or 0.0) > _STILL_HIGHER)


def _caveats(s: Signals) -> tuple[str, ...]:
    found = []
    if s.interval > 1:
        found.append(f"Logged every {count(s.interval)} {s.counts}s: what happens in between is not seen.")
    if s.suspect:
        found.append("The logged grad norm contradicts the loss, so its size is not to be trusted.")
    return tuple(found)


def _criteria(s: Signals, case: Case, before: Before | None) -> tuple[Criterion, ...]:
    usual = case.seen["usual"]
    over = f", back {back(s, case)}" if not case.active and case.back_step is not None else ""
    now = short(s.grad_level.level or 0.0) if s.grad is None else short(s.grad)
    level = f"{now} now, usual {short(usual)}, peak {short(case.seen['peak'])}"
    where = f"row {case.first_row:,} of {s.rows:,}"
    if s.in_warmup:
        where = f"the warm-up of {s.schedule.warmup} is not over"
    settled = None if case.active and (s.early or s.in_warmup) else case.active
    persists = case.active and case.severity > Severity.NOTICE
    return (
        criterion(KIND, "persists", persists, f"{rows(case.count)}{over}"),
        _hurt(s, case, before),
        criterion(KIND, "above_level", case.active and not case.recurring, level),
        criterion(KIND, "after_burn_in", settled, f"{where}{over}"),
    )


def _hurt(s: Signals, case: Case, before: Before | None) -> Criterion:
    if "loss" not in case.seen:
        why = "the loss of this run need not fall" if s.other_goals else "no loss before it"
        return criterion(KIND, "loss_flat", None, why)
    if not case.active or before is None:
        return criterion(
            KIND, "loss_flat", False, f"{short(s.recent_loss() or 0.0)} now, {short(case.seen['loss'])} before"
        )
    return criterion(KIND, "loss_flat", _hurts(s, case, before), before.told(s))


def too_few(s: Signals) -> str:
    """Why no usual range is known; empty where it is."""
    n = s.grad_level.n
    return "" if s.grad_level.ready else f"only {rows(n)} with a grad norm: no usual range yet"


def answer(s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
    """The grad norm at `step` against the usual range, for somebody else's claim."""
    known = s.reading(step)
    grad, usual = known[1] if known else None, s.grad_level.usual
    if grad is None:
        why = (
            "no grad norm in this log"
            if not s.grad_level.n
            else f"no grad norm at {place(s, step)} among the last rows"
        )
    elif usual is None:
        why = f"grad norm {short(grad)}, and {rows(s.rows)} are too few to know what is usual"
    else:
        found = f"grad norm {short(grad)}, usual now {short(usual[0])} to {short(usual[1])}"
        return found, tuple(criterion(KIND, id, False, found) for id in _IDS)
    return f"cannot be told: {why}", tuple(criterion(KIND, id, None, why) for id in _IDS)
