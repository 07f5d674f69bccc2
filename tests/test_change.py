"""Every change of a verdict and of a finding is told once and in order, also what began and ended between two looks."""

import dataclasses
import json
from pathlib import Path

import msgspec

from gradtop.change import Change, Changes, What, document, lines
from gradtop.finding import Finding, FindingState, Severity, Standing
from gradtop.record import Rows
from gradtop.run import Run, RunView
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.sources import SourceStatus
from gradtop.verdict import Judgement, Verdict

RAISED = Finding(
    kind="loss_divergence",
    scope="total",
    severity=Severity.WATCH,
    state=FindingState.ACTIVE,
    first_step=300,
    last_step=320,
    raised_step=319,
    count=20,
    message="The loss \x1b[2J diverges.",
)
ESCALATED = dataclasses.replace(RAISED, severity=Severity.INTERVENE, raised_step=340, last_step=340)
RECOVERED = dataclasses.replace(ESCALATED, state=FindingState.RECOVERED, last_step=380)
SPIKE = dataclasses.replace(
    RAISED, kind="loss_spike", severity=Severity.NOTICE, state=FindingState.RECOVERED, first_step=310, last_step=310
)


def view(rows: int = 400) -> RunView:
    run = Run()
    list(run.apply(Rows(steps=[float(i + 1) for i in range(rows)], columns={"loss": [2.0] * rows})))
    return run.view()


def snapshot(
    *findings: Finding,
    verdict: Verdict = Verdict.KEEP_TRAINING,
    state: RunState = RunState.LIVE,
    id: str = "a",
    summary: str = "All is well.",
) -> Snapshot:
    run = RunSnapshot(
        id=id,
        name=f"run \x1b[1m{id}",
        path=Path("logs") / id,
        state=state,
        read=1.0,
        view=view(),
        findings=findings,
        judgement=Judgement(verdict, summary, findings[0] if findings else None),
        sources=(SourceStatus(Path("logs") / id, "text"),),
        changed_at=None,
        rate=None,
        eta_s=None,
    )
    return Snapshot(now=0.0, runs=(run,))


def told(*snapshots: Snapshot) -> list[list[tuple[What, float | None, str]]]:
    """(what, step, before) for each look."""
    changes = Changes()
    return [[(c.what, c.step, c.was) for c in changes.see(snapshot)] for snapshot in snapshots]


def test_a_finding_is_told_at_each_turn_and_only_then() -> None:
    first, again, worse, over, after = told(
        snapshot(RAISED), snapshot(RAISED), snapshot(ESCALATED), snapshot(RECOVERED), snapshot(RECOVERED)
    )
    assert first == [(What.RAISED, 319, ""), (What.VERDICT, 400, "")]
    assert not again
    assert worse == [(What.ESCALATED, 340, "watch")]
    assert over == [(What.RECOVERED, 380, "intervene")]
    assert not after


def test_what_began_and_ended_between_two_looks_is_told_in_order() -> None:
    later = dataclasses.replace(RECOVERED, kind="nonfinite", first_step=350, raised_step=352, last_step=360)
    _, second = told(snapshot(), snapshot(later, RECOVERED))
    assert second == [
        (What.RAISED, 340, ""),
        (What.RAISED, 352, ""),
        (What.RECOVERED, 360, ""),
        (What.RECOVERED, 380, ""),
    ]


def test_a_kind_that_comes_back_has_recurred() -> None:
    again = dataclasses.replace(RAISED, first_step=390, raised_step=395, last_step=399)
    _, another, same = told(
        snapshot(RECOVERED),
        snapshot(again, RECOVERED),
        snapshot(again, dataclasses.replace(RECOVERED, state=FindingState.ACTIVE, last_step=400)),
    )
    assert another == [(What.RECURRED, 395, "")]
    assert same == [(What.RECURRED, 400, "intervene")]


