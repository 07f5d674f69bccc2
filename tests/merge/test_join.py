"""Several sources make one run: no value twice, the most precise one wins, nothing depends on the order of arrival."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training import Told, blocks, column, merged, printed, seen, steps_of, training, values_of

from gradtop.config import Limits
from gradtop.history import History
from gradtop.record import End, Event, Record, Restart, Rows, RunFacts, Train
from gradtop.sources import SourceStatus
from gradtop.sources.search.group import Part


def test_every_metric_of_a_step_comes_once_from_the_most_precise_source() -> None:
    rows = training(100)
    view, _, _ = merged(
        Told("train.log", "text", blocks(printed(rows), "loss", "grad_norm")),
        Told("trainer_state.json", "json", blocks(rows[:50], "loss", "grad_norm")),
        Told("trainer_log.jsonl", "jsonl", blocks(rows, "loss", "lr")),
    )
    assert values_of(view, "loss") == column(rows, "loss")
    assert values_of(view, "grad_norm") == column(rows[:50], "grad_norm") + column(printed(rows[50:]), "grad_norm")
    assert (view.rows, len(view.sessions)) == (100, 1)


def test_rows_at_steps_that_the_precise_source_does_not_have_are_put_in_order() -> None:
    rows = training(100)
    view, _, _ = merged(
        Told("metrics.csv", "csv", blocks(rows[9::10], "loss")),
        Told("train.log", "text", blocks(printed(rows), "loss")),
    )
    assert steps_of(view, "loss") == column(rows, "step")
    assert values_of(view, "loss")[9::10] == column(rows[9::10], "loss")
    assert values_of(view, "loss")[:9] == column(printed(rows[:9]), "loss")


def test_rows_of_one_step_keep_all_values_of_the_source_that_has_several() -> None:
    log = (Rows([1, 1, 2], {"loss": [3.0, 3.5, 2.0]}), Rows([2], {"val_loss": [2.5]}))
    view, _, _ = merged(Told("a.jsonl", "jsonl", log), Told("b.log", "text", (Rows([1, 2], {"loss": [9.0, 9.0]}),)))
    assert (steps_of(view, "loss"), values_of(view, "loss")) == ([1, 1, 2], [3.0, 3.5, 2.0])
    assert steps_of(view, "val_loss") == [2]


def test_a_printed_zero_is_bounded_only_where_it_stands() -> None:
    text = Rows([1, 2, 3], {"grad_norm": [0.0, 0.0, 0.0]}, below={"grad_norm": 0.0005})
    merger = merged(
        Told("a.jsonl", "jsonl", (Rows([1, 2], {"grad_norm": [2e-4, 3e-4], "loss": [1.0, 1.0]}),)),
        Told("b.log", "text", (text,)),
    )[2]
    merger.begin()
    found = [record for record in merger.records(0.0, hold=False) if isinstance(record, Rows)]
    assert [(list(rows.steps), dict(rows.below)) for rows in found] == [([1, 2], {}), ([3], {"grad_norm": 0.0005})]


def test_what_is_said_beside_the_rows_comes_after_the_step_at_which_it_was_said() -> None:
    rows = training(10)
    text: tuple[Record, ...] = (
        RunFacts(train=Train(total_steps=10)),
        *blocks(printed(rows[:5]), "loss"),
        Event(event="alarm", message="overflow"),
        *blocks(printed(rows[5:]), "loss"),
        End(),
    )
    view, _, merger = merged(Told("a.jsonl", "jsonl", blocks(rows, "loss", size=100)), Told("train.log", "text", text))
    assert view.facts.train.total_steps == 10
    assert view.end == End()
    merger.begin()
    given_out = list(merger.records(0.0, hold=False))
    at = next(i for i, record in enumerate(given_out) if isinstance(record, Event))
    before = [step for record in given_out[:at] if isinstance(record, Rows) for step in record.steps]
    assert before == [1, 2, 3, 4, 5]


def test_last_words_of_a_silent_source_come_last_unless_others_went_on_for_long() -> None:
    rows = training(20)
    crash = Event(event="crash", message="Traceback")
    told = (Told("out.log", "text", blocks(rows, "loss")), Told("out.err", "text", (crash,)))
    for later, kept_last in ((0.0, True), (3600.0, False)):
        _, _, merger = merged(*told)
        merger.take(Path("out.log"), "text", 1000.0 + later, ())
        merger.take(Path("out.err"), "text", 1000.0, ())
        merger.begin()
        given_out = list(merger.records(0.0, hold=False))
        assert isinstance(given_out[-1], Event) is kept_last


@pytest.mark.parametrize("offset", [1, -1])
def test_a_numbering_from_another_number_is_moved(offset: int) -> None:
    rows = training(60)
    moved = [{**row, "step": row["step"] + offset} for row in printed(rows)]
    view, _, merger = merged(
        Told("main.jsonl", "jsonl", blocks(rows, "loss")),
        Told("stdout.log", "text", blocks(moved, "loss", "grad_norm")),
    )
    assert values_of(view, "loss") == column(rows, "loss")
    assert steps_of(view, "grad_norm") == column(rows, "step")
    assert [one.offset for one in merger.joined()] == [0, -offset]


def test_a_source_of_another_training_is_told_apart() -> None:
    view, _, merger = merged(
        Told("metrics.jsonl", "jsonl", blocks(training(60), "loss")),
        Told("old.log", "text", blocks(printed(training(90, seed=1)), "loss", "grad_norm")),
    )
    assert merger.strangers == (Path("old.log"),)
    assert set(view.series) == {"loss"}
    assert view.rows == 60
    assert "59 of 60 values differ" in merger.joined()[1].left_out or "60 of 60" in merger.joined()[1].left_out


def test_averages_in_one_metric_are_no_contradiction_where_others_agree() -> None:
    rows = training(60)
    text = [{**row, "loss": row["loss"] + 0.3} for row in printed(rows)]
    _, _, merger = merged(
        Told("metrics.jsonl", "jsonl", blocks(rows, "loss", "grad_norm")),
        Told("train.log", "text", blocks(text, "loss", "grad_norm")),
    )
    assert merger.strangers == ()


def test_a_source_without_steps_is_placed_by_the_epochs_that_it_shares() -> None:
    rows = training(300, every=10)
    console = [{**row, "epoch": round(row["epoch"], 2)} for row in printed(rows)]
    view, _, merger = merged(
        Told("trainer_log.jsonl", "jsonl", blocks(rows, "loss", "epoch")),
        Told("train.log", "text", blocks(console, "loss", "grad_norm", kind="epoch")),
    )
    assert steps_of(view, "grad_norm") == column(rows, "step")
    assert values_of(view, "loss") == column(rows, "loss")
    assert merger.joined()[1].by_epoch


def test_a_source_whose_epochs_nobody_shares_gives_only_what_no_source_has_by_step() -> None:
    rows = training(100)
    table = (Rows([1, 2, 3], {"loss": [2.0, 1.9, 1.8], "accuracy": [0.1, 0.2, 0.3]}, x_kind="epoch"),)
    view, _, merger = merged(Told("train.log", "text", blocks(rows, "loss")), Told("summary.csv", "csv", table))
    assert (view.x_kind, view.last_step, values_of(view, "loss")) == ("step", 100, column(rows, "loss"))
    assert (view.series["accuracy"].x_kind, steps_of(view, "accuracy")) == ("epoch", [1, 2, 3])
    assert "epoch" in merger.joined()[0].left_out


def test_a_history_is_joined_with_the_newest_launch_that_has_its_steps() -> None:
    first, second = training(50), training(60, seed=1, first=31)
    view, _, merger = merged(
        Told("train.log", "text", (*blocks(printed(first), "loss"), *blocks(printed(second), "loss"))),
        Told("trainer_state.json", "json", blocks([*first[:30], *second], "loss", "grad_norm")),
    )
    assert [session.first_step for session in view.sessions] == [1, 31]
    assert merger.strangers == ()
    assert values_of(view, "loss") == [
        *column(first[:30], "loss"), *column(printed(first[30:]), "loss"), *column(second, "loss")
    ]  # fmt: skip
    assert values_of(view, "grad_norm") == column([*first[:30], *second], "grad_norm")


@pytest.mark.parametrize("which", [0, 1])
def test_a_file_of_one_launch_is_joined_with_that_launch(which: int) -> None:
    launches = training(50), training(50, seed=1)
    console = tuple(part for rows in launches for part in blocks(printed(rows), "loss"))
    view, _, merger = merged(
        Told("train.log", "text", console), Told("metrics.csv", "csv", blocks(launches[which], "loss", "grad_norm"))
    )
    assert len(view.sessions) == 2
    assert merger.strangers == ()
    start = view.series["loss"].segments[which].start
    assert values_of(view, "loss")[start : start + 50] == column(launches[which], "loss")


def test_launches_with_files_of_their_own_are_sessions_and_other_ranks_are_not_listened_to() -> None:
    def part(launch: int, rank: int) -> Part:
        return Part(Path(f"attempt_{launch}/{rank}/stdout.log"), "attempt", rank, launch)

    first, second = training(50), training(50, seed=1, first=41)
    view, _, merger = merged(
        *(
            Told("", "text", blocks(rows, "loss"), part(launch, rank))
            for launch, launched in enumerate((first, second))
            for rank, rows in ((1, launched), (2, training(50, seed=9)))
        ),
        Told("", "text", (Event(event="crash", message="Traceback"),), part(1, 0)),
    )
    assert [(s.first_step, s.reason) for s in view.sessions] == [(1, "start"), (41, "relaunched")]
    assert values_of(view, "loss") == column([*first, *second], "loss")
    assert [event.message for event in view.events] == ["Traceback"]
    assert merger.strangers == ()


CONSOLE, LOG, STATE = "train.log", "trainer_log.jsonl", "trainer_state.json"


def troubled() -> dict[str, Told]:
    """A resumed training with a spike, NaN and an overflow, told by a console, a JSON log and a trainer's state."""
    first, second = training(120), training(200, first=101)
    for i in (40, 41, 42):
        second[i]["loss"] *= 1.8
    for i in range(150, 156):
        second[i]["grad_norm"] = math.nan
    console: tuple[Record, ...] = (
        RunFacts(train=Train(total_steps=300)),
        *blocks(printed(first), "loss", "grad_norm", size=3),
        Restart(reason="resumed"),
        *blocks(printed(second[:60]), "loss", "grad_norm", size=3),
        Event(event="alarm", message="OVERFLOW", step=160),
        *blocks(printed(second[60:]), "loss", "grad_norm", size=3),
        End(),
    )
    state = blocks([*first[:100], *second[:100]], "loss", "grad_norm", "epoch", size=50)
    return {
        CONSOLE: Told(CONSOLE, "text", console),
        LOG: Told(LOG, "jsonl", (*blocks(first, "loss", "lr"), *blocks(second, "loss", "lr"))),
        STATE: Told(STATE, "json", state),
    }


