"""One session of a run: numbers its steps, gathers their values, and sends them off. Unlike `Logger` it may raise."""

from __future__ import annotations

import time as clock
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gradtop.logger import facts, line, memory, ranks
from gradtop.logger.accumulation import Accumulation
from gradtop.logger.activation import Activations
from gradtop.logger.cadence import Cadence
from gradtop.logger.notice import Notices
from gradtop.logger.outbox import Outbox
from gradtop.logger.pending import Row, kept, ordinal
from gradtop.logger.ranks import shard
from gradtop.logger.rate import MOST_GROUPS
from gradtop.logger.rounds import Rounds, Taken
from gradtop.logger.sample import Sampler
from gradtop.logger.writer import Writer

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from gradtop.logger.pending import Value

FLUSH_S = 0.25
"""Seconds after which rows leave for the host; a sampled step sends them off at once."""
CLOSE_S = 2.0
"""Seconds that closing waits for the file system."""
AGREE_S = 10.0
"""Seconds that rank 0 of a sharded model waits for the loggers of the others, once."""
MOST_ROWS = 1024
"""Rows that wait at most: where a step takes microseconds, `FLUSH_S` would gather more than the writer takes."""
MEMORY_S = 5.0
"""Seconds from one look at the memory to the next."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `gradtop.Logger` was given besides directory, model and optimizer."""

    run: str | None
    stated: Mapping[str, Any]
    scaler: Any
    first_step: int | None
    every: int | None
    budget: float
    detail: Literal["module", "parameter", "block"]
    activations: bool
    every_rank: bool


