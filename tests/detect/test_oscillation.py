import math
import random

import pytest
from synthetic import Row, detector, falling, found, records, verdict

from gradtop.detect.loss.oscillation import swing
from gradtop.finding import Finding, FindingState, Severity
from gradtop.verdict import Verdict


def swinging(n: int = 900, since: int = 500, until: int = 10**9, size: float = 0.1, noise: float = 0.01) -> list[Row]:
    rows = falling(n, noise=noise)
    for i, row in enumerate(rows):
        row["loss"] *= 1 + size * (-1) ** i * (since <= i < until)
        row["lr"] = 3e-4
    return rows


def swings(rows: list[Row]) -> list[Finding]:
    return [f for f in found(rows) if f.kind == "oscillation"]


def test_a_swing_from_row_to_row_is_worth_watching() -> None:
    rows = swinging()
    (finding,) = swings(rows)
    assert (finding.severity, finding.state) == (Severity.WATCH, FindingState.ACTIVE)
    assert 490 <= finding.first_step <= 510
    assert 500 < finding.raised_step <= 560
    assert finding.message.startswith("The loss swings between 2.8")
    assert any("3e-4 → 1.5e-4" in check or "1.50e-4" in check for check in finding.checks)
    assert verdict(detector(records(rows))).verdict is Verdict.WATCH


def test_it_is_over_when_the_rows_do_not_swing_any_more() -> None:
    (finding,) = swings(swinging(until=700))
    assert finding.state is FindingState.RECOVERED
    assert 180 <= finding.count <= 300
    assert "it ended at step" in finding.message


@pytest.mark.parametrize(("size", "expected"), [(0.01, 0), (0.03, 1), (0.3, 1)])
def test_a_small_swing_does_not_matter(size: float, expected: int) -> None:
    assert len(swings(swinging(size=size, noise=0.005))) == expected


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
def test_noise_is_no_swing(noise: float) -> None:
    for seed in range(5):
        assert not swings(falling(1500, seed, noise=noise))


def test_a_loss_that_swings_and_does_not_fall_is_worth_watching() -> None:
    rows = [{"step": i, "loss": 2.0 + i % 2, "grad_norm": 1.0 + i % 2} for i in range(800)]
    (finding,) = swings(rows)
    assert finding.severity is Severity.WATCH
    assert finding.met == len(finding.criteria)


def test_two_tasks_in_turn_are_a_notice_while_they_are_learned() -> None:
    rows = swinging(1500, since=0)
    (finding,) = swings(rows)
    assert finding.severity is Severity.NOTICE
    assert any("two datasets or two tasks" in cause for cause in finding.causes)
    assert verdict(detector(records(rows))).verdict is Verdict.KEEP_TRAINING


def test_two_batches_of_an_epoch_mirror_each_other() -> None:
    random_ = random.Random(5)
    rows = falling(1500, noise=0.0)
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        off = math.exp(random_.gauss(0, 0.1))
        first["loss"], second["loss"] = first["loss"] * off, second["loss"] / off
    assert not swings(rows)


def test_a_solved_task_may_swing() -> None:
    rows = [{"step": i, "loss": 2.0 * max(0.001 * (1 + i % 2), math.exp(-i / 20))} for i in range(700)]
    assert not swings(rows)


def test_rows_of_several_steps_cannot_tell() -> None:
    seen = detector(records([{**row, "step": 10 * row["step"]} for row in falling(200)]))
    (told,) = [one for one in seen.coverage() if one.kind == "oscillation"]
    assert told.why == "one row every 10 steps: a swing from step to step cannot be seen"


def test_the_swing_of_values() -> None:
    assert swing([1.0] * 10) == (0.0, 0.0)
    assert swing([0.1 * i for i in range(10)]) == (0.0, 0.0)
    correlation, size = swing([5 + 0.1 * i + (-1) ** i for i in range(64)])
    assert correlation < -0.95
    assert size == pytest.approx(1.0, rel=0.02)
    assert swing([1e308, -1e308] * 8)[0] <= 0.0
