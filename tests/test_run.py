"""A run is what its records say, session by session."""

import math

from gradtop.record import End, Event, Model, Restart, Rows, RunFacts, Train
from gradtop.run import MAX_ALARMS, MAX_EVENTS, MAX_SERIES, WIDE, Observation, Run, Uncounted, cut


def rows(steps: list[float], **columns: list[float]) -> Rows:
    return Rows(steps=steps, columns=columns or {"loss": [float(s) for s in steps]}, lines=[int(s) for s in steps])


Seen = Observation | Uncounted | RunFacts | Event | End


def applied(run: Run, *records: Rows | RunFacts | Event | End | Restart) -> list[Seen]:
    return [seen for record in records for seen in run.apply(record)]


def test_rows_become_series_with_their_steps() -> None:
    run = Run()
    applied(run, rows([1, 2], loss=[3.0, 2.0], lr=[0.1, 0.1]), rows([3], loss=[math.nan]))
    view = run.view()
    assert view.series["loss"].steps.tolist() == [1, 2, 3]
    assert len(view.series["lr"]) == 2
    assert (view.rows, view.first_step, view.last_step) == (3, 1, 3)


def test_a_step_that_goes_back_begins_a_session() -> None:
    run = Run()
    seen = applied(run, rows([1, 2, 3, 2, 3, 4]))
    assert [(o.session.number, list(o.rows.steps)) for o in seen if isinstance(o, Observation)] == [
        (0, [1, 2, 3]),
        (1, [2, 3, 4]),
    ]
    assert run.view().sessions[1].reason == "step went back"


def test_a_repeated_step_is_not_a_restart() -> None:
    run = Run()
    applied(run, rows([5], loss=[1.0]), rows([5], val_loss=[1.1]))
    assert len(run.view().sessions) == 1


def test_values_per_layer_behind_the_row_of_their_step_are_no_row_of_their_own() -> None:
    run = Run()
    layers = rows([2], **{"grad_norm/a": [1.0], "grad_norm/b": [0.5]})
    applied(run, rows([1, 2]), layers, rows([2], **{"dead_fraction/c": [0.1]}), rows([3]))
    assert (run.view().rows, run.view().layers["grad_norm"].row_count) == (3, 1)
    alone = Run()
    applied(alone, layers, rows([4], **{"grad_norm/a": [1.0]}))
    assert alone.view().rows == 2


def test_a_restart_record_begins_a_session_at_any_step() -> None:
    run = Run()
    applied(run, rows([1, 2]), Restart(reason="truncated"), rows([3, 4]))
    assert [s.reason for s in run.view().sessions] == ["start", "truncated"]


def test_a_restart_before_the_first_row_is_no_second_session() -> None:
    run = Run()
    applied(run, Restart(reason="resumed"), rows([100]))
    assert len(run.view().sessions) == 1


def test_a_validation_by_epoch_is_no_restart_of_a_training_by_step() -> None:
    run = Run()
    epoch = Rows([1], {"val_loss": [1.5], "loss": [1.4]}, x_kind="epoch")
    later = Rows([2], {"val_loss": [1.2], "loss": [1.1]}, x_kind="epoch")
    seen = applied(run, rows([100, 200]), epoch, rows([300]), later)
    view = run.view()
    assert len(view.sessions) == 1
    assert (view.x_kind, view.rows, view.first_step, view.last_step) == ("step", 3, 100, 300)
    assert (view.series["val_loss"].x_kind, view.series["val_loss"].steps.tolist()) == ("epoch", [1, 2])
    assert view.series["loss by epoch"].values.tolist() == [1.4, 1.1]
    assert [list(o.rows.steps) for o in seen if isinstance(o, Observation)] == [[100, 200], [300]]


def test_rows_without_a_step_make_room_for_those_with_one() -> None:
    run = Run()
    applied(run, Rows([1, 2], {"loss": [9.0, 8.0]}, x_kind="row"), rows([10, 20], loss=[3.0, 2.0]))
    view = run.view()
    assert (view.x_kind, view.series["loss"].values.tolist()) == ("step", [3.0, 2.0])
    assert view.series["loss by row"].values.tolist() == [9.0, 8.0]
    assert len(view.sessions) == 1


def test_a_session_begins_once_for_all_kinds() -> None:
    run = Run()
    launch = [rows([10, 20]), Rows([1], {"accuracy": [0.5]}, x_kind="epoch")]
    applied(run, *launch, *launch)
    assert [(s.number, s.first_step) for s in run.view().sessions] == [(0, 10), (1, 10)]
    again = Run()
    applied(again, *launch, *reversed(launch))
    assert [(s.number, s.first_step) for s in again.view().sessions] == [(0, 10), (1, 10)]


