import math
import tomllib
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from gradtop.config import Profile
from gradtop.detect.course import Course
from gradtop.finding import Criterion, Finding, FindingState, Severity
from gradtop.pace import speed
from gradtop.plot import Mark
from gradtop.plot.picture import PLAN
from gradtop.record import Rows, RunFacts, Train
from gradtop.run import Run, RunView
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.sources import SourceStatus
from gradtop.sources.text.profile import rules_of
from gradtop.verdict import Judgement, Verdict
from gradtop.view import (
    Part,
    RunsView,
    Tone,
    banner,
    charts,
    checklist,
    copied,
    header,
    marked_values,
    reading,
    standing,
    waiting_for,
)

EVIL = "[/bold][@click=app.quit]x[/]\x1b]52;c;cm0gLXJm\x07\x1b[2J\u202e"
NOW = 1_700_000_000.0


def view_of(columns: dict[str, list[float]] | None = None, facts: RunFacts | None = None) -> RunView:
    run = Run()
    if facts is not None:
        list(run.apply(facts))
    if columns:
        list(run.apply(Rows(steps=range(1, len(next(iter(columns.values()))) + 1), columns=columns)))
    return run.view()


def finding(severity: Severity = Severity.WATCH, message: str = "The grad norm vanished.") -> Finding:
    criteria = (
        Criterion("persists", "it holds step after step", True, "60 of 60 rows"),
        Criterion("loss_flat", "the loss stopped improving", False, "2.1 → 1.9"),
        Criterion("below_level", "far below the usual range", None, "no range before 100 rows"),
    )
    return Finding("gradient_vanishing", "total", severity, FindingState.ACTIVE, 14, 20, 15, 7, message, {}, criteria)


def run_of(
    view: RunView | None = None,
    *,
    state: RunState = RunState.LIVE,
    name: str = "run-1",
    findings: tuple[Finding, ...] = (),
    judgement: Judgement | None = None,
    sources: tuple[SourceStatus, ...] = (),
    read: float = 1.0,
) -> RunSnapshot:
    verdict = judgement or Judgement(Verdict.KEEP_TRAINING, "Nothing to act on.")
    return RunSnapshot(
        name, name, Path(name), state, read, view or view_of(), findings, verdict, sources, NOW - 120, 3.1, 5940.0
    )


def test_the_header_says_which_run_how_it_stands_and_how_far_it_is() -> None:
    view = view_of({"loss": [1.0] * 1432}, RunFacts(train=Train(total_steps=20000, warmup_steps=4000)))
    run = run_of(view)
    parts = header(Snapshot(NOW, (run, run)), run, 120.0, paused=False)
    assert [part.text for part in parts] == [
        "gradtop",
        "run-1",
        "● live 2m ago",
        "step 1,432/20,000",
        "7.1 %" if 1432 / 20000 * 100 < 7.15 else "7.2 %",
        "3.10 it/s",
        "eta 1h39m",
        "warm-up 35 %",
        "2 runs",
    ]
    assert header(Snapshot(NOW, (run,)), run, None, paused=True)[2].text.endswith("paused")


def test_the_header_says_the_verdict_where_no_banner_does() -> None:
    run = run_of(view_of(), judgement=Judgement(Verdict.WATCH, "hm"))
    assert Part(" WATCH ", 1, "watch word") in header(Snapshot(NOW, (run,)), run, None, paused=False, judged=True)
    assert not any("WATCH" in part.text for part in header(Snapshot(NOW, (run,)), run, None, paused=False))


def test_a_header_without_a_run_says_whether_it_still_looks() -> None:
    assert header(Snapshot(NOW), None, None, paused=False)[1].text == "looking for runs"
    assert header(Snapshot(NOW, searching=False), None, None, paused=False)[1].text == "no run yet"


