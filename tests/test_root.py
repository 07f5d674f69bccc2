"""What only root can set up: permissions that hold, mounts that hang or send no events, a kernel that watches little.

The tests of mounts need bindfs and FUSE, those of the clock faketime: Debian has them as `bindfs fuse3 faketime`.
"""

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradtop.config import Settings
from gradtop.sources.follow.watch import Watch
from gradtop.wiring import Watching, watch_paths

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux"),
]

NOBODY = 65534
INOTIFY = Path("/proc/sys/fs/inotify")
READER = """
import os, sys
from pathlib import Path
import numpy  # before the interpreter's own files are out of reach
from gradtop.sources.follow.file import FileSource
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


def test_t10_a_file_whose_permission_is_lost_and_regained_loses_nothing(open_path: Path) -> None:
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


@contextlib.contextmanager
def limited(name: str, value: int) -> Iterator[None]:
    """The kernel's limit for a while; what it was comes back."""
    limit = INOTIFY / name
    before = limit.read_text()
    limit.write_text(str(value))
    try:
        yield
    finally:
        limit.write_text(before)


def latency(watching: Watching, path: Path, step: int) -> float:
    """Seconds from an append to the row in a snapshot, in the loop that every front end runs."""
    with path.open("a") as file:
        file.write(lines(step, step + 1))
    started = time.monotonic()
    while time.monotonic() - started < 5:
        watching.wait(1.0)
        (run,) = watching.monitor.poll().runs
        if run.view.last_step == step:
            return time.monotonic() - started
    return float("inf")


@pytest.mark.parametrize("name", ["max_user_instances", "max_user_watches"])
def test_t23_a_kernel_that_refuses_to_watch_leaves_polling(tmp_path: Path, name: str) -> None:
    """The reason is named, and rows arrive within 2 s."""
    path = tmp_path / "train.jsonl"
    path.write_text(lines(0, 1))
    with limited(name, 0):
        watching = watch_paths((path,), Settings())
        watching.to_end()
        assert max(latency(watching, path, step) for step in range(1, 4)) < 2
        assert watching.monitor.poll().following.startswith("polling (")
        watch = Watch((tmp_path,))
        assert not watch.covers([])
        assert watch.wait(0.01) is False
        watch.stop()


