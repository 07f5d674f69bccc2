"""What was printed beside a stream never splits a run, and never takes the place of what the stream has."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
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


def all_steps(found: Iterable[Record]) -> list[float]:
    return [float(step) for record in found if isinstance(record, Rows) for step in record.steps]


def timed(first: int, last: int, began: float, restart: bool = False) -> tuple[Record, ...]:
    """Rows of a stream, a second each, from step `first` to `last`."""
    steps = [*range(first, last + 1)]
    rows = Rows(steps, {"loss": [ROWS[i - 1]["loss"] for i in steps], "time": [began + i - first for i in steps]})
    return (*([Restart(reason="relaunched")] if restart else []), rows)


def spoken(first: int, last: int, every: int = 10, shift: int = 0) -> tuple[Rows, ...]:
    """Mean losses and a validation as printed at every so many steps, which a script counts its own way."""
    steps = [i for i in range(first, last + 1) if i % every == 0]
    losses = [ROWS[i - 1]["loss"] + 0.1 for i in steps]
    return (Rows([i + shift for i in steps], {"loss": losses, "val_loss": losses}),)


def again(at: float) -> tuple[Record, ...]:
    return Restart(reason="relaunched"), Event(event="launch", time=at)


def dated(modified: float | None, told: Told, printed: Told) -> tuple[list[Record], Merger]:
    """What the two give out when the console was last written to at a time."""
    merger = Merger()
    for one in (told, printed):
        merger.open(one.place)
        merger.take(one.place.path, one.format, modified if one is printed else None, one.records)
    merger.begin()
    return list(merger.records(0.0, hold=False)), merger


def test_single_values_of_columns_are_plain_numbers() -> None:
    """What is printed of a number of numpy's is not its digits."""
    losses = cast("Sequence[float]", np.linspace(2e-5, 1e-5, 20))
    rows = (Rows([*range(1, 21)], {"loss": losses}), Rows([20], {"aux": [1.0]}))
    found, _ = dated(None, stream(*rows), console(*spoken(1, 20)))
    at_20 = [record for record in found if isinstance(record, Rows) and list(record.steps) == [20]]
    types = {name: type(column[0]) for record in at_20 for name, column in record.columns.items()}
    assert types == dict.fromkeys(("loss", "aux", "val_loss"), float)


def test_last_words_stand_behind_the_last_step_of_the_stream() -> None:
    said = Event(event="crash", message="RuntimeError", step=190)
    found, _ = dated(1196.0, stream(*timed(1, 196, 1000.0)), console(*spoken(1, 196), said))
    assert found[-1] == Event(event="crash", message="RuntimeError", step=None)


def test_an_error_that_the_stream_goes_on_after_stands_where_it_was_printed() -> None:
    found, _ = dated(1100.0, stream(*timed(1, 196, 1000.0)), console(*spoken(1, 100), CRASH))
    at = found.index(CRASH)
    assert max(all_steps(found[:at])) == 102
    assert min(all_steps(found[at:])) == 103


def test_an_error_that_was_printed_before_further_rows_stays_before_them() -> None:
    found, _ = dated(None, stream(*timed(1, 196, 1000.0)), console(*spoken(1, 100), CRASH, *spoken(101, 196)))
    assert found.index(CRASH) < len(found) - 1
    assert CRASH.step is None


@pytest.mark.parametrize("words", [(), spoken(1, 150, shift=1000)])
def test_launches_tell_which_session_a_crash_ended_where_no_step_does(words: tuple[Rows, ...]) -> None:
    told = stream(*timed(1, 150, 1000.0), *timed(101, 300, 2000.0, restart=True))
    found, _ = dated(None, told, console(*words, CRASH, *again(1900.0)))
    assert [type(record) for record in found[-4:]] == [Event, Restart, Event, Rows]
    found, _ = dated(None, told, console(*words, *again(1900.0), CRASH))
    assert found[-1] == CRASH


def test_a_launch_that_died_before_its_first_step_ends_the_run() -> None:
    found, _ = dated(None, stream(*timed(1, 150, 1000.0)), console(*spoken(1, 150), *again(1900.0), CRASH))
    assert found[-1] == CRASH


def test_a_script_that_counts_on_beside_a_stream_that_begins_anew_keeps_its_validation() -> None:
    told = stream(*timed(1, 200, 1000.0), *timed(1, 80, 2000.0, restart=True))
    printed = console(*spoken(1, 200), *again(1900.0), *spoken(1, 80, shift=200))
    view, _, merger = merged(told, printed)
    assert steps_of(view, "val_loss") == [*range(10, 201, 10), *range(10, 81, 10)]
    assert (merger.joined()[1].left_out, len(view.sessions), view.last_step) == ("", 2, 80)