@pytest.mark.parametrize(
    ("verdict", "state", "tone", "word"),
    [
        (Verdict.KEEP_TRAINING, RunState.LIVE, Tone.GOOD, "KEEP TRAINING"),
        (Verdict.KEEP_TRAINING, RunState.FINISHED, Tone.GOOD, "FINISHED, NO PROBLEM SEEN"),
        (Verdict.WATCH, RunState.LIVE, Tone.WATCH, "WATCH"),
        (Verdict.WATCH, RunState.FINISHED, Tone.WATCH, "FINISHED, WATCH"),
        (Verdict.INTERVENE, RunState.CRASHED, Tone.ACT, "INTERVENE"),
        (Verdict.UNKNOWN, RunState.LOADING, Tone.UNKNOWN, "UNKNOWN"),
        (Verdict.UNKNOWN, RunState.FINISHED, Tone.UNKNOWN, "UNKNOWN"),
    ],
)
def test_the_banner_has_one_word_and_one_colour(verdict: Verdict, state: RunState, tone: Tone, word: str) -> None:
    run = run_of(state=state, judgement=Judgement(verdict, "because"))
    shown = banner(Snapshot(NOW, (run,)), run)
    assert (shown.tone, shown.word, shown.lines) == (tone, word, ("because",))


def test_the_banner_counts_the_reasons_to_act_and_keeps_cannot_tell_apart() -> None:
    found = finding()
    run = run_of(findings=(found,), judgement=Judgement(Verdict.WATCH, "x", found, "look at the layers"))
    shown = banner(Snapshot(NOW, (run,)), run)
    assert shown.count == "1 of 3 reasons to act"
    assert shown.criteria == ((True, "persists"), (False, "loss flat"), (None, "below usual level"))
    assert shown.lines == ("The grad norm vanished.",)
    assert shown.next_step == "look at the layers"


def test_an_unknown_verdict_gives_its_reason_first() -> None:
    found = finding(Severity.NOTICE)
    run = run_of(findings=(found,), judgement=Judgement(Verdict.UNKNOWN, "3 rows so far: a verdict needs 5."))
    assert banner(Snapshot(NOW, (run,)), run).lines[0] == "3 rows so far: a verdict needs 5."


def test_a_source_that_cannot_be_read_is_named_in_the_banner() -> None:
    status = SourceStatus(Path("a.log"), "text", problem="permission denied")
    run = run_of(view_of({"loss": [2.0]}), sources=(status,))
    assert "a.log: permission denied" in banner(Snapshot(NOW, (run,)), run).lines


def test_a_run_without_values_says_once_why_it_has_none() -> None:
    status = SourceStatus(Path("a.log"), "unknown", problem="there is no such file: waiting for it")
    run = replace(run_of(sources=(status,), state=RunState.QUIET), changed_at=None)
    shown = Snapshot(NOW, (run,), (f"{run.path} is not there yet", "b.bin: not read"), searching=False)
    assert banner(shown, run).lines == ("Nothing to act on.",)
    assert [entry.text for entry in waiting_for(shown, run)] == [
        "run-1 has no values yet",
        "a.log: there is no such file: waiting for it",
        "b.bin: not read",
    ]
    assert header(shown, run, None, paused=False)[2].text == "○ waiting"


def test_a_finished_run_has_no_share_of_its_plan_left() -> None:
    view = view_of({"loss": [2.0] * 99}, RunFacts(train=Train(total_steps=100)))
    parts = [part.text for part in header(Snapshot(NOW), run_of(view, state=RunState.FINISHED), None, paused=False)]
    assert "step 99/100" in parts
    assert not any("%" in part for part in parts)


def test_a_plan_that_the_run_went_beyond_is_not_shown_as_its_end() -> None:
    view = view_of({"loss": [2.0] * 120}, RunFacts(train=Train(total_steps=100)))
    parts = [part.text for part in header(Snapshot(NOW), run_of(view), None, paused=False)]
    assert "step 120" in parts
    assert not any("%" in part for part in parts)


@pytest.mark.parametrize(
    ("losses", "note"),
    [
        ([4.0] * 100 + [3.9] * 100, "▼ 2.5 % in 100 rows"),
        ([2.0] * 30 + [2.5] * 30, "▲ 25 % in 30 rows"),
        ([2.0] * 300, "no trend in 100 rows"),
        ([3.0] * 100 + [0.0] * 10 + [2.7] * 90, "▼ 10 % in 100 rows"),
        ([2.0, 1.0] * 50 + [2.1, 1.1] * 50, "no trend in 100 rows"),
        ([2.0] * 39, ""),
        ([0.0] * 300, ""),
    ],
)
def test_a_loss_says_where_it_is_going(losses: list[float], note: str) -> None:
    assert charts(run_of(view_of({"loss": losses})), 1)[0].note == note


