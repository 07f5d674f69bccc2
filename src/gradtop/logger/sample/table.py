"""Which parameters make up which layer, and what a layer is called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Parts of a parameter's name that torch.compile, FSDP and checkpoint_wrapper put in."""

Detail = Literal["module", "parameter", "block"]
"""A layer is a module, a single parameter, or the sublayer of a numbered block."""


@dataclass(frozen=True, slots=True)
class _Found:
    """One tensor: the layer that it belongs to, and whether the model has it."""

    layer: str
    tensor: Tensor
    owned: bool


class Table:
    """The parameters that are trained, in the model's order, and the layers that they form.

    Tied parameters stand once, where the model names them first. A parameter that never needed a gradient is left out;
    one that was trained stays when it is frozen. Parameters of the optimizers that the model does not have follow.
    """

    def __init__(self, model: nn.Module | None, optimizers: Sequence[Optimizer], detail: Detail) -> None:
        """Read the model as it is now; `optimizers` is kept, and read again by `refresh`."""
        self.tensors: tuple[Tensor, ...] = ()
        self.layers: tuple[int, ...] = ()
        """The number of each tensor's layer."""
        self.names: tuple[str, ...] = ()
        self.numel: tuple[int, ...] = ()
        """Elements of each layer, over all ranks."""
        self.orphans: tuple[int, ...] = ()
        """Tensors of the model that no optimizer has."""
        self._model, self._optimizers, self._detail = model, optimizers, detail
        self._others: list[Optimizer] = []
        self._index: dict[int, int] = {}
        self._lists: dict[int, tuple[list[int], tuple[int, ...]]] = {}
        self._left: tuple[Tensor, ...] = ()
        self._later: frozenset[int] = frozenset()
        self._seen: list[int] | None = None
        self.refresh()

    def refresh(self) -> bool:
        """Look for parameters that are new, replaced or trained by now; whether names or sizes of layers changed."""
        seen = list(map(id, self._watched()))
        if seen == self._seen and not any(map(_trained, self._left)):
            return False
        before = self.names, self.numel
        found = list(self._find())
        self._seen = seen
        self._fill(found)
        return before != (self.names, self.numel)

    def adopt(self, optimizer: Optimizer) -> bool:
        """Take up an optimizer that was not given, if it has parameters of its own; whether names or sizes changed."""
        if self._listed(optimizer) is not None:
            return False
        unknown = (tensor for tensor in _parameters(optimizer) if id(tensor) not in self._index)
        if not any(map(_trained, unknown)):
            return False
        if all(optimizer is not known for known in self._all()):
            self._others.append(optimizer)
        return self.refresh()

    def read_later(self, tensors: Iterable[Tensor]) -> None:
        """These are no orphans: an optimizer has them that is not known yet."""
        self._later = frozenset(map(id, tensors))
        self.orphans = tuple(index for index in self.orphans if id(self.tensors[index]) not in self._later)

    def part(self, optimizer: Optimizer) -> tuple[int, ...]:
        """The tensors that an optimizer has."""
        listed = self._listed(optimizer)
        if listed is not None:
            return listed
        ids = list(map(id, _parameters(optimizer)))
        part = tuple(self._index[each] for each in ids if each in self._index)
        if len(part) == len(ids):
            self._lists[id(optimizer)] = ids, part
        return part

    def _listed(self, optimizer: Optimizer) -> tuple[int, ...] | None:
        """The tensors of an optimizer that has the same ones as before, all of them known."""
        ids, part = self._lists.get(id(optimizer), (None, ()))
        return part if ids is not None and ids == list(map(id, _parameters(optimizer))) else None

    def _all(self) -> list[Optimizer]:
        return [*self._optimizers, *self._others]

    def _watched(self) -> Iterable[Tensor]:
        """What shows at little cost that something changed: the optimizers' parameters, or else the model's."""
        optimizers = self._all()
        if not optimizers and self._model is not None:
            return self._model.parameters()
        return chain.from_iterable(map(_parameters, optimizers))

    def _find(self) -> Iterator[_Found]:
        """All tensors that were ever trained, each once; the others are watched from now on."""
        seen: set[int] = set()
        left: list[Tensor] = []
        for layer, tensor, owned in self._candidates():
            if id(tensor) in seen:
                continue
            seen.add(id(tensor))
            if _trained(tensor) or (id(tensor) in self._index and not _lazy(tensor)):
                yield _Found(layer, tensor, owned)
            else:
                left.append(tensor)
        self._left = tuple(left)

    def _candidates(self) -> Iterator[tuple[str, Tensor, bool]]:
        if self._model is not None:
            for layer, tensor in _of_model(self._model, self._detail):
                yield layer, tensor, True
        optimizers = self._all()
        for number, optimizer in enumerate(optimizers):
            prefix = f"optimizer{number}." if len(optimizers) > 1 else ""
            for layer, tensor in _of_optimizer(optimizer, prefix, self._detail):
                yield layer, tensor, False

    def _fill(self, found: Sequence[_Found]) -> None:
        numel: dict[str, int] = {}
        for each in found:
            numel[each.layer] = numel.get(each.layer, 0) + each.tensor.numel()
        place = {name: index for index, name in enumerate(numel)}
        taken = self._later.union(id(tensor) for optimizer in self._all() for tensor in _parameters(optimizer))
        self.tensors = tuple(each.tensor for each in found)
        self.layers = tuple(place[each.layer] for each in found)
        self.names, self.numel = tuple(numel), tuple(numel.values())
        self.orphans = tuple(i for i, each in enumerate(found) if each.owned and id(each.tensor) not in taken)
        self._index = {id(tensor): index for index, tensor in enumerate(self.tensors)}
        self._lists.clear()


