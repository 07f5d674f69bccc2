"""Signals, keys and the size of the terminal reach the command as if it ran alone: each once."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launched import Terminal, gradtop_run, printed, python

Send = Callable[[int, int], None]

COUNT = """
import signal, sys
watched = {{signal.{name}}}
signal.pthread_sigmask(signal.SIG_BLOCK, watched)
print("ready", flush=True)
signal.sigwait(watched)
again = signal.sigtimedwait(watched, 0.3)
raise SystemExit(11 if again is None else 12)
"""
SIZES = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
print("size", *os.get_terminal_size(1), flush=True)
while os.get_terminal_size(1) != (77, 33):
    signal.sigwait({signal.SIGWINCH})
print("size", *os.get_terminal_size(1), flush=True)
"""
SHELL = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = subprocess.Popen(sys.argv[1:], process_group=0)
def foreground(group): os.tcsetpgrp(0, group)
foreground(job.pid)
_, status = os.waitpid(job.pid, os.WUNTRACED)
foreground(os.getpgrp())
print("stopped", os.WIFSTOPPED(status), flush=True)
foreground(job.pid)
os.killpg(job.pid, signal.SIGCONT)
print("ended with", os.waitstatus_to_exitcode(os.waitpid(job.pid, 0)[1]), flush=True)
"""


@pytest.fixture
def opened() -> Iterator[list[Terminal]]:
    terminals: list[Terminal] = []
    yield terminals
    for terminal in terminals:
        terminal.close()


@pytest.mark.parametrize(("key", "name"), [(b"\x03", "SIGINT"), (b"\x1c", "SIGQUIT")])
def test_a_key_reaches_the_command_once(opened: list[Terminal], tmp_path: Path, key: bytes, name: str) -> None:
    opened.append(terminal := Terminal(*gradtop_run(tmp_path, *python(COUNT.format(name=name)))))
    terminal.until(b"ready")
    terminal.type(key)
    assert terminal.rest() == 11


@pytest.mark.parametrize("send", [os.kill, os.killpg])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_a_signal_reaches_the_command_once(opened: list[Terminal], tmp_path: Path, name: str, send: Send) -> None:
    opened.append(terminal := Terminal(*gradtop_run(tmp_path, *python(COUNT.format(name=name)))))
    terminal.until(b"ready")
    send(terminal.pid, signal.Signals[name])
    assert terminal.rest() == 11


def test_a_command_that_dies_of_ctrl_c_ends_us_the_same_way(opened: list[Terminal], tmp_path: Path) -> None:
    code = "import signal; print('ready', flush=True); signal.pause()"
    opened.append(terminal := Terminal(*gradtop_run(tmp_path, *python(code))))
    terminal.until(b"ready")
    terminal.type(b"\x03")
    assert terminal.rest() == -signal.SIGINT
    assert b"KeyboardInterrupt" in terminal.output


def test_a_signal_that_is_ignored_stays_ignored(opened: list[Terminal], tmp_path: Path) -> None:
    code = "import signal; print(signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM))"
    command = ("/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *gradtop_run(tmp_path, *python(code)))
    opened.append(terminal := Terminal(*command))
    assert terminal.rest() == 0
    assert terminal.output == b"1 0\r\n"


def test_the_command_has_the_size_of_the_terminal(opened: list[Terminal], tmp_path: Path) -> None:
    resized = 'stty rows 20 cols 50; exec "$@"'
    opened.append(terminal := Terminal("/bin/sh", "-c", resized, "sh", *gradtop_run(tmp_path, *python(SIZES))))
    terminal.until(b"size 50 20")
    terminal.resize(33, 77)
    terminal.until(b"size 77 33")
    assert terminal.rest() == 0


def test_ctrl_z_stops_all_and_it_goes_on(opened: list[Terminal], tmp_path: Path) -> None:
    code = "print('ready', flush=True); print('read', input(), flush=True); raise SystemExit(5)"
    opened.append(terminal := Terminal(*python(SHELL), *gradtop_run(tmp_path, *python(code))))
    terminal.until(b"ready")
    terminal.type(b"\x1a")
    terminal.until(b"stopped True")
    terminal.type(b"typed\n")
    terminal.until(b"read typed")
    assert terminal.rest() == 0
    assert b"ended with 5" in terminal.output


def test_lines_and_bars_look_as_without_us(opened: list[Terminal], tmp_path: Path) -> None:
    code = "import os; os.write(1, b'\\x1b[31mred\\x1b[0m\\n 10%|#\\r 20%|##\\r\\n'); os.write(2, b'err\\n')"
    plain = Terminal(*python(code))
    ours = Terminal(*gradtop_run(tmp_path, *python(code)))
    opened += [plain, ours]
    assert plain.rest() == ours.rest() == 0
    assert ours.output == plain.output
    assert printed(tmp_path / "output.log") == b"\x1b[31mred\x1b[0m\n 10%|#\r 20%|##\r\nerr\n"


def test_the_witness_goes_when_we_are_killed(opened: list[Terminal], tmp_path: Path) -> None:
    """The command is left alone: its next output fails, as on a terminal that is gone."""
    code = "import os, sys; print(os.getppid(), flush=True); input(); os.write(1, b'x')"
    opened.append(
        terminal := Terminal(
            sys.executable,
            "-c",
            "import os, signal, subprocess, sys\n"
            "job = subprocess.Popen(sys.argv[1:]); job.wait(); sys.stdin.readline()",
            *gradtop_run(tmp_path, *python(code)),
        )
    )
    terminal.until(b"\r\n")
    pid = int(terminal.output.split()[0])
    members = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(members) == 2
    os.kill(pid, signal.SIGKILL)
    terminal.type(b"\n\n")
    assert terminal.rest() == 0
