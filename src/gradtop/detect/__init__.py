"""Observations to findings: rules over the stream of one run, and the one verdict that needs a clock."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast

from gradtop.catalogue import CATALOGUE
from gradtop.config import Limits
from gradtop.coverage import REMEDY
from gradtop.detect import gradient, layers, loss, machine, rate
from gradtop.detect.alarm import Alarms
from gradtop.detect.case import EVERY, Rule, off
from gradtop.detect.course import Course
from gradtop.detect.gradient.empty import EmptyBatch
from gradtop.detect.gradient.measurement import MeasurementSuspect
from gradtop.detect.gradient.unread import Unread
from gradtop.detect.gradient.vanishing import GradientVanishing
from gradtop.detect.loss.divergence import LossDivergence
from gradtop.detect.loss.learning import NoLearning
from gradtop.detect.loss.spike import LossSpike
from gradtop.detect.perlayer import Move, is_layered
from gradtop.detect.process.crash import Crashed
from gradtop.detect.process.liveness import liveness
from gradtop.detect.signals import Signals
from gradtop.detect.value.nonfinite import NonFinite
from gradtop.detect.value.precision import MixedPrecision
from gradtop.detect.value.validation import METRIC, Validation
from gradtop.finding import Coverage, Finding, FindingState
from gradtop.record import End, Event, Rows, RunFacts, merged
from gradtop.run import Observation, Uncounted

__all__ = ["RULES", "Detector", "liveness"]

RULES: tuple[Callable[[Signals], Rule], ...] = (
    NonFinite, EmptyBatch, MeasurementSuspect, LossDivergence, LossSpike, GradientVanishing, NoLearning,
    *rate.RULES, *gradient.RULES, *loss.RULES, *layers.RULES, *machine.RULES,
)  # fmt: skip
"""The rules over rows, in the order in which they look at one: what discredits a reading comes before what uses it."""

WATCHED = ("loss", "grad_norm", "lr", "loss_scale", "skipped")
"""A row with one of these metrics is an observation, and so is one with what some rule asks for."""
_PRINCIPAL = frozenset(("loss", "grad_norm", "lr"))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done with rows that have the same columns."""

    rules: tuple[Callable[[Signals], None], ...]
    """The rules that look at them."""
    setters: tuple[tuple[str, Callable[[Signals, float], None]], ...]
    """Further metrics, and what takes their values in."""
    kept: tuple[str, ...]
    """Further metrics whose values are kept under their names."""
    layers: bool
    """There are values per layer."""
    observed: bool
    """There is something to look at."""


