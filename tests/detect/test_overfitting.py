import math
import random

import pytest
from synthetic import Row, detector, found, records

from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Rows


def course(
    evaluations: int = 30, best: int = 10, rise: float = 0.1, noise: float = 0.01, scale: float = 1.0
) -> list[Row]:
    """100 steps per evaluation; the validation loss rises after the best one, while the training loss falls."""
    random_, rows = random.Random(7), []
    for k in range(evaluations):
        for i in range(100 * k, 100 * (k + 1), 5):
            loss = (0.2 + 2 * math.exp(-i / 500)) * math.exp(random_.gauss(0, 0.05))
            rows.append({"step": float(i), "loss": loss, "lr": 1e-3})
        val = 0.5 + 2 * math.exp(-min(k, best) / 5) + max(0, k - best) * rise
        rows.append({"step": 100.0 * k + 95, "val_loss": scale * val * math.exp(random_.gauss(0, noise))})
    return rows


def overfits(rows: list[Row]) -> list[Finding]:
    return [f for f in found(rows) if f.kind == "overfitting"]


def test_a_validation_loss_that_rises_while_the_training_loss_falls() -> None:
    (finding,) = overfits(course())
    assert (finding.severity, finding.state, finding.scope) == (Severity.WATCH, FindingState.ACTIVE, "val_loss")
    assert finding.first_step == 1095
    assert 1500 <= finding.raised_step <= 2100
    assert finding.met == len(finding.criteria)
    assert "at step 1,095, while the training loss is 0.2" in finding.message
    assert finding.checks[0].startswith("Keep the checkpoint of step 1,095, with a validation loss of 0.7")


@pytest.mark.parametrize("scale", [0.4, 1.0, 100.0])
def test_the_two_losses_need_not_have_the_same_scale(scale: float) -> None:
    assert overfits(course(40, scale=scale))


def test_no_rise_no_finding() -> None:
    assert not overfits(course(100, rise=0.0))


@pytest.mark.parametrize("noise", [0.05, 0.15, 0.3])
def test_noisy_evaluations_are_no_rise(noise: float) -> None:
    assert not overfits(course(150, rise=0.0, noise=noise))


def test_an_evaluation_before_the_training_is_not_the_best() -> None:
    rows: list[Row] = [{"step": 0.0, "val_loss": 11.0}, *course(10, rise=0.0)]
    assert not overfits(rows)


def test_a_training_loss_that_rises_too_is_no_overfitting() -> None:
    rows = course()
    for row in rows:
        if "loss" in row and row["step"] > 1100:
            row["loss"] *= 1 + (row["step"] - 1100) / 300
    assert not overfits(rows)


def test_it_is_over_at_a_new_best() -> None:
    rows = [*course(), *({"step": 3000.0 + k, "val_loss": 0.5 - k / 100} for k in range(3))]
    (finding,) = overfits(rows)
    assert finding.state is FindingState.RECOVERED
    assert "is over: better at step 3,000" in finding.message


def test_rows_of_epochs_are_judged_by_the_epoch() -> None:
    rows = [{"step": float(k), "loss": 2 * math.exp(-k / 4), "val_loss": 0.8 + 0.15 * abs(k - 4)} for k in range(14)]
    block = Rows([row["step"] for row in rows], {k: [r[k] for r in rows] for k in ("loss", "val_loss")}, x_kind="epoch")
    (finding,) = [f for f in detector([block]).findings() if f.kind == "overfitting"]
    assert finding.first_step == 4
    assert "at epoch 4" in finding.message


def test_an_evaluation_that_is_repeated_in_every_row_is_one() -> None:
    rows, val = [], 1.0
    for i in range(400):
        val = 1.0 if i < 200 else 2.0
        rows.append({"step": float(i), "loss": 0.5 * math.exp(-i / 100) + 0.1, "val_loss": val})
    assert not overfits(rows)


def test_a_run_that_goes_back_forgets_the_evaluations_after_that() -> None:
    rows = course(12, best=11)
    again = [{**row, "val_loss": row["val_loss"] * 1.5} if "val_loss" in row else row for row in course(12, best=11)]
    assert not [f for f in overfits(rows + again[84:]) if f.first_step > 400]


@pytest.mark.parametrize("val", [math.nan, math.inf, 0.0, -1.0])
def test_values_without_a_ratio_are_left_alone(val: float) -> None:
    rows = [{**row, "val_loss": val} if "val_loss" in row else row for row in course()]
    assert not overfits(rows)


def test_too_few_evaluations_cannot_tell() -> None:
    (told,) = [one for one in detector(records(course(3))).coverage() if one.kind == "overfitting"]
    assert told.why == "only 3 of 5 evaluations"
    (told,) = [one for one in detector(records([{"step": 1.0, "loss": 1.0}])).coverage() if one.kind == "overfitting"]
    assert told.why == "no validation loss in this log"


def test_a_validation_loss_that_counts_otherwise_is_named_with_what_it_counts() -> None:
    rows = [{"step": i, "loss": 2.0 - i / 100} for i in range(1, 51)]
    seen = detector([*records(rows), Rows([640, 1280], {"val_loss": [2.0, 1.9]}, x_kind="samples")])
    (why,) = [one.why for one in seen.coverage() if one.kind == "overfitting"]
    assert why == "the validation loss counts samples and not steps in this log"