def test_a_step_back_begins_another_curve() -> None:
    run = Run()
    for first in (1, 1):
        list(run.apply(Rows(range(first, first + 60), {"loss": [4.0] * 30 + [3.0] * 30})))
    assert charts(run_of(run.view()), 1)[0].note == "▼ 25 % in 30 rows"
    list(run.apply(Rows(range(30, 60), {"loss": [5.0] * 30})))
    assert charts(run_of(run.view()), 1)[0].note == ""


def test_a_chosen_value_has_no_zeros_at_its_end() -> None:
    assert charts(run_of(view_of({"lr": [0.004]})), 1)[0].value == "0.004"


def test_measured_counts_are_whole_numbers() -> None:
    found = replace(finding(), evidence={"rows": 1.0, "usual": 2.0549, "line": 1560.0})
    run = run_of(findings=(found,), judgement=Judgement(Verdict.WATCH, "", found))
    entries = [entry.text for entry in checklist(run)]
    assert entries[0] == "Vanishing gradient"
    assert {"rows: 1", "usual: 2.055", "line: 1,560"} <= set(entries)


def test_charts_come_in_order_and_only_for_series_that_are_there() -> None:
    view = view_of({"extra": [1.0], "time": [1.0], "lr": [1e-4], "loss": [2.0], "grad_norm": [0.5], "time_s": [1.0]})
    assert [c.name for c in charts(run_of(view), 9)] == ["grad_norm", "loss", "lr", "extra"]
    assert [c.name for c in charts(run_of(view), 2)] == ["grad_norm", "loss"]
    assert charts(run_of(), 9) == ()
    assert charts(None, 9) == ()


def test_quality_comes_before_cost_and_the_layers_of_a_model_are_not_listed() -> None:
    names = ["data_time_s", "train/box_loss", "metrics/map50(b)", "coco/ap .5", "val_accuracy", "percentage"]
    layers = ["gradients/layers.0.mlp", "grad/norm/blocks/3/attn", "norm/fc.weight"]
    view = view_of({name: [1.0] for name in (*layers, *names)})
    assert [c.name for c in charts(run_of(view), 9)] == [
        "metrics/map50(b)",
        "coco/ap .5",
        "val_accuracy",
        "train/box_loss",
        "data_time_s",
    ]


def test_a_chart_says_when_the_newest_value_is_not_finite() -> None:
    chart = charts(run_of(view_of({"loss": [2.0, math.nan, math.inf]})), 1)[0]
    assert (chart.value, chart.ended, chart.note) == ("Inf", False, "2 of 3 not finite")


def test_a_live_chart_has_room_to_grow_and_a_finished_one_has_not() -> None:
    view = view_of({"loss": [2.0] * 100})
    assert charts(run_of(view), 1)[0].last_step > 100
    assert charts(run_of(view, state=RunState.FINISHED), 1)[0].last_step == 100


def test_equal_charts_are_the_same_picture() -> None:
    columns = {"loss": [2.0] * 50}
    run = Run()
    list(run.apply(Rows(steps=range(1, 51), columns=columns)))
    before = charts(run_of(run.view()), 1)[0]
    assert charts(run_of(run.view()), 1)[0] == before
    list(run.apply(Rows(steps=[51], columns={"loss": [2.0]})))
    assert charts(run_of(run.view()), 1)[0] != before


def test_a_series_that_counts_something_else_has_an_axis_of_its_own() -> None:
    run = Run()
    list(run.apply(Rows(range(100, 1100, 100), {"loss": [2.0] * 10})))
    list(run.apply(Rows([1, 2, 3], {"val_loss": [2.0, 1.9, 1.8]}, x_kind="epoch")))
    shown = {chart.label: (chart.first_step, chart.last_step) for chart in charts(run_of(run.view()), 9)}
    assert list(shown["validation loss by epoch"]) == [1, 3]
    assert shown["loss"][0] == 100
    words = " ".join(part.text for part in header(Snapshot(0.0), run_of(run.view()), None, False))
    assert "step 1,000" in words


def test_the_cursor_reads_value_and_time_of_day() -> None:
    view = view_of({"loss": [2.0, 1.5], "time": [NOW, NOW + 1]})
    chart = charts(run_of(view), 1)[0]
    read = reading(chart, 2, view.series["time"])
    assert (read.step, read.value) == ("2", "1.500")
    assert len(read.time.split(":")) == 3
    assert reading(chart, 0, None).value == ""
    lost = charts(run_of(view_of({"loss": [2.0, math.nan]})), 1)[0]
    assert [reading(lost, step, None).finite for step in (0, 1, 2)] == [True, True, False]


