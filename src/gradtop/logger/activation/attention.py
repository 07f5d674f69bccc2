"""The largest attention logit of a sample of queries, whichever way attention is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

ENTRIES = 2
"""Sequences of a batch that are looked at, all heads of each."""
ROWS = 64
"""Queries of a sequence that are looked at, evenly spaced, the last one among them."""
SCORES = 2**22
"""Logits that are looked at in one call; above, fewer queries, and every n-th key when one query has too many."""
MASKED = -1e4
"""Logits at or below this are masked: additive masks use -inf, the least number of a type, -1e9 or -1e4."""

Projection = tuple["Tensor", "Tensor | None"]
"""A weight and a bias."""


def largest_score(scores: Tensor) -> Tensor:
    """The largest of the logits (..., queries, keys) that go into a softmax, float32, without dimensions."""
    entries = _entries(scores.shape[0]) if scores.dim() > 3 else slice(None)
    scores = scores[entries]
    rows, keys = _taken(math.prod(scores.shape[:-2]), *scores.shape[-2:])
    return scores[..., rows, keys].amax().float()


def largest_logit(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
    grouped: bool = False,
) -> Tensor:
    """The largest of `query @ key * scale + mask`, as in `scaled_dot_product_attention`; masked positions are left out.

    Args:
        query: (..., heads, queries, features).
        key: (..., heads, keys, features), of the query's type.
        mask: what `attn_mask` is there: True takes part, or numbers to add.
        causal: a query sees the keys up to its own place.
        scale: 1 / sqrt(features) where it is None.
        grouped: there are fewer heads of keys, each for as many heads of queries in a row.

    Returns:
        float32, without dimensions; -inf if all is masked.
    """
    whole, length, span = query.dim(), query.shape[-2], key.shape[-2]
    if whole > 3:
        entries = _entries(query.shape[0])
        query, key = query[entries], key[entries] if key.shape[0] > 1 else key
        if mask is not None and mask.dim() == whole and mask.shape[0] > 1:
            mask = mask[entries]
    rows, keys = _taken(math.prod(query.shape[:-2]), length, span)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = _product((query[..., rows, :].float() * scale).to(key.dtype), key[..., keys, :], grouped)
    if mask is not None:
        scores = _masked(scores, _thin(mask, rows, keys))
    if causal:
        scores = scores.masked_fill(_later(scores, length, span, rows, keys), -math.inf)
    return scores.amax()


def largest_projected(call: Mapping[str, Any]) -> Tensor:
    """The same for the arguments of `multi_head_attention_forward`, by name: projects what is looked at once more."""
    query, key = call["query"], call["key"]
    if query.dim() == 2:
        query, key = query[:, None], key[:, None]
    length, batch, heads = query.shape[0], query.shape[1], call["num_heads"]
    entries, rows = _entries(batch), _every(length, ROWS)
    mask = _additive(call, batch, heads, entries, rows)
    (q_weight, q_bias), (k_weight, k_bias) = _projections(call, query.shape[-1])
    q = _heads(query[rows, entries], q_weight, q_bias, heads)
    k = _heads(key[:, entries], k_weight, k_bias, heads)
    return largest_logit(q, k, mask)


def _every(n: int, most: int) -> slice:
    """At most `most` of `n` places, evenly spaced, the last one among them."""
    stride = -(-n // most)
    return slice((n - 1) % stride, None, stride)


def _entries(batch: int) -> slice:
    return slice(0, None, max(1, -(-batch // ENTRIES)))


def _taken(sequences: int, queries: int, keys: int) -> tuple[slice, slice]:
    """The queries and keys that are looked at of `sequences` (heads times batch entries)."""
    each = max(1, -(-sequences * keys // SCORES))
    seen = -(-keys // each)
    return _every(queries, min(ROWS, max(1, SCORES // (sequences * seen)))), slice(0, None, each)


def _product(query: Tensor, key: Tensor, grouped: bool) -> Tensor:
    """`query @ key` in float32."""
    if not grouped or key.shape[-3] == query.shape[-3]:
        return (query @ key.transpose(-2, -1)).float()
    # The queries of all heads that share keys are rows of one product: the keys need no copy for each head.
    split = query.reshape(*query.shape[:-3], key.shape[-3], -1, query.shape[-1])
    return (split @ key.transpose(-2, -1)).float().reshape(*query.shape[:-1], key.shape[-2])


def _thin(mask: Tensor, rows: slice, keys: slice) -> Tensor:
    """The part of a mask that belongs to what is looked at; dimensions of size 1 stand for all."""
    if mask.shape[-1] > 1:
        mask = mask[..., keys]
    return mask[..., rows, :] if mask.dim() > 1 and mask.shape[-2] > 1 else mask


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    from torch import bool

    return scores.masked_fill(~mask, -math.inf) if mask.dtype == bool else scores + mask


def _later(scores: Tensor, length: int, span: int, rows: slice, keys: slice) -> Tensor:
    """Which keys come after their query."""
    import torch

    at = torch.arange(length, device=scores.device)[rows]
    return torch.arange(span, device=scores.device)[keys] > at[:, None]


def _projections(call: Mapping[str, Any], width: int) -> tuple[Projection, Projection]:
    """What makes queries, and what makes keys."""
    if call["use_separate_proj_weight"]:
        q_weight, k_weight = call["q_proj_weight"], call["k_proj_weight"]
    else:
        q_weight, k_weight = call["in_proj_weight"][:width], call["in_proj_weight"][width : 2 * width]
    bias = call["in_proj_bias"]
    q_bias, k_bias = (None, None) if bias is None else (bias[:width], bias[width : 2 * width])
    return (q_weight, q_bias), (k_weight, k_bias)


def _heads(x: Tensor, weight: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    """Projected (length, batch, width) as (batch, heads, length, features)."""
    from torch.nn.functional import linear

    y = linear(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))
    return y.reshape(*y.shape[:2], heads, -1).permute(1, 2, 0, 3)


def _additive(call: Mapping[str, Any], batch: int, heads: int, entries: slice, rows: slice) -> Tensor | None:
    """Both masks of `multi_head_attention_forward`, where True is masked, as numbers to add; None without any."""
    total: Tensor | None = None
    mask, padding = call["attn_mask"], call["key_padding_mask"]
    if mask is not None:
        mask = _numbers(mask)
        mask = mask.reshape(batch, heads, *mask.shape[1:])[entries] if mask.dim() == 3 else mask
        total = mask[..., rows, :]
    if padding is not None:
        padding = _numbers(padding).reshape(batch, 1, 1, -1)[entries]
        total = padding if total is None else total + padding
    return total


def _numbers(mask: Tensor) -> Tensor:
    import torch

    if mask.dtype != torch.bool:
        return mask.float()
    return torch.zeros(mask.shape, device=mask.device).masked_fill(mask, -math.inf)
