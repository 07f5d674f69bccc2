"""Odd streams: what is healthy keeps training, what cannot be judged is not called healthy, nothing raises an error."""

import math
import random
from itertools import pairwise

import pytest
from synthetic import Row, detector, falling, found, loud, records, verdict

from gradtop.finding import FindingState
from gradtop.record import Event
from gradtop.verdict import Verdict


def noise(i: int, scale: float) -> float:
    return math.exp(random.Random(i).gauss(0, scale))


QUIET: dict[str, list[Row]] = {
    "steps from a billion on": [{**row, "step": row["step"] + 1e9} for row in falling(600)],
    "thousandths of epochs": [{**row, "step": row["step"] / 1000} for row in falling(600)],
    "two tasks in turn": [{**row, "loss": row["loss"] * (1 + 0.4 * (i % 2))} for i, row in enumerate(falling(800))],
    "loss below zero": [{"step": i, "loss": -5 * (1 - math.exp(-i / 500)) + 0.1 * noise(i, 1)} for i in range(1500)],
    "loss through zero": [
        {"step": i, "loss": 1 - 3 * (1 - math.exp(-i / 500)) + 0.02 * math.log(noise(i, 1))} for i in range(1500)
    ],
    "rewinds every 10 steps": [row for k in range(10, 400, 10) for row in falling(400)[k - 10 : k + 10]],
    "rows three times": [row for row in falling(300) for _ in range(3)],
    "grad norm alone": [{"step": i, "grad_norm": noise(i, 0.3)} for i in range(600)],
    "loss alone": [{"step": row["step"], "loss": row["loss"]} for row in falling(600)],
    "update ratios below zero": [{**row, "update_ratio": -1.0} for row in falling(400)],
    "update ratios of layers below zero": [{**row, "update_ratio/layers.0.w": -1.0} for row in falling(400)],
    "logits where all is masked": [{**row, "max_attention_logit/layers.0.w": -math.inf} for row in falling(400)],
    "a loss scale without end": [{**row, "loss_scale": math.inf} for row in falling(400)],
    "learning rate 0": [{**row, "lr": 0.0} for row in falling(600)],
    "a fine-tune at its floor": [{"step": i, "loss": 1.2 * noise(i, 0.25), "lr": 1e-5} for i in range(2000)],
    "batches of one": [
        {"step": i, "loss": (1 + math.exp(-i / 800)) * noise(i, 1.0), "grad_norm": noise(-i, 1.2)} for i in range(2500)
    ],
    "losses near zero now and then": [
        {"step": i, "loss": random.Random(i).gammavariate(0.5, 1), "grad_norm": random.Random(i).gammavariate(0.3, 1)}
        for i in range(2500)
    ],
    "a warm-up of 100,000 steps": [
        {"step": i, "loss": 10.8 * noise(i, 0.003), "grad_norm": 5 * noise(-i, 0.2), "lr": 1e-9 * i}
        for i in range(3000)
    ],
    "warm restarts": [
        {
            "step": i,
            "loss": (1.5 + math.exp(-i / 800)) * (1.25 + 0.25 * math.cos(math.pi * (i % 800) / 800)) * noise(i, 0.02),
            "lr": 0.1 * (1 + math.cos(math.pi * (i % 800) / 800)),
        }
        for i in range(3200)
    ],
    "two networks against each other": [
        {"step": i, "loss": 1 + 0.5 * math.sin(i / 37) + i / 1500, "d_loss": noise(i, 0.3), "g_loss": 1 + i / 1500}
        for i in range(2500)
    ],
    "a policy": [
        {"step": i, "loss": 0.1 * math.sin(i / 60) + 0.05 * math.log(noise(i, 1)), "reward": i / 10}
        for i in range(1500)
    ],
    "a task that is solved": [
        {"step": i, "loss": math.exp(-i / 20), "grad_norm": math.exp(-i / 20)} for i in range(900)
    ],
    "solved to exactly 0": [
        {"step": i, "loss": max(0.0, math.exp(-i / 20) - 1e-6), "grad_norm": max(0.0, math.exp(-i / 20) - 1e-6)}
        for i in range(900)
    ],
    "loss 0 from the start": [{"step": i, "loss": 0.0} for i in range(300)],
    "validation that gives NaN": [
        {**row, "val_loss": math.nan} if row["step"] % 50 == 0 else row for row in falling(300)
    ],
    "huge": [{"step": i, "loss": 1e308 * noise(i, 0.1) / 10, "grad_norm": 1e307 * noise(-i, 0.2)} for i in range(150)],
    "tiny": [{"step": i, "loss": 1e-306 * noise(i, 0.1), "grad_norm": 1e-306 * noise(-i, 0.2)} for i in range(150)],
}


