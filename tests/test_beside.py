"""Where samples stand among rows."""

import math
from array import array

from hypothesis import given
from hypothesis import strategies as st

from gradtop.beside import MOST_KEPT, Sampled, Samples, Waiting, together, values
from gradtop.machine import SAMPLES_KEPT, Gpu, Host, Machine, Process
from gradtop.record import Rows
from gradtop.run import Observation, Session

USED = "gpu0/memory_used_bytes"


def machine(at: float, *gpus: Gpu, process: Process | None = None) -> Machine:
    return Machine(time=at, gpus=gpus, process=process, host=Host(memory_total_bytes=100, memory_limit_bytes=50))


def seen(steps: list[int], times: list[float] | None = None, session: int = 0) -> Observation:
    columns = {"loss": [1.0] * len(steps)} | ({"time": times} if times else {})
    return Observation(Rows(steps, columns, lines=[step + 10 for step in steps]), Session(session, 0.0, "start"))


def sampled(time: float, session: int, step: float, known: dict[str, float]) -> Sampled:
    return Sampled(time, session, step, tuple(known), array("d", known.values()))


def at(time: float, value: float, session: int = 0, step: float = -math.inf) -> Sampled:
    return sampled(time, session, step, {USED: value})


def told(waiting: Waiting, *observations: Observation) -> list[tuple[float, float | None]]:
    """(step, what the sample in that row says) of all rows."""
    parts = [part for observation in observations for part in waiting.onto(observation)]
    found = []
    for part in parts:
        column = part.rows.columns.get(USED, [None] * len(part.rows))
        assert all(len(c) == len(part.rows.lines) == len(part.rows) for c in part.rows.columns.values())
        assert list(part.rows.lines) == [step + 10 for step in part.rows.steps]
        found += list(zip(part.rows.steps, column, strict=True))
    return found


def test_by_time_a_sample_stands_in_the_first_row_after_it() -> None:
    waiting = Waiting([at(5.0, 1.0), at(12.0, 2.0), at(13.0, 3.0), at(20.0, 4.0), at(99.0, 5.0)])
    rows = [seen([1, 2, 3], [10.0, 20.0, 30.0]), seen([4], [98.0])]
    assert told(waiting, *rows) == [(1, 1.0), (2, 4.0), (3, None), (4, None)]
    assert told(waiting, seen([5, 6], [99.0, 100.0])) == [(5, 5.0), (6, None)]


def test_without_times_a_sample_stands_behind_what_was_there() -> None:
    waiting = Waiting([at(1.0, 1.0, 0, 2), at(2.0, 2.0, 0, 2), at(3.0, 3.0, 1, 1)])
    assert told(waiting, seen([1, 2, 3, 4])) == [(1, None), (2, None), (3, 2.0), (4, None)]
    assert told(waiting, seen([1, 2], session=1)) == [(1, None), (2, 3.0)]


def test_a_recording_that_tells_no_steps_stands_before_rows_without_times() -> None:
    assert told(Waiting([at(1.0, 1.0), at(2.0, 2.0)]), seen([1, 2])) == [(1, 2.0), (2, None)]


def test_what_a_row_says_itself_stands() -> None:
    row = Observation(Rows([1], {USED: [7.0], "time": [2.0]}, lines=[11]), Session(0, 0.0, "start"))
    assert told(Waiting([at(1.0, 1.0)]), row) == [(1, 7.0)]


@given(st.lists(st.floats(0, 100), max_size=30), st.lists(st.integers(1, 10), min_size=1, max_size=8))
def test_it_does_not_matter_how_rows_are_cut_into_blocks(samples: list[float], sizes: list[int]) -> None:
    kept = [at(time, time) for time in sorted(samples)]
    n = sum(sizes)
    steps, times = list(range(n)), [100.0 * i / n for i in range(n)]
    blocks, start = [], 0
    for size in sizes:
        blocks.append(seen(steps[start : start + size], times[start : start + size]))
        start += size
    assert told(Waiting(kept), *blocks) == told(Waiting(kept), seen(steps, times))


