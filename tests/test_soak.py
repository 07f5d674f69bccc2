"""After minutes at full speed the app uses what it used before: memory, descriptors and threads stay flat."""

import json
import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

WARM_S, SOAK_S = 30.0, 90.0
ROWS_PER_S = 200
ALLOWED_MB = 6.0
"""Growth over the soak: the rows themselves take about 1 MB, the allocator's slack the rest."""


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def held(pid: int) -> tuple[int, int]:
    """(open descriptors, threads)."""
    return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))


def test_an_app_that_is_fed_for_minutes_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0, "loss": 5.0}\n')
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "gradtop", str(path)])
    started, step = time.monotonic(), 0
    early: tuple[float, tuple[int, int]] | None = None
    with path.open("a") as file:
        while (passed := time.monotonic() - started) < WARM_S + SOAK_S:
            while step < passed * ROWS_PER_S:
                step += 1
                file.write(json.dumps({"step": step, "loss": 3 + 2 / step, "grad_norm": 0.5, "lr": 3e-4}) + "\n")
            file.flush()
            if select.select([terminal], [], [], 0.05)[0]:
                os.read(terminal, 1 << 16)
            if early is None and passed > WARM_S:
                early = rss_mb(pid), held(pid)
    late = rss_mb(pid), held(pid)
    os.write(terminal, b"q")
    while select.select([terminal], [], [], 5)[0]:
        try:
            os.read(terminal, 1 << 16)
        except OSError:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert early is not None
    assert late[1] == early[1]
    assert late[0] - early[0] < ALLOWED_MB
