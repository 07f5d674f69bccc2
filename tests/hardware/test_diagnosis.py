"""Samples and rows together, from files and from a live machine to findings."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace
from story import (
    START,
    STORIES,
    Live,
    Story,
    leaking,
    line,
    live,
    machine,
    of_kind,
    read,
    row,
    starved,
    throttled,
    train,
)

from gradtop.finding import FindingState
from gradtop.machine import Machine

__all__ = ["live"]


@pytest.mark.parametrize("time", [True, False], ids=["with times", "without times"])
@pytest.mark.parametrize("kind", STORIES)
def test_samples_in_the_stream_of_a_run_lead_to_a_finding(tmp_path: Path, kind: str, time: bool) -> None:
    story, severity = STORIES[kind]
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(line(said) for _, said in story(time)))
    run = read(tmp_path)
    found = of_kind(run, kind)
    assert found, run.findings
    assert max(f.severity for f in found) >= severity
    assert found[0].state is FindingState.ACTIVE
    assert found[0].criteria
    assert run.machine is not None
    assert run.machine.recorded


def recorded(story: Story) -> list[Machine]:
    """The samples of a story as they are recorded: each with the newest step of the run."""
    samples: list[Machine] = []
    step = None
    for _, said in story:
        if isinstance(said, Machine):
            samples.append(replace(said, session=0 if step is not None else None, step=step))
        else:
            step = said["step"]
    return samples


@pytest.mark.parametrize("time", [True, False], ids=["with times", "without times"])
@pytest.mark.parametrize("kind", STORIES)
def test_a_recording_beside_a_run_says_the_same_as_one_in_its_stream(tmp_path: Path, kind: str, time: bool) -> None:
    story = STORIES[kind][0](time)
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (one / "metrics.jsonl").write_bytes(b"".join(line(said) for _, said in story))
    (two / "metrics.jsonl").write_bytes(b"".join(line(said) for _, said in story if not isinstance(said, Machine)))
    (two / "machine.jsonl").write_bytes(b"".join(map(line, recorded(story))))
    together, beside = read(one), read(two)
    assert [(f.id, f.severity, f.raised_step) for f in of_kind(together, kind)] == [
        (f.id, f.severity, f.raised_step) for f in of_kind(beside, kind)
    ]
    assert beside.path == two
    assert len(beside.sources) == 2
    assert beside.machine is not None


def test_slower_steps_are_explained_by_what_slows_the_gpu_down(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(line(said) for _, said in throttled(True)))
    run = read(tmp_path)
    (slower,) = of_kind(run, "throughput_drop")
    (found,) = of_kind(run, "gpu_throttled")
    assert slower.state is found.state is FindingState.ACTIVE
    assert "heat (hardware limit)" in found.message
    assert abs(found.first_step - 300) < 5
    assert run.judgement.primary is not None
    assert run.judgement.primary.kind == "gpu_throttled"


def test_memory_of_the_device_and_of_the_process_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(line(said) for _, said in leaking(True)))
    found = of_kind(read(tmp_path), "memory_leak")
    assert {finding.scope for finding in found} == {"gpu0/memory_used_bytes", "rss_bytes"}
    assert all("full_at_step" in finding.evidence for finding in found)


def test_without_samples_nothing_is_found(tmp_path: Path) -> None:
    rows = [line(said) for _, said in starved(True) if not isinstance(said, Machine)]
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(rows))
    run = read(tmp_path)
    assert not of_kind(run, "gpu_starved")
    assert any(c.kind == "gpu_starved" and c.why for c in run.coverage)


def test_a_run_that_is_old_is_not_judged_by_what_the_machine_does_now(tmp_path: Path) -> None:
    rows: list[dict[str, float] | Machine] = [said for _, said in starved(True) if not isinstance(said, Machine)]
    now = [machine(START + 1e6 + i, util=0.0) for i in range(200)]
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(line(said) for said in (*rows, *now)))
    assert not of_kind(read(tmp_path), "gpu_starved")


def test_rows_that_come_faster_than_samples(tmp_path: Path) -> None:
    """Ten rows a second: a sample stands in one of them, and idle GPUs are found all the same."""
    said: list[dict[str, float] | Machine] = []
    for second in range(270):
        said.append(machine(START + second, util=0.95 if second < 130 else 0.1))
        said += [row(10 * second + i, START + second + 0.1 * i, True) for i in range(10)]
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(map(line, said)))
    found = of_kind(read(tmp_path), "gpu_starved")
    assert found
    assert 1300 <= found[0].first_step <= 1320


def test_live_samples_reach_the_rules_and_the_snapshot(live: Live) -> None:
    run = train(live, 130, 30)
    assert not of_kind(run, "gpu_starved")
    run = train(live, 130, 160, util=0.1)
    (found,) = of_kind(run, "gpu_starved")
    assert found.state is FindingState.ACTIVE
    assert run.machine is not None
    assert not run.machine.recorded
    assert run.machine.newest.process is not None
    assert run.machine.newest.process.gpus == (0,)
    assert len(run.machine.samples) > 200
    snapshot = live.monitor.poll()
    assert snapshot.machine is not None
    assert snapshot.machine.newest.host is not None


def test_who_works_beside_an_old_log_is_not_asked_for(live: Live, tmp_path: Path) -> None:
    live.look(3.0)
    watched = live.monitor.newest()
    changed = (tmp_path / "metrics.jsonl").stat().st_mtime
    assert watched.wanted(1e9, changed + 50).written
    assert not watched.wanted(1e9, changed + 70).written


def test_a_recording_does_not_tell_who_trains(live: Live, tmp_path: Path) -> None:
    (tmp_path / "machine.jsonl").write_bytes(line(machine(START)))
    live.look(3.0)
    run = live.look(3.0)
    assert len(run.sources) == 2
    watched = live.monitor.newest()
    assert [path.name for path in watched.wanted(0.0, START).paths] == ["metrics.jsonl"]
    # It grows whatever the run does.
    os.utime(tmp_path / "machine.jsonl", (START + 500, START + 500))
    os.utime(tmp_path / "metrics.jsonl", (START, START))
    assert live.look(2.0).changed_at == START


def test_findings_outlive_a_source_that_turns_up_later(live: Live, tmp_path: Path) -> None:
    train(live, 130, 30)
    run = train(live, 130, 160, util=0.1)
    before = of_kind(run, "gpu_starved")
    assert before
    told = (f"{i},{row(i, 0.0, False)['loss']!r},{i / 300}\n" for i in range(250))
    (tmp_path / "metrics.csv").write_text("step,loss,accuracy\n" + "".join(told))
    for _ in range(5):
        run = live.look(3.0)
    assert "accuracy" in run.view.series
    assert len(run.sources) == 2
    assert [f.id for f in of_kind(run, "gpu_starved")] == [f.id for f in before]