def test_t23_the_command_follows_without_watches_and_says_how(tmp_path: Path) -> None:
    """`check --follow`: the mode and its reason on stderr, and a new verdict within 2 s of the rows that change it."""
    path = tmp_path / "train.jsonl"
    path.write_text(lines(0, 3))
    with limited("max_user_watches", 0):
        process = subprocess.Popen(
            [sys.executable, "-m", "gradtop", "check", "--follow", path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert "  verdict  unknown: 3 rows so far" in process.stdout.readline()
        assert process.stderr.readline().startswith("new rows are noticed by polling (")
        with path.open("a") as file:
            file.write(lines(3, 40))
        started = time.monotonic()
        assert "  verdict  keep_training (was unknown): " in process.stdout.readline()
        assert time.monotonic() - started < 2
        process.terminate()
        process.communicate()


def test_t24_an_overflow_of_events_loses_no_row(tmp_path: Path) -> None:
    """Thousands of files are created at once, most events of it are dropped, and the log beside them is read on."""
    path = tmp_path / "train.jsonl"
    path.write_text(lines(0, 1))
    with limited("max_queued_events", 16):
        watching = watch_paths((path,), Settings())
        watching.to_end()
        latency(watching, path, 1)
        for i in range(3000):
            (tmp_path / f"sample{i}.bin").touch()
        assert max(latency(watching, path, step) for step in range(2, 5)) < 2


def test_a_directory_of_unreadable_files_says_so(open_path: Path) -> None:
    open_path.write_text(lines(0, 10))
    open_path.chmod(0o000)
    code = f"import os; import gradtop.sources.search.discover as d; from pathlib import Path; os.setuid({NOBODY});"
    code += f"print(*d.discover([Path({str(open_path.parent)!r})]).notes, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=9)
    assert f"cannot be read: {open_path}: permission denied" in done.stdout


def needed(*tools: str) -> None:
    """Skip, and say why, where a tool is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing or not Path("/dev/fuse").exists():
        pytest.skip(f"not here: {', '.join(missing) or '/dev/fuse'}")


class Mirror:
    """A directory served by a program (bindfs): what is written at its back sends no event to its front."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.back, self.front = folder / "back", folder / "front"
        for path in (self.back, self.front):
            path.mkdir()
        self.server = subprocess.Popen(["bindfs", "-f", *options, self.back, self.front])
        deadline = time.monotonic() + 5
        while not self.front.is_mount() and time.monotonic() < deadline:
            time.sleep(0.02)

    def hang(self) -> None:
        self.server.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.server.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.go_on()
        subprocess.run(["umount", "-l", self.front], check=False)
        self.server.wait(5)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    needed("bindfs")
    mirror = Mirror(tmp_path)
    yield mirror
    mirror.close()


def test_t21_what_is_written_behind_a_mount_arrives(mirror: Mirror) -> None:
    """No event comes: polling sees it, and the mode says so."""
    behind = mirror.back / "train.jsonl"
    behind.write_text(lines(0, 1))
    watching = watch_paths((mirror.front / "train.jsonl",), Settings())
    watching.to_end()
    assert max(latency(watching, behind, step) for step in range(1, 6)) < 2
    assert watching.monitor.poll().following == "polling (no event tells of new data)"
    watching.monitor.close()


def test_t21_a_mount_that_remembers_sizes_delays_and_loses_nothing(tmp_path: Path) -> None:
    """Like the attribute cache of NFS: a stale size is read up to, and the rest when the cache expires."""
    needed("bindfs")
    mirror = Mirror(tmp_path, "-o", "attr_timeout=1")
    try:
        behind = mirror.back / "train.jsonl"
        behind.write_text(lines(0, 1))
        watching = watch_paths((mirror.front / "train.jsonl",), Settings())
        watching.to_end()
        assert max(latency(watching, behind, step) for step in range(1, 4)) < 3
        assert watching.monitor.poll().runs[0].view.rows == 4
        watching.monitor.close()
    finally:
        mirror.close()


@pytest.mark.parametrize("layer", ["upper", "lower"])
def test_t21_what_is_written_below_an_overlay_arrives(tmp_path: Path, layer: str) -> None:
    """Containers stack file systems: a layer that is written from outside sends no event."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    behind, merged = tmp_path / layer / "train.jsonl", tmp_path / "merged"
    behind.write_text(lines(0, 1))
    mounted = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no overlay here: {mounted.stderr.decode().strip()}")
    try:
        watching = watch_paths((merged / "train.jsonl",), Settings())
        watching.to_end()
        assert max(latency(watching, behind, step) for step in range(1, 4)) < 2
        watching.monitor.close()
    finally:
        subprocess.run(["umount", merged], check=True)


def gradtop(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command, as a user runs it; what does not end is killed."""
    command = [sys.executable, "-m", "gradtop", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=9)


@pytest.mark.parametrize(
    ("command", "what"), [("check", "file"), ("check", "directory"), ("check", "files"), ("explain", "file")]
)
def test_t22_a_report_on_a_hung_mount_says_so_and_ends(mirror: Mirror, tmp_path: Path, command: str, what: str) -> None:
    """Within 4 s, with the healthy file beside it read."""
    beside = tmp_path / "healthy.jsonl"
    beside.write_text(lines(0, 30))
    for i in range(3):
        (mirror.back / f"train{i}.jsonl").write_text(lines(0, 30))
    files = [mirror.front / f"train{i}.jsonl" for i in range(3)]
    assert files[0].read_text()
    given = {"file": files[:1], "directory": [mirror.front], "files": [*files, beside]}[what]
    mirror.hang()
    started = time.monotonic()
    done = gradtop(command, *given)
    took = time.monotonic() - started
    mirror.go_on()
    assert "its disk does not answer" in done.stdout
    assert ("KEEP TRAINING  healthy" in done.stdout) is (what == "files")
    assert took < 4


def test_t22_following_goes_on_when_a_mount_answers_again(mirror: Mirror, tmp_path: Path) -> None:
    """Hung in the middle: the other file goes on, the age counts, and afterwards nothing is lost or doubled."""
    beside, behind = tmp_path / "beside.jsonl", mirror.back / "train.jsonl"
    for path in (beside, behind):
        path.write_text(lines(0, 5))
    watching = watch_paths((mirror.front / "train.jsonl", beside), Settings())
    watching.to_end()

    def look() -> dict[str, tuple[int, str]]:
        watching.wait(0.2)
        runs = watching.monitor.poll().runs
        return {run.path.name: (run.view.rows, run.sources[0].problem) for run in runs}

    assert {rows for rows, _ in look().values()} == {5}
    mirror.hang()
    for path in (beside, behind):
        with path.open("a") as file:
            file.write(lines(5, 8))
    deadline = time.monotonic() + 6
    while "stalled" not in look()["train.jsonl"][1] and time.monotonic() < deadline:
        pass
    assert look()["beside.jsonl"] == (8, "")
    assert look()["train.jsonl"][0] == 5
    mirror.go_on()
    while look()["train.jsonl"] != (8, "") and time.monotonic() < deadline:
        pass
    assert look() == {"beside.jsonl": (8, ""), "train.jsonl": (8, "")}
    watching.monitor.close()


def test_t22_the_app_leaves_a_hung_mount_behind(mirror: Mirror) -> None:
    """`q` ends the process within 4 s, with exit code 0, although a read never came back."""
    (mirror.back / "train.jsonl").write_text(lines(0, 30))
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "gradtop", str(mirror.front / "train.jsonl")])
    screen = shown(terminal, b"KEEP TRAINING", 6.0)
    mirror.hang()
    screen += shown(terminal, b"does not answer", 1.0)
    os.write(terminal, b"q")
    started = time.monotonic()
    ended, status = 0, -1
    while not ended and time.monotonic() - started < 4:
        shown(terminal, b"never shown", 0.05)
        ended, status = os.waitpid(pid, os.WNOHANG)
        time.sleep(0.01)
    mirror.go_on()
    if not ended:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert b"KEEP TRAINING" in screen
    assert (ended, status) == (pid, 0)


