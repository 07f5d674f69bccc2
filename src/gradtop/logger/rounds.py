"""The steps of the optimizers, and what is read around those that are sampled."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from gradtop.logger.cadence import Cadence, Stopwatch
from gradtop.logger.notice import Notices
from gradtop.logger.sample import Sample, Sampler
from gradtop.logger.sample.norm import clip

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.utils.hooks import RemovableHandle

    from gradtop.logger.activation import Activations, Readings

_T = TypeVar("_T")
_Replaced = tuple[tuple[Any, ...], dict[str, Any]]
"""Other arguments for an optimizer's step."""

WEIGHTS_EVERY = 16
"""Samples from one exact reading of the weights' norms to the next: they change slowly and cost another pass."""
FAULTS = 10
"""Failures after which no more steps are sampled."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was read around one sampled step."""

    count: int
    """Which step of this session, from 1."""
    sample: Sample | None
    readings: Readings | None
    watch: Stopwatch
    """What the reading cost."""
    layers: int
    """How many layers were read."""
    single: bool
    """No optimizer stepped again after what was read: a norm that the loop gives is that of the same gradients."""


class Rounds:
    """Counts rounds of optimizer steps (one of each optimizer), and samples those that are due."""

    def __init__(
        self,
        sampler: Sampler | None,
        cadence: Cadence,
        notices: Notices,
        optimizers: Sequence[Optimizer],
        activations: Activations | None = None,
    ) -> None:
        """Nothing is read without a `sampler`; without `optimizers` gradients are read when a round is closed."""
        self.count = 0
        self.overflowed: Tensor | None = None
        """Where a fused optimizer was told of overflows in this round: not 0 on its device if there were any."""
        self._sampler, self._cadence, self._notices = sampler, cadence, notices
        self._activations = activations
        self.stepped: dict[int, int] = {}
        """How often each optimizer, by its `id`, has stepped since the last round was closed."""
        self._handles: list[RemovableHandle] = []
        self._device = _device(optimizers)
        self._watch = Stopwatch(self._device)
        self._samples = self._faults = 0
        self._began: float | None = None
        self._ended = self._spent = 0.0
        self.sampling = False
        """This round is sampled."""
        self.hooks = 0
        """Optimizers that can say when they step."""
        for optimizer in optimizers:
            self.attach(optimizer)
        self.open()

    def attach(self, optimizer: Optimizer) -> None:
        """Hear of the steps of an optimizer."""
        inner = hookable(optimizer)
        if inner is None:
            kind = type(optimizer).__name__
            self._notices.say("no hooks", f"{kind} has no step hooks: each call of log.step() is taken for a step")
            return
        self.hooks += 1
        before, after = self._hooks()
        self._handles.append(inner.register_step_pre_hook(before))
        self._handles.append(inner.register_step_post_hook(after))

    def detach(self) -> None:
        """Hear of no more steps."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._guarded(self._disarm)

    def clip(self, parameters: Sequence[nn.Parameter], max_norm: float) -> Tensor:
        """Clip, and where this round is sampled keep the norms before clipping: they cost no second pass."""
        norm, norms = clip(parameters, max_norm, wide=self.sampling)
        if self.sampling and self._sampler is not None:
            with self._watch:
                self._sampler.given(parameters, norms)
        return norm

    def close(self, now: float) -> Taken | None:
        """End the round; what was read around it, where it was sampled. `open` begins the next one.

        `now`: when the call that ends it began, in seconds of `perf_counter`.
        """
        self._spent = self._watch.host_s if self.sampling else 0.0
        taken = self._guarded(self._take) if self.sampling else None
        self.count += 1
        self._ended = now
        self.stepped.clear()
        self.overflowed = None
        return taken

    def open(self) -> None:
        """Begin a round, when the cadence knows what the last one has cost."""
        began, ended, now = self._began, self._ended, perf_counter()
        self._began = now if self.count else None
        if began is not None:
            own = now - ended
            if self.sampling:
                self._cadence.ordinary(max(0.0, ended - began - self._spent))
                # What taking the sample took is part of what it cost.
                self._cadence.spend(max(0.0, own - (self._watch.host_s - self._spent)))
            else:
                self._cadence.ordinary(now - began, own)
        self.sampling = self._sampler is not None and self._faults < FAULTS and self._cadence.due(self.count + 1)
        if self.sampling:
            self._watch = Stopwatch(self._device)
            if self._activations is not None:
                self._guarded(self._activations.open)

    def _hooks(self) -> tuple[Callable[..., _Replaced | None], Callable[..., None]]:
        """Hooks that do all that an ordinary step needs themselves, and call nothing for it."""
        read_before, read_after = _opaque(self._before), _opaque(self._after)

        def before(optimizer: Optimizer, args: Any, kwargs: Any) -> _Replaced | None:
            if self.sampling or id(optimizer) in self.stepped or getattr(optimizer, "found_inf", None) is not None:
                return read_before(optimizer, args, kwargs)
            self.stepped[id(optimizer)] = 1
            return None

        def after(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            if self.sampling:
                read_after(optimizer, args, kwargs)

        return _skipped(before), _skipped(after)

    def _disarm(self) -> None:
        if self._activations is not None:
            self._activations.close()

    def _take(self) -> Taken:
        with self._watch:
            assert self._sampler is not None
            if not self.stepped and not self.hooks:
                self._sampler.before(None, None, weights=self._weighs())
            sample = self._sampler.take()
            readings = self._activations.close() if self._activations is not None else None
        if readings is not None:
            self._watch.host_s += readings.cost_s
        self._samples += 1
        single = all(times == 1 for times in self.stepped.values())
        return Taken(self.count + 1, sample, readings, self._watch, len(self._sampler.names), single)

    def _before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Replaced | None:
        """Just before an optimizer's step: the gradients are what it will use, unless a closure is to make them."""
        try:
            times = self.stepped[id(optimizer)] = self.stepped.get(id(optimizer), 0) + 1
            if times == 2 and self.hooks == 1:
                message = "the optimizer stepped twice before log.step(): values per layer are those of the first step"
                self._notices.say("stepped twice", message)
            if self.sampling and _capturing():
                return None
            overflowed = getattr(optimizer, "found_inf", None)
            if overflowed is not None:
                self.overflowed = overflowed.detach().clone()
            if self.sampling and times == 1:
                if (closure := kwargs.get("closure")) is not None:
                    return args, {**kwargs, "closure": self._followed(closure, optimizer)}
                if len(args) > 1 and args[1] is not None:
                    return (args[0], self._followed(args[1], optimizer), *args[2:]), kwargs
                self._read(optimizer)
        except Exception as error:  # noqa: BLE001 (the training goes on whatever happens here)
            self._fail(error)
        return None

    def _followed(self, closure: Callable[..., _T], optimizer: Optimizer) -> Callable[..., _T]:
        """A closure, with a reading of the gradients behind its first call: that is when they are there."""
        wanted = True

        @wraps(closure)
        def followed(*args: Any, **kwargs: Any) -> _T:
            nonlocal wanted
            result = closure(*args, **kwargs)
            if wanted:
                wanted = False
                self._guarded(lambda: self._read(optimizer))
            return result

        return followed

    def _read(self, optimizer: Optimizer) -> None:
        """Read the gradients, and what is sampled of the weights."""
        if self._sampler is not None:
            with self._watch:
                scale = getattr(optimizer, "grad_scale", None)
                self._sampler.before(optimizer, scale, weights=self._weighs())

    def _after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Just after an optimizer's step."""
        try:
            sampled = self.sampling and self.stepped.get(id(optimizer)) == 1 and not _capturing()
            if sampled and self._sampler is not None:
                with self._watch:
                    self._sampler.after(optimizer)
        except Exception as error:  # noqa: BLE001 (the training goes on whatever happens here)
            self._fail(error)

    def _weighs(self) -> bool:
        return self._samples % WEIGHTS_EVERY == 0

    def _guarded(self, what: Callable[[], _T]) -> _T | None:
        try:
            return what()
        except Exception as error:  # noqa: BLE001 (the training goes on whatever happens here)
            self._fail(error)
            return None

    def _fail(self, error: Exception) -> None:
        self._faults += 1
        self._notices.say("sampling", f"values per layer could not be read: {type(error).__name__}: {error}")


