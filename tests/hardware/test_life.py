"""What the process of a run does when its log falls silent, live and from a recording."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace
from story import START, Live, change, line, live, of_kind, read, row, train, wait

from gradtop.finding import Severity
from gradtop.life import GONE_S
from gradtop.machine import Gpu, Machine, Process, Worker
from gradtop.snapshot import RunState
from gradtop.verdict import Verdict

__all__ = ["live"]


@pytest.mark.parametrize(
    ("process", "message", "check"),
    [
        ({"state": "disk"}, "Process 42 is alive: it waits for a disk.", "cat /proc/42/wchan"),
        ({"workers": (Worker(pid=77, state="disk"),)}, "its child 77 waits for a disk.", "/proc/42/stack"),
        ({"state": "stopped"}, "Process 42 is alive: it is stopped.", "kill -CONT 42"),
        ({"cpu": 0.02}, "it waits, on 2 % of a core.", "ps --ppid 42"),
        ({"cpu": 3.0}, "it computes, on 3.0 cores.", "py-spy dump --pid 42"),
    ],
)
def test_a_stall_says_what_its_process_does_and_what_to_do(
    live: Live, process: dict[str, object], message: str, check: str
) -> None:
    train(live, 20, 30)
    change(live, **process)
    run = wait(live, 400)
    (found,) = of_kind(run, "stalled")
    assert message in found.message
    assert any(check in text for text in found.checks)
    assert run.state is RunState.STALLED
    assert next(c for c in found.criteria if c.id == "growing").evidence.startswith("process 42 is alive")


def test_a_log_that_was_silent_before_it_was_watched_is_stalled_if_somebody_has_it_open(
    live: Live, tmp_path: Path
) -> None:
    log = tmp_path / "metrics.jsonl"
    os.utime(log, (live.clock.at - 600, live.clock.at - 600))
    change(live, cpu=0.0)
    assert not of_kind(wait(live, 20), "stalled")
    os.utime(log, (live.clock.at - 7200, live.clock.at - 7200))
    (found,) = of_kind(wait(live, 20), "stalled")
    assert "Process 42 is alive" in found.message
    change(live, cpu=0.0, sure=False)
    assert not of_kind(wait(live, 20), "stalled")


def test_gpus_at_full_utilisation_and_low_power_are_a_collective_that_hangs(live: Live) -> None:
    train(live, 20, 30)
    hot = Gpu(index=0, utilization=1.0, power_w=150.0, power_limit_w=700.0)
    live.now = Machine(time=0.0, gpus=(hot,), process=Process(pid=42, state="running", sure=True, cpu=1.0))
    (found,) = of_kind(wait(live, 400), "stalled")
    assert "full utilisation at low power" in found.message
    assert any("NCCL_DEBUG" in text for text in found.checks)


def test_a_process_that_is_gone_before_its_planned_end_has_crashed(live: Live) -> None:
    live.tell(total_steps=5000, step=30, loss=2.0)
    train(live, 20, 31)
    change(live, state="gone")
    run = live.look(1.0)
    run = live.look(1.0)
    assert not of_kind(run, "crashed")
    run = wait(live, GONE_S + 2)
    (found,) = of_kind(run, "crashed")
    assert found.message == "Process 42, which wrote this log, is gone at step 50 of 5,000, and the log has no end."
    assert found.severity is Severity.INTERVENE
    assert run.state is RunState.CRASHED
    assert any("dmesg" in text for text in found.checks)


def test_a_process_that_only_might_be_the_one_proves_nothing(live: Live) -> None:
    live.tell(total_steps=5000, step=30, loss=2.0)
    train(live, 20, 31)
    change(live, state="gone", sure=False)
    assert not of_kind(wait(live, 60), "crashed")


def test_a_process_that_was_never_seen_alive_is_not_gone(live: Live) -> None:
    live.tell(total_steps=5000, step=30, loss=2.0)
    change(live, pid=43, state="gone")
    assert not of_kind(wait(live, 60), "crashed")


def test_a_process_that_ends_as_planned_has_not_crashed(live: Live) -> None:
    live.tell(total_steps=51, step=30, loss=2.0)
    train(live, 20, 31)
    change(live, state="gone")
    assert not of_kind(wait(live, 60), "crashed")


def test_a_process_that_goes_without_a_plan_and_a_word_is_told_as_gone(live: Live) -> None:
    train(live, 20, 30)
    change(live, state="gone")
    assert not of_kind(live.look(1.0), "process_gone")
    run = wait(live, GONE_S + 2)
    (found,) = of_kind(run, "process_gone")
    assert found.message.startswith("Process 42, which wrote this log, is gone after step 49, and the log does not say")
    assert (found.severity, run.state, run.judgement.verdict) == (Severity.WATCH, RunState.QUIET, Verdict.WATCH)
    assert [c.met for c in found.criteria] == [True, None, True]
    assert not of_kind(run, "crashed")
    for step in range(50, 55):
        live.tell(step=step, loss=2.0)
        run = live.look(1.0)
    assert not of_kind(run, "process_gone")
    assert run.state is RunState.LIVE


@pytest.mark.parametrize(
    ("code", "state", "kind", "said"),
    [
        (0, RunState.FINISHED, "", ""),
        (-9, RunState.CRASHED, "crashed", "was killed by signal 9 (SIGKILL) after step 49, and the log has no end."),
        (1, RunState.CRASHED, "crashed", "ended with exit code 1 after step 49, and the log has no end."),
        (-2, RunState.QUIET, "process_gone", "was stopped by signal 2 (SIGINT) after step 49."),
    ],
)
def test_an_exit_code_tells_how_a_run_without_a_plan_ended(
    live: Live, code: int, state: RunState, kind: str, said: str
) -> None:
    train(live, 20, 30)
    change(live, state="gone", exit_code=code)
    run = wait(live, 4 * GONE_S)
    assert run.state is state
    assert [f.kind for f in run.findings] == [kind] * bool(kind)
    assert all(said in f.message for f in run.findings)
    assert ("Finished" in run.judgement.summary) is (code == 0)


def test_a_process_that_ends_by_itself_before_its_planned_end_is_looked_at(live: Live) -> None:
    live.tell(total_steps=5000, step=30, loss=2.0)
    train(live, 20, 31)
    change(live, state="gone", exit_code=0)
    run = wait(live, 4 * GONE_S)
    (found,) = of_kind(run, "process_gone")
    assert found.message.endswith("ended with exit code 0 at step 50 of 5,000.")
    assert (found.severity, run.state) == (Severity.WATCH, RunState.QUIET)


def recording(states: str, pids: str = "") -> list[Machine]:
    """A sample a second, from 30 s before the last row on: a letter for each, of alive, gone."""
    pids = pids or "1" * len(states)
    known = {"a": "running", "g": "gone"}
    at = START + 100 - states.count("a")
    return [
        Machine(time=at + i, process=Process(pid=int(pid), state=known[state], sure=True))
        for i, (state, pid) in enumerate(zip(states, pids, strict=True))
    ]


@pytest.mark.parametrize(
    ("samples", "crashed"),
    [
        (recording("aaaggggggg"), True),
        (recording("aaaggg"), False),  # its last words may still have come
        (recording("gggggggg"), False),  # never seen alive
        (recording("aagggggggga"), False),
        (recording("aaggggggggg", "11222222222"), False),  # another process, which was never seen alive
    ],
)
def test_a_recording_tells_that_the_process_died(tmp_path: Path, samples: list[Machine], crashed: bool) -> None:
    rows = [row(step, START + step, True) for step in range(100)]
    rows[0]["total_steps"] = 5000
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(map(line, rows)))
    (tmp_path / "machine.jsonl").write_bytes(b"".join(map(line, samples)))
    run = read(tmp_path)
    assert bool(of_kind(run, "crashed")) is crashed
    assert (run.state is RunState.CRASHED) is crashed
    with (tmp_path / "metrics.jsonl").open("ab") as log:
        log.write(line(row(101, START + 5000, True)))
    assert not of_kind(read(tmp_path), "crashed")


@pytest.mark.parametrize(("last", "crashed"), [(99, True), (100, False)])
def test_rows_without_times_are_younger_than_a_recorded_death_by_their_steps(
    tmp_path: Path, last: int, crashed: bool
) -> None:
    rows = [row(step, 0.0, False) for step in range(last + 1)]
    rows[0]["total_steps"] = 5000
    samples = [replace(sample, session=0, step=99.0) for sample in recording("aaaggggggg")]
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(map(line, rows)))
    (tmp_path / "machine.jsonl").write_bytes(b"".join(map(line, samples)))
    assert bool(of_kind(read(tmp_path), "crashed")) is crashed


def test_a_relaunch_takes_the_crash_back(live: Live) -> None:
    live.tell(total_steps=5000, step=30, loss=2.0)
    train(live, 20, 31)
    change(live, state="zombie")
    assert of_kind(wait(live, 60), "crashed")
    change(live, pid=44, state="running")
    run = wait(live, 10)
    assert not of_kind(run, "crashed")


def test_rows_of_another_process_take_the_crash_back_before_that_one_is_found(live: Live) -> None:
    live.tell(total_steps=5000, step=30, loss=2.0)
    train(live, 20, 31)
    change(live, state="gone")
    assert of_kind(wait(live, 60), "crashed")
    for step in range(51, 56):
        live.tell(step=step, loss=2.0)
        run = live.look(1.0)
    assert not of_kind(run, "crashed")
    assert run.state is RunState.LIVE
