"""`--record` as a user types it, on a live run with a driver of our own."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from standin import Compiler, compiler
from work import running, until

from gradtop.cli import cli
from gradtop.config import Settings
from gradtop.errors import OutputError
from gradtop.machine import Machine
from gradtop.record import decode_object, typed
from gradtop.snapshot import RunState
from gradtop.wiring import read_paths

__all__ = ["compiler"]

TRAINING = """
import json, sys, time
with open(sys.argv[1], "a", buffering=1) as out:
    for step in range(100000):
        out.write(json.dumps({"type": "metrics", "step": step, "time": time.time(), "loss": 5 / (step + 1)}) + "\\n")
        time.sleep(0.05)
"""


def test_samples_of_a_live_run_are_recorded_until_it_ends(compiler: Compiler, tmp_path: Path) -> None:
    log, recording = tmp_path / "metrics.jsonl", tmp_path / "machine.jsonl"
    with running(sys.executable, "-c", TRAINING, str(log)) as pid:
        until(lambda: log.exists() and log.stat().st_size)
        environment = {
            "LD_LIBRARY_PATH": str(compiler.library().parent),
            "GPU_DRIVER": f"gpus=2 procs:1={pid}:1000",
        }
        command = [sys.executable, "-m", "gradtop", "check", "--follow", "--record", str(recording), str(tmp_path)]
        with subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True) as following:
            until(lambda: recording.exists() and recording.read_bytes().count(b"\n") >= 2)
            with log.open("a") as out:
                out.write('{"type": "end", "status": "finished"}\n')
            os.kill(pid, 9)
            following.communicate(timeout=50)
    assert following.returncode == 0
    samples = [typed(decode_object(line)) for line in recording.read_bytes().splitlines()]
    first = samples[0]
    assert isinstance(first, Machine)
    assert [gpu.utilization for gpu in first.gpus] == [0.97, 0.97]
    assert first.process is not None
    assert (first.process.pid, first.process.gpus) == (pid, (1,))
    assert first.gpus[1].processes is not None
    assert first.gpus[1].processes[0].ours
    steps = [sample.step for sample in samples if isinstance(sample, Machine) and sample.step is not None]
    assert steps
    assert steps == sorted(steps)
    assert {sample.session for sample in samples if isinstance(sample, Machine)} <= {0, None}
    (run,) = read_paths((tmp_path,), Settings()).to_end().runs
    assert (run.path, run.state) == (tmp_path, RunState.FINISHED)
    assert run.machine is not None
    assert run.machine.samples[0].gpus == first.gpus


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "--record", "x.jsonl"), "--record needs --follow"),
        (("--record", "x.jsonl"), "without a terminal, use check --follow"),
        (("check", "--follow", "--record", "no/folder/x.jsonl"), "samples cannot be recorded in no/folder/x.jsonl"),
        (("check", "--follow", "--record", "metrics.jsonl"), "metrics.jsonl holds something else than samples"),
    ],
)
def test_what_cannot_be_recorded_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    monkeypatch.setenv("TERM", "dumb")
    with pytest.raises((click.UsageError, OutputError)) as raised:
        cli.main([*arguments], standalone_mode=False)
    assert said in str(raised.value)
    assert sorted(os.listdir()) == ["metrics.jsonl"]
