"""Looks on at functions of torch and `gc` that a training calls: each does, returns and raises what it did before."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from gradtop.attach.model import freezing
from gradtop.attach.quiet import quiet
from gradtop.attach.seen import Seen

if TYPE_CHECKING:
    from torch import Tensor

    from gradtop.attach.recorder import Recorder

Function = Callable[..., Any]


def watch(seen: Seen, recorder: Recorder) -> None:
    """Put an onlooker around the functions that this torch has; each that is missing costs its value alone."""
    _replace("torch.autograd", "backward", functools.partial(_backward, seen, recorder))
    for scaler in ("torch.amp.grad_scaler:GradScaler", "torch.distributed.fsdp.sharded_grad_scaler:ShardedGradScaler"):
        _replace(scaler, "scale", functools.partial(_scale, seen, recorder))
    _replace("torch.amp.grad_scaler:GradScaler", "step", functools.partial(_scaler_step, recorder))
    clip = _replace("torch.nn.utils.clip_grad", "clip_grad_norm_", functools.partial(_clip, seen, recorder))
    if clip is not None:
        _replace("torch.nn.utils", "clip_grad_norm_", lambda original: clip)
    _replace("torch.optim.optimizer:Optimizer", "load_state_dict", functools.partial(_load, seen))
    _replace("torch.utils.data.dataloader:_BaseDataLoaderIter", "__next__", functools.partial(_next, seen, recorder))
    _replace("gc", "freeze", functools.partial(_freeze, recorder))


def _replace(where: str, name: str, around: Callable[[Function], Function]) -> Function | None:
    """The function that now stands for `name` of a module, or of a class in it (`module:class`)."""
    module, _, cls = where.partition(":")
    owner: Any = sys.modules.get(module)
    owner = getattr(owner, cls, None) if cls else owner
    original = vars(owner).get(name) if owner is not None else None
    if not callable(original):
        return None
    replacement = around(original)
    setattr(owner, name, replacement)
    return replacement


def _backward(seen: Seen, recorder: Recorder, original: Function) -> Function:
    @functools.wraps(original)
    def backward(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if not quiet():
            recorder.guarded(lambda: _ran_backward(seen, *args, **kwargs))
        return result

    return backward


def _ran_backward(seen: Seen, tensors: object, grad_tensors: object = None, *args: object, **kwargs: object) -> None:
    """Roots with gradients of their own are no losses: recomputed activations, and passes from the middle."""
    roots: Any = tensors if isinstance(tensors, Sequence) else (tensors,)
    if grad_tensors is None and seen.listens() and all(root.numel() == 1 for root in roots):
        seen.backward([root.to_local() if hasattr(root, "to_local") else root for root in roots])


def _scale(seen: Seen, recorder: Recorder, original: Function) -> Function:
    @functools.wraps(original)
    def scale(self: Any, outputs: Any) -> Any:
        result = original(self, outputs)
        if not quiet():
            recorder.guarded(lambda: _scaled(seen, self, outputs, result))
        return result

    return scale


def _scaled(seen: Seen, scaler: Any, outputs: Any, result: Any) -> None:
    if not scaler.is_enabled() or not seen.listens():
        return
    if hasattr(result, "detach"):
        seen.scaled(scaler, outputs, result)
    elif isinstance(result, list | tuple):
        for loss, scaled in zip(outputs, result, strict=True):
            _scaled(seen, scaler, loss, scaled)


def _scaler_step(recorder: Recorder, original: Function) -> Function:
    @functools.wraps(original)
    def step(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        before = recorder.steps
        result = original(self, optimizer, *args, **kwargs)
        if self.is_enabled() and recorder.steps == before and not quiet():
            recorder.guarded(lambda: recorder.skipped(optimizer))
        return result

    return step


def _clip(seen: Seen, recorder: Recorder, original: Function) -> Function:
    @functools.wraps(original)
    def clip_grad_norm_(parameters: Any, max_norm: Any, norm_type: Any = 2.0, *args: Any, **kwargs: Any) -> Any:
        if quiet():
            return original(parameters, max_norm, norm_type, *args, **kwargs)
        count = _Count()
        if isinstance(parameters, GeneratorType):
            parameters = count.passing(parameters)
        norm = original(parameters, max_norm, norm_type, *args, **kwargs)
        if norm_type == 2 and seen.listens():
            recorder.guarded(lambda: seen.clipped(count.key(parameters), norm, max_norm))
        return norm

    return clip_grad_norm_


class _Count:
    """Tells parameters apart by the first and their number; a generator goes through it, still a generator."""

    def __init__(self) -> None:
        self._first = self._number = 0

    def passing(self, parameters: Iterator[Tensor]) -> Iterator[Tensor]:
        for parameter in parameters:
            self._first = self._first or id(parameter)
            self._number += 1
            yield parameter

    def key(self, parameters: Any) -> tuple[int, int]:
        if self._number or isinstance(parameters, GeneratorType):
            return self._first, self._number
        if hasattr(parameters, "detach"):
            return id(parameters), 1
        return next((id(parameter) for parameter in parameters), 0), len(parameters)


def _load(seen: Seen, original: Function) -> Function:
    @functools.wraps(original)
    def load_state_dict(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        seen.resumed = True
        return result

    return load_state_dict


def _next(seen: Seen, recorder: Recorder, original: Function) -> Function:
    @functools.wraps(original)
    def __next__(self: Any) -> Any:
        began = perf_counter()
        batch = original(self)
        if seen.listens():
            recorder.guarded(lambda: seen.waited(id(self), perf_counter() - began))
        return batch

    return __next__


def _freeze(recorder: Recorder, original: Function) -> Function:
    @functools.wraps(original)
    def freeze() -> None:
        recorder.guarded(freezing)
        original()

    return freeze
