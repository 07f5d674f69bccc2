"""Host, processes and names together, as one thread asks for them."""

import os
import sys
from pathlib import Path

from work import running, training, until

from gradtop.hardware.answer import Wanted
from gradtop.hardware.owner import Search
from gradtop.hardware.system import LATER_S, SEARCH_S, System


def test_a_process_is_looked_for_until_it_is_found_and_again_when_it_is_gone(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    system, wanted = System(), (Wanted("run", (log,), written=False),)
    nobody = system.sample(0.0, wanted, ()).runs["run"]
    assert (nobody.process, nobody.problem) == (None, "no process here has the log open for writing")
    with training(log) as first:
        assert system.sample(SEARCH_S - 0.1, wanted, ()).runs["run"].process is None
        found = system.sample(SEARCH_S, wanted, ())
        assert found.runs["run"].process is not None
        assert (found.runs["run"].process.pid, found.ours) == (first, frozenset({first}))
        assert found.host is not None
    gone = system.sample(SEARCH_S + 1, wanted, ()).runs["run"].process
    assert gone is not None
    assert (gone.pid, gone.state) == (first, "gone")
    with training(log) as second:
        found = system.sample(SEARCH_S + LATER_S, wanted, ())
        assert found.runs["run"].process is not None
        assert found.runs["run"].process.pid == second


def test_the_process_of_a_relaunch_is_looked_for_as_soon_as_the_log_tells_its_pid(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    system = System()
    for at in (0.0, 1.0):
        with training(log) as pid:
            found = system.sample(at, (Wanted("run", (log,), pid=pid, argv=("train.py",)),), ()).runs["run"].process
            assert found is not None
            assert (found.pid, found.sure) == (pid, True)


def test_a_guess_is_replaced_by_who_is_known(tmp_path: Path) -> None:
    log, other = tmp_path / "metrics.jsonl", tmp_path / "other.jsonl"
    system = System()
    with training(other) as pid:
        told = Wanted("run", (log,), pid=pid)
        guess = system.sample(0.0, (told,), ()).runs["run"].process
        assert guess is not None
        assert (guess.pid, guess.sure) == (pid, False)
        cpu = system.sample(1.0, (told,), ()).runs["run"].process
        assert cpu is not None
        assert cpu.cpu is not None
        sure = system.sample(60.0, (Wanted("run", (log,), pid=pid, argv=("train.py",)),), ()).runs["run"].process
        assert sure is not None
        assert (sure.pid, sure.sure) == (pid, True)


def test_what_runs_on_a_gpu_is_named(tmp_path: Path) -> None:
    with training(tmp_path / "log") as pid:
        names = System().sample(0.0, (), (pid, 2**22 - 1)).names
        assert names[pid].endswith("train.py")
        assert set(names) == {pid}


def test_a_run_that_is_not_wanted_any_more_is_forgotten(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    system = System()
    with training(log) as pid:
        assert system.sample(0.0, (Wanted("run", (log,)),), ()).ours == {pid}
        assert system.sample(1.0, (), ()).ours == set()


def test_who_works_beside_the_log_of_a_process_that_is_gone_is_not_its_process(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    system, wanted = System(), (Wanted("run", (log,)),)
    with training(log) as pid:
        system.sample(0.0, wanted, ())
    with running(sys.executable, "-c", "import time; time.sleep(60)", cwd=tmp_path) as other:
        until(lambda: os.readlink(f"/proc/{other}/cwd") == str(tmp_path))
        assert Search().owner(wanted[0]).pid == other
        for at in (1.0, LATER_S, 3 * LATER_S):
            found = system.sample(at, wanted, ()).runs["run"].process
            assert found is not None
            assert (found.pid, found.state, found.sure) == (pid, "gone", True)
