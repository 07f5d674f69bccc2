"""Small models, and what is told of their forward passes."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from gradtop.logger.activation import Activations, Readings
from gradtop.logger.notice import Notices
from gradtop.logger.readback import Readback

Columns = dict[str, dict[str, float | None]]


@pytest.fixture
def untouched() -> Iterator[None]:
    """Seeded; the test leaves no hook and no mode of torch behind."""
    torch.manual_seed(0)
    yield
    assert torch._C._len_torch_function_stack() == 0
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks


def opened(model: nn.Module) -> Activations:
    activations = Activations(model, Notices())
    activations.open()
    activations.open()
    return activations


def told(readings: Readings | None) -> Columns:
    assert readings is not None
    columns = readings.columns(Readback(readings.vectors).values())
    return {column: dict(zip(readings.names, values, strict=True)) for column, values in columns.items()}


def watched(model: nn.Module, *inputs: Tensor, **keywords: Tensor) -> Columns:
    activations = opened(model)
    for x in inputs:
        model(x, **keywords)
    return told(activations.close())


def exact_rms(*outputs: Tensor) -> float:
    return math.sqrt(torch.cat([output.detach().double().flatten() for output in outputs]).square().mean().item())


class Attention(nn.Module):
    def __init__(self, width: int = 16, heads: int = 4, kind: str = "sdpa", p: float = 0.0) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads, self.kind = heads, kind
        self.softmax, self.dropout = nn.Softmax(dim=-1), nn.Dropout(p)

    def split(self, x: Tensor) -> list[Tensor]:
        batch, length, width = x.shape
        qkv = self.qkv(x).chunk(3, -1)
        return [part.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for part in qkv]

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(x)
        if self.kind == "sdpa":
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
            scores = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).masked_fill(later, torch.finfo(q.dtype).min)
            shares = self.softmax(scores) if self.kind == "module" else F.softmax(scores, dim=-1)
            y = self.dropout(shares) @ v
        return self.out(y.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, kind: str = "sdpa", p: float = 0.0) -> None:
        super().__init__()
        self.norm, self.attn = nn.LayerNorm(16), Attention(kind=kind, p=p)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(p), nn.Linear(32, 16))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm(x))
        return x + self.mlp(x)  # type: ignore[no-any-return]


class Transformer(nn.Module):
    def __init__(self, again: Callable[[nn.Module, Tensor], Tensor] | None = None, kind: str = "sdpa") -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(8, 16), nn.Linear(16, 8)
        self.layers = nn.ModuleList(Block(kind, p=0.2) for _ in range(2))
        self.again = again

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x) if self.again is None else self.again(layer, x)
        return self.head(x)  # type: ignore[no-any-return]


def reentrant(layer: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(layer, x, use_reentrant=True)  # type: ignore[no-any-return]


def early_stopping(layer: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(layer, x, use_reentrant=False)  # type: ignore[no-any-return]


def selective(layer: nn.Module, x: Tensor) -> Tensor:
    kept = [torch.ops.aten.bmm.default, torch.ops.aten.mm.default, torch.ops.aten.addmm.default]
    contexts = partial(create_selective_checkpoint_contexts, kept)
    return checkpoint(layer, x, use_reentrant=False, context_fn=contexts)  # type: ignore[no-any-return]


class Given(nn.Module):
    """Attention over what it is given."""

    def __init__(self, attend: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.attend = attend

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(x * self.weight)
