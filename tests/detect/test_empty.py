from synthetic import Row, detector, falling, fixture, found, records, verdict

from gradtop.finding import FindingState, Severity
from gradtop.record import Event
from gradtop.verdict import Verdict

MASKED = "minigpt_warmup4000_masked_batch_at_14.jsonl"


def test_a_masked_batch_is_one_notice_that_explains_itself() -> None:
    seen = detector(records(fixture(MASKED)))
    (finding,) = seen.findings()
    assert (finding.kind, finding.severity, finding.state) == ("empty_batch", Severity.NOTICE, FindingState.RECOVERED)
    assert (finding.first_step, finding.last_step, finding.count) == (14, 14, 1)
    for part in ("were exactly 0", "step 14", "every label masked", "Back to normal at step 15"):
        assert part in finding.message
    assert verdict(seen).verdict is Verdict.KEEP_TRAINING
    assert verdict(seen).summary == finding.message


def test_somebody_elses_alarm_about_it_is_answered_by_it() -> None:
    alarm = Event(event="alarm", message="gradient_vanishing", data={"kind": "gradient_vanishing"}, step=14, line=15)
    (finding,) = detector([*records(fixture(MASKED)), alarm]).findings()
    assert finding.kind == "empty_batch"
    assert "line 15" in finding.message


def test_the_order_of_the_two_lines_does_not_matter() -> None:
    rows: list[Row] = []
    for row in fixture(MASKED):
        rows += [{"step": row["step"], "grad_norm": row["grad_norm"]}, {"step": row["step"], "loss": row["loss"]}]
    (finding,) = found(rows)
    assert (finding.kind, finding.count) == ("empty_batch", 1)


def test_more_than_one_in_a_hundred_is_worth_watching() -> None:
    rows = falling(600)
    for row in rows[100:]:
        if row["step"] % 40 == 0:
            row["loss"] = row["grad_norm"] = 0.0
    (finding,) = found(rows)
    assert (finding.severity, finding.state) == (Severity.WATCH, FindingState.ACTIVE)
    assert finding.count == 13


def test_rare_ones_stay_notices() -> None:
    rows = falling(2000)
    for row in rows[100:]:
        if row["step"] % 400 == 0:
            row["loss"] = row["grad_norm"] = 0.0
    findings = found(rows)
    assert {f.severity for f in findings} == {Severity.NOTICE}
    assert [f.first_step for f in findings] == [2000, 1600, 1200, 800, 400]


def test_rows_that_come_again_and_again_are_no_stretch() -> None:
    rows = falling(600)
    for row in rows[100::40]:
        row["loss"] = row["grad_norm"] = 0.0
    (finding,) = found(rows)
    assert finding.criteria[0].evidence == "13 rows in 13 separate stretches"
