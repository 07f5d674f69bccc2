import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from synthetic import Row, detector, found, records

from gradtop.detect.loss.blocks import Blocks, printed_step
from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Rows

STEPS = 5000


def constant(i: int) -> float:
    return 1e-3


def cosine(i: int) -> float:
    return 5e-4 * (1 + math.cos(math.pi * i / STEPS))


def course(
    of: Callable[[int], float],
    *,
    lr: Callable[[int], float] | None = constant,
    noise: float = 0.003,
    every: int = 5,
    seed: int = 1,
    n: int = STEPS,
) -> list[Row]:
    random_ = random.Random(seed)
    rows = [{"step": float(i), "loss": of(i) * math.exp(random_.gauss(0, noise))} for i in range(0, n, every)]
    return [{**row, "lr": lr(int(row["step"]))} for row in rows] if lr is not None else rows


def stuck(i: int) -> float:
    return 3 + 2 * math.exp(-i / 150)


def power(i: int) -> float:
    return float(1.5 + 8 * (i + 10) ** -0.08)


def plateaus(rows: list[Row]) -> list[Finding]:
    return [f for f in found(rows) if f.kind == "loss_plateau"]


def test_a_third_of_the_run_without_a_fall_is_worth_watching() -> None:
    (finding,) = plateaus(course(stuck))
    assert (finding.severity, finding.state) == (Severity.WATCH, FindingState.ACTIVE)
    assert 500 <= finding.first_step <= 1800
    assert 1200 <= finding.raised_step <= 3500
    assert finding.met == len(finding.criteria) - 1
    assert "The loss has stayed around 3.0" in finding.message
    assert "at 100 % of the peak learning rate" in finding.message
    assert finding.checks[0].startswith("Decay the learning rate now, e.g. 0.00100 → 3.33e-4")


@pytest.mark.parametrize("every", [1, 10, 50])
@pytest.mark.parametrize("lr", [constant, cosine])
@pytest.mark.parametrize("noise", [0.001, 0.02])
def test_a_loss_that_falls_by_a_power_of_the_steps_is_none(
    every: int, lr: Callable[[int], float], noise: float
) -> None:
    assert not plateaus(course(power, lr=lr, noise=noise, every=every))


def test_noise_may_hide_a_fall() -> None:
    rows = course(stuck, noise=0.1)
    assert not plateaus(rows)
    (told,) = [one for one in detector(records(rows)).coverage() if one.kind == "loss_plateau"]
    assert told.why.startswith("the noise hides a fall below")


def test_without_a_learning_rate_it_is_a_notice() -> None:
    (finding,) = plateaus(course(stuck, lr=None))
    assert finding.severity is Severity.NOTICE
    assert {c.id: c.met for c in finding.criteria}["lr_high"] is None
    assert "it may be at its end" in finding.caveats[0]


def test_a_decayed_learning_rate_explains_it() -> None:
    assert not plateaus(course(stuck, lr=lambda i: 1e-3 if i < 600 else 1e-4))


def test_a_fine_tune_near_its_floor_is_a_notice_at_most() -> None:
    for finding in plateaus(course(lambda i: 1.3 - 0.06 * (1 - math.exp(-i / 150)))):
        assert finding.severity is Severity.NOTICE


def test_a_solved_task_is_none() -> None:
    assert not plateaus(course(lambda i: 2.3 * (0.02 + math.exp(-i / 60)), every=1))


def test_a_loss_that_never_fell_is_no_plateau() -> None:
    assert not plateaus(course(lambda i: 2.3))


def test_a_decay_ends_it() -> None:
    (finding,) = plateaus(course(lambda i: stuck(i) * (1.0 if i < 3500 else 0.9)))
    assert finding.state is FindingState.RECOVERED
    assert "is over: it ended at step 3,6" in finding.message


def test_the_validation_loss_is_told_and_weighs() -> None:
    rows = course(stuck)
    falls = [{**row, "val_loss": 4 - row["step"] / STEPS} if row["step"] % 250 == 0 else row for row in rows]
    flat = [{**row, "val_loss": 3.1 + row["step"] / 1e6} if row["step"] % 250 == 0 else row for row in rows]
    (learning,), (still,) = plateaus(falls), plateaus(flat)
    assert (learning.severity, still.severity) == (Severity.NOTICE, Severity.WATCH)
    assert "3.10, at best 3.10 at step 0" in still.checks[1]
    assert {c.id: c.met for c in still.criteria}["val_flat"]


def test_digits_that_are_not_printed_may_hide_a_fall() -> None:
    rows = [{**row, "loss": round(row["loss"], 1)} for row in course(stuck, noise=0.001)]
    assert not plateaus(rows)


def test_epochs_are_rows() -> None:
    random_ = random.Random(2)
    losses = [(1 + math.exp(-k / 5)) * math.exp(random_.gauss(0, 0.002)) for k in range(150)]
    block = Rows([float(k) for k in range(150)], {"loss": losses}, x_kind="epoch")
    (finding,) = [f for f in detector([block]).findings() if f.kind == "loss_plateau"]
    assert finding.severity is Severity.NOTICE
    assert "epochs" in finding.message


def test_a_run_that_goes_back_is_judged_by_what_counts() -> None:
    rows = course(power)
    assert not plateaus(rows + rows[400:] + rows[600:])


def test_blocks_hold_a_run_in_64_means() -> None:
    blocks = Blocks()
    for i in range(10_000):
        blocks.see(float(i), 5 - i / 10_000)
    assert 32 <= len(blocks) < 64
    assert blocks.width == 256
    fit = blocks.fit()
    assert fit is not None
    assert fit.change == pytest.approx(-1.0, abs=0.05)
    assert fit.error == pytest.approx(0.0, abs=1e-9)
    blocks.back_to(5000.0)
    assert blocks.ends[-1] < 5000.0
    assert blocks.fit(len(blocks) - 3) is None


def test_the_last_digit_that_is_printed() -> None:
    assert printed_step([2.3, 2.31, 2.0]) == 0.01
    assert printed_step([1e300]) == 1e300
    assert printed_step([math.nan]) == 0.0


def test_losses_too_noisy_for_a_third_of_the_run_are_told_of_by_more_of_it_where_they_creep_up() -> None:
    def creeping(i: int) -> float:
        return stuck(i) * (1 + 0.08 * i / STEPS)

    assert [f.severity for f in found(course(creeping, noise=0.08)) if f.kind == "loss_plateau"] == [Severity.WATCH]


def test_a_loss_that_stays_far_above_its_best_is_no_plateau() -> None:
    def thrown_back(i: int) -> float:
        return 5 - i / 500 if i < 1000 else 5.0

    assert not [f for f in found(course(thrown_back)) if f.kind == "loss_plateau"]


def test_the_last_digit_of_numbers_of_an_array_is_that_of_plain_ones() -> None:
    assert printed_step(np.array([1.25, 3.5])) == printed_step([1.25, 3.5]) == 0.01
