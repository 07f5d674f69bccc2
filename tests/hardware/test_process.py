"""A training process sample by sample: real ones, that work, sleep, fork, stop and die."""

import errno
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from work import running, training, until

from gradtop.hardware.process import CHILDREN_S, ProcessReader, Rate, short
from gradtop.machine import Machine, Process
from gradtop.record import encode

TELLS = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2]) >= (6, 15)
"""The kernel tells everybody how a process ended."""


def test_a_busy_process_is_measured(tmp_path: Path) -> None:
    with training(tmp_path / "log", "0", "busy") as pid:
        watched = ProcessReader(pid, "it was told", sure=True)
        first = watched.sample(0.0)
        used = psutil.Process(pid).cpu_times().user
        until(lambda: psutil.Process(pid).cpu_times().user > used)
        found = watched.sample(0.5)
        assert first.cpu is None
        assert found.cpu is not None
        assert found.cpu > 0.0
        assert found.rss_bytes == pytest.approx(psutil.Process(pid).memory_info().rss, rel=0.1)
        assert (found.pid, found.threads, found.found_by, found.sure) == (pid, 1, "it was told", True)
        assert found.name == f"{os.path.basename(sys.executable)} train.py"
        assert (found.read_bytes_per_s, found.absent) == (0.0, {})


def test_children_come_and_go(tmp_path: Path) -> None:
    with training(tmp_path / "log", "2") as pid:
        until(lambda: len(psutil.Process(pid).children(recursive=True)) == 3)
        watched = ProcessReader(pid)
        found = watched.sample(0.0)
        # Two forks make three children: the first one forks again.
        assert (found.worker_count, len(found.workers)) == (3, 3)
        assert set(watched.family) == {pid, *(worker.pid for worker in found.workers)}
        assert all(worker.rss_bytes and worker.state == "sleeping" for worker in found.workers)
        gone = found.workers[-1].pid
        os.kill(gone, signal.SIGKILL)
        until(lambda: psutil.Process(gone).status() == psutil.STATUS_ZOMBIE)
        states = {worker.pid: worker.state for worker in watched.sample(CHILDREN_S).workers}
        assert states[gone] == "zombie"


def test_a_stopped_process_says_so(tmp_path: Path) -> None:
    with training(tmp_path / "log") as pid:
        watched = ProcessReader(pid)
        os.kill(pid, signal.SIGSTOP)
        until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        assert watched.sample(0.0).state == "stopped"


def test_a_dead_process_is_a_zombie_and_then_gone(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    watched = ProcessReader(child.pid)
    child.kill()
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    found = watched.sample(0.0)
    assert (found.state, found.exit_code) == ("zombie", -signal.SIGKILL)
    child.wait()
    found = watched.sample(1.0)
    assert (found.state, found.pid, found.cpu, found.rss_bytes) == ("gone", child.pid, None, None)
    with pytest.raises(psutil.Error):
        ProcessReader(child.pid)


@pytest.mark.parametrize(("end", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", -15)])
def test_how_a_process_ended_is_known_where_the_system_tells(end: str, code: int) -> None:
    """The process is not ours: a shell starts it, and asks how it ended before we do."""
    shell = f"exec 3<&0; sh -c 'read line; {end}' <&3 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", shell], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        watched = ProcessReader(int(parent.stdout.readline()))
        assert watched.sample(0.0).exit_code is None
        parent.communicate("go\n", timeout=8)
    found = watched.sample(1.0)
    assert (found.state, found.exit_code) == ("gone", code if TELLS else None)


def test_a_process_that_cannot_be_held_on_to_ends_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int) -> int:
        raise OSError(errno.ENOSYS, "no such call")

    monkeypatch.setattr(os, "pidfd_open", refused)
    with running("sleep", "60") as pid:
        watched = ProcessReader(pid)
    assert (watched.sample(0.0).state, watched.sample(0.0).exit_code) == ("gone", None)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (None, ""),
        (0, "ended with exit code 0"),
        (-9, "was killed by signal 9 (SIGKILL)"),
        (-2, "was stopped by signal 2 (SIGINT)"),
        (-40, "was killed by signal 40"),
    ],
)
def test_an_exit_code_is_told_in_words(code: int | None, said: str) -> None:
    assert Process(pid=1, exit_code=code).outcome == said


def test_what_may_not_be_looked_at_is_absent_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: object) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "io_counters", denied)
    monkeypatch.setattr(psutil.Process, "num_threads", denied)
    with running("sleep", "60") as pid:
        found = ProcessReader(pid).sample(0.0)
    assert found.absent == dict.fromkeys(("threads", "read_bytes_per_s", "write_bytes_per_s"), "no permission")
    assert found.rss_bytes


def test_a_counter_that_falls_tells_no_rate() -> None:
    rate = Rate()
    assert [rate.see(at, count) for at, count in ((0.0, 5.0), (2.0, 9.0), (2.0, 9.0), (3.0, 1.0), (4.0, 1.0))] == [
        None, 2.0, None, None, 0.0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("/usr/bin/python3", "-u", "src/train.py", "--token", "secret"), "python3 train.py"),
        (("python", "-m", "torchtitan.train", "--job.config"), "python -m torchtitan.train"),
        (("python", "-u", "-m", "train.main"), "python -m train.main"),
        (("python3", "-c", "key = 'secret'; train(key)"), "python3 -c"),
        (("/opt/bin/trainer", "--key=secret"), "trainer"),
        ((), ""),
    ],
)
def test_a_name_says_what_runs_and_no_more(command: tuple[str, ...], name: str) -> None:
    assert short(command) == name


def test_a_name_that_is_no_text_can_be_written_down(tmp_path: Path) -> None:
    script = os.fsencode(tmp_path) + b"/tr\xffain\x1b]0;x.py"
    with open(script, "w") as file:
        file.write("import time; time.sleep(60)")
    with running(sys.executable, os.fsdecode(script)) as pid:
        until(lambda: "x.py" in "".join(psutil.Process(pid).cmdline()))
        found = ProcessReader(pid).sample(0.0)
    assert found.name.endswith("tr?ain\x1b]0;x.py")
    assert encode(Machine(time=1.0, process=found))
