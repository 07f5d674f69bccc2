import math

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from watching import Attention, Given, untouched, watched  # noqa: F401

pytestmark = pytest.mark.usefixtures("untouched")


def _exact(q: Tensor, k: Tensor, mask: Tensor | None, scale: float) -> float:
    scores = q.double() @ k.double().transpose(-2, -1) * scale
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    return float(scores.max())


@pytest.mark.parametrize("kind", ["sdpa", "function", "module"])
def test_the_largest_logit_of_causal_attention(kind: str) -> None:
    model = nn.Sequential(Attention(kind=kind))
    attention = model[0]
    assert isinstance(attention, Attention)
    x = torch.randn(2, 20, 16)
    q, k, _ = (part.detach().double() for part in attention.split(x))
    later = torch.ones(20, 20, dtype=torch.bool).triu(1)
    exact = (q @ k.transpose(-2, -1) / 2.0).masked_fill(later, -math.inf).max().item()
    logits = watched(model, x)["max_attention_logit"]
    assert {name: logit for name, logit in logits.items() if logit is not None} == {"0": pytest.approx(exact, rel=1e-5)}


def _lower() -> Tensor:
    return torch.ones(9, 9, dtype=torch.bool).tril()


@pytest.mark.parametrize(
    "mask",
    [
        None,
        _lower(),
        torch.zeros(9, 9).masked_fill(~_lower(), -math.inf),
        torch.zeros(9, 9).masked_fill(~_lower(), -1e9),
        torch.linspace(-3.0, 3.0, 9).expand(2, 1, 1, 9),
        (torch.arange(9) < 4).expand(2, 1, 1, 9),
        (torch.arange(9) < 4)[None, None, None],
    ],
)
def test_masks_and_scales_of_attention_functions(mask: Tensor | None) -> None:
    q, k = torch.randn(2, 3, 9, 4), torch.randn(2, 3, 9, 4)
    model = Given(lambda x: F.scaled_dot_product_attention(x, k, k, attn_mask=mask, scale=3.0))
    logits = watched(model, q)["max_attention_logit"]
    assert logits["model"] == pytest.approx(_exact(q, k, mask, 3.0), rel=1e-5)


def test_fewer_heads_of_keys_than_of_queries() -> None:
    q, k = torch.randn(2, 6, 5, 4), torch.randn(2, 2, 7, 4)
    q[:, 4] *= 10.0
    model = Given(lambda x: F.scaled_dot_product_attention(x, k, k, enable_gqa=True))
    exact = _exact(q, k.repeat_interleave(3, 1), None, 0.5)
    assert watched(model, q)["max_attention_logit"]["model"] == pytest.approx(exact, rel=1e-5)


def test_of_long_sequences_evenly_spaced_queries_of_two_entries_are_looked_at() -> None:
    q, k = torch.randn(8, 2, 200, 4), torch.randn(8, 2, 200, 4)
    model = Given(lambda x: F.scaled_dot_product_attention(x, k, k, is_causal=True))
    lower = torch.ones(200, 200, dtype=torch.bool).tril()
    at = torch.arange(199, -1, -4)
    exact = _exact(q[::4, :, at], k[::4], lower[at], 0.5)
    assert watched(model, q)["max_attention_logit"]["model"] == pytest.approx(exact, rel=1e-5)


def test_attention_that_is_masked_everywhere_has_no_logit() -> None:
    q = torch.randn(1, 1, 3, 4)
    mask = torch.full((3, 3), -1e9)
    model = Given(lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=mask).sum() + F.relu(x).sum())
    assert "max_attention_logit" not in watched(model, q)


def test_a_softmax_over_classes_or_experts_is_no_attention() -> None:
    gate = nn.Linear(4, 3)
    model = Given(lambda x: F.softmax(gate(x @ x.transpose(-2, -1) @ x), -1))
    assert "max_attention_logit" not in watched(model, torch.randn(2, 6, 4))


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_the_attention_module_of_torch(separate: bool, need_weights: bool) -> None:
    sides = {"kdim": 6, "vdim": 6} if separate else {}
    inner = nn.MultiheadAttention(8, 2, batch_first=True, **sides)
    nn.init.normal_(inner.in_proj_bias)
    x, y = torch.randn(2, 5, 8), torch.randn(2, 7, 6 if separate else 8)
    padding = torch.zeros(2, 7, dtype=torch.bool)
    padding[1, 3:] = True
    later = torch.ones(5, 7, dtype=torch.bool).triu(1)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn = inner

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.attn(x, y, y, key_padding_mask=padding, attn_mask=later, need_weights=need_weights)[0]
            return out

    weights = (inner.q_proj_weight, inner.k_proj_weight) if separate else inner.in_proj_weight.chunk(3)
    q_bias, k_bias, _ = inner.in_proj_bias.chunk(3)
    q = F.linear(x, weights[0], q_bias).view(2, 5, 2, 4).transpose(1, 2).detach()
    k = F.linear(y, weights[1], k_bias).view(2, 7, 2, 4).transpose(1, 2).detach()
    exact = _exact(q, k, ~(later[None, None] | padding[:, None, None]), 0.5)
    assert watched(Net(), x)["max_attention_logit"]["attn"] == pytest.approx(exact, rel=1e-5)