@pytest.mark.parametrize("name", QUIET)
def test_odd_but_healthy_streams_keep_training(name: str) -> None:
    seen = detector(records(QUIET[name]))
    assert verdict(seen).verdict is Verdict.KEEP_TRAINING
    assert not [finding for finding in loud(seen.findings()) if finding.state is FindingState.ACTIVE]
    assert all(finding.met < len(finding.criteria) for finding in seen.findings())


def _goes_on(rows: list[Row]) -> bool:
    return all(before["step"] <= after["step"] for before, after in pairwise(rows))


@pytest.mark.parametrize("name", [name for name in QUIET if _goes_on(QUIET[name])])
def test_no_finding_knows_the_future(name: str) -> None:
    rows = QUIET[name]
    for upto in range(1, min(len(rows), 400), 23):
        for finding in found(rows[:upto]):
            assert finding.first_step <= finding.last_step <= rows[upto - 1]["step"]
            assert finding.first_step <= finding.raised_step <= rows[upto - 1]["step"]


@pytest.mark.parametrize("name", ["lr", "val_loss", "accuracy"])
def test_a_log_without_loss_and_grad_norm_is_not_called_healthy(name: str) -> None:
    judged = verdict(detector(records([{"step": i, name: 1e-3} for i in range(300)])))
    assert judged.verdict is Verdict.UNKNOWN
    assert judged.summary == "No row with a loss or a grad norm yet: nothing to judge."


def test_a_loss_that_becomes_exactly_0_without_a_grad_norm_is_a_hidden_nan() -> None:
    rows: list[Row] = [{"step": row["step"], "loss": row["loss"]} for row in falling(100)]
    (finding,) = found(rows + [{"step": 100.0 + i, "loss": 0.0} for i in range(1, 10)])
    assert (finding.kind, finding.first_step, finding.raised_step) == ("nonfinite", 101, 105)
    assert finding.met == 3


def test_a_loss_of_0_from_the_start_is_told_and_no_alarm() -> None:
    seen = detector(records(QUIET["loss 0 from the start"]))
    assert verdict(seen).summary.startswith("Loss exactly 0 from step 0 on: solved from the start, or a NaN")


def test_a_broken_evaluation_is_a_notice_of_its_own() -> None:
    (finding,) = found(QUIET["validation that gives NaN"])
    assert (finding.scope, finding.first_step, finding.count) == ("val_loss", 50, 6)
    assert "Validation loss NaN at step 50, in 6 of 6 evaluations; the training loss is" in finding.message
    mended = QUIET["validation that gives NaN"] + [{"step": 301.0, "val_loss": 3.0}]
    assert found(mended)[0].state is FindingState.RECOVERED


def test_a_diverged_training_explains_its_validation() -> None:
    rows = [{"step": float(i), "loss": math.nan, "val_loss": math.nan} for i in range(20)]
    assert [finding.scope for finding in found(rows)] == ["loss"]


def test_a_loss_that_settles_higher_is_watched_for_500_rows_and_has_not_recovered() -> None:
    rows = falling(1500)
    for row in rows[600:]:
        row["loss"] *= 1.15
    (during,) = loud(found(rows[:1000]))
    assert (during.kind, during.state) == ("loss_spike", FindingState.ACTIVE)
    (after,) = loud(found(rows))
    assert after.state is FindingState.RECOVERED
    assert "settled around" in after.message
    assert "is over" not in after.message


def test_loss_spikes_of_an_adversary_are_notices() -> None:
    rows = [{**row, "disc_loss": 1.0} for row in falling(300)]
    for row in rows[200:204]:
        row["loss"] *= 2
    assert found(rows)
    assert not loud(found(rows))


def test_a_jump_of_the_learning_rate_above_its_peak_is_no_restart_by_design() -> None:
    rows = [{**row, "lr": 3e-4} for row in falling(700)]
    for row in rows[300:]:
        row["lr"] = 3e-3
        row["loss"] *= 1.6
    assert verdict(detector(records(rows))).verdict is Verdict.INTERVENE


def test_a_flood_of_alarms_is_one_finding() -> None:
    rows = falling(50)
    alarms = (Event(event="alarm", step=i % 50 + 1, data={"kind": "gradient_vanishing"}) for i in range(3000))
    (finding,) = detector([*records(rows), *alarms]).findings()
    assert finding.count == 3000
    assert finding.message.startswith(
        "The log's own 3,000 alarms from step 1 to 50 (first an alarm) are not confirmed:"
    )
