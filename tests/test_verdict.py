from dataclasses import replace

import pytest

from gradtop.catalogue import KINDS
from gradtop.finding import Finding, FindingState, Severity, Standing
from gradtop.record import End
from gradtop.verdict import Judgement, Verdict, judge


def finding(
    kind: str,
    severity: Severity,
    state: FindingState = FindingState.ACTIVE,
    raised: float = 10.0,
    standing: Standing = Standing.OPEN,
    first: float | None = None,
) -> Finding:
    return Finding(
        kind=kind,
        scope="total",
        severity=severity,
        state=state,
        first_step=raised if first is None else first,
        last_step=raised,
        raised_step=raised,
        count=1,
        message=f"{kind} happened.",
        checks=(f"check {kind}", "more"),
        standing=standing,
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
        "nonfinite happened. Also: vanishing gradient since step 10, stalled since step 10.",
        "check nonfinite",
    )
    assert [f.kind for f in found.supporting] == ["gradient_vanishing", "stalled"]


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
    assert found.summary == "Still reading the log, 12 % done. So far: nonfinite happened."
    assert judged(loading=0.12).summary == "Still reading the log, 12 % done."


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
    norm = finding("gradient_exploding", Severity.NOTICE, FindingState.RECOVERED)
    assert judged(*spikes, norm).summary == "No problem seen in 100 rows; 2 short loss spikes, 1 of the grad norm."
    assert judged(norm).summary == "No problem seen in 100 rows; 1 short spike of the grad norm."


def test_a_dismissed_wobble_is_told() -> None:
    found = judged(finding("gradient_vanishing", Severity.NOTICE, FindingState.RECOVERED))
    assert (found.verdict, found.summary) == (Verdict.KEEP_TRAINING, "gradient_vanishing happened.")
    assert found.next_step == ""
    ended = judged(finding("empty_batch", Severity.NOTICE), ended=End(status="aborted", step=90.0))
    assert ended.summary == "Stopped by its user at step 90. empty_batch happened."


@pytest.mark.parametrize(
    ("cause", "effect"),
    [
        ("lr_jump", "loss_divergence"),
        ("frozen_layer", "gradient_exploding"),
        ("measurement_suspect", "gradient_vanishing"),
        ("gradient_exploding", "gradient_vanishing"),
    ],
)
def test_a_milder_finding_that_leads_to_a_worse_one_explains_it(cause: str, effect: str) -> None:
    found = judged(finding(effect, Severity.INTERVENE, raised=820.0), finding(cause, Severity.WATCH, raised=800.0))
    assert found.primary is not None
    assert (found.verdict, found.primary.kind) == (Verdict.INTERVENE, cause)
    assert found.summary == f"{cause} happened. Also: {KINDS[effect].title.lower()} since step 820."
    assert found.next_step == f"check {cause}"


@pytest.mark.parametrize(
    "unrelated",
    [
        finding("measurement_suspect", Severity.WATCH, raised=60.0),
        finding("dead_layer", Severity.WATCH, raised=60.0),
        finding("lr_jump", Severity.WATCH, raised=900.0),
        finding("lr_jump", Severity.NOTICE, raised=800.0),
        finding("lr_jump", Severity.WATCH, FindingState.RECOVERED, raised=800.0),
        finding("lr_jump", Severity.WATCH, raised=800.0, standing=Standing.ACKNOWLEDGED),
    ],
    ids=["of another thing", "of another part", "later", "a notice", "over", "acknowledged"],
)
def test_what_did_not_lead_to_it_does_not_explain_it(unrelated: Finding) -> None:
    found = judged(unrelated, finding("loss_divergence", Severity.INTERVENE, raised=820.0, first=810.0))
    assert found.primary is not None
    assert found.primary.kind == "loss_divergence"


def test_a_cause_counts_from_where_it_began_and_not_from_where_it_was_known() -> None:
    jump = finding("lr_jump", Severity.WATCH, raised=830.0, first=800.0)
    found = judged(jump, finding("loss_divergence", Severity.INTERVENE, raised=820.0, first=805.0))
    assert found.primary is jump