ARRIVALS = st.lists(st.tuples(st.sampled_from([CONSOLE, LOG, STATE]), st.integers(1, 40), st.floats(0, 1)), max_size=60)


@settings(max_examples=settings().max_examples // 3)
@given(ARRIVALS)
def test_the_order_of_arrival_does_not_matter(arrivals: list[tuple[str, int, float]]) -> None:
    told = troubled()
    view, findings, _ = merged(*told.values())
    history = History(Limits(), joinable=True)
    left = {name: list(one.records) for name, one in told.items()}
    opened: set[str] = set()
    at = 0.0
    for name, n, pause in [*arrivals, *((name, 10_000, 1.0) for name in told)]:
        if name not in opened:
            assert history.open(told[name].place)
            opened.add(name)
        at += pause
        history.take(SourceStatus(Path(name), told[name].format), tuple(left[name][:n]))
        del left[name][:n]
        while history.advance(at, more=False):
            pass
        history.view()
    history.settle()
    assert seen(history.view()) == seen(view)
    assert history.detector.findings() == findings
    assert {"nonfinite", "loss_spike"} <= {finding.kind for finding in findings}


@settings(max_examples=settings().max_examples // 3)
@given(st.permutations([CONSOLE, LOG, STATE]), st.integers(1, 9))
def test_sources_that_write_together_are_joined_as_they_write(order: list[str], portion: int) -> None:
    rows = training(90)
    told = {
        CONSOLE: list(blocks(printed(rows), "loss", "grad_norm", size=1)),
        LOG: list(blocks(rows, "loss", "lr", size=1)),
        STATE: list(blocks(rows, "loss", "epoch", size=1)),
    }
    formats = {CONSOLE: "text", LOG: "jsonl", STATE: "json"}
    history = History(Limits(), joinable=True)
    for name in order:
        assert history.open(Told(name, formats[name], ()).place)
    at = 0.0
    for start in range(0, len(rows), portion):
        for name in order:
            history.take(SourceStatus(Path(name), formats[name]), tuple(told[name][start : start + portion]))
            at += 0.01
            while history.advance(at, more=False):
                pass
        assert steps_of(history.view(), "loss")[-1] == rows[min(start + portion, len(rows)) - 1]["step"]
    live = seen(history.view())
    history.settle()
    assert live == seen(history.view())


def test_the_newest_step_waits_for_its_other_half_and_not_for_long() -> None:
    history = History(Limits(), joinable=True)
    for name in (CONSOLE, LOG):
        assert history.open(Told(name, "", ()).place)
    rows = training(30)

    def write(name: str, format: str, part: tuple[Rows, ...], at: float) -> None:
        history.take(SourceStatus(Path(name), format), part)
        while history.advance(at, more=False):
            pass

    write(LOG, "jsonl", blocks(rows[:20], "loss"), 0.0)
    write(CONSOLE, "text", blocks(rows[:20], "loss", "grad_norm"), 0.0)
    write(LOG, "jsonl", blocks(rows[20:21], "loss"), 1.0)
    assert history.view().last_step == 20
    assert 0 < history.due_s(1.0) <= 0.25
    write(CONSOLE, "text", blocks(rows[20:21], "loss", "grad_norm"), 1.01)
    assert (history.view().last_step, history.due_s(1.01)) == (21, math.inf)
    write(LOG, "jsonl", blocks(rows[21:22], "loss"), 2.0)
    write(LOG, "jsonl", (), 2.3)
    assert history.view().last_step == 22


def test_a_source_that_joins_later_loses_nothing_of_the_first() -> None:
    rows = training(40)
    history = History(Limits(), joinable=True)
    assert history.open(Told(CONSOLE, "text", ()).place)
    history.take(SourceStatus(Path(CONSOLE), "text"), blocks(printed(rows), "loss"))
    assert history.view().rows == 40
    assert history.open(Told(STATE, "json", ()).place)
    assert history.view().rows == 40
    history.take(SourceStatus(Path(STATE), "json"), blocks(rows[:20], "loss"))
    while history.advance(0.0, more=False):
        pass
    assert values_of(history.view(), "loss") == column(rows[:20], "loss") + column(printed(rows[20:]), "loss")


def test_a_long_lone_source_is_not_kept_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradtop.history.KEPT_VALUES", 50)
    history = History(Limits(), joinable=True)
    assert history.open(Told(CONSOLE, "text", ()).place)
    history.take(SourceStatus(Path(CONSOLE), "text"), blocks(training(40), "loss"))
    assert not history.open(Told(STATE, "json", ()).place)
    assert history.view().rows == 40
