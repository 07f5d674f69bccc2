"""The transformers that are trained."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Size:
    """A transformer, and the tokens of one step."""

    width: int
    layers: int
    vocabulary: int
    tokens: int
    split: int = 1
    """Each linear layer as so many: many small tensors."""


SIZES = {
    "small": Size(128, 2, 512, 64),
    "10M": Size(320, 7, 2048, 256),
    "50M": Size(640, 9, 4096, 256),
    "tensors": Size(128, 24, 512, 128, split=4),
}


class Split(nn.Module):
    """A linear layer made of several."""

    def __init__(self, inputs: int, outputs: int, parts: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(inputs, outputs // parts) for _ in range(parts))

    def forward(self, x: Tensor) -> Tensor:
        """All parts side by side."""
        return torch.cat([part(x) for part in self.parts], dim=-1)


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        width = size.width
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = Split(width, 3 * width, size.split), Split(width, width, size.split)
        self.up, self.down = Split(width, 4 * width, size.split), Split(4 * width, width, size.split)

    def forward(self, x: Tensor) -> Tensor:
        """Attention, then the MLP, each added to `x` of shape (batch, tokens, width)."""
        q, k, v = (part.unflatten(-1, (-1, 32)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        attended = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        out: Tensor = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return out


class Transformer(nn.Module):
    """A decoder with a head of its own."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.embed = nn.Embedding(size.vocabulary, size.width)
        self.blocks = nn.Sequential(*(Block(size) for _ in range(size.layers)))
        self.norm, self.head = nn.LayerNorm(size.width), nn.Linear(size.width, size.vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of shape (batch, tokens, vocabulary)."""
        out: Tensor = self.head(self.norm(self.blocks(self.embed(tokens))))
        return out


class Bench:
    """One model with gradients."""

    def __init__(self, size: Size) -> None:
        torch.manual_seed(0)
        self.size = size
        self.model = Transformer(size)
        self.tokens = torch.randint(size.vocabulary, (2, size.tokens // 2))
        self.loss().backward()  # type: ignore[no-untyped-call]
        self.named = list(self.model.named_parameters())
        self.grads = [p.grad for _, p in self.named if p.grad is not None]
        self.flat = torch.cat([grad.flatten() for grad in self.grads])

    def loss(self) -> Tensor:
        """The loss of the one batch."""
        logits = self.model(self.tokens)
        return nn.functional.cross_entropy(logits.flatten(0, 1), self.tokens.flatten())

    def floor(self) -> None:
        """Read every gradient once, as if they were one tensor."""
        self.flat.sum()

    def sums(self) -> None:
        """Read every gradient once, each for itself."""
        for grad in self.grads:
            grad.sum()

    def norms(self) -> None:
        """What torch takes for the norms alone, in fp32: none is put together, sent off or written."""
        torch._foreach_norm(self.grads)

    def item_loop(self) -> float:
        """The norm as it is often written: one number read from the device per tensor."""
        total = 0.0
        for _, p in self.named:
            if p.grad is not None:
                total += p.grad.data.norm(2).item() ** 2
        return float(total**0.5)