def _opaque(hook: Callable[..., _T]) -> Callable[..., _T]:
    """A hook that torch.compile calls as it is: looked into, it is compiled again at every sampled step.

    Making an optimizer imports torch's compiler, so that this costs no import.
    """
    compiler = sys.modules.get("torch._dynamo")
    return compiler.disable(hook) if compiler is not None else hook


def _skipped(hook: Callable[..., _T]) -> Callable[..., _T]:
    """A hook that torch.compile calls as it is, without the cost of `_opaque` at every call; what it calls is not."""
    compiler = sys.modules.get("torch._dynamo")
    return compiler.decorators.skip(hook) if compiler is not None else hook


def _capturing() -> bool:
    """The step is being recorded as a CUDA graph: what would be read now is neither computed nor allowed."""
    import torch

    return bool(torch.cuda.is_initialized()) and torch.cuda.is_current_stream_capturing()  # type: ignore[no-untyped-call]


def hookable(optimizer: Optimizer | None) -> Optimizer | None:
    """The optimizer whose hooks fire: the one itself, or the one inside a wrapper that never set up its own."""
    for _ in range(4):
        if optimizer is None or hasattr(optimizer, "_optimizer_step_pre_hooks"):
            return optimizer
        optimizer = getattr(optimizer, "optimizer", None)
    return None


def _device(optimizers: Sequence[Optimizer]) -> torch.device | None:
    """Where the first parameter is, as long as nothing says otherwise the device of the training."""
    groups = [group for optimizer in optimizers for group in getattr(optimizer, "param_groups", None) or ()]
    parameter = next((parameter for group in groups for parameter in group["params"]), None)
    return parameter.device if parameter is not None else None
