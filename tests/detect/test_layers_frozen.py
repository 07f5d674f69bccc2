import math
import random

import pytest
from layered import WEIGHTS, layered, of_layers, only
from synthetic import Row

from gradtop.finding import FindingState, Severity


def test_an_update_ratio_of_0_with_a_gradient_is_found_after_20_rows() -> None:
    rows = layered(200)
    for row in rows[100:]:
        row["update_ratio/layers.2.weight"] = 0.0
    finding = only(rows)
    assert (finding.kind, finding.severity, finding.raised_step) == ("frozen_layer", Severity.WATCH, 119)
    assert finding.scope == "layer:layers.2.weight"
    assert "has not changed since step 100: update ratio exactly 0" in finding.message
    assert finding.met == len(finding.criteria)
    assert "layers.2.weight should be there" in finding.checks[0]


def test_it_is_over_when_the_layer_moves_again() -> None:
    rows = layered(250)
    for row in rows[100:150]:
        row["update_ratio/layers.2.weight"] = 0.0
    finding = only(rows)
    assert (finding.state, finding.last_step) == (FindingState.RECOVERED, 149)
    assert "does again at step 150" in finding.message


def test_a_weight_norm_that_stays_the_same_to_the_last_digit() -> None:
    rows = layered(200, families="gw")
    for row in rows[100:]:
        row["weight_norm/layers.2.weight"] = rows[100]["weight_norm/layers.2.weight"]
    finding = only(rows)
    assert (finding.kind, finding.raised_step) == ("frozen_layer", 120)
    assert "the same weight norm to the last digit" in finding.message


def test_rounded_or_slow_weights_are_no_fault() -> None:
    rows = layered(200, families="gw")
    for row in rows:
        row |= {f"weight_norm/{name}": round(row[f"weight_norm/{name}"], 1) for name in WEIGHTS}
    assert not of_layers(rows)
    rows = layered(200, families="gw")
    for row in rows:
        row |= {f"weight_norm/{name}": rows[0][f"weight_norm/{name}"] for name in WEIGHTS}
    assert not of_layers(rows)


@pytest.mark.parametrize("families", ["gwu", "gw"])
def test_a_layer_that_is_frozen_on_purpose_has_no_gradient_and_is_not_meant(families: str) -> None:
    rows = layered(200, families=families)
    for row in rows:
        del row["grad_norm/layers.2.weight"]
        row["weight_norm/layers.2.weight"] = 10.123456789
        if "u" in families:
            row["update_ratio/layers.2.weight"] = 0.0
    assert [finding.kind for finding in of_layers(rows)] == ["dead_layer"]


def test_without_gradients_in_the_log_it_may_be_meant() -> None:
    rows = layered(200, families="wu")
    for row in rows[100:]:
        row["update_ratio/layers.2.weight"] = 0.0
    finding = only(rows)
    assert finding.severity is Severity.NOTICE
    assert finding.caveats == ("This log has no grad norm per layer: these layers may be frozen on purpose.",)


def test_gains_alone_are_a_notice() -> None:
    rows = layered(200, names=[*WEIGHTS, "layers.0.norm.weight"])
    for row in rows:
        row["update_ratio/layers.0.norm.weight"] = 0.0
    finding = only(rows)
    assert finding.severity is Severity.NOTICE
    assert finding.criteria[-1].met is False


@pytest.mark.parametrize("field", ["lr", "skipped"])
def test_steps_that_train_nothing_freeze_nothing(field: str) -> None:
    rows = layered(200)
    for row in rows[100:]:
        row |= {f"update_ratio/{name}": 0.0 for name in WEIGHTS} | {field: 0.0 if field == "lr" else 1.0}
    assert not [finding for finding in of_layers(rows) if finding.kind == "frozen_layer"]


def adding_up(n: int, power: float, since: int = 0) -> list[Row]:
    """A run in which the gradients of two layers are never set to zero."""
    rows, random_ = layered(n, families="g"), random.Random(1)
    for t, row in enumerate(rows[since:], 1):
        for name in WEIGHTS[3:5]:
            row[f"grad_norm/{name}"] = t**power * math.exp(random_.gauss(0, 0.02 / math.sqrt(t)))
    return rows


@pytest.mark.parametrize(("power", "raised"), [(0.5, 95), (0.7, 63), (1.0, 63)])
def test_gradients_that_add_up_are_parameters_missing_from_the_optimizer(power: float, raised: int) -> None:
    finding = only(adding_up(200, power))
    assert (finding.kind, finding.severity, finding.first_step) == ("frozen_layer", Severity.WATCH, 0)
    assert finding.raised_step <= raised
    assert "The gradient of layers.3.weight and layers.4.weight adds up from step to step" in finding.message
    assert "missing from the optimizer" in finding.message
    assert len(finding.caveats) == 1


def test_it_is_over_when_they_are_set_to_zero() -> None:
    rows = adding_up(200, 1.0)
    for row in rows[120:]:
        row |= {f"grad_norm/{name}": 1.0 + row["step"] % 3 for name in WEIGHTS[3:5]}
    finding = only(rows)
    assert (finding.state, finding.last_step) == (FindingState.RECOVERED, 119)


def test_gradients_that_grow_in_all_layers_or_smoothly_everywhere_are_none_of_it() -> None:
    rows = layered(300, families="g")
    for i, row in enumerate(rows):
        row |= {f"grad_norm/{name}": row[f"grad_norm/{name}"] * (1 + i) for name in WEIGHTS}
    assert not of_layers(rows)
    for i, row in enumerate(rows):
        row |= {f"grad_norm/{name}": (1 + i) ** (0.1 * k) for k, name in enumerate(WEIGHTS)}
    assert not of_layers(rows)


def test_a_layer_whose_gradient_faded_moves_too_little_to_be_seen() -> None:
    rows = layered(200)
    for row in rows:
        row[f"grad_norm/{WEIGHTS[0]}"] *= 1e-8
        row[f"update_ratio/{WEIGHTS[0]}"] = 0.0
    assert not [f for f in of_layers(rows) if f.kind == "frozen_layer"]