class Session:
    """From the first step of a process to its end."""

    def __init__(
        self,
        directory: Path,
        model: nn.Module | None,
        optimizers: Sequence[Optimizer],
        options: Options,
        notices: Notices,
    ) -> None:
        """Hook the optimizers; the file is opened by the writer's own thread."""
        self._options, self._notices = options, notices
        self._optimizers = list(optimizers)
        self._model = model
        self._place = ranks.place()
        self._number: float = _before_first(options, self._optimizers)
        self._rows: list[Row] = []
        self._losses: list[Value] = []
        self._norm: Tensor | None = None
        self._normed = self._by_group = False
        self._calls = 0
        self._flushed = self._remembered = 0.0
        self._last: float | None = None
        chief = self._place.rank == 0
        parameters = list(model.parameters()) if model is not None else _parameters(self._optimizers)
        sharded = self._place.world > 1 and shard.sharded(parameters)
        legacy = self._place.world > 1 and model is not None and shard.legacy(model)
        if legacy:
            message = (
                "values per layer are of rank 0's shard: the first FSDP does not tell what it holds; fully_shard does"
            )
            notices.say("first FSDP", message)
        works = chief or options.every_rank or sharded
        self._accumulation = Accumulation(self._optimizers, options.scaler, options.stated["accumulation"], notices)
        self._sampler = self._made_sampler() if works and parameters else None
        reduction = self._agreed() if sharded and self._sampler is not None else None
        if self._sampler is not None:
            self._sampler.reduced = reduction is not None
        activations = Activations(model, notices) if options.activations and works and model is not None else None
        cadence = Cadence(options.every, options.budget)
        hooked = self._optimizers if works else []
        self._rounds = Rounds(self._sampler, cadence, notices, hooked, activations)
        rank = None if chief else self._place.rank
        writes = chief or options.every_rank
        self._writer = Writer(directory, self._head, notices, rank=rank) if writes else None
        self._outbox = Outbox(
            self._writer,
            cadence,
            reduction,
            clip_norm=options.stated["clip_norm"],
            chief=chief,
            partial=legacy or (sharded and reduction is None),
        )
        self._works = works

    @property
    def path(self) -> Path | None:
        """The file that is written, once it is open."""
        return self._writer.path if self._writer is not None else None

    def step(
        self,
        number: object,
        loss: object,
        grad_norm: object,
        metrics: Mapping[str, object],
        waited_s: float | None = None,
    ) -> bool:
        """Record one step, or, where the optimizer did not step, one micro-batch; whether that made a row.

        `waited_s`: seconds that went into waiting for data since the row before.
        """
        if not self._works:
            return True
        self._calls += 1
        if loss is not None and (value := self._value("loss", loss)) is not None:
            self._losses.append(value)
        rounds = self._rounds
        stepped = rounds.stepped
        if rounds.hooks and "skipped" not in metrics and self._accumulation.goes_on(bool(stepped)):
            return False
        now = clock.perf_counter()
        steps = min(stepped.values()) if stepped else 1  # as the optimizer that took the fewest
        following = self._number + steps
        self._number = following if number is None else self._numbered(number, following)
        values = self._values(grad_norm, metrics)
        if waited_s is not None and "data_time_s" not in values:
            values["data_time_s"] = waited_s / steps
        if self._last is not None and "step_time_s" not in values:
            values["step_time_s"] = int((now - self._last) / steps * 1e6 + 0.5) / 1e6
        self._last = now
        sampled = rounds.sampling
        taken = rounds.close(now)
        try:
            self._send(now, values, sampled, taken)
        finally:
            rounds.open()
        return True

    def _send(self, now: float, values: dict[str, Value], sampled: bool, taken: Taken | None) -> None:
        """Keep the row of a step, and send off what is kept when its time has come."""
        if now - self._remembered > MEMORY_S:
            self._remembered = now
            values.update(memory.held())
        self._rows.append(Row(self._number, clock.time(), values))
        if sampled and taken is None:
            self._outbox.give_up()
        if sampled or now - self._flushed > FLUSH_S or len(self._rows) >= MOST_ROWS:
            self._flushed = now
            rows, self._rows = self._rows, []
            names, numel = (self._sampler.names, self._sampler.numel) if self._sampler is not None else ((), ())
            self._outbox.send(rows, taken, names, numel)
        else:
            self._outbox.land()

    def metrics(self, step: object, values: Mapping[str, object]) -> None:
        """Record values beside the steps."""
        if not self._works:
            return
        taken = {name: value for name, given in values.items() if (value := self._value(name, given)) is not None}
        row = Row(self._numbered(step, self._number), clock.time(), taken)
        rows, self._rows = [*self._rows, row], []
        self._outbox.send(rows, None, (), ())

    def event(self, word: str, message: str, level: str, step: object, data: Mapping[str, object]) -> None:
        """Record something that is not a number, as it is now."""
        if self._writer is not None:
            at = self._numbered(step, self._number)
            now = line.event(word, step=at, time=clock.time(), message=message, level=level, data=data)
            self._writer.put(bytes, now)

    def clip(self, parameters: list[nn.Parameter], max_norm: float) -> Tensor | None:
        """Clip, keeping the norms for the sample where this step is one; None where that is left to torch."""
        if self._sampler is None or shard.sharded(parameters):
            return None
        norm = self._rounds.clip(parameters, max_norm)
        self._norm = norm
        return norm

    def normed(self, norm: Tensor) -> None:
        """The norm of this step before clipping, as torch's clipping returned it."""
        self._norm = norm

    def add(self, optimizer: Optimizer) -> None:
        """Hear of one more optimizer."""
        self._optimizers.append(optimizer)
        if self._works:
            self._rounds.attach(optimizer)

    def read_later(self, parameters: Iterable[nn.Parameter]) -> None:
        """Leave the gradients of these alone until an optimizer that has them steps."""
        if self._sampler is not None:
            self._sampler.read_later(parameters)

    def close(self, status: str, message: str, wait: bool) -> None:
        """Send off what is on its way, and the end; with `wait`, until it is written or `CLOSE_S` have passed."""
        self._rounds.detach()
        if self._rows:
            self._outbox.send(self._rows, None, (), ())
            self._rows = []
        self._outbox.finish()
        if self._writer is None:
            return
        if status == "crashed":
            self.event("crash", message, "error", None, {})
        step = self._number if self._calls else None
        self._writer.put(partial(line.end, step=step, time=clock.time()), status, keep=True)
        if wait:
            self._writer.close(CLOSE_S)
        else:
            self._writer.stop()

    def _made_sampler(self) -> Sampler | None:
        """None where model and optimizers are not as torch makes them: the run is recorded without layers."""
        try:
            return Sampler(self._model, self._optimizers, self._options.detail, self._notices)
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            self._notices.say("layers", f"there will be no values per layer: {type(error).__name__}: {error}")
            return None

    def _numbered(self, given: object, otherwise: float) -> float:
        """The step's number as it was given, where that is one."""
        if given is None:
            return otherwise
        number = ordinal(given)
        if number is None:
            self._notices.say("number", f"a step's number is of type {type(given).__name__}: steps are counted instead")
        return otherwise if number is None else number

    def _values(self, grad_norm: object, metrics: Mapping[str, object]) -> dict[str, Value]:
        values: dict[str, Value] = {}
        if self._losses:
            values["loss"] = self._losses[0] if len(self._losses) == 1 else _mean(self._losses)
            self._losses = []
        self._rate(values)
        given = self._norm if grad_norm is None else grad_norm
        self._norm = None
        if given is not None:
            self._keep(values, "grad_norm", given)
        if self._options.scaler is not None:
            for name, metric in self._scaling():
                self._keep(values, name, metric)
        for name, metric in metrics.items():
            self._keep(values, name, metric)
        if not self._normed:
            self._normed = "grad_norm" in values
        return values

    def _keep(self, values: dict[str, Value], name: str, given: object) -> None:
        """Put what was given among the values of a row, where it is a number."""
        if given is not None and (value := self._value(name, given)) is not None:
            values[name] = value

    def _value(self, name: str, given: object) -> Value | None:
        try:
            value = kept(given)
        except Exception as error:  # noqa: BLE001 (foreign code makes a number of it; the other values are kept)
            why = f"{type(error).__name__}: {error}"
            self._notices.say(f"value {name}", f"{name} cannot be read and is left out: {why}")
            return None
        if value is None:
            what = "no number"
            if hasattr(given, "shape"):
                kind = str(getattr(given, "dtype", "")).removeprefix("torch.")
                what = f"a {kind} of shape {tuple(given.shape)}{_on(given)}, and no real scalar with a value"
            self._notices.say(f"value {name}", f"{name} is {what}: it is left out")
        return value

    def _rate(self, values: dict[str, Value]) -> None:
        """Take up the learning rate, and those of other groups once they differ."""
        only = self._optimizers[0] if len(self._optimizers) == 1 else None
        groups = getattr(only, "param_groups", ()) if only is not None else facts.groups(self._optimizers)
        groups = groups[:MOST_GROUPS]
        if len(groups) == 1:
            rate = kept(groups[0].get("lr"))
            if rate is not None:
                values["lr"] = rate
            return
        rates: dict[str, Value] = {}
        for index, group in enumerate(groups):
            rate = kept(group.get("lr"))
            if rate is not None:
                rates[f"lr/{index}" if index else "lr"] = rate
        if len(rates) > 1 and not self._by_group:
            plain = [rate for rate in rates.values() if isinstance(rate, float)]
            self._by_group = len(set(plain)) > 1
        if self._by_group:
            values.update(rates)
        elif "lr" in rates:
            values["lr"] = rates["lr"]

    def _scaling(self) -> Iterator[tuple[str, object]]:
        """The loss scale, and whether this step was skipped for an overflow."""
        scaler = self._options.scaler
        if not scaler.is_enabled():
            return
        yield "loss_scale", getattr(scaler, "_scale", None)
        if (overflowed := self._rounds.overflowed) is None:
            overflowed = self._accumulation.overflow
        if overflowed is not None:
            yield "skipped", overflowed

    def _agreed(self) -> ranks.Reduction | None:
        """Sums over all ranks, where each of them has a Logger of the same layers."""
        assert self._sampler is not None
        return ranks.agree(repr(self._sampler.names), self._notices, AGREE_S)

    def _head(self, session: int) -> bytes:
        """The run's facts, as they are known when the first row is written."""
        options, place = self._options, self._place
        stated = {**options.stated}
        stated["precision"] = stated["precision"] or facts.precision(self._model, options.scaler)
        return line.run(
            run=options.run,
            time=round(clock.time(), 3),
            session=session,
            rank=place.rank,
            world_size=place.world,
            model=facts.model(self._model, len(self._sampler.names) if self._sampler is not None else 0),
            train=facts.schedule(self._optimizers, stated),
            semantics=self._semantics(),
            versions=facts.versions(),
            **facts.process(),
        )

    def _semantics(self) -> dict[str, str]:
        unclipped = self._normed or self._options.stated["clip_norm"] is None
        return {"step": "optimizer", "grad_norm": "pre_clip" if unclipped else "post_clip", "loss": "step"}


def _before_first(options: Options, optimizers: Sequence[Optimizer]) -> int:
    return options.first_step - 1 if options.first_step is not None else facts.steps_done(optimizers)


def _parameters(optimizers: Sequence[Optimizer]) -> list[nn.Parameter]:
    return [parameter for group in facts.groups(optimizers) for parameter in group["params"]]


def _on(given: Any) -> str:
    """Where a tensor is, if it has no values there."""
    return " on the meta device" if getattr(given, "is_meta", False) else ""


def _mean(values: Sequence[Value]) -> Value:
    """The mean of numbers and scalar tensors; nothing is read from a device."""
    # In 16 bits a sum of a few losses has lost the digits that tell them apart.
    first, *others = (value if isinstance(value, float) else value.float() for value in values)
    total = first
    for other in others:
        total = total + other
    return total / len(values)
