"""`gradtop run` as a user types it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_S = 50.0


def gradtop(*args: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "gradtop", *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, check=False, timeout=LIMIT_S, text=True)


def test_a_command_without_torch_is_recorded_and_said_to_be_so(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("for i in range(50): print(f'step {i}: loss {3 - i / 100:.4f}')")
    done = gradtop("run", sys.executable, "train.py", "--lr", "3e-4", cwd=tmp_path)
    (directory,) = (tmp_path / "gradtop-runs").iterdir()
    assert directory.name.endswith("-train")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"gradtop: recording to {directory}; watch it with: gradtop {directory}",
        f"gradtop: no torch in this command: only its output was recorded; for the verdict: gradtop check {directory}",
    ]
    checked = gradtop("check", "--json", str(directory), cwd=tmp_path)
    assert checked.returncode == 0
    (run,) = json.loads(checked.stdout)["runs"]
    assert run["metrics"]["loss"]["count"] == 50


def test_quiet_says_nothing(tmp_path: Path) -> None:
    done = gradtop("run", "--quiet", "--log-dir", "log", "--", "true", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "log" / "output.log").is_file()


@pytest.mark.parametrize(("written", "code", "why"), [
    (None, 127, "there is no such command"),
    ("#!/bin/sh\n", 126, "is not executable"),
])  # fmt: skip
def test_a_command_that_cannot_run_is_told_as_a_shell_does(
    tmp_path: Path, written: str | None, code: int, why: str
) -> None:
    if written is not None:
        (tmp_path / "tool").write_text(written)
    done = gradtop("run", "./tool", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("gradtop: ./tool")
    assert why in done.stderr
    assert not (tmp_path / "gradtop-runs").exists()


def test_what_the_kernel_cannot_run_is_told(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(b"\x7fELF, not")
    tool.chmod(0o755)
    done = gradtop("run", str(tool), cwd=tmp_path)
    assert done.returncode == 126
    assert f"gradtop: {tool} cannot be run: {os.strerror(8)}" in done.stderr


def test_nothing_starts_where_nothing_can_be_recorded(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    done = gradtop("run", "--log-dir", "log", "--", "touch", "started", cwd=tmp_path)
    assert done.returncode == 2
    assert f"cannot record to {tmp_path / 'log'}: it is not a directory. Nothing was started." in done.stderr
    assert not (tmp_path / "started").exists()


def test_the_app_needs_a_terminal(tmp_path: Path) -> None:
    done = gradtop("run", "--ui", "--", "touch", "started", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "gradtop: --ui needs a terminal\n")
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("typed", "layers"), [([], None), (["--layers"], "parameter"), (["--layers", "block"], "block")]
)
def test_layers_is_a_switch_or_takes_a_word(tmp_path: Path, typed: list[str], layers: str | None) -> None:
    done = gradtop("run", "--activations", *typed, "--", "printenv", "GRADTOP_RUN", cwd=tmp_path)
    assert json.loads(done.stdout)["layers"] == layers
    assert json.loads(done.stdout)["activations"] is True


def test_a_command_has_to_be_given(tmp_path: Path) -> None:
    done = gradtop("run", cwd=tmp_path)
    assert done.returncode == 3
    assert "Missing argument" in done.stderr


def test_a_process_that_imported_torch_is_told_of(tmp_path: Path) -> None:
    """The command's processes append to the status file."""
    code = (
        "import json, os; said = open(json.loads(os.environ['GRADTOP_RUN'])['say'], 'a');"
        "said.write(json.dumps({'torch': '2.13.0'}) + '\\n' + json.dumps({'problem': 'odd \\x1b[2J'}) + '\\n')"
    )
    done = gradtop("run", "--", sys.executable, "-c", code, cwd=tmp_path)
    _, problem, closing = done.stderr.splitlines()
    assert problem == "gradtop: odd "
    assert closing.startswith("gradtop: torch was imported but no optimizer stepped")


def test_a_killed_command_is_reported_before_the_signal_is_ours(tmp_path: Path) -> None:
    done = gradtop("run", "--", "sh", "-c", "printf cut >&2; kill -9 $$", cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL
    assert done.stderr.splitlines()[1] == "cut"
    assert "only its output was recorded" in done.stderr.splitlines()[2]
