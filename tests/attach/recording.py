"""A training that is attached to, as `gradtop run` does it, and let go of again."""

import gc
import json
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim import optimizer as hooks
from torch.utils.data import dataloader

import gradtop.logger
from gradtop.attach import attach, recorder
from gradtop.attach.model import living

WATCHED = (
    (torch.autograd, "backward"),
    (torch.amp.GradScaler, "scale"),
    (torch.amp.GradScaler, "step"),
    (torch.optim.Optimizer, "load_state_dict"),
    (torch.nn.utils.clip_grad, "clip_grad_norm_"),
    (torch.nn.utils, "clip_grad_norm_"),
    (dataloader._BaseDataLoaderIter, "__next__"),
    (gc, "freeze"),
)


@contextmanager
def attached(directory: Path, behind: int = 0) -> Iterator[list[dict[str, Any]]]:
    """What is said to the parent while the block runs; afterwards torch is as it was, and the stream closed."""
    said: list[dict[str, Any]] = []
    alive: weakref.WeakSet[gradtop.logger.Logger] = weakref.WeakSet()
    before, after = dict(hooks._global_optimizer_pre_hooks), dict(hooks._global_optimizer_post_hooks)
    strange = weakref.WeakSet(living()[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradtop.logger, "LIVE", alive)
        patch.setattr(recorder, "LIVE", alive)
        patch.setattr(recorder, "living", lambda: _living_but(strange))
        for owner, name in WATCHED:
            patch.setattr(owner, name, vars(owner)[name])
        attach({"directory": str(directory), "every": 1, "behind": behind}, lambda **fact: said.append(fact))
        try:
            yield said
        finally:
            for now, then in ((hooks._global_optimizer_pre_hooks, before), (hooks._global_optimizer_post_hooks, after)):
                for number in [number for number in now if number not in then]:
                    hook: Any = now.pop(number)
                    hook.__self__.stand_down()
            for logger in list(alive):
                logger.close()


def _living_but(strange: "weakref.WeakSet[Optimizer]") -> tuple[list[nn.Module], list[Optimizer]]:
    """What lives, without the optimizers of other tests: those that a log or a thread still holds never step here."""
    modules, optimizers = living()
    return modules, [optimizer for optimizer in optimizers if optimizer not in strange]


def lines(directory: Path, kind: str = "metrics") -> list[dict[str, Any]]:
    """The records of one type."""
    stream = directory / "metrics.jsonl"
    found = [json.loads(line) for line in stream.read_text().splitlines()] if stream.exists() else []
    return [line for line in found if line["type"] == kind]


def column(directory: Path, name: str) -> list[Any]:
    """One value of every row; None where a row has none."""
    return [row.get(name) for row in lines(directory)]
