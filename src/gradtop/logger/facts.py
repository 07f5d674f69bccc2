"""What a run can say of itself: the process, the model, the optimizer and the schedule."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradtop import __version__

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

ARGUMENTS = 256
"""Arguments of the command line that are told."""
_SECRET = re.compile(r"(^|[-_])(api[-_]?)?(key|token|secret|passw(or)?d|credential)s?$", re.IGNORECASE)


def process() -> dict[str, object]:
    """Host, process number and command line, without what looks like a secret."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "argv": arguments(sys.argv)}


def arguments(argv: Sequence[str]) -> list[str]:
    """A command line with the values of `--api-key X`, `--token=X` and the like replaced by `***`."""
    out: list[str] = []
    hidden = False
    for argument in argv[:ARGUMENTS]:
        name, equals, _ = argument.partition("=")
        if hidden and not argument.startswith("-"):
            out.append("***")
        elif equals and _SECRET.search(name):
            out.append(f"{name}=***")
        else:
            out.append(argument)
        hidden = argument.startswith("-") and not equals and _SECRET.search(argument) is not None
    return out


def versions() -> dict[str, str]:
    """Versions of what a training rests on; torch where it is imported."""
    found = {"gradtop": __version__, "python": platform.python_version()}
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch"] = str(torch.__version__)
        if torch.version.cuda:
            found["cuda"] = str(torch.version.cuda)
    return found


def model(net: nn.Module | None, layers: int) -> dict[str, int | None]:
    """Parameters, all and trained ones, tied ones counted once; `layers` is how many values a layers line has."""
    if net is None:
        return {"layers": layers or None}
    from torch.nn.parameter import UninitializedParameter

    # That of a lazy module has no size yet.
    there = [parameter for parameter in net.parameters() if not isinstance(parameter, UninitializedParameter)]
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in there]
    return {
        "params": sum(size for size, _ in sizes),
        "trainable": sum(size for size, trained in sizes if trained),
        "layers": layers or None,
    }


def schedule(optimizers: Sequence[Optimizer], stated: Mapping[str, Any]) -> dict[str, object]:
    """What was stated, with the optimizer's class and the peak rate that its schedule keeps (`initial_lr`)."""
    found: dict[str, object] = {}
    if optimizers:
        found["optimizer"] = "+".join(dict.fromkeys(type(optimizer).__name__ for optimizer in optimizers))
        rates = [group.get("initial_lr") for group in groups(optimizers)]
        found["lr_max"] = max((float(rate) for rate in rates if isinstance(rate, float)), default=None)
    return found | {name: value for name, value in stated.items() if value is not None}


def precision(net: nn.Module | None, scaler: object | None) -> str | None:
    """`bf16` or `fp16` where the parameters or a loss scale say so; None where autocast may decide."""
    if scaler is not None:
        return "fp16"
    kinds = {str(parameter.dtype) for parameter in net.parameters()} if net is not None else set()
    short = {"torch.bfloat16": "bf16", "torch.float16": "fp16", "torch.float64": "fp64"}
    return short.get(kinds.pop()) if len(kinds) == 1 else None


def groups(optimizers: Sequence[Optimizer]) -> list[dict[str, Any]]:
    """The parameter groups of all optimizers; one of the program's own making may have none."""
    return [group for optimizer in optimizers for group in getattr(optimizer, "param_groups", None) or ()]


def steps_done(optimizers: Sequence[Optimizer]) -> int:
    """Steps that the optimizers have taken, by their own state: those of a checkpoint that was loaded; else 0."""
    return max((_done(getattr(optimizer, "state", None)) for optimizer in optimizers), default=0)


def _done(states: object) -> int:
    """The steps that the first parameter's state tells; 0 where it tells none."""
    state = next(iter(states.values()), None) if isinstance(states, Mapping) else None
    done = state.get("step", 0) if isinstance(state, Mapping) else 0
    try:
        return int(done)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return 0