def _of_model(model: nn.Module, detail: Detail) -> Iterator[tuple[str, Tensor]]:
    outer = _outer(model)
    for path, module in model.named_modules():
        parents = [part for part in path.split(".")[len(outer) :] if part and part not in WRAPPERS]
        parametrized = "parametrizations" in parents
        inner = parametrized or any(name != "parametrizations" for name, _ in module.named_children())
        owner = [*takewhile(lambda part: part != "parametrizations", parents)]
        for name, tensor in module.named_parameters(recurse=False):
            own = [*parents[len(owner) + 1 :], name] if parametrized else [name]
            yield _layer(owner, own, inner and not parametrized, detail), tensor


def _of_optimizer(optimizer: Optimizer, prefix: str, detail: Detail) -> Iterator[tuple[str, Tensor]]:
    """By the names that the optimizer was given (torch >= 2.6), else by group and place."""
    for number, group in enumerate(optimizer.param_groups):
        names = group.get("param_names", ())
        for place, tensor in enumerate(group["params"]):
            if place < len(names):
                *owner, name = (part for part in names[place].split(".") if part not in WRAPPERS)
                yield _layer(owner, [name], False, detail), tensor
            else:
                yield f"{prefix}group{number}.{place}", tensor


def _outer(model: nn.Module) -> list[str]:
    """The parts that every name begins with because the model is wrapped: `module` of DDP, `_orig_mod`."""
    parts: list[str] = []
    while True:
        children = dict(model.named_children())
        name = next(iter(children), "")
        if len(children) != 1 or (name != "module" and name not in WRAPPERS):
            return parts
        parts.append(name)
        model = children[name]


def _layer(owner: list[str], own: list[str], inner: bool, detail: Detail) -> str:
    """The layer of the parameter `own` of the module `owner`, which has modules of its own where `inner`."""
    if detail == "parameter":
        return ".".join([*owner, *own])
    module = [*owner, *own] if inner or not owner else owner
    return ".".join(_sublayer(module) if detail == "block" else module)


def _sublayer(parts: list[str]) -> list[str]:
    """Down to one level below the first number: `layers.0.attn` of `layers.0.attn.q_proj`."""
    outside = len(list(takewhile(lambda part: not part.isdecimal(), parts)))
    numbers = len(list(takewhile(str.isdecimal, parts[outside:])))
    return parts[: outside + numbers + 1] if numbers else parts


def _parameters(optimizer: Optimizer) -> Iterable[Tensor]:
    return chain.from_iterable(group["params"] for group in optimizer.param_groups)


def _trained(tensor: Tensor) -> bool:
    return tensor.requires_grad and not _lazy(tensor)


def _lazy(tensor: Tensor) -> bool:
    """A parameter of a lazy module that has no shape yet."""
    from torch.nn.parameter import is_lazy

    return bool(is_lazy(tensor))
