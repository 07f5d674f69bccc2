"""The command line, in a process of its own where that is the point, else in the one of the tests."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gradtop.cli import main

Done = subprocess.CompletedProcess[str]


def started(*args: str, cwd: Path | None = None, given: bytes = b"") -> Done:
    """`python -m gradtop` with these arguments, as a user starts it."""
    command = [sys.executable, "-m", "gradtop", *args]
    done = subprocess.run(command, cwd=cwd, input=given, capture_output=True, check=False, timeout=50)
    return Done(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def gradtop(*args: str, cwd: Path | None = None) -> Done:
    """The same without a start of Python; there is nothing on standard input, and no terminal."""
    code = 0
    with pytest.MonkeyPatch.context() as patch, CliRunner().isolation() as streams:
        patch.setattr(sys, "argv", ["gradtop", *args])
        with contextlib.chdir(cwd or Path.cwd()):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        out, err = (stream.getvalue().decode() for stream in streams[:2])
    return Done(["gradtop", *args], code, out, err)