def test_the_planned_end_is_told_in_what_the_run_counts() -> None:
    run = Run()
    applied(run, RunFacts(train=Train(total_steps=900, epochs=3)), Rows([1], {"loss": [2.0]}, x_kind="epoch"))
    assert run.view().total == 3
    applied(run, rows([10]))
    assert run.view().total == 900


def test_facts_are_merged_the_newer_on_top() -> None:
    run = Run()
    applied(
        run,
        RunFacts(run="a", train=Train(total_steps=10, warmup_steps=2)),
        RunFacts(model=Model(params=5), train=Train(total_steps=20)),
    )
    facts = run.view().facts
    assert (facts.run, facts.model.params, facts.train.total_steps, facts.train.warmup_steps) == ("a", 5, 20, 2)


def test_rows_after_the_end_mean_that_it_goes_on() -> None:
    run = Run()
    applied(run, rows([1]), End())
    assert run.view().end is not None
    applied(run, rows([2]))
    assert run.view().end is None


def test_events_are_bounded_the_first_alarms_and_the_newest_others() -> None:
    run = Run()
    many = [Event(event="checkpoint", step=i) for i in range(MAX_EVENTS + 50)]
    applied(run, Event(event="alarm", message="first"), *many, Event(event="crash", message="last"))
    events = run.view().events
    assert len(events) == MAX_EVENTS + 2
    assert (events[0].message, events[1].step, events[-1].message) == ("first", 50, "last")
    applied(run, *(Event(event="alarm") for _ in range(MAX_ALARMS + 50)))
    assert sum(event.event == "alarm" for event in run.view().events) == MAX_ALARMS - 1


def test_a_flood_of_names_is_bounded_and_counted() -> None:
    run = Run()
    applied(run, rows([1], **{f"m{i}": [1.0] for i in range(MAX_SERIES + 7)}))
    assert len(run.view().series) == MAX_SERIES
    assert run.view().series_dropped == 7


def test_cut_takes_lines_and_columns_along() -> None:
    part = cut(rows([1, 2, 3], loss=[1.0, 2.0, 3.0]), 1, 2)
    assert (list(part.steps), list(part.columns["loss"]), list(part.lines)) == ([2], [2.0], [2])


STREAM = RunFacts(session=1)


def test_a_stream_that_tells_late_of_an_older_step_begins_no_session() -> None:
    run = Run()
    seen = applied(run, STREAM, rows([1, 2, 3, 4]), rows([2], val_loss=[0.5]), rows([5]), rows([4], val_loss=[0.4]))
    view = run.view()
    assert (len(view.sessions), view.last_step, view.rows) == (1, 5, 7)
    assert view.series["val_loss"].steps.tolist() == [2, 4]
    told = [list(o.rows.steps) for o in seen if isinstance(o, Observation) and "val_loss" in o.rows.columns]
    assert told == [[4], [5]]


def test_a_value_older_than_the_newest_of_its_series_stands_beside_it() -> None:
    run = Run()
    applied(run, STREAM, rows([1, 2, 3, 4]), rows([3, 2, 5], val_loss=[0.3, 0.2, 0.5]))
    assert run.view().series["val_loss"].steps.tolist() == [3, 3, 5]
    assert len(run.view().sessions) == 1


def test_a_loop_of_a_stream_that_is_rewound_begins_a_session() -> None:
    run = Run()
    applied(run, STREAM, rows([1, 2, 3]), rows([2], loss=[1.0], val_loss=[1.0]))
    assert [session.reason for session in run.view().sessions] == ["start", "step went back"]


def test_a_row_beside_the_training_begins_a_session_where_no_stream_says_otherwise() -> None:
    for first in (rows([1, 2, 3]), rows([1, 2, 3], reward=[1.0, 2.0, 3.0])):
        run = Run()
        applied(run, first, rows([2], reward=[0.5]))
        assert len(run.view().sessions) == 2


def layers(step: int, n: int = WIDE, without: int = -1) -> Rows:
    return Rows([step], {f"grad_norm/l{i}": (float(step + i),) for i in range(n) if i != without})


def test_rows_of_many_layers_are_stored_as_any_others() -> None:
    run = Run()
    for step in range(1, 6):
        applied(run, rows([step]), layers(step, without=0 if step == 3 else -1))
    applied(run, rows([5], **{"grad_norm/l1": [9.0]}), Restart(reason="resumed"), layers(2))
    view = run.view()
    grid = view.layers["grad_norm"]
    assert not any("/" in name for name in view.series)
    assert grid.first.tolist() == [1, 2]
    assert (grid.stats(0).count, grid.stats(0).last, grid.stats(0).high) == (5, 2, 5)
    assert (grid.stats(1).count, grid.stats(1).last, grid.stats(1).high) == (7, 3, 9)
    assert (view.rows, len(view.sessions)) == (6, 2)
