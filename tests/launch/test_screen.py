"""`gradtop run --ui`: the app beside a command that never notices."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from launched import Terminal, gradtop_run, printed, python

TRAINING = """
import os, sys
for i in range(60): print(f"step {i}: loss {3 - i / 100:.4f}, grad_norm 0.5", flush=True)
open(sys.argv[1]).read()
print("after the app", sys.stdin.read() == "", sys.stdout.isatty())
raise SystemExit(4)
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    os.mkfifo(tmp_path / "go")
    command = [*gradtop_run(tmp_path / "log", *python(TRAINING), str(tmp_path / "go"))]
    command[command.index("--quiet")] = "--ui"
    opened = Terminal(*command)
    opened.resize(36, 120)
    yield opened
    opened.close()


def test_q_leaves_the_app_and_the_training_goes_on_in_the_foreground(terminal: Terminal, tmp_path: Path) -> None:
    terminal.until(b"KEEP TRAINING")
    assert b"step 59: loss" not in terminal.output
    terminal.type(b"q")
    terminal.until(b"the command's output is shown from here on")
    os.kill(terminal.pid, signal.SIGCONT)  # as `fg` does
    (tmp_path / "go").write_text("")
    assert terminal.rest() == 4
    assert b"after the app True True\r\n" in terminal.output
    said = printed(tmp_path / "log" / "output.log")
    assert said.endswith(b"step 59: loss 2.4100, grad_norm 0.5\nafter the app True True\n")


def test_the_app_stays_when_the_training_ends(terminal: Terminal, tmp_path: Path) -> None:
    terminal.until(b"KEEP TRAINING")
    (tmp_path / "go").write_text("")
    terminal.until_written(tmp_path / "log" / "output.log", b"after the app")
    terminal.type(b"q")
    assert terminal.rest() == 4
    left = terminal.output.partition(b"\x1b[?1049l")[2]
    assert b"only its output was recorded" in left
    assert b"shown from here on" not in left


def test_a_signal_that_ends_the_app_ends_the_command_too(terminal: Terminal) -> None:
    terminal.until(b"KEEP TRAINING")
    os.kill(terminal.pid, 15)
    assert terminal.rest() == -15
