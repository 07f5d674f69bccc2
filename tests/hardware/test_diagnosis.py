"""Samples and rows together, from files and from a live machine to findings."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from gradtop.config import Settings
from gradtop.finding import Finding, FindingState, Severity
from gradtop.hardware.answer import Gpus, OfRun, Told
from gradtop.hardware.sampler import Sampler
from gradtop.life import GONE_S
from gradtop.machine import Gpu, Host, Machine, Process, Worker
from gradtop.monitor import Monitor
from gradtop.record import encode
from gradtop.snapshot import RunSnapshot, RunState

START = 1_700_000_000.0
TOTAL = 80 << 30


class Clock:
    """Seconds that pass when a test says so; Unix time and those of arrivals in one."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> float:
        return self.at


def machine(at: float, *, util: float = 0.95, used: int = 40 << 30, reasons: int = 0, rss: int = 4 << 30) -> Machine:
    gpu = Gpu(
        index=0, utilization=util, memory_used_bytes=used, memory_total_bytes=TOTAL, throttle_reasons=reasons,
        power_w=600.0, power_limit_w=700.0,
    )  # fmt: skip
    process = Process(pid=42, state="running", sure=True, cpu=1.2, rss_bytes=rss, gpus=(0,))
    return Machine(time=at, gpus=(gpu,), process=process, host=Host(memory_total_bytes=64 << 30))


def row(step: int, at: float, time: bool, **more: float) -> dict[str, float]:
    told = {"time": at} if time else {}
    return {"step": step, "loss": 5.0 * (step + 1) ** -0.3, "grad_norm": 0.5 + 0.1 * (step * 7 % 5), **told, **more}


Story = list[tuple[float, dict[str, float] | Machine]]
"""What happens, with the second at which it is known."""


def throttled(time: bool) -> Story:
    """From the 300th step on the driver reports heat, and a step takes 0.8 s instead of 0.5."""
    story: Story = []
    at, sampled = START, START
    for step in range(500):
        hot = step >= 300
        at += 0.8 if hot else 0.5
        while sampled < at:
            story.append((sampled, machine(sampled, reasons=0x40 if sampled > START + 150 else 0)))
            sampled += 1.0
        story.append((at, row(step, at, time, step_time_s=0.8 if hot else 0.5)))
    return story


def starved(time: bool) -> Story:
    """From the 400th step on the GPU is idle half of the time, in every second of a step of two."""
    story: Story = []
    for step in range(900):
        at = START + 2.0 * (step + 1)
        busy = (0.95, 0.97) if step < 400 else (0.05, 0.55)
        story += [(at - 1.5 + i, machine(at - 1.5 + i, util=util)) for i, util in enumerate(busy)]
        story.append((at, row(step, at, time)))
    return story