def test_a_finding_that_eases_while_it_holds_is_told() -> None:
    _, second = told(snapshot(ESCALATED), snapshot(RAISED))
    assert second == [(What.EASED, 319, "intervene")]


def test_a_silence_that_leaves_nothing_behind_has_recovered() -> None:
    silence = dataclasses.replace(RAISED, kind="stalled")
    first, second, third = told(snapshot(silence), snapshot(), snapshot())
    assert first[0][0] is What.RAISED
    assert second == [(What.RECOVERED, 320, "watch")]
    assert not third


def test_verdicts_are_told_when_they_change() -> None:
    first, second, third = told(
        snapshot(), snapshot(verdict=Verdict.WATCH), snapshot(verdict=Verdict.WATCH, summary="Still.")
    )
    assert first == [(What.VERDICT, 400, "")]
    assert second == [(What.VERDICT, 400, "keep_training")]
    assert not third


def test_runs_are_told_apart_and_not_before_they_have_been_read() -> None:
    first, second, third = told(
        snapshot(RAISED, state=RunState.LOADING), snapshot(RAISED, id="b"), snapshot(RAISED, id="a")
    )
    assert not first
    assert [what for what, _, _ in second] == [What.RAISED, What.VERDICT]
    assert second == third


def test_muted_kinds_are_not_told() -> None:
    muted = dataclasses.replace(RAISED, standing=Standing.MUTED)
    assert told(snapshot(muted)) == [[(What.VERDICT, 400, "")]]


def texts(*snapshots: Snapshot) -> list[str]:
    changes = Changes()
    return [line for snapshot in snapshots for line in lines(changes.see(snapshot))]


def test_lines_say_run_step_change_severity_and_why_and_are_clean() -> None:
    found = texts(
        snapshot(SPIKE),
        snapshot(RAISED, SPIKE, verdict=Verdict.WATCH, summary=RAISED.message),
        snapshot(ESCALATED, SPIKE, verdict=Verdict.INTERVENE, summary="Also: others."),
    )
    assert found == [
        "run a  step 400  verdict  keep_training: All is well.",
        "run a  step 319  raised  watch  loss_divergence: The loss  diverges.",
        "run a  step 400  verdict  watch (was keep_training): loss_divergence",
        "run a  step 340  escalated  intervene (was watch)  loss_divergence: The loss  diverges.",
        "run a  step 400  verdict  intervene (was watch): Also: others.",
    ]


def test_a_notice_that_is_over_already_is_told_once_and_the_verdict_says_why() -> None:
    dip = dataclasses.replace(SPIKE, kind="gradient_vanishing", message="A dip.")
    assert texts(snapshot(dip, summary="A dip.")) == [
        "run a  step 319  raised  notice  gradient_vanishing: A dip.",
        "run a  step 400  verdict  keep_training: A dip.",
    ]
    while_it_held = dataclasses.replace(dip, state=FindingState.ACTIVE)
    assert texts(snapshot(while_it_held), snapshot(dip))[2:] == [
        "run a  step 310  recovered  notice  gradient_vanishing: A dip."
    ]


def test_documents_are_strict_json_with_the_whole_finding() -> None:
    changes = Changes()
    seen: list[Change] = [*changes.see(snapshot(RAISED)), *changes.see(snapshot(ESCALATED, verdict=Verdict.WATCH))]
    found = [json.loads(msgspec.json.encode(document(change))) for change in seen]
    assert [one["change"] for one in found] == ["raised", "verdict", "escalated", "verdict"]
    assert {one["schema"] for one in found} == {"gradtop.change/1"}
    raised, verdict, escalated, _ = found
    assert raised["step"] == 319
    assert raised["was"] is None
    assert raised["message"] == raised["finding"]["message"] == RAISED.message
    assert raised["finding"]["id"] == escalated["finding"]["id"] == RAISED.id
    assert escalated["was"] == "watch"
    assert escalated["finding"]["severity"] == "intervene"
    assert verdict["message"] == "All is well."
    assert verdict["verdict"] == "keep_training"
