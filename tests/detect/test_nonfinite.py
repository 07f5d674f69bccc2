import math

import pytest
from synthetic import Row, detector, falling, found, records, verdict

from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Event
from gradtop.verdict import Verdict

NAN = math.nan


def changed(rows: list[Row], steps: range, **values: float) -> list[Row]:
    return [{**row, **values} if row["step"] in steps else row for row in rows]


def only(rows: list[Row]) -> Finding:
    (finding,) = (f for f in found(rows) if f.kind != "amp_overflow")
    assert finding.kind == "nonfinite"
    return finding


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
def test_a_loss_that_stays_bad_names_its_first_step(value: float) -> None:
    rows = changed(falling(300), range(200, 301), loss=value)
    finding = only(rows)
    assert (finding.severity, finding.state) == (Severity.INTERVENE, FindingState.ACTIVE)
    assert (finding.first_step, finding.last_step, finding.raised_step, finding.count) == (200, 300, 202, 101)
    assert any("step 200" in check for check in finding.checks)
    assert verdict(detector(records(rows))).verdict is Verdict.INTERVENE


def test_one_bad_loss_is_a_notice() -> None:
    finding = only(changed(falling(300), range(200, 201), loss=NAN))
    assert (finding.severity, finding.state) == (Severity.NOTICE, FindingState.RECOVERED)
    assert "finite again at step 201" in finding.message


def test_an_early_grad_norm_beside_a_finite_loss_is_a_notice() -> None:
    finding = only(changed(falling(100), range(8, 9), grad_norm=NAN))
    assert (finding.severity, finding.scope) == (Severity.NOTICE, "grad_norm")


def test_a_late_grad_norm_is_worth_watching_until_it_is_finite() -> None:
    rows = changed(falling(300), range(200, 201), grad_norm=math.inf)
    assert verdict(detector(records(rows[:205]))).verdict is Verdict.WATCH
    assert verdict(detector(records(rows))).verdict is Verdict.KEEP_TRAINING


def test_a_skipped_step_explains_it() -> None:
    rows = [{**row, "skipped": 0.0} for row in falling(300)]
    finding = only(changed(rows, range(200, 201), loss=NAN, grad_norm=NAN, skipped=1.0))
    assert finding.severity is Severity.NOTICE
    assert {c.id: c.met for c in finding.criteria}["not_skipped"] is False


def test_a_falling_loss_scale_explains_it() -> None:
    rows = [{**row, "loss_scale": 65536.0 if row["step"] < 200 else 32768.0} for row in falling(300)]
    assert only(changed(rows, range(200, 201), grad_norm=math.inf)).severity is Severity.NOTICE


def test_a_norm_that_is_always_infinite_beside_a_frozen_loss() -> None:
    rows: list[Row] = [{"step": i, "loss": 2.3, "grad_norm": math.inf} for i in range(40)]
    assert only(rows).severity is Severity.INTERVENE


def test_a_run_that_begins_with_nan_needs_no_finite_rows() -> None:
    seen = detector(records([{"step": i, "loss": NAN} for i in range(20)]))
    assert verdict(seen).verdict is Verdict.INTERVENE
    assert verdict(detector(records([{"step": i, "loss": NAN} for i in range(3)]))).verdict is Verdict.INTERVENE


def test_the_hidden_nan_of_a_loss_of_zero() -> None:
    finding = only(changed(falling(300), range(200, 301), loss=0.0, grad_norm=NAN))
    assert finding.severity is Severity.INTERVENE
    assert "hides a NaN" in finding.message


def test_zeros_row_after_row_are_a_dead_run_and_no_empty_batches() -> None:
    rows: list[Row] = [{"step": i, "loss": 0.0, "grad_norm": 0.0, "lr": 0.0} for i in range(16)]
    crash = [
        Event(event="crash", message="Traceback (most recent call last):", line=24),
        Event(event="crash", message="Exception: Current loss scale already at minimum - cannot decrease", line=48),
    ]
    seen = detector([*records(rows, loss=0.05, grad_norm=0.05), *crash])
    assert {f.kind for f in seen.findings()} == {"crashed", "nonfinite"}
    judged = verdict(seen)
    assert (judged.verdict, judged.primary.kind if judged.primary else "") == (Verdict.INTERVENE, "crashed")
    assert "line 48" in judged.summary
    assert "loss scale" in judged.summary
    zeros = next(f for f in seen.findings() if f.kind == "nonfinite")
    assert (zeros.first_step, zeros.count) == (0, 16)
    assert zeros.criteria[0].evidence == "16 rows"


def test_a_solved_run_may_read_zero() -> None:
    rows: list[Row] = [
        {"step": i, "loss": round(2.3 * 0.9**i, 4), "grad_norm": round(2.0 * 0.9**i, 4)} for i in range(300)
    ]
    assert verdict(detector(records(rows))).verdict is Verdict.KEEP_TRAINING


def test_lone_rows_that_recur_are_worth_watching() -> None:
    rows = falling(600)
    for row in rows:
        if row["step"] in (150, 250, 350):
            row["loss"] = NAN
    finding = only(rows)
    assert (finding.severity, finding.count, finding.raised_step) == (Severity.WATCH, 3, 350)


def test_loss_and_grad_norm_of_one_step_on_two_lines_count_once() -> None:
    rows: list[Row] = []
    for row in changed(falling(60), range(40, 61), loss=NAN, grad_norm=NAN):
        rows += [{"step": row["step"], "grad_norm": row["grad_norm"]}, {"step": row["step"], "loss": row["loss"]}]
    finding = only(rows)
    assert (finding.count, finding.raised_step) == (21, 42)


def test_skipped_rows_in_a_row_are_what_holds() -> None:
    rows = changed(falling(300), range(200, 301), grad_norm=math.inf, skipped=1.0)
    (finding,) = (f for f in found(rows) if f.kind == "nonfinite")
    assert finding.severity is Severity.INTERVENE
    assert finding.criteria[0].evidence == "101 rows in a row, all of them skipped steps"