def shown(terminal: int, text: bytes, seconds: float) -> bytes:
    """What the terminal shows until the text comes, the process is gone, or the time is up."""
    out, deadline = b"", time.monotonic() + seconds
    while text not in out and (left := deadline - time.monotonic()) > 0:
        if not select.select([terminal], [], [], left)[0]:
            break
        try:
            out += os.read(terminal, 1 << 16)
        except OSError:
            break
    return out


def test_t26_a_wall_clock_that_jumps_disturbs_nothing(tmp_path: Path) -> None:
    """A day back while rows come in: they all arrive, nothing stalls, no speed is negative."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        pytest.skip("not here: faketime")
    path, stamp = tmp_path / "train.jsonl", tmp_path / "stamp"
    path.write_text(lines(0, 10))
    stamp.write_text("+0")
    code = """
import sys
from pathlib import Path
from gradtop.config import Settings
from gradtop.wiring import watch_paths
watching = watch_paths((Path(sys.argv[1]),), Settings())
snapshot = watching.to_end()
for _ in sys.stdin:
    snapshot = watching.monitor.poll()
    run = snapshot.runs[0]
    print(int(snapshot.now), run.view.rows, run.state.value, run.rate is None or run.rate >= 0, flush=True)
"""
    environ = os.environ | {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(stamp),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
    )
    assert process.stdin is not None
    assert process.stdout is not None
    seen = []
    for jump, first in (("+0", 10), ("-86399", 12), ("+86400", 14)):
        stamp.write_text(jump)
        with path.open("a") as file:
            file.write(lines(first, first + 2))
        process.stdin.write("look\n")
        process.stdin.flush()
        now, rows, state, sane = process.stdout.readline().split()
        seen.append((int(now), int(rows), state in ("live", "quiet"), sane == "True"))
    process.communicate()
    assert seen[1][0] < seen[0][0] - 80_000
    assert [entry[1:] for entry in seen] == [(12, True, True), (14, True, True), (16, True, True)]
