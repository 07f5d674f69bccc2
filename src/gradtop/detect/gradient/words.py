"""The message, the checklist and the caveats of `gradient_vanishing`."""

from typing import TYPE_CHECKING

from gradtop import units
from gradtop.detect.case import Case, criterion, finding
from gradtop.detect.loss.flat import Flat, fallen_since, loss_flat
from gradtop.detect.signals import Signals
from gradtop.detect.wording import at, back, change, fold, numbers, place, rows, short, span
from gradtop.finding import Criterion, Finding, Severity

if TYPE_CHECKING:
    from gradtop.detect.gradient.vanishing import GradientVanishing

_KIND = "gradient_vanishing"
_SOME_ROWS = 20
_OFTEN = 0.05


def described(rule: "GradientVanishing", s: Signals, case: Case) -> Finding:
    """A case as it is reported."""
    flat = _flat(rule, s, case)
    evidence: dict[str, float | str] = {"grad_norm": case.seen["low"], "baseline": case.seen["usual"]}
    if (per_element := _per_element(s, case.seen["low"])) is not None:
        evidence["rms_per_element"] = per_element
    return finding(
        _KIND,
        case,
        _message(rule, s, case, flat),
        _criteria(rule, s, case, flat),
        numbers=numbers(s, case),
        form="stays" if case.severity >= Severity.WATCH and not case.recurring else "",
        evidence=evidence,
        caveats=_caveats(s, case),
    )


def _per_element(s: Signals, grad: float) -> float | None:
    params = s.facts.model.trained
    return grad / params**0.5 if params else None


def _flat(rule: "GradientVanishing", s: Signals, case: Case) -> Flat:
    losses, effective = int(case.seen["losses"]), case.seen["effective"]
    if case.active and case.severity is Severity.NOTICE and s.converged:
        return Flat(False, f"solved: {short(s.recent_loss() or 0.0)}, less than 5 % of the first losses")
    if case.active and case.severity is Severity.NOTICE and rule.faded:
        level = s.loss_level
        return Flat(
            False, f"at its floor after it fell {change(level.value(level.start or 0.0), level.value(level.y))}"
        )
    if "decline" in case.seen and case.active:
        return _flat_decline(s, case)
    if case.active and case.count > 1 and not case.recurring:
        return rule.flat or loss_flat(s, losses, effective)
    return fallen_since(s, case.seen.get("loss"), losses, effective)


def _flat_decline(s: Signals, case: Case) -> Flat:
    before, now = case.seen.get("loss"), s.recent_loss(1)
    if before is None or now is None:
        return Flat(None, "no loss in this log")
    return Flat(True, f"{change(before, now)} over {rows(case.count)}")


def _reading(s: Signals, case: Case) -> str:
    if case.seen["low"] > 0:
        return short(case.seen["low"])
    bound = case.seen["bound"]
    return f"0 as printed (at most {short(bound)})" if bound else "exactly 0"


def _below(s: Signals, case: Case) -> str:
    usual, low = case.seen["usual"], case.seen["low"] or case.seen["bound"]
    found = [_own_floor(s)] if _under_floor(s, low) else []
    if low and (per_element := _per_element(s, low)) is not None and _per_element_too_small(s, per_element):
        found.append(f"an RMS of {short(per_element)} per element, below Adam's epsilon {short(s.limits.adam_epsilon)}")
    if "update_ratio" in case.seen:
        found.append(f"with updates of {short(case.seen['update_ratio'])} of the weights")
    if low <= s.limits.vanish_factor * usual or not found:
        against = f"against the usual {short(usual)}" if usual else "never above it so far"
        found.insert(0, f"{against} ({fold(usual / low)} below)" if 0 < low < usual else against)
    return " and ".join(found)


def _under_floor(s: Signals, low: float) -> bool:
    floor = s.limits.grad_floor
    return floor is not None and low < floor


def _own_floor(s: Signals) -> str:
    floor = s.limits.grad_floor or 0.0
    return f"below your --grad-floor {units.number(floor)}{_implied(s, floor)}"


def _per_element_too_small(s: Signals, per_element: float) -> bool:
    return "adam" in (s.facts.train.optimizer or "").lower() and per_element <= s.limits.adam_epsilon