def test_a_launch_that_counts_otherwise_is_left_out_alone() -> None:
    told = stream(*timed(1, 200, 1000.0), *timed(201, 280, 2000.0, restart=True))
    micro = Rows([40 * i for i in range(1, 9)], {"val_loss": [1.0] * 8})
    view, _, _ = merged(told, console(*spoken(1, 200), *again(1900.0), micro))
    assert steps_of(view, "val_loss") == [*range(10, 201, 10)]


@pytest.mark.parametrize("at", [0.0, 1050.0, 1e12])
def test_a_line_of_a_launch_that_never_was_breaks_nothing(at: float) -> None:
    told = stream(*timed(1, 200, 1000.0))
    view, _, merger = merged(told, console(*spoken(1, 100), *again(at), *spoken(101, 200)))
    assert (len(view.sessions), view.last_step, merger.strangers) == (1, 200, ())
    assert values_of(view, "loss") == [row["loss"] for row in ROWS[:200]]


def test_what_a_stream_tells_late_stands_at_its_step() -> None:
    late = Rows([50], {"val_loss": [0.5]})
    view, _, _ = merged(stream(*timed(1, 100, 1000.0), late, *timed(101, 200, 1100.0)), console(*spoken(1, 200)))
    assert len(view.sessions) == 1
    assert (view.series["val_loss"].at(50), steps_of(view, "loss")) == (0.5, [*range(1, 201)])


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
    return all_steps(merger.records(at))


def test_further_steps_of_a_console_wait_for_the_stream() -> None:
    merger, told, printed = live()
    merger.take(printed.place.path, "text", None, blocks(ROWS[100:120], "loss", "epoch"))
    assert given_out(merger, 1.0) == []
    assert merger.due_s(1.0) == CONSOLE_S - 1.0
    merger.take(told.place.path, "gradtop", None, blocks(ROWS[100:110], "loss"))
    assert set(given_out(merger, 2.0)) == {float(i) for i in range(101, 111)}
    assert not merger.stale


def test_rows_behind_last_words_put_them_where_they_belong() -> None:
    merger, told, printed = live()
    merger.take(printed.place.path, "text", None, (CRASH,))
    assert not merger.stale
    merger.take(told.place.path, "gradtop", None, blocks(ROWS[100:110], "loss"))
    assert merger.stale


def test_what_is_told_late_is_joined_anew() -> None:
    merger, told, _ = live()
    merger.take(told.place.path, "gradtop", None, (Rows([50], {"val_loss": [0.5]}),))
    assert merger.stale
    merger.begin()
    late = [r for r in merger.records(0.0, hold=False) if isinstance(r, Rows) and "val_loss" in r.columns]
    assert all_steps(late) == [50]


def test_a_console_whose_stream_does_not_go_on_is_heard_after_a_while() -> None:
    merger, _, printed = live()
    merger.take(printed.place.path, "text", None, blocks(ROWS[100:120], "loss", "epoch"))
    assert given_out(merger, 1.0) == []
    assert set(given_out(merger, CONSOLE_S)) == {float(i) for i in range(101, 121)}


@pytest.mark.parametrize(
    "beside", [averages(50, 1 / 50, "epoch"), (Rows([300, 301], {"val_loss": [2.0, 2.0]}),), (End(status="crashed"),)]
)
def test_a_stream_that_has_ended_is_over_whatever_is_printed_beside_it(beside: tuple[Record, ...]) -> None:
    told = stream(*blocks(ROWS, "loss", "grad_norm", "lr"), End())
    view, _, _ = merged(told, console(*averages(10), *beside))
    assert view.end == End()


def test_the_end_of_an_earlier_session_is_not_that_of_the_run() -> None:
    told = stream(*timed(1, 150, 1000.0), End(), *timed(151, 300, 2000.0, restart=True))
    assert merged(told, console(*averages(10)))[0].end is None


def test_a_stream_without_an_end_takes_it_from_the_console() -> None:
    assert merged(stream(), console(*averages(10), End(status="aborted")))[0].end == End(status="aborted")


def test_a_console_that_counts_from_0_stands_at_the_steps_of_its_stream() -> None:
    printed = Rows([*range(0, 300, 10)], {"loss_d": [1.0] * 30})
    view, _, _ = merged(stream(), console(printed))
    assert (view.first_step, view.last_step, view.rows) == (1, 300, 300)
    assert steps_of(view, "loss_d") == [float(i) for i in range(1, 300, 10)]


def test_a_death_stands_behind_the_last_session_of_a_console_that_shows_one() -> None:
    """Two trainings of one command that print the same lines."""
    told = stream(*timed(1, 100, 1000.0), *timed(1, 31, 2000.0, restart=True))
    view, findings, _ = merged(told, console(*blocks(ROWS[:100], "loss"), CRASH))
    assert len(view.sessions) == 2
    assert [finding.first_step for finding in findings if finding.kind == "crashed"] == [31]
