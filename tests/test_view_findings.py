"""What the Findings room, the banner and the checklist say of what stands open, goes with it, or was set aside."""

from dataclasses import replace
from pathlib import Path

import pytest

from gradtop.attention import Attention
from gradtop.finding import Coverage, Finding, FindingState, Severity, Standing
from gradtop.record import Rows
from gradtop.run import Run
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.verdict import judge
from gradtop.view import Entry, FindingsView, banner, charts, checklist
from gradtop.view.findings import BLIND

ACTIVE, OVER = FindingState.ACTIVE, FindingState.RECOVERED


def finding(
    kind: str, severity: Severity, state: FindingState = ACTIVE, step: float = 300, last: float = 400
) -> Finding:
    return Finding(kind, "total", severity, state, step, last, step, 7, f"{kind} happened.", {}, (), (), ("look",))


DIVERGED = finding("loss_divergence", Severity.INTERVENE)
SPIKE = finding("loss_spike", Severity.WATCH, step=310)


def known(found: Finding, standing: Standing = Standing.ACKNOWLEDGED) -> Finding:
    return replace(found, standing=standing)


def run_of(*findings: Finding, attention: Attention | None = None, state: RunState = RunState.LIVE) -> RunSnapshot:
    run = Run()
    list(run.apply(Rows(steps=range(500), columns={"loss": [3.0 - 0.001 * step for step in range(500)]})))
    coverage = (
        Coverage("loss_spike", "", "the loss"),
        Coverage("gradient_vanishing", "no grad norm in this log", "the grad norm in every row, and the loss"),
        Coverage("measurement_suspect", "no grad norm in this log", "the grad norm, and the loss"),
    )
    return RunSnapshot(
        id="run",
        name="run",
        path=Path("run"),
        state=state,
        read=1.0,
        view=run.view(),
        findings=findings,
        judgement=judge(findings, rows=500, ended=None, loading=None),
        sources=(),
        changed_at=None,
        rate=None,
        eta_s=None,
        coverage=coverage,
        attention=attention or Attention(),
    )


def texts(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.text for entry in entries]


def test_every_row_says_how_it_stands_in_a_word() -> None:
    over = finding("loss_spike", Severity.WATCH, OVER, 30, 30)
    view = FindingsView(run_of(DIVERGED, known(SPIKE), known(finding("stalled", Severity.WATCH), Standing.MUTED), over))
    assert [(row.mark, row.word, row.ink, row.title, row.when) for row in view.rows] == [
        ("●", "intervene", "act", "Loss divergence", "since 300"),
        ("●", "acknowledged", "quiet", "Loss spike, 2nd time", "since 310"),
        ("●", "muted", "quiet", "Stalled", "since 300"),
        ("○", "over", "quiet", "Loss spike", "at 30"),
        ("?", "cannot tell", "unknown", "2 kinds of findings", ""),
    ]


def test_a_layer_is_named_in_the_list() -> None:
    layer = replace(finding("dead_layer", Severity.WATCH), scope="layer:h.3.mlp")
    assert FindingsView(run_of(layer)).rows[0].title.endswith(" · h.3.mlp")


def test_what_comes_back_is_counted_and_notices_are_not() -> None:
    times = [finding("loss_spike", Severity.WATCH, OVER, 100.0 * i, 100.0 * i + 5) for i in range(1, 10)]
    notice = finding("loss_spike", Severity.NOTICE, OVER, 50, 50)
    titles = [row.title for row in FindingsView(run_of(*times, notice)).rows]
    assert titles[:4] == ["Loss spike, again", "Loss spike, again", "Loss spike, 7th time", "Loss spike, 6th time"]
    assert titles[7:10] == ["Loss spike, 2nd time", "Loss spike", "Loss spike"]


def test_what_the_log_cannot_tell_stands_by_its_reason_with_what_it_needs() -> None:
    assert texts(FindingsView(run_of()).entries(BLIND)) == [
        "What this log cannot tell",
        "no grad norm in this log",
        "Vanishing gradient, Reading not trustworthy",
        "needs the grad norm in every row, and the loss",
        "needs the grad norm, and the loss",
    ]