def test_supporting_findings_are_told_worst_first_once_for_each_kind_and_not_all() -> None:
    layers = [finding("dead_layer", Severity.WATCH, raised=100.0 + i) for i in range(5)]
    more = [finding(kind, Severity.WATCH, raised=200.0) for kind in ("loss_spike", "overfitting", "clip_saturation")]
    found = judged(*layers, *more, finding("loss_divergence", Severity.INTERVENE, raised=300.0))
    assert found.summary == (
        "loss_divergence happened. Also: layers without a gradient (5) since step 100, loss spike since step 200,"
        " overfitting since step 200, 1 more."
    )
    assert len(found.supporting) == 8


def test_a_chain_of_causes_is_followed_to_its_beginning() -> None:
    found = judged(
        finding("lr_jump", Severity.WATCH, raised=100.0),
        finding("dead_units", Severity.WATCH, raised=150.0),
        finding("dead_layer", Severity.INTERVENE, raised=200.0),
    )
    assert (found.verdict, found.primary and found.primary.kind) == (Verdict.INTERVENE, "lr_jump")


@pytest.mark.parametrize(("divergence", "primary"), [(100.0, "loss_divergence"), (400.0, "dead_layer")])
def test_a_divergence_explains_only_what_begins_once_it_is_known(divergence: float, primary: str) -> None:
    found = judged(
        finding("loss_divergence", Severity.INTERVENE, raised=divergence),
        finding("dead_layer", Severity.INTERVENE, raised=300.0),
    )
    assert found.primary is not None
    assert found.primary.kind == primary


def test_what_is_acknowledged_does_not_count_and_is_told() -> None:
    crash = finding("crashed", Severity.INTERVENE, raised=300.0, standing=Standing.ACKNOWLEDGED)
    found = judged(crash)
    assert (found.verdict, found.primary, found.set_aside) == (Verdict.KEEP_TRAINING, None, (crash,))
    assert found.summary == "1 finding acknowledged: crashed since step 300. No other problem seen in 100 rows."
    assert found.next_step == ""


def test_what_is_muted_or_over_is_told_apart() -> None:
    found = judged(
        finding("loss_spike", Severity.WATCH, FindingState.RECOVERED, 30.0, Standing.ACKNOWLEDGED),
        finding("loss_divergence", Severity.INTERVENE, raised=300.0, standing=Standing.ACKNOWLEDGED),
        finding("overfitting", Severity.WATCH, raised=400.0, standing=Standing.MUTED),
        finding("empty_batch", Severity.NOTICE, raised=50.0, standing=Standing.MUTED),
        ended=End(),
    )
    assert found.summary == (
        "2 findings acknowledged: loss divergence since step 300, loss spike at step 30, over."
        " 1 finding muted: overfitting since step 400. Finished, no other problem seen in 100 rows."
    )


def test_what_is_acknowledged_stands_after_what_is_open() -> None:
    found = judged(
        finding("loss_divergence", Severity.INTERVENE, raised=300.0, standing=Standing.ACKNOWLEDGED),
        finding("overfitting", Severity.WATCH, raised=400.0),
    )
    assert (found.verdict, found.supporting) == (Verdict.WATCH, ())
    assert found.summary == "overfitting happened. 1 finding acknowledged: loss divergence since step 300."


def test_an_acknowledged_crash_does_not_make_a_judgement_of_few_rows() -> None:
    found = judged(finding("crashed", Severity.INTERVENE, raised=3.0, standing=Standing.ACKNOWLEDGED), rows=3)
    assert found.verdict is Verdict.UNKNOWN
    assert found.summary == "3 rows so far: too few to judge. 1 finding acknowledged: crashed since step 3."


def test_nothing_acknowledged_hides_in_a_healthy_summary() -> None:
    over = finding("loss_divergence", Severity.INTERVENE, FindingState.RECOVERED, standing=Standing.ACKNOWLEDGED)
    assert judged(over).summary.startswith("1 finding acknowledged: loss divergence at step 10, over.")


def test_a_run_that_reached_its_plan_says_so() -> None:
    told = judge([], rows=100, ended=None, loading=None, planned=800.0, newest=800.0).summary
    assert told == "No problem seen in 100 rows, up to the planned end at step 800."


def test_steps_that_were_skipped_to_find_a_loss_scale_are_not_quoted() -> None:
    skips = replace(finding("nonfinite", Severity.NOTICE, FindingState.RECOVERED), evidence={"skipped": 1.0})
    assert judged(skips).summary.startswith("No problem seen")
    assert judged(replace(skips, evidence={})).summary == skips.message
