"""Samples second by second: what is asked when, what is told while an answer is missing, and whose GPUs are whose."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from standin import Compiler, compiler
from work import until

from gradtop.hardware.answer import Gpus, OfRun, Told, Wanted
from gradtop.hardware.sampler import DEADLINE_S, FIRST_S, QUIET_S, SAMPLE_S, Sampler
from gradtop.machine import Gpu, GpuProcess, Host, Machine, Process, Worker

__all__ = ["compiler"]

RUN = Wanted("run", (Path("/logs/run"),))


def gpus(*processes: Sequence[int], host_pids: bool = False) -> Gpus:
    """A device for each list of pids."""
    listed = [tuple(GpuProcess(pid=pid, host_pid=host_pids) for pid in pids) for pids in processes]
    known = tuple(Gpu(index=i, uuid=f"GPU-{i}a", utilization=0.9, processes=these) for i, these in enumerate(listed))
    return Gpus(known, driver="595", cuda="13.1", host_pids=host_pids)


def told(pid: int = 42, visible: str | None = None, **more: object) -> Told:
    process = Process(pid=pid, state="running", workers=(Worker(pid=43),), ranks=(50,))
    return Told(Host(load=1.0), {"run": OfRun(process, "", visible)}, {42: "python train.py"}, frozenset({42, 43, 50}))


class Stage:
    """A sampler on a clock of our own, with answers that we give."""

    def __init__(self, driver: Callable[[float], Gpus], system: Callable[..., Told]) -> None:
        self.at = 100.0
        self.asked: list[float] = []
        self.sampler = Sampler(lambda: self.at, lambda: 1e9 + self.at, self._counted(driver), system)

    def _counted(self, driver: Callable[[float], Gpus]) -> Callable[[float], Gpus]:
        def ask(at: float) -> Gpus:
            self.asked.append(at)
            return driver(at)

        return ask

    def look(self, later_s: float = 0.0, *wanted: Wanted, answered: bool = True) -> dict[str, Machine]:
        self.at += later_s
        found = self.sampler.look(wanted or (RUN,))
        if answered:
            until(self.settled)
        return found

    def settled(self) -> bool:
        open_answers = (self.sampler._gpus._answer, self.sampler._told._answer)
        return all(answer is None or answer.done() for answer in open_answers)

    def sample(self) -> Machine:
        """The sample of the run, from one question and its answer."""
        self.look()
        return self.look(SAMPLE_S)["run"]


def test_a_sample_is_asked_for_and_taken_in_when_the_next_one_is_due() -> None:
    stage = Stage(lambda _: gpus([42], []), lambda *_: told())
    assert stage.look() == {}
    assert stage.sampler.due_s(stage.at) == FIRST_S
    own = stage.look(SAMPLE_S)["run"]
    assert stage.sampler.view is not None
    whole = stage.sampler.view.newest
    assert whole.time == 1e9 + 100.0
    assert (len(whole.gpus), whole.driver, whole.cuda, whole.process) == (2, "595", "13.1", None)
    assert whole.gpus[0].processes == (GpuProcess(pid=42, name="python train.py", ours=True),)
    assert [gpu.index for gpu in own.gpus] == [0]
    assert own.process is not None
    assert (own.process.gpus, own.process.gpus_why) == ((0,), "it has memory there")
    assert stage.sampler.due_s(stage.at) == SAMPLE_S
    for _ in range(4):
        stage.look(0.25)
    assert stage.asked == [100.0, 101.0, 102.0]


def test_nobody_looks_and_nothing_is_asked() -> None:
    stage = Stage(lambda _: gpus(), lambda *_: told())
    stage.look()
    threads = threading.active_count()
    stage.at += 3600.0
    assert stage.asked == [100.0]
    stage.look()
    stage.look(SAMPLE_S)
    assert len(stage.asked) == 3
    assert threading.active_count() <= threads


def test_while_no_run_is_written_samples_are_rare() -> None:
    stage = Stage(lambda _: gpus(), lambda *_: told())
    quiet = Wanted("run", (Path("/logs/run"),), written=False)
    for _ in range(20):
        stage.look(1.0, quiet)
    assert [b - a for a, b in zip(stage.asked, stage.asked[1:], strict=False)] == [QUIET_S] * 3


def test_a_run_that_turns_up_does_not_wait_for_its_first_sample() -> None:
    stage = Stage(lambda _: gpus(), lambda *_: told())
    quiet = Wanted("run", (Path("/logs/run"),), written=False)
    stage.look(0.0, quiet)
    stage.look(1.0, quiet)
    stage.look(0.5, RUN)
    assert stage.asked == [100.0, 101.5]


def test_g10_a_driver_that_hangs_is_told_of_and_holds_up_nothing() -> None:
    hang = threading.Event()
    calls = iter([False, True, False])

    def driver(at: float) -> Gpus:
        if next(calls):
            hang.wait(30)
        return gpus([42])

    stage = Stage(driver, lambda *_: told())
    threads = threading.active_count()
    stage.look()
    assert stage.look(1.0, answered=False)["run"].gpu_problem == ""
    seen = {}
    for second in range(1, 8):
        until(lambda: stage.sampler._told._answer is None or stage.sampler._told._answer.done())
        seen[second] = stage.look(1.0, answered=False).get("run")
    assert seen[1] is None
    late = [machine for machine in seen.values() if machine is not None]
    assert late[0].gpu_problem == f"NVIDIA's driver has not answered for {DEADLINE_S:.0f} s"
    assert late[-1].gpu_problem == "NVIDIA's driver has not answered for 7 s"
    whole = stage.sampler.view
    assert whole is not None
    assert whole.newest.gpus == (Gpu(index=0, uuid="GPU-0a", problem="not answering"),)
    assert all(machine.process is not None and machine.process.state == "running" for machine in late)
    assert len(stage.asked) == 2
    assert threading.active_count() <= threads + 2
    hang.set()
    until(stage.settled)
    stage.look(1.0)
    stage.look(1.0)
    found = stage.sampler.view
    assert found is not None
    assert found.newest.gpu_problem == ""


def test_a_system_that_hangs_leaves_the_gpus_alone() -> None:
    hang = threading.Event()
    calls = iter([False, True])

    def system(*_: object) -> Told:
        if next(calls):
            hang.wait(30)
        return told()

    stage = Stage(lambda _: gpus([42]), system)
    stage.look()
    assert stage.look(1.0, answered=False)["run"].process is not None
    for _ in range(4):
        until(lambda: stage.sampler._gpus._answer is None or stage.sampler._gpus._answer.done())
        own = stage.look(1.0, answered=False).get("run")
    assert own is not None
    assert (own.process, own.process_problem) == (None, "the system has not answered for 4 s")
    assert stage.sampler.view is not None
    assert stage.sampler.view.newest.gpus[0].utilization == 0.9
    assert stage.sampler.view.newest.host is None
    hang.set()


@pytest.mark.parametrize(
    ("listed", "used"), [([[42], [], [7]], (0,)), ([[7], [43], [50, 8]], (1, 2)), ([[7], [8]], ()), ([[], []], ())]
)
def test_the_gpus_of_a_run_are_those_on_which_it_its_children_or_its_ranks_have_memory(
    listed: list[list[int]], used: tuple[int, ...]
) -> None:
    own = Stage(lambda _: gpus(*listed), lambda *_: told()).sample()
    assert own.process is not None
    assert own.process.gpus == used == tuple(gpu.index for gpu in own.gpus)
    assert own.process.gpus_why == ("it has memory there" if used else "it has no memory on a GPU")


def test_an_instance_counts_for_its_device() -> None:
    divided = Gpu(index=1, processes=(), mig=(Gpu(index=0, processes=(GpuProcess(pid=42),)),))
    own = Stage(lambda _: Gpus((Gpu(index=0, processes=()), divided)), lambda *_: told()).sample()
    assert [gpu.index for gpu in own.gpus] == [1]
    assert own.gpus[0].mig[0].processes == (GpuProcess(pid=42, name="python train.py", ours=True),)


@pytest.mark.parametrize(
    ("visible", "used", "why"),
    [
        (None, (0, 1, 2), "all that this container has"),
        ("1,2", (1, 2), "CUDA_VISIBLE_DEVICES=1,2"),
        ("GPU-2a", (2,), "CUDA_VISIBLE_DEVICES=GPU-2a"),
        ("", (), "CUDA_VISIBLE_DEVICES="),
        ("-1", (), "CUDA_VISIBLE_DEVICES=-1"),
    ],
)
def test_g9_in_a_container_pids_prove_nothing(visible: str | None, used: tuple[int, ...], why: str) -> None:
    stage = Stage(lambda _: gpus([42], [2], [], host_pids=True), lambda *_: told(visible=visible))
    own = stage.sample()
    assert own.process is not None
    assert (own.process.gpus, own.process.gpus_why) == (used, why)
    assert stage.sampler.view is not None
    processes = [process for gpu in stage.sampler.view.newest.gpus for process in gpu.processes or ()]
    assert all(process.name is None and not process.ours for process in processes)


def test_a_run_without_a_process_says_why() -> None:
    own = Stage(lambda _: gpus([42]), lambda *_: Told(None, {"run": OfRun(None, "it runs on node-7")})).sample()
    assert (own.gpus, own.process, own.process_problem) == ((), None, "it runs on node-7")


def test_a_driver_that_does_not_tell_of_processes() -> None:
    silent = Gpus((Gpu(index=0, absent={"processes": "no permission"}),))
    own = Stage(lambda _: silent, lambda *_: told()).sample()
    assert own.process is not None
    assert own.process.gpus_why == "the driver does not tell which processes use a GPU"


@pytest.mark.parametrize("words", ["Init=hang0", "GetUtilizationRates=hang0", "GetCount=hang0"])
def test_g10_a_library_that_never_returns_does_not_keep_the_process_from_leaving(
    compiler: Compiler, words: str
) -> None:
    code = (
        "import time; from gradtop.hardware import sampler; sampler.DEADLINE_S = sampler.QUIET_S = 0.2\n"
        "s = sampler.Sampler(time.monotonic, time.time)\n"
        "end = time.monotonic() + 5\n"
        "while not (s.view and s.view.newest.gpu_problem and s.view.newest.host):\n"
        "    assert time.monotonic() < end; s.look(()); time.sleep(0.02)\n"
        "print(s.view.newest.gpu_problem, s.view.newest.host is not None)\n"
    )
    path = str(compiler.library().parent)
    environment = os.environ | {"LD_LIBRARY_PATH": path, "GPU_DRIVER": words}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, timeout=50)
    assert ended.stdout.startswith(b"NVIDIA's driver has not answered yet, after ")
    assert ended.stdout.rstrip().endswith(b"True")


def test_whatever_an_answer_raises_is_told_in_one_line() -> None:
    def broken(*_: object) -> Gpus:
        raise ImportError("No module named 'pynvml'")

    def missing(*_: object) -> Told:
        raise ImportError("No module named 'psutil'")

    stage = Stage(broken, missing)
    stage.look()
    assert stage.look(SAMPLE_S) == {}
    assert stage.sampler.view is not None
    found = stage.sampler.view.newest
    assert found.gpu_problem == "GPUs cannot be asked for: ImportError: No module named 'pynvml'"
    assert found.process_problem == "processes cannot be looked at: ImportError: No module named 'psutil'"
    assert found.host is None