def test_the_checklist_shows_every_criterion_with_its_evidence() -> None:
    found = finding()
    run = run_of(findings=(found,), judgement=Judgement(Verdict.WATCH, "x", found))
    texts = [entry.text for entry in checklist(run)]
    assert "met: it holds step after step" in texts
    assert "not met: the loss stopped improving" in texts
    assert "cannot tell: far below the usual range" in texts
    assert "no range before 100 rows" in texts
    assert "watch · active · step 14 to 20 · 7 rows" in texts


def test_without_a_primary_finding_the_newest_one_is_opened() -> None:
    run = run_of(findings=(finding(Severity.NOTICE, "a wobble"),))
    assert "a wobble" in [entry.text for entry in checklist(run)]
    assert checklist(run_of())[0].text == "No finding"
    assert "no run" in checklist(None)[0].text


def test_what_is_waited_for_is_said() -> None:
    entries = waiting_for(Snapshot(NOW, (), ("looked for *.log",), searching=False), None)
    assert [e.text for e in entries][:2] == ["Nothing to show yet. A run appears here by itself.", "looked for *.log"]
    run = run_of(sources=(SourceStatus(Path("a.log"), "unknown", size=10, lines_skipped=3),))
    assert "3 lines without a metric" in " ".join(e.text for e in waiting_for(Snapshot(NOW, (run,)), run))


def test_without_a_run_or_a_metric_it_is_said_how_to_get_one() -> None:
    none = Snapshot(NOW, (), (), searching=False)
    assert "gradtop demo" in [entry.text for entry in waiting_for(none, None)]
    assert [entry.text for entry in waiting_for(replace(none, searching=True), None)] == ["Looking for runs ..."]
    unread = run_of(sources=(SourceStatus(Path("my logs/a.log"), "unknown", size=10, lines_skipped=3),))
    shown = [entry.text for entry in waiting_for(none, unread)]
    assert "gradtop explain 'my logs/a.log'" in shown
    profile = "\n".join(shown[shown.index("[[profile]]") :][:4])
    (rule,) = rules_of([Profile(**one) for one in tomllib.loads(profile)["profile"]])
    assert rule is not None
    loading = waiting_for(none, replace(unread, state=RunState.LOADING))
    assert "gradtop explain 'my logs/a.log'" not in [entry.text for entry in loading]


def test_a_run_that_was_not_opened_is_listed_as_such() -> None:
    row = RunsView(Snapshot(NOW, (run_of(),))).row(0)
    assert (row.state, row.verdict, row.age) == ("not read yet", "", "2m")


def test_a_row_of_the_list_has_values_and_sparklines() -> None:
    view = view_of({"loss": [3.0, 2.0, 1.0], "grad_norm": [1.0, math.nan, 1.0]})
    row = RunsView(Snapshot(NOW, (run_of(view),))).row(0)
    assert (row.loss, row.verdict, row.step) == ("1.000", "keep training", "3")
    assert row.loss_spark.strip()
    assert "✕" in row.grad_norm_spark


def test_foreign_text_is_clean_in_every_view_model() -> None:
    found = finding(message=EVIL)
    judgement = Judgement(Verdict.WATCH, EVIL, found, EVIL)
    status = SourceStatus(Path("/x") / EVIL.replace("/", "_"), "text", problem=EVIL)
    run = run_of(
        view_of({EVIL.replace("/", "_"): [1.0]}), name=EVIL, findings=(found,), judgement=judgement, sources=(status,)
    )
    snapshot = Snapshot(NOW, (run,), (EVIL,))
    shown = repr(
        (
            header(snapshot, run, 1.0, paused=False),
            banner(snapshot, run),
            [chart.label for chart in charts(run, 9)],
            checklist(run),
            waiting_for(snapshot, run),
            waiting_for(snapshot, None),
            RunsView(snapshot).row(0).name,
        )
    )
    assert "[@click=app.quit]" in shown
    for bad in ("\\x1b", "\\x07", "\\u202e", "cm0gLXJm"):
        assert bad not in shown


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("{'loss': 2.3456, 'grad_norm': nan, 'learning_rate': 4.5e-05}", ["2.3456", "nan", "4.5e-05"]),
        ("Step 14: grad_norm=0.0000005", ["14", "0.0000005"]),
        ("Step 3: Total Grad Norm = 0.000001", ["3", "0.000001"]),
        ("iter 100: loss 2.31, time 12.3ms", ["100", "2.31"]),
        ("tps: 12,345  mfu: 12.34%", ["12,345", "12.34"]),
        ("Loading 8 shards from /data/loss3/x", []),
    ],
)
def test_values_after_known_names_are_marked(line: str, values: list[str]) -> None:
    assert [line[a:b] for a, b in marked_values(line)] == values