def test_several_samples_are_one() -> None:
    both = together(
        [
            sampled(1.0, 0, 0, {"gpu0/utilization": 0.2, "gpu0/throttle_reasons": 4.0, USED: 9.0}),
            sampled(2.0, 0, 0, {"gpu0/utilization": 0.6, "gpu0/throttle_reasons": 64.0, USED: 5.0, "rss_bytes": 1.0}),
        ]
    )
    assert both == {"gpu0/utilization": 0.4, "gpu0/throttle_reasons": 68.0, USED: 5.0, "rss_bytes": 1.0}


def test_rules_look_at_the_devices_of_the_process_and_at_its_memory() -> None:
    gpus = Gpu(index=0, utilization=0.0), Gpu(index=3, utilization=0.5, absent={"throttle_reasons": "lost"})
    assert values(machine(1.0, *gpus)) == {"gpu0/utilization": 0.0, "gpu3/utilization": 0.5}
    assert values(machine(1.0, *gpus, process=Process(pid=1, rss_bytes=7, gpus=(3,)))) == {
        "gpu3/utilization": 0.5, "rss_bytes": 7.0, "memory_total_bytes": 50.0,
    }  # fmt: skip


def test_gpus_that_others_leave_idle_say_nothing_of_a_run() -> None:
    idle = Gpu(index=0, utilization=0.0)
    for process in (
        Process(pid=1, gpus_why="it has no memory on a GPU"),
        Process(pid=1, gpus=(3,), gpus_why="it has memory there"),
    ):
        assert values(machine(1.0, idle, process=process)) == {}
    assert values(Machine(time=1.0, gpus=(idle,), process_problem="no process here has the log open")) == {}
    assert values(machine(1.0, idle, process=Process(pid=1))) == {"gpu0/utilization": 0.0}


def test_samples_are_bounded_and_the_newest_are_whole() -> None:
    samples = Samples()
    assert samples.view() is None
    n = 2 * MOST_KEPT
    for i in range(n):
        samples.add(machine(float(i), Gpu(index=0, utilization=0.5, memory_used_bytes=i)), 0, float(i))
    view = samples.view()
    assert view is not None
    assert view is samples.view()
    assert (len(view.samples), view.times[0], view.newest.time) == (SAMPLES_KEPT, n - SAMPLES_KEPT, n - 1)
    kept = list(samples.waiting()._samples)
    assert [k.time for k in kept] == sorted(k.time for k in kept)
    assert kept[-1].values[USED] == n - 1
    assert len(samples._kept) <= MOST_KEPT


def recorded(at: float) -> Machine:
    return Machine(time=at, process=Process(pid=7), line=1)


def test_what_is_recorded_while_it_is_watched_is_here_already() -> None:
    samples = Samples()
    samples.add(recorded(10.0), 0, 0.0)
    samples.add(machine(20.0, process=Process(pid=7)), 0, 0.0)
    assert [samples.wants(recorded(at)) for at in (15.0, 20.0, 21.0)] == [True, False, False]


def test_a_machine_that_does_not_run_it_says_nothing_where_there_is_a_recording() -> None:
    samples = Samples()
    assert samples.wants(machine(20.0))
    samples.add(recorded(19.0), 0, 0.0)
    assert not samples.wants(machine(20.0))
    assert not samples.wants(machine(1e6))
    assert samples.wants(machine(1e6, process=Process(pid=7)))


def test_a_sample_without_anything_for_the_rules_is_shown_and_not_joined() -> None:
    samples = Samples()
    assert samples.add(Machine(time=1.0, process_problem="it runs on n1"), 0, 0.0) is None
    view = samples.view()
    assert view is not None
    assert view.newest.process_problem == "it runs on n1"
    assert not samples.waiting()._samples