class Detector:
    """The findings of one run: they depend on the stream alone, not on how it is cut into blocks or on the clock."""

    def __init__(self, limits: Limits | None = None) -> None:
        """No row seen yet; `limits` are the thresholds, the defaults where None."""
        self._signals = Signals(limits or Limits())
        self._crashed = Crashed()
        self._precision = MixedPrecision(self._signals)
        self._unread = Unread()
        own = (self._precision, self._crashed, self._unread)
        self._rules: tuple[Rule, ...] = (*(rule(self._signals) for rule in RULES), *own)
        self._asked = tuple({*WATCHED, *_OTHERS, *(name for rule in self._rules for name in rule.inputs)} - {EVERY})
        self._alarms = Alarms()
        self._validation = Validation()
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._found: tuple[Finding, ...] | None = None
        self._coverage: tuple[Coverage, ...] | None = None

    @property
    def rows(self) -> int:
        """Rows with a loss or a grad norm, which can be judged; rows of one step count once."""
        return self._signals.judged

    @property
    def goal(self) -> str:
        """What the training is after where its loss need not fall, and how that is known; empty elsewhere."""
        return self._signals.goal.text if self._signals.goal is not None else ""

    @property
    def moves(self) -> tuple[Move, ...]:
        """Rows at which layers left the usual range of their gradients, or stopped having finite ones."""
        moves = self._signals.layers.moves
        return (*moves.found, *moves.bad)

    @property
    def course(self) -> Course:
        """The run's own usual range so far, and where its warm-up ends."""
        return self._signals.course

    def feed(self, observation: Observation | Uncounted | Event | End | RunFacts) -> None:
        """Take in what the store yields, in the order of the stream."""
        self._found = self._coverage = None
        match observation:
            case Observation():
                self._observe(observation)
            case Uncounted():
                self._signals.meet_elsewhere(observation.names, observation.x_kind)
            case Event():
                self._see_event(observation)
            case End():
                self._crashed.end(observation, self._signals)
            case RunFacts():
                self._signals.learn(merged(self._signals.facts, observation))

    def findings(self) -> tuple[Finding, ...]:
        """Active and recovered findings so far, worst and newest first."""
        if self._found is None:
            s = self._signals
            found = [found for rule in self._rules for found in rule.findings(s)]
            if not any(f.kind == NonFinite.kind and f.state is FindingState.ACTIVE for f in found):
                found += self._validation.findings(s)
            answered = self._alarms.answered(found, self._rules, s)
            self._found = tuple(
                sorted(
                    _numbered(answered),
                    key=lambda f: (f.state.value, -f.severity, -f.raised_step, f.kind, f.first_step),
                )
            )
        return self._found

    def coverage(self) -> tuple[Coverage, ...]:
        """Of every kind of the catalogue that rows decide: whether this log can tell, and what would change that."""
        if self._coverage is None:
            s = self._signals
            blind = {kind: rule.blind(s, kind) for rule in self._rules for kind in rule.kinds}
            needs = {why: f"a loss that has to fall: {REMEDY}" for why in (off(s),) if why}
            told = ((kind, blind[kind.id]) for kind in CATALOGUE if kind.id in blind)
            self._coverage = tuple(Coverage(kind.id, why, needs.get(why, kind.needs)) for kind, why in told)
        return self._coverage

    def _see_event(self, event: Event) -> None:
        if event.event == "alarm":
            self._alarms.see(event, self._signals)
        elif event.event == "crash":
            self._crashed.see(event, self._signals)
        elif event.event == "skipped_step":
            self._precision.see(event, self._signals)
        elif event.event == MeasurementSuspect.kind:
            self._unread.see(event, self._signals)

    def _observe(self, observation: Observation) -> None:
        rows, s = observation.rows, self._signals
        plan = self._plan(tuple(rows.columns))
        if METRIC in rows.columns:
            self._validation.see(rows, s)
        if not plan.observed or not len(rows):
            return
        if observation.session.number != s.session:
            anew = s.begin_session(observation.session.number, float(rows.steps[0]), rows.x_kind)
            for rule in self._rules:
                rule.resume(s, anew)
        self._look(rows, plan)

    def _plan(self, names: tuple[str, ...]) -> _Plan:
        """What is to be done with rows of these columns."""
        plan = self._plans.get(names)
        if plan is None:
            self._signals.meet(names)
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            plan = self._plans[names] = self._planned(names)
        return plan

    def _planned(self, names: tuple[str, ...]) -> _Plan:
        layers = {name for name in names if is_layered(name)}
        # Of the thousands of names that layers have, a family is asked for once.
        asked_of = {f"{name.partition('/')[0]}/*" for name in layers} | (set(names) - layers)
        asked = {pattern for pattern in self._asked if any(fnmatchcase(name, pattern) for name in asked_of)}
        rules = tuple(rule.row for rule in self._rules if not asked.isdisjoint(rule.inputs) or EVERY in rule.inputs)
        others = [name for name in names if name not in layers | _PRINCIPAL]
        wanted = [name for name in others if any(fnmatchcase(name, pattern) for pattern in asked)]
        setters = tuple((name, _OTHERS[name]) for name in wanted if name in _OTHERS)
        kept = tuple(name for name in wanted if name not in _OTHERS)
        return _Plan(rules if asked else (), setters, kept, bool(layers), bool(asked))

    def _look(self, rows: Rows, plan: _Plan) -> None:
        """Row by row: the same findings for every way of cutting the stream."""
        s, columns, lines = self._signals, rows.columns, rows.lines
        losses, grads, rates = (_plain(columns.get(name)) for name in ("loss", "grad_norm", "lr"))
        others = [(see, _plain(columns[name])) for name, see in plan.setters]
        kept = [(name, _plain(columns[name])) for name in plan.kept]
        bound, lr_bound = rows.below.get("grad_norm", 0.0), rows.below.get("lr", 0.0)
        looks = plan.rules
        layers = s.layers if plan.layers and s.layers.block(columns) else None
        for i, step in enumerate(_plain(rows.steps)):
            loss = losses[i] if losses else None
            grad = grads[i] if grads else None
            if step != s.step or s.clashes(loss, grad):
                s.begin_step(step, lines[i] if lines else None)
            else:
                s.fresh_loss = s.fresh_grad = False
            if rates and 0.0 <= rates[i] < math.inf:
                s.see_lr(rates[i])
                s.lr_bound = lr_bound if rates[i] == 0.0 else 0.0
            for see, values in others:
                see(s, values[i])
            if kept:
                known = s.values
                for name, values in kept:
                    known[name] = values[i]
            if layers is not None:
                layers.at(i)
                s.see_layers()
            s.advance()
            if loss is not None:
                s.see_loss(loss)
            if grad is not None and not grad < 0.0:
                s.see_grad(grad, bound if grad == 0.0 else 0.0)
            for look in looks:
                look(s)


_PLANS_KEPT = 4096
"""Sets of columns whose plan is kept; a log with more of them names its columns at random."""


def _numbered(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings with ids of their own, the oldest of those that began at one step first."""
    seen: Counter[str] = Counter()
    for finding in findings:
        seen[finding.id] += 1
        nth = seen[finding.id]
        yield finding if nth == 1 else dataclasses.replace(finding, nth=nth)


def _see_update_ratio(s: Signals, ratio: float) -> None:
    if not ratio < 0.0:  # a size is never negative: this is something else
        s.update_ratio = ratio


def _see_param_norm(s: Signals, norm: float) -> None:
    s.param_norm = norm


_OTHERS: dict[str, Callable[[Signals, float], None]] = {
    "loss_scale": Signals.see_scale,
    "skipped": Signals.see_skipped,
    "update_ratio": _see_update_ratio,
    "param_norm": _see_param_norm,
}
"""Metrics that most logs do not have, and that more than one rule looks at."""


def _plain(values: Sequence[float] | None) -> Sequence[float]:
    """A column as Python numbers, which are several times faster one by one than array scalars; empty for None."""
    if values is None:
        return ()
    listed = getattr(values, "tolist", None)
    return cast("list[float]", listed()) if listed is not None else values
