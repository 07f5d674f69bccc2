import pytest

from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import End
from gradtop.verdict import Judgement, Verdict, judge


def finding(kind: str, severity: Severity, state: FindingState = FindingState.ACTIVE, raised: float = 10.0) -> Finding:
    return Finding(
        kind=kind,
        scope="total",
        severity=severity,
        state=state,
        first_step=raised,
        last_step=raised,
        raised_step=raised,
        count=1,
        message=f"{kind} happened",
        checks=(f"check {kind}", "more"),
    )


def judged(*findings: Finding, rows: int = 100, ended: End | None = None, loading: float | None = None) -> Judgement:
    return judge(findings, rows=rows, ended=ended, loading=loading)


@pytest.mark.parametrize(
    ("severity", "verdict"),
    [
        (Severity.NOTICE, Verdict.KEEP_TRAINING),
        (Severity.WATCH, Verdict.WATCH),
        (Severity.INTERVENE, Verdict.INTERVENE),
    ],
)
def test_the_worst_active_finding_decides(severity: Severity, verdict: Verdict) -> None:
    over = finding("loss_divergence", Severity.INTERVENE, FindingState.RECOVERED)
    assert judged(over, finding("loss_spike", severity)).verdict is verdict


def test_of_the_worst_findings_the_one_that_explains_the_others_is_primary() -> None:
    found = judged(
        finding("gradient_vanishing", Severity.INTERVENE),
        finding("nonfinite", Severity.INTERVENE),
        finding("stalled", Severity.WATCH),
    )
    assert found.primary is not None
    assert (found.primary.kind, found.summary, found.next_step) == (
        "nonfinite",
        "nonfinite happened",
        "check nonfinite",
    )


def test_too_few_rows_say_nothing() -> None:
    assert judged(rows=4).verdict is Verdict.UNKNOWN
    assert judged(rows=0).summary == "No row with a loss or a grad norm yet: nothing to judge."
    assert judged(rows=1).summary == "1 row so far: too few to judge."
    assert judge((), rows=1, ended=None, loading=None, growing=False).summary == "1 row: too few to judge."
    assert judged(rows=5).verdict is Verdict.KEEP_TRAINING
    assert judged(finding("loss_spike", Severity.WATCH), rows=4).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("kind", ["crashed", "nonfinite"])
def test_what_needs_no_rows_is_said_at_once(kind: str) -> None:
    assert judged(finding(kind, Severity.INTERVENE), rows=0).verdict is Verdict.INTERVENE
    assert judged(finding(kind, Severity.NOTICE), rows=1).verdict is Verdict.UNKNOWN


def test_while_it_is_read_nothing_is_certain() -> None:
    found = judged(finding("nonfinite", Severity.INTERVENE), loading=0.12)
    assert found.verdict is Verdict.UNKNOWN
    assert found.summary == "Still reading the log, 12% done. So far: nonfinite happened"
    assert judged(loading=0.12).summary == "Still reading the log, 12% done."


def test_a_healthy_run_is_one_quiet_line() -> None:
    assert judged(rows=1432).summary == "No problem seen in 1,432 rows."
    assert judged(rows=1432, ended=End()).summary == "Finished, no problem seen in 1,432 rows."
    assert judged(rows=9, ended=End(status="aborted")).summary == "Stopped by its user, no problem seen in 9 rows."
    summary = judge((), rows=1432, ended=None, loading=None, planned=20_000.0).summary
    assert summary == "No problem seen in 1,432 rows of a run planned for 20,000 steps."
    summary = judge((), rows=9, ended=None, loading=None, planned=100.0, counts="epoch").summary
    assert summary == "No problem seen in 9 rows of a run planned for 100 epochs."
    spikes = [finding("loss_spike", Severity.NOTICE, FindingState.RECOVERED, at) for at in (20.0, 30.0)]
    assert judged(*spikes).summary == "No problem seen in 100 rows; 2 short loss spikes."


def test_a_dismissed_wobble_is_told() -> None:
    found = judged(finding("gradient_vanishing", Severity.NOTICE, FindingState.RECOVERED))
    assert (found.verdict, found.summary) == (Verdict.KEEP_TRAINING, "gradient_vanishing happened")
    assert found.next_step == ""
