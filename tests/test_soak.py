"""After minutes at full speed the app uses what it used before: memory, descriptors and threads stay flat."""

import json
import os
import pty
import select
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

SETTLED_S, WARM_S, SOAK_S = 5.0, 40.0, 80.0
ROWS_PER_S = 200
ALLOWED_MB = 6.0
"""Growth over the soak: the rows themselves take about 1 MB, the allocator's slack the rest."""

FILES_OF_COLUMNS = 2
"""Descriptors of the file that columns go to once they are long, and of its mapping; 16 MB of them fit in the first."""


@dataclass
class Held:
    """The most that a process held whenever it was looked at; watching rests now and then, and its threads with it."""

    rss_mb: float = 0.0
    descriptors: int = 0
    threads: int = 0

    def look(self, pid: int) -> None:
        process = Path(f"/proc/{pid}")
        pages = int((process / "statm").read_text().split()[1])
        self.rss_mb = max(self.rss_mb, pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        self.descriptors = max(self.descriptors, len(os.listdir(process / "fd")))
        self.threads = max(self.threads, len(os.listdir(process / "task")))


def test_an_app_that_is_fed_for_minutes_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0, "loss": 5.0}\n')
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "gradtop", str(path)])
    started, step = time.monotonic(), 0
    early, late = Held(), Held()
    with path.open("a") as file:
        while (passed := time.monotonic() - started) < WARM_S + SOAK_S:
            while step < passed * ROWS_PER_S:
                step += 1
                file.write(json.dumps({"step": step, "loss": 3 + 2 / step, "grad_norm": 0.5, "lr": 3e-4}) + "\n")
            file.flush()
            if select.select([terminal], [], [], 0.05)[0]:
                os.read(terminal, 1 << 16)
            if passed > SETTLED_S:
                (early if passed < WARM_S else late).look(pid)
    os.write(terminal, b"q")
    while select.select([terminal], [], [], 5)[0]:
        try:
            os.read(terminal, 1 << 16)
        except OSError:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert late.descriptors <= early.descriptors + FILES_OF_COLUMNS
    assert late.threads <= early.threads
    assert late.rss_mb - early.rss_mb < ALLOWED_MB
