"""What only root can set up: permissions that hold, and a kernel that refuses to watch."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradtop.sources.watch import Watch

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux"),
]

NOBODY = 65534
INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
READER = """
import os, sys
from pathlib import Path
import numpy  # before the interpreter's own files are out of reach
from gradtop.sources.file import FileSource
os.setgroups([]); os.setgid({nobody}); os.setuid({nobody})
clock = [0.0]
source = FileSource(Path(sys.argv[1]), lambda: clock[0])
for _ in sys.stdin:
    clock[0] += 5.0
    rows = sum(len(r) for r in source.read().records if hasattr(r, "steps"))
    print(rows, source.status.problem, flush=True)
"""


class Reader:
    """A source in a process without privileges; it looks once per question."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", READER.format(nobody=NOBODY), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def look(self) -> tuple[int, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("look\n")
        self._process.stdin.flush()
        rows, _, problem = self._process.stdout.readline().strip().partition(" ")
        return int(rows), problem

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    return tmp_path / "train.jsonl"


def lines(first: int, last: int) -> str:
    return "".join(f'{{"step": {i}, "loss": {5 - i * 0.1:.2f}}}\n' for i in range(first, last))


def test_a_file_whose_permission_is_lost_and_regained_loses_nothing(open_path: Path) -> None:
    open_path.write_text(lines(0, 10))
    open_path.chmod(0o000)
    reader = Reader(open_path)
    try:
        rows, problem = reader.look()
        assert (rows, "Permission denied" in problem) == (0, True)
        open_path.chmod(0o644)
        assert reader.look() == (10, "")
        with open_path.open("a") as file:
            file.write(lines(10, 15))
        assert reader.look() == (5, "")
    finally:
        reader.close()


@pytest.fixture
def no_inotify() -> Iterator[None]:
    before = INSTANCES.read_text()
    INSTANCES.write_text("0")
    yield
    INSTANCES.write_text(before)


@pytest.mark.usefixtures("no_inotify")
def test_a_kernel_that_refuses_to_watch_leaves_polling(tmp_path: Path) -> None:
    watch = Watch((tmp_path,))
    assert watch.mode.startswith("polling")
    assert watch.wait(0.01) is False
    watch.stop()


def test_a_directory_of_unreadable_files_says_so(open_path: Path) -> None:
    open_path.write_text(lines(0, 10))
    open_path.chmod(0o000)
    code = f"import os; import gradtop.sources.discover as d; from pathlib import Path; os.setuid({NOBODY});"
    code += f"print(*d.discover([Path({str(open_path.parent)!r})]).notes, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=9)
    assert f"cannot be read: {open_path}: permission denied" in done.stdout
