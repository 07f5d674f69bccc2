"""Finds the model that an optimizer trains, among all objects of the process."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


_frozen: dict[int, weakref.ref[Any]] = {}
"""Modules and optimizers that the garbage collector was told to leave alone: it does not list them any more."""


def living() -> tuple[list[nn.Module], list[Optimizer]]:
    """Modules that no other module holds, and optimizers with parameters."""
    gc.collect()  # what an earlier training left behind is not living
    found = {id(thing): thing for thing in (*_known_to_collector(), *_still_there())}.values()
    modules = [thing for thing in found if _is_module(thing)]
    optimizers = [thing for thing in found if not _is_module(thing) and parameters(thing)]
    held = {id(child) for module in modules for child in module.children()}
    return [module for module in modules if id(module) not in held], optimizers


def freezing() -> None:
    """The garbage collector is about to freeze what it has: note what would not be found after that."""
    _frozen.update((id(thing), weakref.ref(thing)) for thing in _known_to_collector())


def _still_there() -> Iterator[Any]:
    for key, reference in list(_frozen.items()):
        if (thing := reference()) is not None:
            yield thing
        else:
            del _frozen[key]


def _known_to_collector() -> list[Any]:
    """Modules and optimizers; objects are told by their type, and types by their identity.

    Nothing of a foreign object is asked.
    """
    from torch import nn, optim

    objects = gc.get_objects()
    types = list(map(type, objects))
    kinds = dict(zip(map(id, types), types, strict=True))
    wanted = {key for key, kind in kinds.items() if issubclass(kind, (nn.Module, optim.Optimizer))}
    found = [thing for thing, key in zip(objects, map(id, types), strict=True) if key in wanted]
    return [thing for thing in found if not issubclass(type(thing), nn.Module) or _is_module(thing)]


def _is_module(thing: Any) -> bool:
    """It is a module, and its `__init__` has run."""
    from torch import nn

    return issubclass(type(thing), nn.Module) and "_modules" in vars(thing)


def parameters(optimizer: Optimizer) -> set[int]:
    """Identities of an optimizer's parameters; none of a wrapper that only passes on another optimizer's."""
    groups = vars(optimizer).get("param_groups", ())
    return {id(parameter) for group in groups for parameter in group["params"]}


def holding(roots: Sequence[nn.Module], wanted: Iterable[int]) -> nn.Module | None:
    """The module that holds the wanted parameters; where it takes several, a new one that holds these by class name.

    Of two that hold as many the smaller one is meant, not a container with a teacher or an average beside it.
    """
    left = set(wanted)
    sizes = [(root, {id(parameter) for parameter in root.parameters()}) for root in roots]
    chosen: list[nn.Module] = []
    while left and sizes:
        root, ids = max(sizes, key=lambda size: (len(left & size[1]), -len(size[1])))
        if not left & ids:
            break
        chosen.append(root)
        left -= ids
    return chosen[0] if len(chosen) == 1 else _together(chosen)


def _together(modules: Sequence[nn.Module]) -> nn.Module | None:
    from torch import nn

    if not modules:
        return None
    whole = nn.Module()
    for number, module in enumerate(modules, start=1):
        name = type(module).__name__
        whole.add_module(f"{name}_{number}" if hasattr(whole, name) else name, module)
    return whole
