"""Norms of 16-bit gradients that the Logger clips."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import gradtop


def test_norms_per_layer_of_clipped_bf16_gradients_are_as_precise_as_others(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.Linear(32, 1)).bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = []
    with gradtop.Logger(tmp_path, model, optimizer, every=1, detail="parameter", clip_norm=0.01) as log:
        for _ in range(8):
            optimizer.zero_grad()
            loss = model(torch.randn(4, 8).bfloat16()).square().mean()
            loss.backward()
            norms = [each.grad.double().norm().item() for each in model.parameters() if each.grad is not None]
            expected.append(norms)
            log.clip_grad_norm_(0.01)
            optimizer.step()
            log.step(loss=loss)
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    read = [each["grad_norm"] for each in records if each["type"] == "layers"]
    assert len(read) == len(expected)
    for norms, exact in zip(read, expected, strict=True):
        assert norms == pytest.approx(exact, rel=2e-5)
    assert not [each for each in records if each["type"] == "event"]
