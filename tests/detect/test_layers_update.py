import pytest
from layered import WEIGHTS, layered, of_layers, only
from synthetic import Row, detector, falling, records

from gradtop.finding import FindingState, Severity
from gradtop.record import RunFacts, Train


def scaled(rows: list[Row], factor: float, since: int = 0, until: int | None = None) -> list[Row]:
    for row in rows[since:until]:
        row |= {f"update_ratio/{name}": factor * row[f"update_ratio/{name}"] for name in WEIGHTS}
    return rows


def test_steps_that_are_too_large_are_found_after_20_rows() -> None:
    finding = only(scaled(layered(200, 2, learns=False), 500, 100))
    assert (finding.kind, finding.severity, finding.first_step) == ("update_ratio", Severity.WATCH, 100)
    assert finding.raised_step <= 125
    assert "by more than a tenth of their size since step 100" in finding.message
    assert finding.checks[0].startswith("Lower the learning rate: ")


def test_large_steps_that_end_have_recovered() -> None:
    finding = only(scaled(layered(250, learns=False), 500, 100, 150))
    assert finding.state is FindingState.RECOVERED
    assert "over at step 150" in finding.message


def test_large_steps_in_a_run_that_learns_are_a_notice() -> None:
    assert only(scaled(layered(150), 500)).severity is Severity.NOTICE


def test_steps_that_are_too_small_are_found_after_45_rows() -> None:
    finding = only(scaled(layered(200, learns=False), 1e-6, 100))
    assert (finding.severity, finding.raised_step) == (Severity.WATCH, 144)
    assert "by less than" in finding.message
    assert finding.checks[0].startswith("Raise the learning rate")


@pytest.mark.parametrize("lr", [0.0, 1e-6])
def test_small_steps_at_the_end_of_the_schedule_are_meant(lr: float) -> None:
    rows = scaled(layered(300, learns=False), 1e-6, 200)
    for row in rows[200:]:
        row["lr"] = lr
    assert not of_layers(rows)


def test_small_steps_in_warmup_are_meant() -> None:
    rows = scaled(layered(200, learns=False), 1e-6)
    for i, row in enumerate(rows):
        row["lr"] = 1e-6 * (i + 1)
    assert not of_layers(rows)


def test_without_a_learning_rate_a_ratio_that_came_down_is_a_notice() -> None:
    rows = scaled(layered(300, learns=False), 1e-6, 200)
    for row in rows:
        del row["lr"]
    assert only(rows).severity is Severity.NOTICE


def test_one_ratio_for_the_run_will_do() -> None:
    rows = [{**row, "loss": 3.0 + 0.01 * (i % 7), "lr": 1e-3} for i, row in enumerate(falling(200))]
    for row in rows:
        row["update_ratio"] = 0.3
    finding = next(f for f in of_layers(rows) if f.kind == "update_ratio")
    assert finding.evidence["update_ratio"] == 0.3


def test_rows_with_layers_every_ten_steps_need_no_more_steps() -> None:
    rows = scaled(layered(300, learns=False), 1e-6, 100)
    thin = [row if i % 10 == 0 else {"step": row["step"], "loss": row["loss"]} for i, row in enumerate(rows)]
    (finding,) = of_layers(thin)
    assert finding.raised_step == 140


def test_weights_that_do_not_move_at_all_are_no_matter_of_the_rate() -> None:
    rows = layered(200, families="gu", learns=False)
    (finding,) = (f for f in of_layers(scaled(rows, 0.0, 100)) if f.kind == "update_ratio")
    assert finding.message == "The weights do not move since step 100: each update is exactly 0."
    assert finding.checks[0].startswith("Compare model.parameters() with those in optimizer.param_groups")


def test_a_rate_above_the_declared_peak_is_the_one_to_change() -> None:
    facts = RunFacts(train=Train(lr_max=1e-4))
    (finding,) = detector([facts, *records(scaled(layered(200, 2, learns=False), 500, 100))]).findings()
    assert finding.checks[0].startswith("Lower the learning rate: 0.00100 → 3.33e-4")
