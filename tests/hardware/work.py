"""Real processes that write logs, for tests that look for them."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LIMIT_S = 50.0
"""Seconds after which what is waited for will not come."""
WRITER = """
import os, sys, time
out = open(sys.argv[1], "a", buffering=1)
out.write('{"step": 0, "loss": 5.0}\\n')
children = [os.fork() for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 0)]
while True:
    if "busy" not in sys.argv: time.sleep(60)
"""
"""Opens a log, forks as often as it is told, and then sleeps, or computes with the word `busy`."""


@contextmanager
def running(
    *command: str,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
) -> Iterator[int]:
    """A process with this command, in a session of its own that ends with the block; its pid."""
    process = subprocess.Popen(command, cwd=cwd, env=env, stdin=stdin, stdout=stdout, start_new_session=True)
    try:
        yield process.pid
    finally:
        subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=False, stderr=subprocess.DEVNULL)
        process.wait(LIMIT_S)


@contextmanager
def training(log: Path, *words: str, env: dict[str, str] | None = None) -> Iterator[int]:
    """A training that has written to its log; its pid."""
    script = log.parent / "train.py"
    script.write_text(WRITER)
    before = log.stat().st_size if log.exists() else 0
    with running(sys.executable, str(script), str(log), *words, env=env) as pid:
        until(lambda: log.exists() and log.stat().st_size > before)
        yield pid


def until(true: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Return as soon as something holds."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)
