"""Numbers and places of a run in words, the same in every finding."""

import math

from gradtop import units
from gradtop.clean import clean
from gradtop.detect.case import Case
from gradtop.detect.signals import Signals

_DIGITS = 3
_LAYERS_BEFORE, _LAYERS_AFTER = 30, 3
"""Rows with per-layer values before and after an incident in which a layer that moved has to do with it."""


def short(value: float) -> str:
    """A metric value in three digits."""
    return units.number(value, _DIGITS)


def change(before: float, after: float) -> str:
    """`8.23 → 7.43`, with as many digits as it takes to tell the two apart, at most six."""
    for digits in range(_DIGITS, 7):
        pair = units.number(before, digits), units.number(after, digits)
        if pair[0] != pair[1]:
            return f"{pair[0]} → {pair[1]}"
    pair = units.number(before, _DIGITS + 1), units.number(after, _DIGITS + 1)
    return f"{pair[0]} → {pair[1]}"


def place(s: Signals, step: float) -> str:
    """`step 14`; `epoch 3` or `row 14` where that is what the log counts."""
    return f"{s.counts} {units.count(step)}"


def at(s: Signals, step: float) -> str:
    """`step 14`, or `step 14 of a warm-up of 4,000 steps`."""
    found = place(s, step)
    return f"{found} of a warm-up of {s.schedule.warmup}" if s.schedule.was_warmup(step) else found


def span(s: Signals, case: Case) -> str:
    """`step 14` or `steps 14 to 20`."""
    if case.first_step == case.last_step:
        return place(s, case.first_step)
    return f"{s.counts}s {units.count(case.first_step)} to {units.count(case.last_step)}"


def back(s: Signals, case: Case) -> str:
    """`at step 15`, where it was over."""
    return f"at {place(s, case.back_step)}" if case.back_step is not None else "since"


def deviations(z: float) -> str:
    """How far above usual, for somebody who knows what a standard deviation is."""
    return f"{'more than 1,000' if z > 1000 else f'{z:.0f}'} standard deviations above usual"


def rows(n: int) -> str:
    """`1 row`, `5 rows`."""
    return f"{n:,} row" if n == 1 else f"{n:,} rows"


def training(s: Signals, effective: float) -> str:
    """Effective steps, for people: `50 steps`, with what they are worth where the learning rate says so."""
    steps = f"{effective:,.0f} {s.counts if s.unit_steps else 'row'}s"
    if s.schedule.lr is None or not s.schedule.effective < s.step - s.first_step - 0.5:
        return steps
    return f"as much training as {steps} at the peak learning rate"


def fold(ratio: float) -> str:
    """A factor: `400×`, `2.3×`, `5e6×` for very large ones; beyond what a float holds it says so."""
    if ratio == math.inf:
        return "more than 1e308×"
    return f"{units.number(ratio, 2)}×" if ratio < 1e5 else f"{units.number(ratio, 1)}×"


def first_layers(s: Signals, step: float) -> str:
    """Which layer's gradient moved first, or was the first that is not finite, around `step`; empty if none is known.

    `layers.3.mlp moved first, at step 812`, `14 of 16 layers moved at once, at step 812, layers.3.mlp the most`.
    """
    since, until = step - s.layers.interval * _LAYERS_BEFORE, step + s.layers.interval * _LAYERS_AFTER
    bad = [move for move in s.layers.moves.bad if since <= move.step <= until]
    near = bad or [move for move in s.layers.moved_first(since) if move.step <= until]
    if not near:
        return ""
    first, where = near[0], place(s, near[0].step)
    name = clean(first.layer, 60)
    if bad and first.layers == first.of > 1:
        return f"the gradients of all {first.of} layers stopped being finite at once, at {where}"
    if bad:
        return f"{name} was the first with a gradient that is not finite, at {where}"
    if 2 * first.layers >= first.of > 1:
        return f"{first.layers} of {first.of} layers moved at once, at {where}, {name} the most"
    return f"{name} moved first, at {where}"


def numbers(s: Signals, case: Case) -> dict[str, str]:
    """The fields of the catalogue's checks, as far as this run knows them."""
    known = {"first_step": place(s, case.first_step), "rows": f"{s.rows:,}"}
    if case.first_step > s.first_step:
        known["before"] = place(s, case.first_step)
    if len(s.layers) and (moved := first_layers(s, case.first_step)):
        known["first_layers"] = moved
    train = s.facts.train
    # A declared rate below what is seen is not the one to change.
    lr = max(train.lr_max or 0.0, s.schedule.peak)
    if lr:
        known |= {"lr": short(lr), "lr_lower": short(lr / 3), "lr_higher": short(lr * 3), "lr_half": short(lr / 2)}
    if warmup := s.schedule.warmup:
        end = s.schedule.warmup_end
        done = f", {units.percent(s.step / end)} done" if end and s.in_warmup else ""
        known["warmup"] = warmup + done
        if end is not None:
            known["warmup_longer"] = f"{2 * end:,.0f} steps"
    if train.clip_norm:
        known["clip"] = short(train.clip_norm)
    if train.precision:
        known["precision"] = clean(train.precision, 40)
    level = s.loss_level.level
    if level is not None:
        known["loss"] = short(level)
    if s.facts.world_size != 1:
        known["ranks"] = f"all {s.facts.world_size:,} ranks" if s.facts.world_size else "all ranks"
    if s.facts.pid is not None:
        known["pid"] = str(s.facts.pid)
    if s.limits.grad_floor is not None:
        known["floor"] = units.number(s.limits.grad_floor, 2)
        params = s.facts.model.trained
        known["below_floor"] = f" (an RMS of {short(s.limits.grad_floor / params**0.5)} per element)" if params else ""
    return known
