"""Which charts the Metrics room has, in which order, and what is drawn over them."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtop.filter import parsed
from gradtop.record import Rows
from gradtop.run import Run, RunView
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.sources import SourceStatus
from gradtop.verdict import Judgement, Verdict
from gradtop.view import MOST_MARKED, Marks, MetricsView, charts, others_of, overlaid, reading
from gradtop.view.pairs import Group, grouped, part_of

MOVING = [3.0, 2.0, 1.0]


def view_of(*blocks: Rows) -> RunView:
    run = Run()
    for block in blocks:
        list(run.apply(block))
    return run.view()


def steps(n: int, kind: str = "step", **columns: list[float]) -> Rows:
    return Rows(range(1, n + 1), {name.replace("__", "/"): values for name, values in columns.items()}, x_kind=kind)


def named(*names: str) -> Rows:
    return Rows(range(1, 4), dict.fromkeys(names, MOVING))


def run_of(view: RunView, name: str = "a", **changes: object) -> RunSnapshot:
    judgement = Judgement(Verdict.KEEP_TRAINING, "ok")
    sources = (SourceStatus(Path(name), "jsonl"),)
    run = RunSnapshot(name, name, Path(name), RunState.QUIET, 1.0, view, (), judgement, sources, 0.0, None, None)
    return replace(run, **changes)  # type: ignore[arg-type]  # names and values are the test's own


def order(*blocks: Rows, text: str = "") -> list[str]:
    shown = MetricsView(run_of(view_of(*blocks)), parsed(text))
    return [shown.name(i) for i in range(len(shown))]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("loss", ("loss", "")),
        ("val_loss", ("loss", "val")),
        ("loss_val", ("loss", "val")),
        ("train/acc", ("acc", "train")),
        ("eval/acc", ("acc", "eval")),
        ("metrics/eval/ppl", ("metrics/ppl", "eval")),
        ("Valid-top 1", ("top 1", "valid")),
        ("latest/acc", ("latest/acc", "")),
        ("test", ("test", "")),
        ("validation", ("validation", "")),
        ("retrain_steps", ("retrain_steps", "")),
        ("a/b/test/c", ("a/b/test/c", "")),
        ("", ("", "")),
    ],
)
def test_the_part_of_the_data_is_read_from_a_name(name: str, part: tuple[str, str]) -> None:
    assert part_of(name) == part


def test_one_quantity_of_several_data_is_one_group() -> None:
    names = ["loss", "val_loss", "acc", "train/acc", "eval/acc", "test/acc", "val/f1"]
    assert grouped((name, "step") for name in names) == (
        Group("loss", (("val", "val_loss"),)),
        Group("train/acc", (("eval", "eval/acc"), ("test", "test/acc"))),
        Group("acc"),
        Group("val/f1"),
    )
    assert grouped([("loss", "step"), ("val_loss", "epoch")]) == (Group("loss"), Group("val_loss"))


@given(st.lists(st.text("train/val_ab", max_size=12), unique=True, max_size=40))
def test_every_series_is_in_one_group(names: list[str]) -> None:
    groups = grouped((name, "step") for name in names)
    assert sorted(names) == sorted([*(g.name for g in groups), *(name for g in groups for _, name in g.others)])


def test_known_metrics_come_first_then_folder_by_folder_in_natural_order() -> None:
    names = ["z", "b/x10", "b/x9", "a/y", "b/c/x", "lr", "loss", "grad_norm", "kl"]
    assert order(named(*names)) == ["grad_norm", "loss", "lr", "kl", "z", "a/y", "b/x9", "b/x10", "b/c/x"]


def test_what_says_nothing_of_the_training_is_there_at_the_end() -> None:
    rows = steps(3, epoch=MOVING, a=[1.0] * 3, b=[1.0, math.nan, 1.0], c=MOVING, lr=[1e-3] * 3)
    assert order(rows, Rows([3], {"single": [1.0]})) == ["lr", "b", "c", "a", "single", "epoch"]


def test_a_pair_stands_where_its_main_series_does_and_both_are_read() -> None:
    rows = named("eval/acc", "train/acc", "h/x", "loss", "val_loss")
    assert order(rows) == ["loss", "h/x", "train/acc"]
    loss, _, accuracy = MetricsView(run_of(view_of(rows))).charts(0, 9)
    assert [(t.label, t.ink, len(t.data)) for t in loss.others] == [("val", "trace 1", 3)]
    assert [t.label for t in accuracy.others] == ["eval"]
    assert reading(loss, 2, None).others == ("2",)
    assert reading(loss, 0, None).others == ("",)


def test_two_series_with_one_word_go_by_their_names() -> None:
    (chart,) = MetricsView(run_of(view_of(named("acc", "val/acc", "val_acc")))).charts(0, 9)
    assert [trace.label for trace in chart.others] == ["val/acc", "val_acc"]


def test_a_filter_chooses_series_so_one_of_a_pair_can_stand_alone() -> None:
    rows = named("loss", "val_loss", "acc", "grad_norm")
    assert order(rows, text="loss") == ["loss"]
    assert order(rows, text="val") == ["val_loss"]
    assert order(rows, text="!val") == ["grad_norm", "loss", "acc"]
    assert order(rows, text='"grad norm" | acc') == ["grad_norm", "acc"]
    shown = MetricsView(run_of(view_of(rows)), parsed("nothing"))
    assert (len(shown), shown.of, shown.charts(0, 9)) == (0, 3, ())


def test_layers_have_a_room_of_their_own() -> None:
    assert order(named("loss", "grad_norm/layers.0.attn", "grad_norm/embed")) == ["loss"]


def test_only_charts_that_are_asked_for_are_made() -> None:
    shown = MetricsView(run_of(view_of(named(*(f"m{i}" for i in range(3000))))))
    assert len(shown) == 3000
    assert [chart.name for chart in shown.charts(2000, 3)] == ["m2000", "m2001", "m2002"]
    assert shown.charts(2999, 9)[0].name == "m2999"
    assert shown.index("m7") == 7
    assert shown.index("loss") is None


def test_without_a_run_there_is_nothing() -> None:
    shown = MetricsView(None)
    assert (len(shown), shown.of, shown.charts(0, 9), shown.index(None)) == (0, 0, (), None)


def test_what_only_a_compared_run_has_is_drawn_as_well() -> None:
    opened = run_of(view_of(named("loss", "own")))
    other = run_of(view_of(steps(9, loss=[2.0] * 9, rss_bytes=[2.0**31] * 9), steps(3, "epoch", late=MOVING)), "b")
    others = others_of(Snapshot(0.0, (opened, other)), opened, Marks().toggled("b"))
    shown = MetricsView(opened, others=others)
    assert [shown.name(i) for i in range(len(shown))] == ["loss", "own", "rss_bytes"]
    loss, own, theirs = shown.charts(0, 9)
    assert (theirs.value, theirs.rows, [(t.label, t.rows) for t in theirs.others]) == ("not in this run", 0, [("b", 9)])
    assert reading(theirs, 9, None).value == ""
    assert reading(theirs, 9, None).others == ("2.000 GiB",)
    assert (loss.last_step, own.last_step, theirs.last_step) == (9, 9, 9)
    assert MetricsView(opened, parsed("rss"), others).charts(0, 9) == (theirs,)
    assert len(MetricsView(opened)) == 2


def test_a_run_keeps_its_colour_while_it_is_marked() -> None:
    marks = Marks().toggled("a").toggled("b").toggled("c").toggled("a")
    assert (marks.ink("a"), marks.ink("b"), marks.ink("c")) == ("", "trace 2", "trace 3")
    marks = marks.toggled("d")
    assert (marks.ink("d"), marks.ids) == ("trace 1", ("d", "b", "c"))
    assert Marks.recalled(marks.memory()) == marks


def test_no_more_runs_are_marked_than_there_are_colours() -> None:
    marks = Marks()
    for i in range(MOST_MARKED):
        marks = marks.toggled(f"run-{i}")
    assert marks.full
    assert marks.toggled("one more") == marks


def test_marks_that_make_no_sense_are_passed_over() -> None:
    memory = {"marked 1": 3.0, "marked 2": "a", "marked 3": "a", "marked 4": "", "marked 9": "b", "x": None}
    assert Marks.recalled(memory).slots == (None, "a", None, None, None, None)


def compared(*runs: RunSnapshot, marked: tuple[str, ...]) -> list[tuple[str, str, bool]]:
    marks = Marks()
    for run_id in marked:
        marks = marks.toggled(run_id)
    return [(o.label, o.said, o.run is not None) for o in others_of(Snapshot(0.0, runs), runs[0], marks)]


def test_a_run_that_cannot_be_drawn_says_why() -> None:
    view, empty = view_of(named("loss")), view_of()
    opened = run_of(view, "open")
    told = {
        "gone": None,
        "reading 12 %": run_of(view, "loading", state=RunState.LOADING, read=0.12),
        "not read yet": run_of(empty, "unread", sources=()),
        "no values": run_of(empty, "empty"),
        "counts by epoch": run_of(view_of(steps(3, "epoch", loss=MOVING)), "epochs"),
    }
    runs = [run for run in told.values() if run is not None]
    ids = ("/logs/x", *(run.id for run in runs))
    assert compared(opened, *runs, marked=ids) == [
        (label, said, False) for label, said in zip(("x", *ids[1:]), told, strict=True)
    ]


def test_a_run_whose_files_are_gone_is_drawn_as_read_and_that_is_said() -> None:
    lost = (SourceStatus(Path("b"), "jsonl", problem="there is no such file"),)
    view = view_of(named("loss"))
    assert compared(run_of(view), run_of(view, "b", sources=lost), marked=("b",)) == [
        ("b", "there is no such file", True)
    ]


def test_folders_that_all_compared_runs_lie_in_are_left_out_of_their_names() -> None:
    view = view_of(named("loss"))
    runs = [run_of(view, name) for name in ("ablation/runs/run10", "ablation/runs/run1", "ablation/runs/run12/b")]
    assert [label for label, *_ in compared(*runs, marked=tuple(run.id for run in runs[1:]))] == ["run1", "run12/b"]
    apart = [run_of(view, "runs/a"), run_of(view, "runs-2/a")]
    assert [label for label, *_ in compared(*apart, marked=(apart[1].id,))] == ["runs-2/a"]


def test_the_open_run_is_not_drawn_over_itself() -> None:
    assert compared(run_of(view_of(named("loss"))), marked=("a",)) == []


def test_other_runs_are_drawn_over_the_same_series_and_all_have_room() -> None:
    opened = run_of(view_of(steps(10, loss=[1.0] * 10, lr=[1.0] * 10), steps(3, "epoch", val_loss=[1.0] * 3)))
    longer = run_of(view_of(steps(50, loss=[2.0] * 50), steps(5, "epoch", val_loss=[1.0] * 5)), "b")
    marks = Marks().toggled("gone").toggled("b")
    others = others_of(Snapshot(0.0, (opened, longer)), opened, marks)
    drawn = {chart.name: chart for chart in overlaid(charts(opened, 9), opened, others)}
    assert [(t.label, t.ink, t.rows) for t in drawn["loss"].others] == [("b", "trace 2", 50)]
    assert drawn["lr"].others == ()
    assert {(drawn[name].first_step, drawn[name].last_step) for name in ("loss", "lr")} == {(1.0, 50.0)}
    assert (drawn["val_loss"].last_step, len(drawn["val_loss"].others)) == (5.0, 1)
    assert overlaid(charts(opened, 9), opened, ()) == charts(opened, 9)


def test_with_other_runs_in_the_charts_validation_has_charts_of_its_own() -> None:
    opened, other = run_of(view_of(named("loss", "val_loss"))), run_of(view_of(named("loss", "val_loss")), "b")
    others = others_of(Snapshot(0.0, (opened, other)), opened, Marks().toggled("b"))
    assert [len(chart.others) for chart in MetricsView(opened, others=others).charts(0, 9)] == [1, 1]
    assert len(MetricsView(opened)) == 1


def test_huge_and_tiny_values_and_one_point_make_charts() -> None:
    rows = steps(3, a=[1e300, -1e300, 1e-300], b=[5e-324, 0.0, 5e-324], c=[math.inf, math.nan, -math.inf])
    drawn = MetricsView(run_of(view_of(rows, Rows([9], {"one": [1.0]})))).charts(0, 9)
    assert [(chart.name, chart.value) for chart in drawn] == [
        ("a", "1e-300"),
        ("b", "4.941e-324"),
        ("c", "-Inf"),
        ("one", "1"),
    ]
