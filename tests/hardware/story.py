"""What happens on a machine and in a log, told second by second, and a run that is watched on such a machine."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from gradtop.config import Settings
from gradtop.finding import Finding, Severity
from gradtop.hardware.answer import Gpus, OfRun, Told
from gradtop.hardware.sampler import Sampler
from gradtop.machine import Gpu, Host, Machine, Process
from gradtop.monitor import Monitor
from gradtop.record import encode
from gradtop.snapshot import RunSnapshot

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


def change(live: Live, **process: object) -> None:
    known = {"pid": 42, "state": "sleeping", "sure": True, "cpu": 0.0} | process
    live.now = Machine(time=live.clock.at, gpus=live.now.gpus, process=Process(**known), host=live.now.host)  # type: ignore[arg-type]  # fields of `Process`


def wait(live: Live, seconds: float) -> RunSnapshot:
    end = live.clock.at + seconds
    while live.clock.at < end:
        run = live.look(5.0)
    return run
