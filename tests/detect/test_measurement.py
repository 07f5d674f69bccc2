import math
import random

import pytest
from synthetic import detector, falling, fixture, found, loud, records, verdict

from gradtop.finding import Severity
from gradtop.record import RunFacts, Train
from gradtop.verdict import Verdict


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_gradient_that_could_not_make_the_loss_fall_is_a_wrong_reading(noise: float) -> None:
    random_ = random.Random(1)
    rows = fixture("minigpt_warmup4000.jsonl")
    for row in rows:
        row["grad_norm"] = 5e-7 * math.exp(random_.gauss(0, noise))
    seen = detector(records(rows))
    (finding,) = seen.findings()
    assert (finding.kind, finding.severity) == ("measurement_suspect", Severity.WATCH)
    assert "the loss fell" in finding.message
    assert verdict(seen).verdict is Verdict.WATCH


def test_an_exact_zero_cannot_train_anything() -> None:
    rows = [{**row, "grad_norm": 0.0} for row in falling(200, span=80.0)]
    (finding,) = found(rows)
    assert (finding.kind, finding.severity) == ("measurement_suspect", Severity.WATCH)


def test_weights_that_move_without_a_gradient() -> None:
    rows = [{"step": i, "loss": 3.0, "grad_norm": 0.0, "update_ratio": 1e-3} for i in range(40)]
    (finding,) = loud(found(rows))
    assert finding.kind == "measurement_suspect"
    assert "while the weights move" in finding.message


def test_printed_zeros_are_below_print_precision_not_vanished() -> None:
    rows = [{**row, "grad_norm": 0.0, "lr": 1e-4} for row in falling(200, span=80.0)]
    seen = detector(records(rows, grad_norm=0.0005))
    (finding,) = seen.findings()
    assert (finding.kind, finding.severity) == ("measurement_suspect", Severity.NOTICE)
    assert "below print precision, not vanished" in finding.message
    assert "at most 5e-4" in finding.message
    assert verdict(seen).verdict is Verdict.KEEP_TRAINING


def test_a_norm_that_never_changes_is_no_measurement() -> None:
    rows = [{**row, "grad_norm": 1.0} for row in falling(100)]
    assert not found(rows[:40])
    (finding,) = found(rows)
    assert (finding.kind, finding.severity) == ("measurement_suspect", Severity.NOTICE)


def test_a_norm_at_the_clip_value_is_logged_after_clipping() -> None:
    random_ = random.Random(2)
    rows = [{**row, "grad_norm": 1.0 + random_.uniform(-5e-4, 5e-4)} for row in falling(200)]
    facts = RunFacts(train=Train(clip_norm=1.0))
    (finding,) = detector([facts, *records(rows)]).findings()
    assert "logged after clipping" in finding.message
    assert any("clipping at 1.00" in check for check in finding.checks)
    assert not found(rows)


def test_a_learning_rate_that_is_printed_as_zero_contradicts_nothing() -> None:
    assert not loud(found([{**row, "lr": 0.0} for row in falling(300, span=80.0)]))


def test_a_norm_that_is_always_zero_did_not_vanish() -> None:
    rows = [{**row, "grad_norm": 0.0} for row in falling(600)]
    assert [f.kind for f in found(rows)] == ["measurement_suspect"]