def test_a_hostile_line_is_looked_through_quickly() -> None:
    assert marked_values("a-." * 5000) == []
    assert marked_values("loss" * 5000) == []


def test_a_run_view_is_read_only() -> None:
    assert isinstance(view_of().series, MappingProxyType)


def test_a_redrawn_line_is_shown_as_it_ended() -> None:
    bars = "\r  0%| | 0/9 [00:00<?]\r 11%|#| 1/9 [00:02<00:16]\r" + " " * 40
    assert standing(bars + "\r{'loss': 2.5}") == "{'loss': 2.5}"
    assert standing(bars) == " 11%|#| 1/9 [00:02<00:16]"
    assert standing("1/9 loss: 3\x08\x08\x08\x08\x08\x082/9 loss: 2") == "2/9 loss: 2"
    assert standing("  step 1  ") == "  step 1  "
    assert standing(bars, "0/9") == "  0%| | 0/9 [00:00<?]"
    assert standing(bars, "nowhere") == " 11%|#| 1/9 [00:02<00:16]"
    assert standing("\r   \r") == ""


def by_epoch(facts: Train, epochs: int = 2) -> RunView:
    run = Run()
    list(run.apply(RunFacts(train=facts)))
    list(run.apply(Rows(steps=range(1, epochs + 1), columns={"loss": [1.0] * epochs}, x_kind="epoch")))
    return run.view()


def test_a_run_that_counts_epochs_says_so_everywhere() -> None:
    run = run_of(by_epoch(Train(epochs=50, warmup_epochs=3)))
    texts = [part.text for part in header(Snapshot(NOW, (run,)), run, 120.0, paused=False)]
    assert {"epoch 2/50", "3.10 epoch/s", "warm-up 66 %"} <= set(texts)
    assert charts(run, 9)[0].counts == "epoch"
    assert RunsView(Snapshot(NOW, (run,))).row(0).step == "epoch 2"


def test_a_speed_that_was_only_seen_is_said_to_be() -> None:
    run = replace(run_of(view_of({"loss": [1.0] * 40})), rate_seen=True)
    assert "3.10 it/s seen" in [part.text for part in header(Snapshot(NOW, (run,)), run, 1.0, paused=False)]


def test_several_files_are_counted_in_the_header() -> None:
    sources = (SourceStatus(Path("a.log"), "text"), SourceStatus(Path("b.jsonl"), "jsonl"))
    run = run_of(view_of({"loss": [1.0] * 40}), sources=sources)
    assert "2 files" in [part.text for part in header(Snapshot(NOW, (run,)), run, 1.0, paused=False)]


def test_charts_name_what_they_count_where_it_is_not_steps_alone() -> None:
    run = Run()
    list(run.apply(Rows(steps=range(100), columns={"loss": [1.0] * 100})))
    assert {chart.counts for chart in charts(run_of(run.view()), 9)} == {""}
    list(run.apply(Rows(steps=range(3), columns={"loss": [1.0] * 3, "accuracy": [0.5] * 3}, x_kind="epoch")))
    drawn = charts(run_of(run.view()), 9)
    assert [(c.label, c.counts) for c in drawn] == [
        ("loss", "step"),
        ("accuracy by epoch", "epoch"),
        ("loss by epoch", "epoch"),
    ]


@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        ("mfu", True),
        ("accuracy", True),
        ("eval/acc", True),
        ("coco/bbox_mAP_50", True),
        ("metrics/map50-95(b)", True),
        ("reward", False),
        ("gnorm_accumulated", False),
        ("loss", False),
    ],
)
def test_a_ratio_below_zero_is_not_known_yet(name: str, ratio: bool) -> None:
    (chart,) = charts(run_of(view_of({name: [0.5, -1.0]})), 9)
    assert (chart.ratio, chart.value == "not known") == (ratio, ratio)


