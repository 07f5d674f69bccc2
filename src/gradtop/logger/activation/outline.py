"""What is watched of a model's modules: whose outputs count as layers, and where the units of an output lie."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

MOST = 256
"""Layers whose output is measured; of more, those that lie deepest in the model are left out."""

_WRAPPERS = frozenset(("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"))
_ROOT = "model"
"""The name of a model without parts."""


@dataclass(frozen=True, slots=True)
class Node:
    """A module of the model, by its name without the parts that wrappers add."""

    name: str
    order: int
    weighs: bool
    """It has parameters of its own."""
    holds: bool
    """It or a module in it has parameters."""
    sized: bool
    """The size of its output is recorded."""
    axis: int
    """The dimension of its output that counts the units: 1 of convolutions and their norms, else the last."""


def outline(model: nn.Module) -> dict[int, Node]:
    """The modules of a model by `id`, in order; what TorchScript runs is left out, as nothing is seen inside."""
    from torch import jit

    found: list[tuple[str, nn.Module]] = []
    wrapped = _wraps(model)
    for path, module in model.named_modules():
        parts = [part for part in path.split(".") if part not in _WRAPPERS]
        if isinstance(module, jit.ScriptModule) or "parametrizations" in parts:
            continue
        found.append((".".join(parts[1:] if wrapped and parts[0] == "module" else parts), module))
    sized = _sized(found)
    nodes: dict[int, Node] = {}
    for order, (name, module) in enumerate(found):
        holds = next(module.parameters(), None) is not None
        # A wrapper has the name of what it wraps; the output of the outer one is the layer's.
        measured = name in sized
        sized.discard(name)
        nodes[id(module)] = Node(name or _ROOT, order, _weighs(module), holds, measured, _axis(module))
    return nodes


def compilations() -> int:
    """A count that grows whenever torch.compile compiles something in this process."""
    counters = getattr(sys.modules.get("torch._dynamo.utils"), "counters", {})
    # Frames are not counted where the whole function has to be one graph, graphs not where a frame gives none.
    return sum(counters[of][kind] for of, kind in (("frames", "total"), ("stats", "unique_graphs")) if of in counters)


def compiled(model: nn.Module) -> bool:
    """The model or a part of it is wrapped by torch.compile, or was compiled in place."""
    return any(
        type(module).__name__ == "OptimizedModule" or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )


def _wraps(model: nn.Module) -> bool:
    """The model is DistributedDataParallel or the like, with the user's model in `module`."""
    return list(model._modules) == ["module"] and not model._parameters


def _sized(found: list[tuple[str, nn.Module]]) -> set[str]:
    """Blocks (`layers.0`), the parts of a block that have parts (`layers.0.attn`), and weights outside of blocks."""
    modules: dict[str, nn.Module] = {}
    for name, module in found:
        modules.setdefault(name, module)
    branches = {name.rpartition(".")[0] for name in modules if name}
    holding = {name for name, module in modules.items() if next(module.parameters(), None) is not None}
    blocks = {name for name in holding & branches if name[-1:].isdigit()}
    chosen = []
    for name in modules:
        above = name.split(".")[:-1]
        inside = any(".".join(above[:n]) in blocks for n in range(1, len(above) + 1))
        part = name in branches and ".".join(above) in blocks
        if name in blocks or (name in holding and (part or not (inside or name in branches))):
            chosen.append(name)
    return set(sorted(chosen, key=lambda name: name.count("."))[:MOST])


def _weighs(module: nn.Module) -> bool:
    own = any(parameter is not None for parameter in module._parameters.values())
    return own or "parametrizations" in module._modules


def _axis(module: nn.Module) -> int:
    from torch import nn
    from torch.nn.modules.batchnorm import _NormBase
    from torch.nn.modules.conv import _ConvNd

    return 1 if isinstance(module, (_ConvNd, _NormBase, nn.GroupNorm)) else -1
