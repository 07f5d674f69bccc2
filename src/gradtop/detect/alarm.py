"""Other people's alarms in the log: each is answered by a finding, confirmed or not, with its checklist."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gradtop import units
from gradtop.catalogue import KINDS
from gradtop.clean import clean
from gradtop.detect.case import Case, Rule
from gradtop.detect.signals import Signals
from gradtop.detect.wording import numbers, place
from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Event

_STEPS_KEPT = 50
"""Steps kept of one kind's alarms; more are counted."""
_QUOTED = 120
_EXPLAINED_BY = {
    "gradient_vanishing": ("gradient_vanishing", "empty_batch", "measurement_suspect", "nonfinite"),
    "loss_spike": ("loss_spike", "loss_divergence", "nonfinite"),
    "loss_divergence": ("loss_divergence", "loss_spike", "nonfinite"),
}
"""Kinds of our own that answer an alarm of some kind, the best first."""


@dataclass(slots=True)
class _Claim:
    """What the log claims of one kind."""

    kind: str
    session: int
    raised_step: float
    count: int = 0
    first_step: float = 0.0
    last_step: float = 0.0
    steps: dict[float, str] = field(default_factory=dict)
    """Step → where and what the log says."""


class Alarms:
    """All alarms of a run, by kind; however many there are, a kind has one answer."""

    def __init__(self) -> None:
        """No alarm seen yet."""
        self._claims: dict[str, _Claim] = {}

    def see(self, event: Event, s: Signals) -> None:
        """Take an alarm in; one of an unknown kind stays an event of the log."""
        kind = str(event.data.get("kind", ""))
        if kind not in KINDS:
            return
        step = _step(event, s)
        claim = self._claims.get(kind)
        if claim is None:
            claim = self._claims[kind] = _Claim(kind, s.session, max(step, s.step), first_step=step, last_step=step)
        claim.count += 1
        claim.first_step, claim.last_step = min(claim.first_step, step), max(claim.last_step, step)
        if step not in claim.steps and len(claim.steps) < _STEPS_KEPT:
            claim.steps[step] = _said(event)
            s.pin(step)

    def answered(self, found: Sequence[Finding], rules: Iterable[Rule], s: Signals) -> list[Finding]:
        """Our findings with the alarms they explain, and a notice for those that nothing confirms."""
        answers = list(found)
        by_kind = {kind: rule for rule in rules for kind in rule.kinds}
        for claim in self._claims.values():
            open_steps: list[float] = []
            for step in claim.steps:
                if not _attach(answers, claim, step, 0.0) and not _attach(answers, claim, step, s.interval):
                    open_steps.append(step)
            if open_steps and (rule := by_kind.get(claim.kind)) is not None:
                answers.append(_unconfirmed(claim, open_steps, rule, s))
        return answers


def _step(event: Event, s: Signals) -> float:
    given = event.data.get("step", event.step)
    if isinstance(given, int | float) and given == given:
        return float(given)
    return s.step if s.rows else 0.0


def _said(event: Event) -> str:
    limit = event.data.get("limit")
    parts = [
        f"line {event.line:,}" if event.line is not None else "",
        f"limit {units.number(limit)}" if isinstance(limit, int | float) else "",
    ]
    place = ", ".join(part for part in parts if part)
    text = clean(" ".join(event.message.split()), _QUOTED)
    return f"{place}: {text}" if place and text else place or text or "an alarm"


def _attach(answers: list[Finding], claim: _Claim, step: float, near: float) -> bool:
    """Note the alarm in the finding at its step, or within `near` steps, that explains it; True when there is one."""
    for kind in _EXPLAINED_BY.get(claim.kind, (claim.kind,)):
        for i, ours in enumerate(answers):
            if ours.kind != kind or not ours.first_step - near <= step <= ours.last_step + near:
                continue
            if "log_alarm" not in ours.evidence:
                said = claim.steps[step]
                where = said.partition(":")[0] if said.startswith(("line", "limit")) else ""
                own = f"The log's own alarm ({where})" if where else "The log's own alarm"
                answers[i] = dataclasses.replace(
                    ours,
                    evidence={**ours.evidence, "log_alarm": said, "log_alarm_kind": claim.kind},
                    message=f"{ours.message} {own} is about this.",
                )
            return True
    return False


def _unconfirmed(claim: _Claim, steps: Sequence[float], rule: Rule, s: Signals) -> Finding:
    first = min(steps)
    reason, criteria = rule.answer(s, first)
    quoted = claim.steps[first]
    told = f"The log's own alarm at {place(s, first)} ({quoted})"
    if claim.count > 1:
        last = f" to {units.count(claim.last_step)}" if claim.last_step > first else ""
        told = f"The log's own {claim.count:,} alarms from {place(s, first)}{last} (first {quoted})"
    unknown = reason.startswith("cannot be told")
    verb = ("are" if claim.count > 1 else "is") + " not confirmed: "
    said = f"{told} cannot be judged{reason.removeprefix('cannot be told')}" if unknown else f"{told} {verb}{reason}"
    refuted = any(c.met is False for c in criteria) and not unknown
    case = Case(first, max(steps), max(claim.raised_step, first), 0, 0, claim.session)
    return Finding(
        kind=claim.kind,
        scope="total",
        severity=Severity.NOTICE,
        state=FindingState.RECOVERED if refuted else FindingState.ACTIVE,
        first_step=first,
        last_step=claim.last_step,
        raised_step=case.raised_step,
        count=claim.count,
        message=f"{said}.",
        evidence={"log_alarm": claim.steps[first], "log_alarm_kind": claim.kind, **_values(s, first)},
        criteria=criteria,
        causes=KINDS[claim.kind].causes,
        checks=tuple(text for check in KINDS[claim.kind].checks if (text := check.filled(numbers(s, case)))),
    )


def _values(s: Signals, step: float) -> dict[str, float | str]:
    loss, grad = s.reading(step) or (None, None)
    return {name: value for name, value in (("loss", loss), ("grad_norm", grad)) if value is not None}
