"""What a run says of itself."""

import pytest
import torch
from torch import nn

from gradtop.logger import facts


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["train.py", "--api-key", "abc", "--lr", "3"], ["train.py", "--api-key", "***", "--lr", "3"]),
        (["train.py", "--hf_token=abc", "password=x"], ["train.py", "--hf_token=***", "password=***"]),
        (
            ["train.py", "--monkey", "abc", "--tokenizer", "gpt2"],
            ["train.py", "--monkey", "abc", "--tokenizer", "gpt2"],
        ),
        (["train.py", "--use-token", "--lr", "3"], ["train.py", "--use-token", "--lr", "3"]),
    ],
)
def test_secrets_of_the_command_line_are_not_written(given: list[str], told: list[str]) -> None:
    assert facts.arguments(given) == told


def test_tied_and_frozen_parameters_are_counted_right() -> None:
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False), nn.Linear(3, 2))
    net[1].weight = net[0].weight
    net[2].bias.requires_grad_(False)
    assert facts.model(net, 2) == {"params": 9 + 8, "trainable": 9 + 6, "layers": 2}


def test_the_peak_rate_is_what_a_schedule_keeps() -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(2))], lr=0.5)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0)
    assert facts.schedule([optimizer], {"clip_norm": 1.0, "total_steps": None}) == {
        "optimizer": "AdamW", "lr_max": 0.5, "clip_norm": 1.0,
    }  # fmt: skip
    assert facts.schedule([optimizer], {"lr_max": 0.3})["lr_max"] == 0.3


def test_steps_go_on_where_a_loaded_optimizer_stopped() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([weight])
    assert facts.steps_done([optimizer]) == 0
    for _ in range(3):
        weight.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert facts.steps_done([optimizer]) == 3


def test_precision_is_told_only_where_it_is_known() -> None:
    net = nn.Linear(2, 2)
    assert facts.precision(net, None) is None
    assert facts.precision(net.bfloat16(), None) == "bf16"
    assert facts.precision(None, object()) == "fp16"
