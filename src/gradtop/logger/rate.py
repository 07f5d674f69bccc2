"""Learning rates, by the names that rows have them under."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradtop.logger import facts
from gradtop.logger.pending import kept

if TYPE_CHECKING:
    from torch.optim import Optimizer

MOST_GROUPS = 16
"""Parameter groups whose learning rates are told."""


def rates(optimizers: Sequence[Optimizer]) -> dict[str, object]:
    """The learning rates as they are now: `lr`, and `lr/1`, `lr/2`, ... of further groups where they differ."""
    groups = facts.groups(optimizers)[:MOST_GROUPS]
    taken = {f"lr/{index}" if index else "lr": kept(group.get("lr")) for index, group in enumerate(groups)}
    return dict(taken) if len(set(taken.values())) > 1 else {"lr": taken.get("lr")}
