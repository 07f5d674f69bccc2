"""The norms that `torch.nn.utils.clip_grad_norm_` returns, heard in passing."""

import torch
from torch import nn

from gradtop.integrations.clipped import ClippedNorms


def clipped(**options: object) -> torch.Tensor:
    parameter = nn.Parameter(torch.ones(4))
    parameter.grad = torch.ones(4)
    return nn.utils.clip_grad_norm_([parameter], 1.0, **options)  # type: ignore[arg-type]


def test_a_norm_is_heard_once() -> None:
    norms = ClippedNorms()
    norms.open()
    assert clipped() == norms.take() == 2.0
    assert norms.take() is None
    clipped(norm_type=1.0)
    assert norms.take() is None
    clipped(), clipped()
    assert norms.take() is None
    norms.close()
    clipped()
    assert norms.take() is None
    assert nn.utils.clip_grad_norm_.__module__ == "torch.nn.utils.clip_grad"


def test_wrappers_that_are_closed_in_another_order_pass_calls_on() -> None:
    original = nn.utils.clip_grad_norm_
    one, other = ClippedNorms(), ClippedNorms()
    one.open()
    other.open()
    one.close()
    assert clipped() == other.take() == 2.0
    assert one.take() is None
    other.close()
    assert clipped() == 2.0
    nn.utils.clip_grad_norm_ = original
