import math
import random

import pytest
from layered import layered, of_layers, only
from synthetic import Row

from gradtop.finding import FindingState, Severity


def with_family(family: str, values: list[float], every: int = 1) -> list[Row]:
    random_ = random.Random(1)
    rows = layered(len(values), families="g", every=every)
    for row, value in zip(rows, values, strict=True):
        row[f"{family}/layers.0.attn"] = value * math.exp(random_.gauss(0, 0.05))
        row[f"{family}/layers.1.attn"] = 1.0
    return rows


@pytest.mark.parametrize(("top", "severity"), [(3e3, Severity.WATCH), (5e4, Severity.INTERVENE)])
def test_attention_logits_beyond_what_softmax_copes_with(top: float, severity: Severity) -> None:
    finding = only(with_family("max_attention_logit", [20.0] * 100 + [top] * 60))
    assert (finding.kind, finding.severity, finding.raised_step) == ("activation_growth", severity, 119)
    assert finding.scope == "layers"
    assert "Attention logits of layers.0.attn are above 1,000 since step 100" in finding.message


def test_a_few_rows_of_large_logits_and_large_ones_that_end() -> None:
    assert not of_layers(with_family("max_attention_logit", [20.0] * 100 + [3e3] * 10 + [20.0] * 50))
    finding = only(with_family("max_attention_logit", [20.0] * 100 + [3e3] * 50 + [20.0] * 50))
    assert finding.state is FindingState.RECOVERED


@pytest.mark.parametrize("every", [1, 10])
def test_activations_that_grow_tenfold_within_2000_steps(every: int) -> None:
    sizes = [1.0 if i * every < 1000 else 10 ** (2 * (i * every - 1000) / 2000) for i in range(3000 // every)]
    finding = only(with_family("activation_rms", sizes, every))
    assert (finding.kind, finding.severity) == ("activation_growth", Severity.WATCH)
    assert 2000 <= finding.raised_step <= 2300
    assert "The activations of layers.0.attn grew by" in finding.message
    assert finding.causes[0].startswith("A residual stream")


def test_slow_growth_and_that_of_the_first_steps_are_no_fault() -> None:
    assert not of_layers(with_family("activation_rms", [10 ** (2 * i / 10000) for i in range(0, 10000, 10)], 10))
    assert not of_layers(with_family("activation_rms", [1 + 30 * (1 - math.exp(-i / 40)) for i in range(1500)]))


def test_layers_that_follow_one_after_the_other_are_one_finding() -> None:
    rows = with_family("max_attention_logit", [20.0] * 100 + [3e3] * 100)
    for row in rows[140:]:
        row["max_attention_logit/layers.1.attn"] = 4e3
    finding = only(rows)
    assert (finding.raised_step, finding.evidence["layers"]) == (119, 2.0)
    assert "layers.0.attn and layers.1.attn" in finding.message


def test_a_layer_can_have_large_logits_and_growing_activations() -> None:
    sizes = [10 ** (2 * max(0, i * 10 - 1000) / 2000) for i in range(300)]
    rows = with_family("activation_rms", sizes, 10)
    for row in rows:
        row["max_attention_logit/layers.0.attn"] = 3e3
    logits, growth = sorted(of_layers(rows), key=lambda finding: finding.first_step)
    assert "Attention logits of layers.0.attn" in logits.message
    assert "The activations of layers.0.attn grew by" in growth.message


@pytest.mark.parametrize(("decades", "found"), [(1.0, False), (3.0, True)])
def test_rows_further_apart_than_the_window_are_compared_with_the_one_before(decades: float, found: bool) -> None:
    """Every 4,000 steps: as fast as 10-fold in 2,000 steps, or not."""
    rows = with_family("activation_rms", [10 ** (decades * max(0, i - 20)) for i in range(40)], 4000)
    assert bool(of_layers(rows)) is found
    assert all("within 2,000 steps" in finding.message for finding in of_layers(rows))