def test_few_values_make_a_sparkline_without_gaps() -> None:
    assert RunsView(Snapshot(NOW, (run_of(view_of({"loss": [1.0, 2.0, 3.0]})),))).row(0).loss_spark == "▁▅█"
    run = Run()
    list(run.apply(Rows(steps=[0, 1, 2, 50, 100], columns={"loss": [5.0, 4.0, 3.0, 2.0, 1.0]})))
    assert " " not in RunsView(Snapshot(NOW, (run_of(run.view()),))).row(0).loss_spark


def test_a_module_beside_the_layers_is_one_of_them() -> None:
    names = ("grad_norm/embed", "grad_norm/layers.0.attn", "train/layers.0.weight", "train/kl", "reward/a")
    drawn = charts(run_of(view_of({name: [1.0, 2.0] for name in names})), 9)
    assert [chart.name for chart in drawn] == ["reward/a", "train/kl"]


def test_times_that_are_none_tell_no_speed() -> None:
    sane = view_of({"loss": [2.0] * 9, "time": [NOW + 2.0 * i for i in range(9)]})
    wild = view_of({"loss": [2.0] * 9, "time": [0.0, 1e300, -1e300, NOW, 1e11, 9e99, NOW, NOW + 2, 1e300]})
    assert (speed(sane), speed(wild)) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("rates", "facts", "phase"),
    [
        ([1e-5 * i for i in range(60)], RunFacts(train=Train(warmup_steps=100)), "warm-up to 100"),
        ([1e-3 / (i + 1) for i in range(60)], RunFacts(train=Train(total_steps=900)), "decay to 900"),
        ([1e-3 / (i + 1) for i in range(60)], None, "decay"),
        ([1e-3] * 60, None, "constant"),
        ([0.0] * 60, None, "zero"),
        ([1e-5 * i for i in range(60)], None, "rise"),
        ([0.0, 1e-4, 2e-4, *(1.9e-4 - 1e-6 * i for i in range(17))], None, "decay"),
        ([1e-3] * 3, None, ""),
    ],
)
def test_the_learning_rate_says_its_phase(rates: list[float], facts: RunFacts | None, phase: str) -> None:
    assert charts(run_of(view_of({"lr": rates}, facts)), 1)[0].note == phase


def test_a_warm_up_that_the_rules_see_is_one_though_nobody_declared_it() -> None:
    run = replace(run_of(view_of({"lr": [1e-5 * i for i in range(60)]})), course=Course(warming=True))
    assert charts(run, 1)[0].note == "warm-up"
    ended = replace(run, course=Course(warmup_end=40.0))
    assert Mark(40.0, PLAN) in charts(ended, 1)[0].marks


def test_planned_ends_are_marked_on_the_learning_rate_alone() -> None:
    view = view_of({"lr": [1e-3] * 60, "loss": [1.0] * 60}, RunFacts(train=Train(total_steps=900, warmup_steps=20)))
    loss, lr = charts(run_of(view), 2)
    assert [mark.step for mark in lr.marks if mark.ink == PLAN] == [20, 900]
    assert not loss.marks


def test_the_usual_range_is_behind_what_it_is_of_and_nowhere_else() -> None:
    band = ((20.0, 0.5, 1.5), (60.0, 0.6, 1.4))
    view = view_of({"grad_norm": [1.0] * 60, "loss": [1.0] * 60, "lr": [1e-3] * 60})
    run = replace(run_of(view), course=Course({"grad_norm": band}))
    assert [chart.band for chart in charts(run, 3)] == [band, (), ()]
    assert {chart.band for chart in charts(run_of(view), 3)} == {()}
    assert charts(run, 1)[0].note == "usual 0.60–1.4"
    assert charts(replace(run, course=Course({"grad_norm": (*band, (61.0, math.nan, math.nan))})), 1)[0].note == ""


def test_what_is_copied_has_all_digits() -> None:
    (chart,) = charts(run_of(view_of({"loss": [1.25, 0.1 + 0.2, math.nan]})), 1)
    assert copied(chart, 2) == ("0.30000000000000004", "loss 0.30000000000000004 at 2")
    assert copied(chart, None) == ("NaN", "loss NaN")
    assert copied(chart, 0) is None
