"""Finds the model that an optimizer trains, among all objects of the process."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


def living() -> tuple[list[nn.Module], list[Optimizer]]:
    """Modules that no other module holds, and optimizers with parameters.

    Objects are told by their type, and types by their identity: nothing of a foreign object is asked.
    """
    from torch import nn, optim

    gc.collect()  # what an earlier training left behind is not living
    objects = gc.get_objects()
    types = list(map(type, objects))
    kinds = dict(zip(map(id, types), types, strict=True))
    wanted = {key for key, kind in kinds.items() if issubclass(kind, (nn.Module, optim.Optimizer))}
    found = [thing for thing, key in zip(objects, map(id, types), strict=True) if key in wanted]
    modules = [thing for thing in found if issubclass(type(thing), nn.Module) and "_modules" in vars(thing)]
    optimizers = [thing for thing in found if issubclass(type(thing), optim.Optimizer) and parameters(thing)]
    held = {id(child) for module in modules for child in module.children()}
    return [module for module in modules if id(module) not in held], optimizers


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
