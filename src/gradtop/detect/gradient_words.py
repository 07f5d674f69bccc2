"""The message, the checklist and the caveats of `gradient_vanishing`."""

from typing import TYPE_CHECKING

from gradtop import units
from gradtop.detect.case import Case, criterion, finding
from gradtop.detect.flat import Flat, fallen_since, loss_flat
from gradtop.detect.signals import Signals
from gradtop.detect.wording import at, change, fold, numbers, rows, short, span
from gradtop.finding import Criterion, Finding, Severity

if TYPE_CHECKING:
    from gradtop.detect.gradient import GradientVanishing

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
        evidence=evidence,
        caveats=_caveats(s, case),
    )


def _per_element(s: Signals, grad: float) -> float | None:
    params = s.facts.model.params
    return grad / params**0.5 if params else None


def _flat(rule: "GradientVanishing", s: Signals, case: Case) -> Flat:
    losses, effective = int(case.seen["losses"]), case.seen["effective"]
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
    floor = s.limits.grad_floor
    if floor is not None and low < floor and low > s.limits.vanish_factor * usual:
        return f"below your --grad-floor {units.number(floor)}{_implied(s, floor)}"
    against = f"against the usual {short(usual)}"
    return f"{against} ({fold(usual / low)} below)" if low > 0 and usual > low else against


def _implied(s: Signals, norm: float) -> str:
    per_element = _per_element(s, norm)
    return f" (an RMS of {short(per_element)} per element)" if per_element is not None else ""


def _message(rule: "GradientVanishing", s: Signals, case: Case, flat: Flat) -> str:
    if "decline" in case.seen:
        return _decline(s, case)
    if case.recurring:
        lowest = f"the lowest {_reading(s, case)} {_below(s, case)}"
        return f"Recurring: {case.episodes:,} short episodes of a low grad norm in {span(case)}, {lowest}."
    if case.severity >= Severity.WATCH:
        return _stays(rule, s, case, flat)
    return _wobble(rule, s, case, flat)


def _wobble(rule: "GradientVanishing", s: Signals, case: Case, flat: Flat) -> str:
    if case.episodes > 1:
        lowest = f"the lowest {_reading(s, case)} {_below(s, case)}"
        return f"{case.episodes:,} more short episodes of a low grad norm in {span(case)}, {lowest}."
    place = at(s, case.first_step)
    what = f"Grad norm {_reading(s, case)} at {place} {_below(s, case)}"
    what += f", for {rows(case.count)} until step {units.count(case.last_step)}" if case.count > 1 else ""
    if case.active:
        return f"{what}. {_why_only_a_notice(rule, s, case)}"
    back = (
        f"back to normal at step {units.count(case.back_step)}"
        if case.back_step is not None
        else "back to normal since"
    )
    loss = f", loss {flat.evidence}" if flat.met is False and "→" in flat.evidence else ""
    return f"{what}: a wobble, {back}{loss}."


def _why_only_a_notice(rule: "GradientVanishing", s: Signals, case: Case) -> str:
    if s.converged:
        return "The loss is below 5 % of its start: solved, so the gradient fades."
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
    what = f"Grad norm far below usual since {since}: down to {_reading(s, case)} {_below(s, case)}"
    if not case.active:
        return f"{what}; back at step {units.count(case.back_step or case.last_step)} after {rows(case.count)}."
    share = f"in {rule.window.count} of the last {rule.window.n} rows"
    if flat.met is True:
        return f"{what}, {share}, and the loss has stopped falling ({flat.evidence})."
    if flat.met is False:
        return f"{what}, {share}: low gradient, still learning ({flat.evidence})."
    return f"{what}, {share}; whether the loss still falls cannot be told: {flat.evidence}."


def _decline(s: Signals, case: Case) -> str:
    fall = change(case.seen["usual"], case.seen["low"])
    few = f" {rows(s.rows)}: too few to be sure." if s.rows < _SOME_ROWS else ""
    if not case.active:
        end = units.count(case.back_step or case.last_step)
        return f"Grad norm fell from row to row, {fall} in {span(case)}; over at step {end}.{few}"
    loss = f", and the loss does not fall ({_flat_decline(s, case).evidence})" if "loss" in case.seen else ""
    return f"Grad norm falls from row to row, {fall} since {at(s, case.first_step)}{loss}.{few}"


