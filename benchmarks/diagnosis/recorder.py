"""A run of training as lines of the stream, as a good logger in the loop writes them."""

import math
from collections.abc import Iterator, Sequence

import msgspec

from gradtop import record

from .plan import Plan
from .training import Step, Training

START = 1.79e9
"""Unix seconds at which every run begins."""
NAMES = "a"


def lines(plan: Plan, seed: int) -> Iterator[bytes]:
    """Train, yielding the lines of the stream; they depend on nothing but the arguments."""
    training = Training(plan, seed)
    log, now, session, crash = plan.setup.log, START, 0, ""
    losses: list[float] = []
    step = 0
    for done in training:
        step, crash = done.step, done.crash
        if done.session != session:
            session = done.session
            yield from _heading(plan, seed, training, now, session)
        now += done.machine.step_time_s
        losses.append(done.loss)
        if log.every == 1 or (step + 1) % log.every == 0:
            yield record.encode_metrics(step, _row(plan, done, losses, training.tokens), round(now, 3))
            losses.clear()
        if done.layers is not None:
            yield _layers(done, now)
    if crash:
        yield record.encode(record.Event(event="crash", level="error", message=crash, step=step, time=round(now, 3)))
    else:
        yield record.encode(record.End(step=step, time=round(now, 3)))


def _heading(plan: Plan, seed: int, training: Training, now: float, session: int) -> Iterator[bytes]:
    setup = plan.setup
    train = record.Train(
        total_steps=plan.config.steps,
        warmup_steps=setup.schedule.warmup or None,
        lr_max=setup.schedule.lr,
        clip_norm=setup.clip,
        optimizer={"adam": "Adam", "adamw": "AdamW"}.get(setup.optimizer, "SGD"),
        precision="fp16" if setup.scaler else "fp32",
        batch_size=setup.batch,
    )
    yield record.encode(
        record.RunFacts(
            run=f"{plan.config.name}-{seed}",
            time=round(now, 3),
            session=session,
            model=record.Model(params=training.params, trainable=training.trainable, layers=len(training.layers)),
            train=train if setup.log.facts else record.Train(),
            semantics={"step": "optimizer", "loss": "step" if setup.log.every == 1 else "mean_since_last_row"},
        )
    )
    if setup.log.layers:
        sizes = tuple(training.layers.values())
        yield record.encode(record.LayerNames(id=NAMES, names=tuple(training.layers), numel=sizes))


def _row(plan: Plan, done: Step, losses: Sequence[float], tokens: int) -> dict[str, float]:
    log = plan.setup.log
    row = {"loss": sum(losses) / len(losses)}
    if log.norm:
        row["grad_norm"] = _read_norm(plan, done.norm)
    if log.lr:
        row["lr"] = done.lr
    if done.scale is not None:
        row["loss_scale"] = done.scale
    if done.skipped:
        row["skipped"] = 1.0
    if done.validation is not None:
        row["val_loss"] = done.validation
    if log.machine:
        row["step_time_s"], row["data_time_s"] = done.machine.step_time_s, done.machine.data_time_s
        row["tokens_per_s"] = tokens / done.machine.step_time_s
        row["memory_allocated_bytes"] = done.machine.memory_bytes
    return {name: _rounded(value) for name, value in row.items()}


def _read_norm(plan: Plan, norm: float) -> float:
    """The gradient norm as the run reads it."""
    if plan.setup.log.norm == "after_zero_grad":
        return 0.0
    if plan.setup.log.norm == "post_clip" and plan.setup.clip is not None:
        return min(norm, plan.setup.clip)
    return norm


def _layers(done: Step, now: float) -> bytes:
    columns = {
        name: [None if value is None else record.json_value(_rounded(value)) for value in values]
        for name, values in (done.layers or {}).items()
    }
    fields = {"type": "layers", "step": done.step, "time": round(now, 3), "names": NAMES, **columns}
    return msgspec.json.encode(fields) + b"\n"


def _rounded(value: float) -> float:
    """Six significant digits, so that files stay small."""
    return float(f"{value:.6g}") if math.isfinite(value) else value
