"""What was printed beside a stream never splits a run, and never takes the place of what the stream has."""

from pathlib import Path

import pytest
from training import Row, Told, blocks, column, merged, steps_of, training, values_of

from gradtop.merge import Merger
from gradtop.merge.live import CONSOLE_S
from gradtop.record import End, Event, Record, Restart, Rows
from gradtop.sources.search.group import Part

ROWS = training(300)
CRASH = Event(event="crash", message="RuntimeError: CUDA error")


def stream(*records: Record) -> Told:
    return Told("run/metrics.jsonl", "gradtop", records or blocks(ROWS, "loss", "grad_norm", "lr"))


def console(*records: Record) -> Told:
    return Told("run/output.log", "text", records)


def averages(every: int, factor: float = 1.0, kind: str = "step") -> tuple[Rows, ...]:
    """The mean losses since the last row, with a validation; steps are multiplied by a factor."""
    rows: list[Row] = []
    for i in range(every, len(ROWS) + 1, every):
        loss = sum(row["loss"] for row in ROWS[i - every : i]) / every + 0.1
        rows.append({kind: round(i * factor), "loss": loss, "val_loss": loss + 0.1})
    return blocks(rows, "loss", "val_loss", kind=kind)


def test_losses_that_are_averages_are_left_to_the_stream_and_the_rest_is_taken() -> None:
    view, _, merger = merged(stream(), console(*averages(10)))
    assert values_of(view, "loss") == column(ROWS, "loss")
    assert steps_of(view, "val_loss") == [float(i) for i in range(10, 301, 10)]
    assert (merger.strangers, len(view.sessions), view.last_step) == ((), 1, 300)


@pytest.mark.parametrize("factor", [4.0, 1 / 50])
def test_a_console_that_counts_otherwise_by_the_same_name_is_left_out(factor: float) -> None:
    """Micro-batches, and epochs that are called steps."""
    view, _, merger = merged(stream(), console(*averages(10, factor)))
    assert (merger.strangers, len(view.sessions), view.last_step) == ((), 1, 300)
    assert set(view.series) == {"loss", "grad_norm", "lr"}
    assert merger.joined()[1].left_out == "it does not count the steps of metrics.jsonl"


def test_steps_that_begin_anew_with_every_epoch_are_no_sessions_of_the_stream() -> None:
    rows = [{"step": i % 50, "loss": ROWS[i]["loss"]} for i in range(300)]
    laps = [part for start in range(0, 300, 50) for part in blocks(rows[start : start + 50], "loss")]
    view, _, merger = merged(stream(), console(*laps))
    assert values_of(view, "loss") == column(ROWS, "loss")
    assert (merger.strangers, len(view.sessions)) == ((), 1)


def test_a_stream_without_a_loss_is_judged_by_its_steps_beside_losses_by_epoch() -> None:
    told = stream(*blocks(ROWS, "lr"))
    view, _, _ = merged(told, console(*averages(50, 1 / 50, "epoch")))
    assert (view.x_kind, view.rows, view.last_step) == ("step", 300, 300)
    assert (len(view.series["loss by epoch"]), len(view.series["val_loss"])) == (6, 6)


@pytest.mark.parametrize("first", [301, 251])
def test_a_relaunch_that_appends_to_both_is_one_session_more(first: int) -> None:
    after = training(300, first=first)
    restart = Restart(reason="relaunched")
    view, _, merger = merged(
        stream(*blocks(ROWS, "loss"), restart, *blocks(after, "loss")),
        console(*blocks(ROWS[9::10], "loss", "epoch"), *blocks(after[9::10], "loss", "epoch")),
    )
    assert [(session.first_step, session.reason) for session in view.sessions] == [(1, "start"), (first, "relaunched")]
    assert values_of(view, "loss") == column(ROWS, "loss") + column(after, "loss")
    assert steps_of(view, "epoch") == column(ROWS[9::10], "step") + column(after[9::10], "step")
    assert merger.strangers == ()


def test_a_launch_that_only_the_console_knows_of_gives_nothing() -> None:
    lost = ({"step": 11, "loss": 9.0, "val_loss": 9.0}, {"step": 12, "loss": 8.0, "val_loss": 8.0})
    view, _, _ = merged(stream(), console(*blocks(lost, "loss", "val_loss"), *averages(10)))
    assert len(view.sessions) == 1
    assert steps_of(view, "val_loss") == [float(i) for i in range(10, 301, 10)]


def last_record(*told: Told) -> Record:
    merger = merged(*told)[2]
    merger.begin()
    return list(merger.records(0.0, hold=False))[-1]


def test_a_crash_that_is_printed_without_steps_is_the_end_of_a_run_with_one_session() -> None:
    assert last_record(stream(), console(CRASH)) == CRASH
    assert last_record(stream(), console(*averages(10, 4.0), CRASH)) == CRASH


def test_a_crash_that_is_printed_without_steps_was_followed_by_the_relaunch() -> None:
    told = stream(*blocks(ROWS[:150], "loss"), Restart(reason="relaunched"), *blocks(ROWS[150:], "loss"))
    assert isinstance(last_record(told, console(CRASH)), Rows)


def test_another_rank_that_is_done_is_not_the_end() -> None:
    other = Part(Path("run/metrics.rank1.jsonl"), "metrics-jsonl", 1)
    mine = Part(Path("run/metrics.jsonl"), "metrics-jsonl")
    rows = blocks(ROWS, "loss")
    view, _, merger = merged(
        Told("run/metrics.jsonl", "gradtop", rows, mine),
        Told("run/metrics.rank1.jsonl", "gradtop", (*rows, CRASH, End()), other),
    )
    assert (view.end, [event.event for event in view.events]) == (None, ["crash"])
    assert [one.left_out for one in merger.joined()] == ["", "rank 0 is listened to"]


def live() -> tuple[Merger, Told, Told]:
    """A stream of 100 steps and its console, both told of."""
    told, printed = stream(*blocks(ROWS[:100], "loss")), console(*blocks(ROWS[:100], "loss", "epoch"))
    return merged(told, printed)[2], told, printed


def given_out(merger: Merger, at: float) -> list[float]:
    return [float(step) for record in merger.records(at) if isinstance(record, Rows) for step in record.steps]


def test_further_steps_of_a_console_wait_for_the_stream() -> None:
    merger, told, printed = live()
    merger.take(printed.place.path, "text", None, blocks(ROWS[100:120], "loss", "epoch"))
    assert given_out(merger, 1.0) == []
    assert merger.due_s(1.0) == CONSOLE_S - 1.0
    merger.take(told.place.path, "gradtop", None, blocks(ROWS[100:110], "loss"))
    assert set(given_out(merger, 2.0)) == {float(i) for i in range(101, 111)}
    assert not merger.stale


def test_a_console_whose_stream_does_not_go_on_is_heard_after_a_while() -> None:
    merger, _, printed = live()
    merger.take(printed.place.path, "text", None, blocks(ROWS[100:120], "loss", "epoch"))
    assert given_out(merger, 1.0) == []
    assert set(given_out(merger, CONSOLE_S)) == {float(i) for i in range(101, 121)}