def _criteria(rule: "GradientVanishing", s: Signals, case: Case, flat: Flat) -> tuple[Criterion, ...]:
    return (
        _persists(rule, s, case),
        criterion(_KIND, "loss_flat", flat.met, flat.evidence),
        _below_level(rule, s, case),
        _after_burn_in(rule, s, case),
    )


def _persists(rule: "GradientVanishing", s: Signals, case: Case) -> Criterion:
    counted = f"{rows(case.count)}" if case.count > 1 else "1 of 1 rows"
    if "decline" in case.seen and case.active:
        return criterion(_KIND, "persists", True, f"falls in {rows(case.count)} in a row")
    if case.active and not case.recurring:
        window = rule.window
        met = rule.persists(s) or None
        share = f"{window.count} of the last {min(window.n, max(window.seen, window.count))} rows"
        return criterion(
            _KIND, "persists", met if met or case.count > 1 else False, share if case.count > 1 else counted
        )
    back = f", back at step {units.count(case.back_step)}" if case.back_step is not None else ""
    now = _now(s)
    return criterion(_KIND, "persists", False, f"{counted}{back}{f' ({now} now)' if now else ''}")


def _now(s: Signals) -> str:
    known = s.grad if s.grad is not None else (s.readings[-1][2] if s.readings else None)
    return short(known) if known is not None else ""


def _below_level(rule: "GradientVanishing", s: Signals, case: Case) -> Criterion:
    usual = rule.usual(s) if "decline" not in case.seen else case.seen["usual"]
    compared = f"{_now(s) or 'n/a'} now, usual {short(usual)}" if usual is not None else f"{_now(s) or 'n/a'} now"
    if "decline" in case.seen and case.active:
        return criterion(
            _KIND, "below_level", None, f"{rows(s.rows)}: no usual range yet; {change(usual or 0.0, case.seen['low'])}"
        )
    met = case.active and not case.recurring
    return criterion(_KIND, "below_level", met, compared)


def _after_burn_in(rule: "GradientVanishing", s: Signals, case: Case) -> Criterion:
    kind = "after_burn_in"
    late = f"{rule.low_rows:,} of {rule.late_rows:,} rows after burn-in and warm-up"
    often = case.recurring or (rule.late_rows > 0 and rule.low_rows >= _OFTEN * rule.late_rows)
    if s.early or s.in_warmup:
        where = (
            f"in the first {s.limits.burn_in_rows} rows" if s.early else f"the warm-up goes on ({s.schedule.warmup})"
        )
        return criterion(_KIND, kind, None if case.active else False, f"only {span(case)}; {where}")
    return criterion(_KIND, kind, often and case.active, late)


def _caveats(s: Signals, case: Case) -> tuple[str, ...]:
    found = []
    if case.seen["bound"]:
        found.append(
            f"The log prints the grad norm as zero: it is at most {short(case.seen['bound'])}, and may be more than 0."
        )
    if s.interval > 1:
        found.append(f"Logged every {units.count(s.interval)} steps: what happens in between is not seen.")
    return tuple(found)


def answer(rule: "GradientVanishing", s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
    """The grad norm at `step` against the usual range, and the checklist, for somebody else's claim."""
    known = s.reading(step)
    grad = known[1] if known else None
    loss = fallen_since(s, s.loss_tail[0] if s.loss_tail else None, 0, 0.0)
    if grad is None:
        why = (
            "no grad norm in this log"
            if s.grad_level.n == 0
            else f"no grad norm at step {units.count(step)} among the last rows"
        )
        return f"cannot be told: {why}", (
            criterion(_KIND, "persists", None, why),
            criterion(_KIND, "loss_flat", loss.met, loss.evidence),
            criterion(_KIND, "below_level", None, why),
            criterion(_KIND, "after_burn_in", None, why),
        )
    usual = rule.usual(s)
    if usual is None or (rule.reference is None and s.grad_level.n < 5):
        found, met = f"grad norm {short(grad)}; {rows(s.rows)} are too few to know the usual range", None
    else:
        found, met = f"grad norm {short(grad)} is within this run's usual range around {short(usual)}", False
    return found, (
        criterion(_KIND, "persists", met, "no row in a row far below usual" if met is False else found),
        criterion(_KIND, "loss_flat", loss.met, loss.evidence),
        criterion(_KIND, "below_level", met, found),
        criterion(
            _KIND, "after_burn_in", met, f"{rule.low_rows:,} of {rule.late_rows:,} rows after burn-in and warm-up"
        ),
    )