def test_without_findings_and_without_a_run_there_is_something_to_read() -> None:
    assert texts(FindingsView(None).entries(None)) == ["There is no run yet."]
    sees_all = replace(run_of(), coverage=())
    assert FindingsView(sees_all).rows == ()
    assert texts(FindingsView(sees_all).entries(None)) == ["No finding", "No problem seen in 500 rows."]


@pytest.mark.parametrize(
    ("found", "attention", "told"),
    [
        (known(SPIKE), Attention(), "Acknowledged: it does not count unless it gets worse than watch."),
        (known(DIVERGED), Attention(), "Acknowledged: it does not count."),
        (
            known(SPIKE, Standing.MUTED),
            Attention(muted=frozenset(("loss_spike",))),
            "Muted: this kind does not count in the runs of this directory.",
        ),
        (
            known(SPIKE, Standing.MUTED),
            Attention(everywhere=frozenset(("loss_spike",))),
            "Muted in the settings, by gradtop.toml, --rules or --mute: this kind counts in no run.",
        ),
    ],
)
def test_a_finding_says_what_was_said_of_it(found: Finding, attention: Attention, told: str) -> None:
    assert told in texts(FindingsView(run_of(found, attention=attention)).entries(found.id))


def test_a_finding_stands_where_the_log_counts() -> None:
    run = Run()
    list(run.apply(Rows(range(1, 50), {"loss": [2.0] * 49}, x_kind="rows")))
    shown = replace(run_of(DIVERGED), view=run.view())
    assert "intervene · active · row 300 to 400 · 7 rows" in texts(FindingsView(shown).entries(DIVERGED.id))


def test_the_checklist_and_the_banner_name_what_goes_with_the_primary_finding() -> None:
    run = run_of(DIVERGED, SPIKE)
    shown = texts(checklist(run))
    assert shown[shown.index("With it") + 1] == "Loss spike since step 310: watch"
    assert banner(Snapshot(0.0, (run,)), run).lines == (
        "loss_divergence happened.",
        "Also: loss spike since step 310.",
    )
    assert "With it" not in texts(FindingsView(run).entries(SPIKE.id))


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (RunState.LIVE, "KEEP TRAINING, 1 ACKNOWLEDGED, 1 MUTED"),
        (RunState.FINISHED, "FINISHED, 1 ACKNOWLEDGED, 1 MUTED"),
        (RunState.CRASHED, "CRASHED, 1 ACKNOWLEDGED, 1 MUTED"),
    ],
)
def test_what_was_set_aside_is_in_the_word_and_never_no_problem_seen(state: RunState, word: str) -> None:
    run = run_of(known(DIVERGED), known(SPIKE, Standing.MUTED), state=state)
    shown = banner(Snapshot(0.0, (run,)), run)
    assert shown.word == word
    assert shown.lines == (
        "1 finding acknowledged: loss divergence since step 300. 1 finding muted: loss spike since step 310."
        " No other problem seen in 500 rows.",
    )
    assert shown.next_step == ""


def test_the_checklist_still_opens_what_was_acknowledged() -> None:
    shown = texts(checklist(run_of(known(DIVERGED))))
    assert shown[0] == "Loss divergence"
    assert "Acknowledged: it does not count." in shown
    others = texts(checklist(run_of(DIVERGED, known(SPIKE))))
    assert others[-1] == "Loss spike (acknowledged): loss_spike happened."


def test_marks_of_what_does_not_count_are_grey() -> None:
    marks = {mark.step: mark.ink for mark in charts(run_of(DIVERGED, known(SPIKE)), 1)[0].marks}
    assert marks[300] != marks[310]
    notice = finding("loss_spike", Severity.NOTICE, step=310)
    assert {mark.step: mark.ink for mark in charts(run_of(notice), 1)[0].marks}[310] == marks[310]


def test_a_finished_run_that_had_a_fault_is_not_said_to_have_had_none() -> None:
    run = run_of(finding("loss_divergence", Severity.INTERVENE, OVER), state=RunState.FINISHED)
    assert banner(Snapshot(0.0, (run,)), run).word == "FINISHED, RECOVERED"
