"""The networks that are trained: small enough for a millisecond a step, of the shapes that people train."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Activation] = {"relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "gelu": F.gelu}
Column = dict[str, float]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network is like; `kind` is `mlp`, `cnn`, `gru` or `transformer`."""

    kind: str = "mlp"
    depth: int = 3
    """Hidden layers of an MLP, blocks of a transformer."""
    width: int = 48
    activation: str = "relu"
    batch_norm: bool = False
    residual: bool = False
    dropout: float = 0.0
    zero_branches: bool = False
    """The last matrix of each residual branch starts at zero."""
    qk_norm: bool = False
    gain: float | None = None
    """Standard deviation of the weights times the root of their fan-in; None leaves the layers' own initialisation."""


class Net(nn.Module):
    """A network whose activations can be watched and whose gradient can be cut."""

    def __init__(self) -> None:
        super().__init__()
        self.cut_after: int | None = None
        """The output of this hidden layer or block is detached."""
        self.watched: dict[str, Column] | None = None
        """Columns of per-layer numbers that the next forward pass fills in; None: nobody looks."""

    def note(self, column: str, layer: str, value: Tensor) -> None:
        """Keep one number of a layer, where somebody looks."""
        if self.watched is not None:
            self.watched.setdefault(column, {})[layer] = float(value)

    def through(self, i: int, x: Tensor) -> Tensor:
        """The output of hidden layer or block `i` as the next one gets it."""
        return x.detach() if self.cut_after == i else x


class Mlp(Net):
    """Fully connected; input of shape (batch, inputs), output of shape (batch, outputs)."""

    def __init__(self, inputs: int, outputs: int, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        sizes = [inputs] + [shape.width] * shape.depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm1d(shape.width) for _ in range(shape.depth if shape.batch_norm else 0))
        self.head = nn.Linear(sizes[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Every hidden layer in turn, then the head."""
        x = x.flatten(1)
        for i, layer in enumerate(self.layers):
            y = self.norms[i](layer(x)) if self.shape.batch_norm else layer(x)
            y = ACTIVATIONS[self.shape.activation](y)
            if self.watched is not None:
                self.note("activation_rms", f"layers.{i}", y.detach().square().mean().sqrt())
                if self.shape.activation == "relu":
                    self.note("dead_fraction", f"layers.{i}", (y.detach() == 0).all(dim=0).float().mean())
            y = F.dropout(y, self.shape.dropout, self.training) if self.shape.dropout else y
            x = self.through(i, x + y if self.shape.residual and i else y)
        return self.head(x)  # type: ignore[no-any-return]  # nn.Module is untyped


class Cnn(Net):
    """Two convolutions and a head; input of shape (batch, 64), images of 8 by 8."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList((nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, stride=2, padding=1)))
        self.head = nn.Linear(256, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, then the head over all places."""
        x = x.view(-1, 1, 8, 8)
        for i, layer in enumerate(self.layers):
            x = self.through(i, F.relu(layer(x)))
            if self.watched is not None:
                dead = (x.detach() == 0).flatten(2).all(dim=2).all(dim=0)
                self.note("dead_fraction", f"layers.{i}", dead.float().mean())
        return self.head(x.flatten(1))  # type: ignore[no-any-return]  # nn.Module is untyped


class Gru(Net):
    """Recurrent over characters; input of shape (batch, time), logits of shape (batch, time, outputs)."""

    def __init__(self, outputs: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(outputs, width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """One pass over the characters."""
        return self.head(self.gru(self.embed(x))[0])  # type: ignore[no-any-return]  # nn.Module is untyped


class Block(nn.Module):
    """One pre-norm block: causal attention of two heads, then SwiGLU, each added to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, hidden = shape.width, shape.width * 2
        self.qk_norm = shape.qk_norm
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.gate_up, self.down = nn.Linear(width, 2 * hidden, bias=False), nn.Linear(hidden, width, bias=False)
        if shape.zero_branches:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.down.weight)

    def heads(self, x: Tensor) -> list[Tensor]:
        """Queries, keys and values, each of shape (batch, 2, time, width / 2)."""
        b, t, width = x.shape
        q, k, v = (part.view(b, t, 2, width // 2).transpose(1, 2) for part in self.qkv(x).split(width, dim=2))
        return [F.normalize(q, dim=-1) * 4, F.normalize(k, dim=-1) * 4, v] if self.qk_norm else [q, k, v]

    def forward(self, x: Tensor) -> Tensor:
        """Input and output of shape (batch, time, width)."""
        q, k, v = self.heads(self.norm1(x))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, dim=2)
        return x + self.down(F.silu(gate) * up)  # type: ignore[no-any-return]  # nn.Module is untyped


class Transformer(Net):
    """Pre-norm RMSNorm SwiGLU over characters; input of shape (batch, time), logits of shape (batch, time, outputs)."""

    def __init__(self, outputs: int, context: int, shape: Shape) -> None:
        super().__init__()
        self.embed, self.position = nn.Embedding(outputs, shape.width), nn.Embedding(context, shape.width)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm, self.head = nn.RMSNorm(shape.width), nn.Linear(shape.width, outputs, bias=False)
        nn.init.normal_(self.embed.weight, std=0.5)
        nn.init.normal_(self.position.weight, std=0.2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Every block in turn, then the head."""
        x = self.embed(tokens) + self.position.weight[: tokens.shape[1]]
        for i, block in enumerate(self.layers):
            if self.watched is not None:
                self._watch(i, block, x.detach())
            x = self.through(i, block(x))
        return self.head(self.norm(x))  # type: ignore[no-any-return]  # nn.Module is untyped

    @torch.no_grad()
    def _watch(self, i: int, block: nn.Module, x: Tensor) -> None:
        assert isinstance(block, Block)
        q, k, _ = block.heads(block.norm1(x))
        logits = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        self.note("max_attention_logit", f"layers.{i}.qkv", logits.abs().max())
        self.note("activation_rms", f"layers.{i}.norm1", x.square().mean().sqrt())


def build(shape: Shape, inputs: int, outputs: int) -> Net:
    """A network for `inputs` features (or characters of context) and `outputs` classes, initialised by torch's seed."""
    if shape.kind == "cnn":
        return Cnn(outputs)
    if shape.kind == "gru":
        return Gru(outputs, shape.width)
    if shape.kind == "transformer":
        return Transformer(outputs, inputs, shape)
    net = Mlp(inputs, outputs, shape)
    if shape.gain is not None:
        for layer in net.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=shape.gain / layer.in_features**0.5)
                nn.init.zeros_(layer.bias)
    return net