def _implied(s: Signals, norm: float) -> str:
    per_element = _per_element(s, norm)
    return f" (an RMS of {short(per_element)} per element)" if per_element is not None else ""


def _message(rule: "GradientVanishing", s: Signals, case: Case, flat: Flat) -> str:
    if "decline" in case.seen:
        return _decline(s, case)
    if case.recurring:
        lowest = f"the lowest {_reading(s, case)} {_below(s, case)}"
        return f"Recurring: {case.episodes:,} short episodes of a low grad norm in {span(s, case)}, {lowest}."
    if case.severity >= Severity.WATCH:
        return _stays(rule, s, case, flat)
    return _wobble(rule, s, case, flat)


def _wobble(rule: "GradientVanishing", s: Signals, case: Case, flat: Flat) -> str:
    if case.episodes > 1:
        lowest = f"the lowest {_reading(s, case)} {_below(s, case)}"
        return f"{case.episodes:,} more short episodes of a low grad norm in {span(s, case)}, {lowest}."
    what = f"Grad norm {_reading(s, case)} at {at(s, case.first_step)}, {_below(s, case)}"
    if case.count > 1:
        what = f"Grad norm down to {_reading(s, case)}, {_below(s, case)}, in {rows(case.count)} of {span(s, case)}"
    if case.active:
        return f"{what}. {_why_only_a_notice(rule, s, case)}"
    loss = f", loss {flat.evidence}" if flat.met is False and "→" in flat.evidence else ""
    return f"{what}: a wobble, back to normal {back(s, case)}{loss}."


def _why_only_a_notice(rule: "GradientVanishing", s: Signals, case: Case) -> str:
    if s.converged:
        return "The loss is below 5 % of its start: the task is solved, so the gradient fades with it."
    if rule.faded:
        return "It faded slowly with the loss at its floor: that is how a run ends, not a vanishing gradient."
    if s.suspect:
        return "The reading itself is in doubt."
    if s.in_warmup:
        return "Nothing is judged by its level before the warm-up is over."
    if case.count == 1:
        return "One reading is no verdict: the next rows decide."
    return f"{rows(case.count)} so far: the next rows decide."


def _stays(rule: "GradientVanishing", s: Signals, case: Case, flat: Flat) -> str:
    since = at(s, case.first_step)
    if not case.active:
        low = f"down to {_reading(s, case)}, {_below(s, case)}, for {rows(case.count)} from {since} on"
        return f"A low gradient is over: {low}; back to normal {back(s, case)}."
    what = f"Grad norm low since {since}: down to {_reading(s, case)}, {_below(s, case)}"
    share = f"in {rule.window.count} of the last {rule.window.n} rows"
    if flat.met is True:
        return f"{what}, {share}, and the loss has stopped falling ({flat.evidence})."
    if flat.met is False:
        return f"{what}, {share}: low gradient, still learning ({flat.evidence})."
    return f"{what}, {share}; whether the loss still falls cannot be told: {flat.evidence}."


def _decline(s: Signals, case: Case) -> str:
    fall = f"{short(case.seen['usual'])} → {_reading(s, case)}"
    few = f" {rows(s.rows)}: too few to be sure." if s.rows < _SOME_ROWS else ""
    if not case.active:
        where = f"in {span(s, case)}, until {_end(s, case)}"
        return f"A falling grad norm is over: it fell from row to row, {fall} {where}.{few}"
    loss = f", and the loss does not fall ({_flat_decline(s, case).evidence})" if "loss" in case.seen else ""
    return f"Grad norm falls from row to row, {fall} since {at(s, case.first_step)}{loss}.{few}"


def _end(s: Signals, case: Case) -> str:
    return place(s, case.back_step if case.back_step is not None else case.last_step)


def _criteria(rule: "GradientVanishing", s: Signals, case: Case, flat: Flat) -> tuple[Criterion, ...]:
    return (
        _persists(rule, s, case),
        criterion(_KIND, "loss_flat", flat.met, flat.evidence),
        _below_level(rule, s, case),
        _after_burn_in(rule, s, case),
    )