def leaking(time: bool, gib_per_step: float = 0.05) -> Story:
    """The memory of the GPU and of the process grows with every step."""
    story: Story = []
    for step in range(700):
        at = START + 1.0 * (step + 1)
        grown = int(step * gib_per_step * 2**30)
        story.append((at - 0.5, machine(at - 0.5, used=(20 << 30) + grown, rss=(4 << 30) + grown // 2)))
        story.append((at, row(step, at, time)))
    return story


STORIES: dict[str, tuple[Callable[[bool], Story], Severity]] = {
    "gpu_throttled": (throttled, Severity.WATCH), "gpu_starved": (starved, Severity.NOTICE),
    "memory_leak": (leaking, Severity.WATCH),
}  # fmt: skip


def line(said: dict[str, float] | Machine) -> bytes:
    return encode(said) if isinstance(said, Machine) else json.dumps(said).encode() + b"\n"


def settled(watching: Monitor) -> RunSnapshot:
    snapshot = watching.poll()
    while watching.backlog:
        snapshot = watching.poll()
    return snapshot.runs[0]


def read(folder: Path) -> RunSnapshot:
    clock = Clock()
    clock.at = START + 1e6
    return settled(Monitor((folder,), Settings(), now=clock, monotonic=clock))


def of_kind(run: RunSnapshot, kind: str) -> Sequence[Finding]:
    return [finding for finding in run.findings if finding.kind == kind]


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


@pytest.mark.parametrize("kind", STORIES)
def test_a_recording_beside_a_run_says_the_same_as_one_in_its_stream(tmp_path: Path, kind: str) -> None:
    story = STORIES[kind][0](True)
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (one / "metrics.jsonl").write_bytes(b"".join(line(said) for _, said in story))
    (two / "metrics.jsonl").write_bytes(b"".join(line(said) for _, said in story if not isinstance(said, Machine)))
    (two / "machine.jsonl").write_bytes(b"".join(line(said) for _, said in story if isinstance(said, Machine)))
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


class Live:
    """A run on a machine of our own: what its log, its driver and its system say is told by the test."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.log = (folder / "metrics.jsonl").open("ab", buffering=0)
        self.now = machine(START)
        self.monitor = Monitor((folder,), Settings(), sampler=self._sampler(), now=self.clock, monotonic=self.clock)

    def _sampler(self) -> Sampler:
        def driver(at: float) -> Gpus:
            return Gpus(self.now.gpus, host_pids=True)

        def system(at: float, wanted: object, pids: object) -> Told:
            return Told(self.now.host, {run.id: OfRun(self.now.process, "", "0") for run in wanted})  # type: ignore[attr-defined]  # runs

        made = Sampler(self.clock, self.clock, driver, system)
        for asked in (made._gpus, made._told):
            asked._lane = _AtOnce()  # type: ignore[assignment]  # answers at once, in this thread
        return made

    def tell(self, **fields: float) -> None:
        self.log.write(line({"step": 0, **fields}))

    def look(self, later_s: float = 0.0) -> RunSnapshot:
        self.clock.at += later_s
        return settled(self.monitor)


class _AtOnce:
    def do(self, work: object) -> object:
        from concurrent.futures import Future

        answer: Future[object] = Future()
        answer.set_result(work())  # type: ignore[operator]  # a call
        return answer


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    made = Live(tmp_path)
    for step in range(30):
        made.tell(**row(step, made.clock.at, True))
    made.look()
    yield made
    made.log.close()


def train(live: Live, rows: int, first: int, **now: float) -> RunSnapshot:
    """Rows a second apart, with a sample between them."""
    for step in range(first, first + rows):
        live.now = machine(live.clock.at, **now)  # type: ignore[arg-type]  # of `machine`
        live.look(0.5)
        live.tell(**row(step, live.clock.at, True))
        run = live.look(0.5)
    return run


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


def test_a_recording_does_not_tell_who_trains(live: Live, tmp_path: Path) -> None:
    (tmp_path / "machine.jsonl").write_bytes(line(machine(START)))
    live.look(3.0)
    run = live.look(3.0)
    assert len(run.sources) == 2
    watched = live.monitor.newest()
    assert [path.name for path in watched.wanted(0.0).paths] == ["metrics.jsonl"]
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


def change(live: Live, **process: object) -> None:
    known = {"pid": 42, "state": "sleeping", "sure": True, "cpu": 0.0} | process
    live.now = Machine(time=live.clock.at, gpus=live.now.gpus, process=Process(**known), host=live.now.host)  # type: ignore[arg-type]  # fields of `Process`


def wait(live: Live, seconds: float) -> RunSnapshot:
    end = live.clock.at + seconds
    while live.clock.at < end:
        run = live.look(5.0)
    return run


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


def test_a_relaunch_takes_the_crash_back(live: Live) -> None:
    live.tell(total_steps=5000, step=30, loss=2.0)
    train(live, 20, 31)
    change(live, state="zombie")
    assert of_kind(wait(live, 60), "crashed")
    change(live, pid=44, state="running")
    run = wait(live, 10)
    assert not of_kind(run, "crashed")
