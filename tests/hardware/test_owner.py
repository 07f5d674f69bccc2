"""Who writes a log, told of real processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from work import running, training, until

from gradtop.hardware.answer import Wanted
from gradtop.hardware.owner import Proc, Search


def owner(log: Path, **known: object) -> tuple[int | None, str, bool, str]:
    found = Search().owner(Wanted("run", (log,), **known))  # type: ignore[arg-type]  # fields of `Wanted`
    return found.pid, found.how, found.sure, found.problem


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "metrics.jsonl"


IMPORTS = (
    "from pathlib import Path; from gradtop.hardware.answer import Wanted; from gradtop.hardware.owner import Search"
)
HELD = "it has the log open for writing"


def test_who_has_the_log_open_for_writing(log: Path) -> None:
    with training(log) as pid, log.open() as reader:
        assert owner(log) == (pid, HELD, True, "")
        assert reader.readable()
    assert owner(log, written=False) == (None, "", False, "no process here has the log open for writing")


@pytest.mark.parametrize(
    ("name", "command", "starts"),
    [
        ("python", ("python", "/home/me/gradtop/train.py"), False),
        ("python", ("python", "-u", "train.py", "-m", "torch.distributed.run"), False),
        ("python", ("python", "-m", "torch.distributed.run", "train.py"), True),
        ("python3", ("/usr/bin/python3", "/opt/bin/torchrun", "train.py"), True),
        ("gradtop", ("/venv/bin/python", "/venv/bin/gradtop", "run", "--", "train.py"), True),
        ("bash", ("bash", "train.sh"), True),
        ("trainer", (), False),
    ],
)
def test_who_starts_others(name: str, command: tuple[str, ...], starts: bool) -> None:
    assert Proc(1, 0, name, command, 0.0).starts_others is starts


def test_children_that_inherited_the_log_are_not_the_training(log: Path) -> None:
    with training(log, "2") as pid:
        assert owner(log)[:2] == (pid, HELD)


def test_a_link_leads_to_the_same_log(log: Path, tmp_path: Path) -> None:
    (tmp_path / "newest").symlink_to(log.parent)
    with training(log) as pid:
        assert owner(tmp_path / "newest" / log.name)[0] == pid


def test_behind_a_shell_and_a_pipe_stands_the_training(log: Path) -> None:
    code = "import time, sys; print('loss 1', flush=True); time.sleep(60)"
    with running("sh", "-c", f'{sys.executable} -c "{code}" 2>&1 | tee {log}'):
        until(lambda: log.exists() and log.read_text())
        found, how, sure, _ = owner(log)
        assert found is not None
        assert (how, sure) == (HELD, True)
        assert b"time.sleep(60)" in Path(f"/proc/{found}/cmdline").read_bytes()
        assert Path(f"/proc/{found}/comm").read_text().startswith("python")


def test_who_only_passes_on_what_another_writes_is_named_and_is_not_the_training(log: Path) -> None:
    reading, writing = os.pipe()
    with running("tee", str(log), stdin=reading):
        os.close(reading)
        os.write(writing, b"loss 1\n")
        until(lambda: log.exists() and log.read_text())
        os.set_inheritable(writing, False)
        assert owner(log) == (None, "", False, "only tee has the log open, for a process that is not to be seen")
    os.close(writing)


def test_behind_a_redirected_shell_stands_the_training(log: Path) -> None:
    code = "import time; print('loss 1', flush=True); time.sleep(60)"
    with running("sh", "-c", f'{sys.executable} -c "{code}"; true', stdout=os.open(log, os.O_WRONLY | os.O_CREAT)):
        until(lambda: log.read_text())
        found = owner(log)[0]
        assert found is not None
        assert Path(f"/proc/{found}/comm").read_text().startswith("python")


def test_who_writes_into_our_pipe(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with running(sys.executable, "-c", "import time; time.sleep(60)", stdout=writing) as pid:
        os.close(writing)
        pipe = os.readlink(f"/proc/self/fd/{reading}")
        assert owner(Path("-"), pipe=pipe) == (pid, HELD, True, "")
    os.close(reading)


def test_a_pid_in_the_log_is_believed_where_everything_fits(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere.jsonl"
    now = time.time()
    with training(log) as pid:
        known = {"pid": pid, "host": os.uname().nodename, "since": now + 1, "argv": ("src/train.py",)}
        assert owner(other, **known) == (pid, "its pid is in the log", True, "")
        assert owner(other, pid=pid) == (pid, "its pid is in the log", False, "")
        # The pid was used again: another script, or a process that is younger than the log.
        assert owner(other, **known | {"argv": ("eval.py",), "written": False})[0] is None
        assert owner(other, **known | {"since": now - 3600, "written": False})[0] is None


def test_a_pid_that_is_not_here_is_named(log: Path) -> None:
    log.touch()
    assert owner(log, pid=2**22 - 1, written=False)[3] == (
        "process 4194303, which wrote the log, is not here: it is over, or in another container"
    )


def test_another_host_is_named(log: Path) -> None:
    with training(log) as pid:
        assert (
            owner(log, host="node-7.cluster", pid=pid)[3] == f"it runs on node-7.cluster: this is {os.uname().nodename}"
        )
        assert owner(log, host=os.uname().nodename.upper() + ".cluster")[0] == pid


def test_a_notebook_is_found_and_proves_nothing(log: Path) -> None:
    kernel = log.parent / "ipykernel_launcher.py"
    kernel.write_text("import sys, time; f = open(sys.argv[1], 'a'); f.write('loss 1'); f.flush(); time.sleep(60)")
    with running(sys.executable, str(kernel), str(log)) as pid:
        until(lambda: log.exists() and log.read_text())
        assert owner(log) == (pid, HELD, False, "")


def test_who_works_beside_a_log_that_is_written_is_a_guess(tmp_path: Path) -> None:
    log = tmp_path / "runs" / "exp1" / "train.log"
    log.parent.mkdir(parents=True)
    with running(sys.executable, "-c", "import time; time.sleep(60)", cwd=tmp_path) as pid:
        until(lambda: os.readlink(f"/proc/{pid}/cwd") == str(tmp_path))
        assert owner(log) == (pid, "it works in the directory of the log", False, "")
        assert owner(log, written=False)[0] is None
        with running(sys.executable, "-c", "import time; time.sleep(61)", cwd=tmp_path) as other:
            until(lambda: os.readlink(f"/proc/{other}/cwd") == str(tmp_path))
            assert owner(log)[0] is None


def test_ranks_of_one_launch_are_siblings_with_one_command(log: Path) -> None:
    script = log.parent / "rank.py"
    script.write_text("import sys, time; open(sys.argv[1], 'a').close(); f = open(sys.argv[1], 'a'); time.sleep(60)")
    one = f"RANK=1 {sys.executable} {script} {log} &"
    zero = f"RANK=0 {sys.executable} {script} {log} &"
    with running("sh", "-c", f"export WORLD_SIZE=2; {one} {zero} wait"):
        until(lambda: len(Search()._holders(Wanted("run", (log,)))) == 2)
        found = owner(log)[0]
        assert found is not None
        search = Search()
        assert search.environment(found)["RANK"] == "0"
        (other,) = search.ranks(found)
        assert search.environment(other)["RANK"] == "1"


def test_a_search_ends_in_time(log: Path) -> None:
    seconds = iter([0.0, *[0.1] * 5, *[9.0] * 1000])
    search = Search(clock=lambda: next(seconds))
    assert search.owner(Wanted("run", (log,))).pid is None


def test_without_proc_there_is_nobody(tmp_path: Path) -> None:
    assert Search(tmp_path / "proc").owner(Wanted("run", (tmp_path / "log",))).problem


@pytest.mark.root
def test_processes_of_others_that_cannot_be_looked_into_are_counted(log: Path) -> None:
    code = f"{IMPORTS}\nprint(Search().owner(Wanted('run', (Path({str(log)!r}),), written=False)).problem)"
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--ambient-caps=-all", "--inh-caps=-all"]
    with training(log):
        ended = subprocess.run([*nobody, sys.executable, "-c", code], capture_output=True, check=True, timeout=50)
    assert b"processes of other users cannot be looked into" in ended.stdout


@pytest.mark.root
def test_in_a_namespace_of_its_own_the_pid_in_the_log_means_nothing(log: Path) -> None:
    code = (
        f"{IMPORTS}\n"
        "from gradtop.hardware.driver import host_pids\n"
        f"print(host_pids(), Search().owner(Wanted('run', (Path({str(log)!r}),), pid=PID, written=False)).problem)"
    )
    with training(log) as pid:
        command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code.replace("PID", str(pid))]
        ended = subprocess.run(command, capture_output=True, check=True, timeout=50)
    assert ended.stdout.startswith(b"True process")
    assert b"in another container" in ended.stdout
