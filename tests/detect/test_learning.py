import math
import random
from collections.abc import Callable

import pytest
from synthetic import Row, detector, found, loud, records, verdict

from gradtop.catalogue import KINDS
from gradtop.finding import FindingState, Severity
from gradtop.verdict import Verdict


def course(
    n: int, of: Callable[[int], float] = lambda i: 1.0, noise: float = 0.005, seed: int = 4, **more: float
) -> list[Row]:
    """A run at chance level, times `of` the step."""
    random_ = random.Random(seed)
    return [{"step": i, "loss": 2.3 * of(i) * math.exp(random_.gauss(0, noise)), **more} for i in range(n)]


def raised(rows: list[Row]) -> float | None:
    return next((f.raised_step for f in found(rows) if f.kind == "no_learning"), None)


def blind(rows: list[Row]) -> str:
    return next(one.why for one in detector(records(rows)).coverage() if one.kind == "no_learning")


def test_a_loss_that_never_falls_is_worth_watching_and_no_more() -> None:
    rows = course(600, lr=1e-3)
    assert not found(rows[:190])
    seen = detector(records(rows))
    (finding,) = seen.findings()
    assert (finding.kind, finding.severity) == ("no_learning", Severity.WATCH)
    assert 200 <= finding.raised_step <= 270
    assert finding.met == len(finding.criteria)
    assert verdict(seen).verdict is Verdict.WATCH
    assert any("0.00100 → 3.33e-4 and 0.00300" in check for check in finding.checks)


@pytest.mark.parametrize("seed", range(10))
def test_what_learns_nothing_is_seen_in_spite_of_its_noise(seed: int) -> None:
    assert 200 <= (raised(course(600, noise=0.002, seed=seed)) or 0.0) <= 270
    assert (raised(course(1200, noise=0.01, seed=seed)) or math.inf) <= 900


def test_a_flat_loss_without_any_noise_is_seen_at_once() -> None:
    rows = [{"step": i, "loss": 2.302585, "grad_norm": 1e-9, "lr": 1e-3} for i in range(300)]
    assert raised(rows) == pytest.approx(203, abs=3)


def test_the_frequencies_of_the_labels_are_no_learning() -> None:
    assert raised(course(900, lambda i: 1 + 0.02 * math.exp(-i / 10))) is not None


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    "of",
    [
        lambda i: 1 - 0.007 * i / 200,
        lambda i: 1 - 0.02 * (1 - math.exp(-i / 300)),
        lambda i: 1 - 0.03 * math.sqrt(i / 2000),
    ],
)
def test_a_slow_fall_is_learning(of: Callable[[int], float], seed: int) -> None:
    assert raised(course(900, of, noise=0.005, seed=seed)) is None


def test_a_fall_of_a_third_of_a_percent_is_not_called_flat_by_chance() -> None:
    alarms = sum(raised(course(200, lambda i: 1 - 0.0035 * i / 200, 0.01, seed)) is not None for seed in range(20))
    assert alarms <= 2


@pytest.mark.parametrize("noise", [0.1, 0.3, 0.5])
def test_noisy_small_batches_near_their_floor_are_left_alone(noise: float) -> None:
    for seed in range(8):
        random_ = random.Random(seed)
        rows = [
            {
                "step": i,
                "loss": 0.85 * (1 - 0.02 * (1 - math.exp(-i / 300))) * math.exp(random_.gauss(0, noise)),
                "lr": 1e-5,
            }
            for i in range(1500)
        ]
        assert not loud(found(rows)), seed


def test_noise_that_hides_a_slow_fall_is_told() -> None:
    rows = course(250, noise=0.03)
    assert not found(rows)
    assert blind(rows) == "the loss varies by 3 % from row to row, which still hides a slow fall"


def test_steps_of_a_warmup_are_no_full_steps() -> None:
    rows = course(600)
    for i, row in enumerate(rows):
        row["lr"] = 1e-6 * (i + 1)
    assert not found(rows)
    assert "200 needed" in blind(rows)


def test_a_fall_after_a_long_warmup_is_seen_against_the_steps_that_count() -> None:
    rows = course(2000, lambda i: 1 - 0.02 * max(0, i - 1500) / 500)
    for i, row in enumerate(rows):
        row["lr"] = 1e-6 * min(i, 1500)
    assert raised(rows) is None


def test_a_slow_fall_ends_it() -> None:
    rows = course(3000, lambda i: 1.0 if i < 500 else 1 - 0.1 * (i - 500) / 2500)
    (finding,) = found(rows)
    assert (finding.kind, finding.state) == ("no_learning", FindingState.RECOVERED)
    assert "then it fell" in finding.message


def test_a_run_that_goes_on_has_learned_before() -> None:
    rows = [{**row, "step": row["step"] + 50_000} for row in course(600)]
    assert not found(rows)
    assert blind(rows) == "the log begins at step 50,000: what was learned before is not in it"


def test_digits_that_are_not_printed_may_hide_a_fall() -> None:
    assert not found([{"step": i, "loss": 0.7} for i in range(600)])
    assert found([{"step": i, "loss": 0.693} for i in range(600)])


def test_a_smoothed_loss_wanders_without_learning() -> None:
    random_, rows, level = random.Random(3), [], 0.0
    for i in range(900):
        level = 0.98 * level + 0.02 * random_.gauss(0, 0.15)
        rows.append({"step": float(i), "loss": 2.3 * math.exp(level)})
    assert raised(rows[:400]) is None


def test_other_goals_need_not_make_the_loss_fall() -> None:
    assert not found([{**row, "train/reward": 1.0} for row in course(600)])


def test_it_answers_for_itself() -> None:
    assert KINDS["no_learning"].limits
    (finding,) = found(course(600))
    assert {c.id: c.met for c in finding.criteria} == dict.fromkeys(
        ("enough_steps", "no_fall", "no_trend", "noise_allows"), True
    )
    assert "give or take" in finding.criteria[2].evidence
