"""What a training wrote, and what plain double precision says of it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

Gradients = dict[str, torch.Tensor]
"""Name of a parameter to its gradient in double precision."""

QUIET = [
    pytest.mark.frameworks,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
"""Marks of these tests: frameworks take seconds to import, and are warned of what is not ours."""


@dataclass(frozen=True)
class Stream:
    """The records of one file, in order."""

    records: list[dict[str, Any]]

    @classmethod
    def of(cls, directory: Path) -> "Stream":
        """Read the stream of a directory, as strict JSON."""
        lines = (directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return cls([json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) for text in lines])

    def only(self, kind: str) -> list[dict[str, Any]]:
        """The records of a type."""
        return [record for record in self.records if record["type"] == kind]

    def column(self, name: str) -> dict[float, float]:
        """Step to value, in the rows that have it; a step that has it twice fails."""
        rows = [row for row in self.only("metrics") if name in row]
        found = {row["step"]: row[name] for row in rows}
        assert len(found) == len(rows)
        return found

    def layers(self, step: float, column: str) -> dict[str, float]:
        """Values per layer at a step."""
        names = {record["id"]: record["names"] for record in self.only("layer_names")}
        row = next(record for record in self.only("layers") if record["step"] == step and column in record)
        return dict(zip(names[row["names"]], row[column], strict=True))


def doubled(model: nn.Module) -> Gradients:
    """A copy of the gradients."""
    found = ((name, parameter.grad) for name, parameter in model.named_parameters())
    return {name: grad.detach().double().clone() for name, grad in found if grad is not None}


def by_module(gradients: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """The norm of each module's gradients."""
    squares: dict[str, float] = {}
    for name, grad in gradients.items():
        module = name.rpartition(".")[0]
        squares[module] = squares.get(module, 0.0) + float(grad.square().sum())
    return {module: square**0.5 for module, square in squares.items()}


def total(gradients: Mapping[str, torch.Tensor]) -> float:
    """The norm of all gradients."""
    return math.sqrt(sum(float(grad.square().sum()) for grad in gradients.values()))


def weights(model: nn.Module) -> Gradients:
    """A copy of all weights."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