def _persists(rule: "GradientVanishing", s: Signals, case: Case) -> Criterion:
    counted = rows(case.count)
    if "decline" in case.seen and case.active:
        return criterion(_KIND, "persists", True, f"falls in {rows(case.count)} in a row")
    if case.active and not case.recurring:
        window = rule.window
        met = rule.persists(s) or None
        share = f"{window.count} of the last {min(window.n, max(window.seen, window.count))} rows"
        return criterion(
            _KIND, "persists", met if met or case.count > 1 else False, share if case.count > 1 else counted
        )
    over = f", back {back(s, case)}" if case.back_step is not None else ""
    now = _now(s)
    return criterion(_KIND, "persists", False, f"{counted}{over}{f' ({now} now)' if now else ''}")


def _now(s: Signals) -> str:
    known = s.grad if s.grad is not None else (s.readings[-1][2] if s.readings else None)
    return short(known) if known is not None else ""


def _below_level(rule: "GradientVanishing", s: Signals, case: Case) -> Criterion:
    usual = rule.usual(s) if "decline" not in case.seen else case.seen["usual"]
    compared = f"{_now(s) or 'n/a'} now" + (f", usual {short(usual)}" if usual is not None else "")
    if _under_floor(s, case.seen["low"] or case.seen["bound"]):
        compared += f"; {_reading(s, case)} is {_own_floor(s)}"
    if "decline" in case.seen and case.active:
        fell = f"{short(usual or 0.0)} → {_reading(s, case)}"
        return criterion(_KIND, "below_level", None, f"no usual range after {rows(s.rows)}; {fell}")
    met = case.active and not case.recurring
    return criterion(_KIND, "below_level", met, compared)


def _after_burn_in(rule: "GradientVanishing", s: Signals, case: Case) -> Criterion:
    kind = "after_burn_in"
    late = f"{rule.low_rows:,} of {rule.late_rows:,} rows after burn-in and warm-up"
    often = case.recurring or (rule.late_rows > 0 and rule.low_rows >= _OFTEN * rule.late_rows)
    if s.early or s.in_warmup:
        early = f"these are still the first {s.limits.burn_in_rows} rows"
        where = early if s.early else f"the warm-up of {s.schedule.warmup} is not over"
        return criterion(_KIND, kind, None if case.active else False, f"so far only {span(s, case)}; {where}")
    return criterion(_KIND, kind, often and case.active, late)


def _caveats(s: Signals, case: Case) -> tuple[str, ...]:
    found = []
    if case.seen["bound"]:
        found.append(
            f"The log prints the grad norm as zero: it is at most {short(case.seen['bound'])}, and may be more than 0."
        )
    if s.interval > 1:
        found.append(f"Logged every {units.count(s.interval)} {s.counts}s: what happens in between is not seen.")
    return tuple(found)


def answer(rule: "GradientVanishing", s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
    """The grad norm at `step` against the usual range, and the checklist, for somebody else's claim."""
    known = s.reading(step)
    grad = known[1] if known else None
    flat = fallen_since(s, s.loss_tail[0] if s.loss_tail else None, 0, 0.0)
    loss = criterion(_KIND, "loss_flat", flat.met, flat.evidence)
    usual = rule.usual(s)
    if grad is None:
        why = f"no grad norm at {place(s, step)} among the last rows" if s.grad_level.n else "no grad norm in this log"
        return _cannot_tell(why, loss)
    if usual is None or (rule.reference is None and s.grad_level.n < 5):
        return _cannot_tell(f"grad norm {short(grad)}, and {rows(s.rows)} are too few to know what is usual", loss)
    found = f"grad norm {short(grad)} is within this run's usual range around {short(usual)}"
    if grad < s.limits.vanish_factor * usual:
        found = f"grad norm {short(grad)} against the usual {short(usual)} is within the noise of this run"
    late = f"{rule.low_rows:,} of {rule.late_rows:,} rows after burn-in and warm-up are low"
    return found, (
        criterion(_KIND, "persists", False, f"no low row at {place(s, step)}"),
        loss,
        criterion(_KIND, "below_level", False, found),
        criterion(_KIND, "after_burn_in", False, late),
    )


def _cannot_tell(why: str, loss: Criterion) -> tuple[str, tuple[Criterion, ...]]:
    persists, below, late = (criterion(_KIND, id, None, why) for id in ("persists", "below_level", "after_burn_in"))
    return f"cannot be told: {why}", (persists, loss, below, late)
