"""Record the run that `gradtop demo` replays: a small transformer, trained for real on the CPU.

    python benchmarks/record_demo.py src/gradtop/recorded/demo.jsonl

A 6-layer pre-norm transformer (RMSNorm, SwiGLU) learns to predict the bytes of Python's own standard library.
Two things go wrong on purpose, as they do in real data:

* at step 14, in warm-up, every label of the batch is masked: only the 1e-9 L2 penalty is left in the loss, so the
  gradient is below a millionth, for one step;
* at step 700 two batches arrive with their labels shuffled: the loss jumps and comes back.

Neither is worth a restart, and the verdict should say so. Needs torch; takes a few minutes on two cores.
"""

import math
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import click
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradtop import __version__, record

WIDTH, LAYERS, HEADS, CONTEXT, BATCH = 96, 6, 4, 64, 16
TOTAL_STEPS, WARMUP_STEPS, LR_MAX, CLIP_NORM, L2 = 1500, 300, 1e-3, 1.0, 1e-9
MASKED_STEP, SHUFFLED_STEPS = 14, (700, 701)
LAYER_EVERY = 10
IGNORED = -100


class Attention(nn.Module):
    """Causal self-attention, input and output of shape (batch, time, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend to the past."""
        b, t, _ = x.shape
        q, k, v = (part.view(b, t, HEADS, -1).transpose(1, 2) for part in self.qkv(x).split(WIDTH, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(b, t, WIDTH))  # type: ignore[no-any-return]  # nn.Module is untyped


class SwiGLU(nn.Module):
    """Gated feed-forward layer of hidden size 8/3 of the width."""

    def __init__(self) -> None:
        super().__init__()
        hidden = WIDTH * 8 // 3
        self.gate = nn.Linear(WIDTH, hidden, bias=False)
        self.up = nn.Linear(WIDTH, hidden, bias=False)
        self.down = nn.Linear(hidden, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Gate, then project back."""
        return self.down(F.silu(self.gate(x)) * self.up(x))  # type: ignore[no-any-return]  # nn.Module is untyped


class Block(nn.Module):
    """One pre-norm residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attn = nn.RMSNorm(WIDTH), Attention()
        self.norm2, self.mlp = nn.RMSNorm(WIDTH), SwiGLU()

    def forward(self, x: Tensor) -> Tensor:
        """Attention and feed-forward, each added to the stream."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]  # nn.Module is untyped


class ByteModel(nn.Module):
    """Bytes in, logits over the next byte out."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(256, WIDTH)
        self.position = nn.Embedding(CONTEXT, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(WIDTH)
        self.lm_head = nn.Linear(WIDTH, 256, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of shape (batch, time, 256) for tokens of shape (batch, time)."""
        x = self.embed(tokens) + self.position(torch.arange(tokens.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return self.lm_head(self.norm(x))  # type: ignore[no-any-return]  # nn.Module is untyped


def read_text() -> Tensor:
    """The standard library's own sources as one tensor of bytes."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    text = b"\n".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    return torch.frombuffer(bytearray(text), dtype=torch.uint8).long()


def batches(text: Tensor, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Random (input, label) batches of shape (BATCH, CONTEXT), with the two faults."""
    for step in range(TOTAL_STEPS):
        starts = torch.randint(len(text) - CONTEXT - 1, (BATCH,), generator=generator)
        windows = torch.stack([text[s : s + CONTEXT + 1] for s in starts.tolist()])
        inputs, labels = windows[:, :-1], windows[:, 1:].clone()
        if step == MASKED_STEP:
            labels[:] = IGNORED
        if step in SHUFFLED_STEPS:
            labels = torch.randint(256, labels.shape, generator=generator)
        yield inputs, labels


def lr_at(step: int) -> float:
    """Linear warm-up, then cosine to a tenth of the peak."""
    if step < WARMUP_STEPS:
        return LR_MAX * (step + 1) / WARMUP_STEPS
    done = (step - WARMUP_STEPS) / (TOTAL_STEPS - WARMUP_STEPS)
    return LR_MAX * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


def layer_norms(model: nn.Module) -> dict[str, float]:
    """Gradient L2 norm per sublayer, as flat keys."""
    squares: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            layer = (
                name.rsplit(".", 2)[0] if name.startswith("layers.") and "norm" not in name else name.rsplit(".", 1)[0]
            )
            squares[layer] = squares.get(layer, 0.0) + float(parameter.grad.double().square().sum())
    return {f"grad_norm/{layer}": rounded(math.sqrt(square)) for layer, square in squares.items()}


def rounded(value: float) -> float:
    """Five significant digits, so that the file stays small."""
    return float(f"{value:.5g}")


def train() -> Iterator[bytes]:
    """Train, yielding the lines of the stream."""
    torch.manual_seed(20)
    torch.set_num_threads(2)
    model = ByteModel()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR_MAX, betas=(0.9, 0.95), weight_decay=0.1)
    params = sum(p.numel() for p in model.parameters())
    yield record.encode(
        record.RunFacts(
            run="bytes-6l",
            time=round(time.time(), 3),
            model=record.Model(params=params, layers=LAYERS),
            train=record.Train(
                total_steps=TOTAL_STEPS,
                warmup_steps=WARMUP_STEPS,
                lr_max=LR_MAX,
                clip_norm=CLIP_NORM,
                optimizer="AdamW",
                precision="fp32",
            ),
            semantics={"step": "optimizer", "grad_norm": "pre_clip", "loss": "step"},
            versions={"gradtop": __version__, "torch": str(torch.__version__)},
        )
    )
    generator = torch.Generator().manual_seed(20)
    for step, (inputs, labels) in enumerate(batches(read_text(), generator)):
        yield train_step(model, optimizer, step, inputs, labels)
    yield record.encode(record.End(step=TOTAL_STEPS - 1, time=round(time.time(), 3)))


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, step: int, inputs: Tensor, labels: Tensor) -> bytes:
    """One step; its line of the stream."""
    for group in optimizer.param_groups:
        group["lr"] = lr_at(step)
    optimizer.zero_grad(set_to_none=True)
    logits = model(inputs).flatten(0, 1)
    known = int((labels != IGNORED).sum())
    loss = F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORED, reduction="sum") / max(known, 1)
    loss = loss + L2 * sum(p.square().sum() for p in model.parameters())
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    values = layer_norms(model) if step % LAYER_EVERY == 0 or abs(step - MASKED_STEP) <= 1 else {}
    norm = nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM).item()
    optimizer.step()
    own = {"loss": rounded(loss.item()), "grad_norm": rounded(norm), "lr": rounded(lr_at(step))}
    return record.encode_metrics(step, own | values, round(time.time(), 3))


@click.command()
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
def main(target: Path) -> None:
    """Train and write the recorded run to TARGET."""
    with target.open("wb") as file:
        for line in train():
            file.write(line)
    click.echo(f"{target}: {target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
