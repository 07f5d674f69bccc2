"""`check --follow` beside a training that is killed, on this machine."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from work import running, until

from gradtop.record import decode_object

TRAINING = """
import sys, time
with open(sys.argv[1], "a", buffering=1) as out:
    for step in range(100000):
        out.write(f"step {step}: loss {5 / (step + 1):.4f}\\n")
        time.sleep(0.02)
"""


@pytest.mark.timeout(60)
def test_a_training_that_is_killed_is_told_although_its_log_says_nothing(tmp_path: Path) -> None:
    log, samples, told = tmp_path / "train.log", tmp_path / "machine.jsonl", tmp_path / "told"
    options = ["--follow", "--json", "--record", str(samples)]
    with running(sys.executable, "-c", TRAINING, str(log)) as pid, told.open("w") as out:
        until(lambda: log.exists() and log.read_bytes().count(b"\n") > 30)
        command = [sys.executable, "-m", "gradtop", "check", *options, str(log)]
        with subprocess.Popen(command, stdout=out) as following:
            try:
                until(lambda: samples.exists() and f'"pid":{pid},' in samples.read_text(), 20)
                # We are its parent and do not ask how it ended: it is a zombie, and its exit code can be read.
                os.kill(pid, signal.SIGKILL)
                following.wait(20)
            finally:
                following.kill()
    last = decode_object(told.read_bytes().splitlines()[-1])
    assert following.returncode == 2
    assert f"Process {pid}, which wrote this log, was killed by signal 9 (SIGKILL)" in str(last["message"])
