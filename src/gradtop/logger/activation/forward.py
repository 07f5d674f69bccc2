"""A forward pass as it runs: which module is inside which, and what its calls and outputs tell."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradtop.logger.activation.attention import largest_logit, largest_projected, largest_score
from gradtop.logger.activation.outline import Node
from gradtop.logger.activation.reading import Tally

if TYPE_CHECKING:
    from torch import Tensor, nn

Arguments = Sequence[Any]
Keywords = Mapping[str, Any]
Seer = Callable[[Arguments, Keywords, Any], None]
"""Looks at a call's arguments and result."""


@dataclass(slots=True)
class Frame:
    """A module that is running."""

    module: nn.Module
    node: Node
    last: Node | None = None
    """The module with weights that ran last in it: what an activation function is applied to."""
    products: set[tuple[int, ...]] = field(default_factory=set)
    """Shapes (queries, keys) of products that may be attention logits."""


class Forward:
    """The modules that are running, innermost last, and the tally of what was seen in them."""

    def __init__(self) -> None:
        """Nothing runs, nothing was seen."""
        self.frames: list[Frame] = []
        self.tally = Tally()
        self.seers = self._seers()
        """What looks at which function."""

    def end(self) -> None:
        """The innermost module has ended."""
        ended = self.frames.pop()
        if self.frames:
            self.frames[-1].last = ended.node if ended.node.weighs else ended.last or self.frames[-1].last

    def see_output(self, node: Node, output: Tensor) -> None:
        """Take in the size of a layer's output."""
        import torch

        kind = torch.float64 if output.dtype == torch.float64 else torch.float32
        norm = torch.linalg.vector_norm(output, dtype=kind)
        self.tally.sizes.setdefault(node, []).append((norm, output.numel()))

    def _seers(self) -> dict[Callable[..., Any], Seer]:
        import torch
        from torch import Tensor
        from torch.nn import functional as F

        relus = (F.relu, F.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
        softmaxes = (F.softmax, torch.softmax, Tensor.softmax)
        products = (torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.baddbmm,
                    Tensor.baddbmm, torch.einsum)  # fmt: skip
        return {
            **dict.fromkeys(relus, self._see_relu), **dict.fromkeys(softmaxes, self._see_softmax),
            **dict.fromkeys(products, self._see_product), F.hardtanh: self._see_hardtanh,
            F.scaled_dot_product_attention: self._see_attention, F.multi_head_attention_forward: self._see_heads,
        }  # fmt: skip

    def _see_relu(self, args: Arguments, kwargs: Keywords, result: Any) -> None:
        output = local(result)
        made = next((f.last or f.node for f in reversed(self.frames) if f.last or f.node.weighs), None)
        if output is None or made is None or output.dim() < 2:
            return
        axis = made.axis % output.dim()
        highest = output.amax([at for at in range(output.dim()) if at != axis])
        self.tally.see_units(made, highest != 0)  # NaN is not 0

    def _see_hardtanh(self, args: Arguments, kwargs: Keywords, result: Any) -> None:
        """ReLU6 as a module is this, from 0 to 6."""
        if (args[1] if len(args) > 1 else kwargs.get("min_val", -1.0)) == 0.0:
            self._see_relu(args, kwargs, result)

    def _see_product(self, args: Arguments, kwargs: Keywords, result: Any) -> None:
        product = local(result)
        if product is not None and product.dim() > 2:
            self._owner().products.add(tuple(product.shape[-2:]))

    def _see_softmax(self, args: Arguments, kwargs: Keywords, result: Any) -> None:
        """The softmax of attention is one over a product of the same module: that of a router or of classes is not."""
        scores = local(args[0] if args else kwargs.get("input"))
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        if scores is None or scores.dim() < 3 or dim not in (-1, scores.dim() - 1):
            return
        owner = self._owner()
        if tuple(scores.shape[-2:]) in owner.products:
            self.tally.see_logit(owner.node, largest_score(scores))

    def _see_attention(self, args: Arguments, kwargs: Keywords, result: Any) -> None:
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        call = {**dict(zip(names, args, strict=False)), **kwargs}
        query, key = local(call["query"]), local(call["key"])
        if query is None or key is None or query.dim() < 3:
            return
        logit = largest_logit(
            query,
            key,
            _part(call.get("attn_mask")),
            causal=call.get("is_causal", False),
            scale=call.get("scale"),
            grouped=call.get("enable_gqa", False),
        )
        self.tally.see_logit(self._owner().node, logit)

    def _see_heads(self, args: Arguments, kwargs: Keywords, result: Any) -> None:
        """What goes on inside is not shown to modes, so its inputs are looked at."""
        from torch.nn.functional import multi_head_attention_forward

        bound = inspect.signature(multi_head_attention_forward).bind(*args, **kwargs)
        bound.apply_defaults()
        call = {name: _part(value) for name, value in bound.arguments.items()}
        if local(call["query"]) is not None and local(call["key"]) is not None:
            self.tally.see_logit(self._owner().node, largest_projected(call))

    def _owner(self) -> Frame:
        """The innermost running module that has parameters: a softmax as a module belongs to its attention."""
        return next((frame for frame in reversed(self.frames) if frame.node.holds), self.frames[-1])


def first(result: object) -> Tensor | None:
    """The first usable tensor of what a module gives back: attention and blocks give tuples or mappings."""
    if isinstance(result, Mapping):
        result = tuple(result.values())
    if isinstance(result, (tuple, list)):
        return next((found for item in result if (found := first(item)) is not None), None)
    return local(result)


def local(value: object) -> Tensor | None:
    """A tensor of real numbers, of a distributed one this rank's part, apart from the graph; None for all else."""
    import torch

    value = _part(value)
    if not isinstance(value, torch.Tensor) or type(value) not in (torch.Tensor, torch.nn.Parameter):
        return None
    usable = value.is_floating_point() and value.layout == torch.strided and value.element_size() > 1
    if not usable or value.is_meta or value.numel() == 0 or value.is_nested:
        return None
    return value.detach()


def _part(value: Any) -> Any:
    """This rank's part of a distributed tensor; anything else as it is."""
    return value._local_tensor if type(value).__name__ == "DTensor" else value
