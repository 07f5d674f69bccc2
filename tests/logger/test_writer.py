"""Records reach the file in order, and nothing that happens to it reaches the training."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gradtop.logger import line, writer
from gradtop.logger.notice import Notices
from gradtop.logger.writer import Writer

NAMES = ("n1", ["embed", "head"], [6, 4])


def head(session: int) -> bytes:
    return line.run(run="x", session=session)


def row(step: int) -> bytes:
    return line.metrics(step, 1.0, {"loss": 2.5})


def strict(path: Path) -> list[dict[str, Any]]:
    """The records of a file; a line that is not strict JSON fails."""

    def refuse(constant: str) -> object:
        raise ValueError(constant)

    return [json.loads(text, parse_constant=refuse) for text in path.read_text().splitlines()]


def told(path: Path) -> list[object]:
    """Each record in a word: the step of a row, the type of another, the session of a run line."""
    words = {"run": "session", "metrics": "step", "event": "event"}
    return [record.get(words.get(record["type"], "type")) for record in strict(path)]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 8
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread waits for nothing, and looks at its file before each write."""
    for name in ("GATHER_S", "LOOK_S"):
        monkeypatch.setattr(writer, name, 0.0)
    for name in ("FIRST_PAUSE_S", "LONGEST_PAUSE_S"):
        monkeypatch.setattr(writer, name, 0.01)


@pytest.fixture
def opened(tmp_path: Path, quick: None) -> Iterator[Writer]:
    made = Writer(tmp_path / "run", head, Notices())
    yield made
    made.close()


class Gate:
    """An encoder that holds up the thread, as a file system does that hangs."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> bytes:
        self.reached.set()
        assert self.go_on.wait(8)
        return row(0)


def test_records_arrive_in_order_behind_the_run_line(opened: Writer, tmp_path: Path) -> None:
    path = tmp_path / "run" / "metrics.jsonl"
    assert opened.path is None
    for step in range(300):
        opened.put(row, step)
    assert opened.close()
    assert told(path) == [1, *range(300)]


def test_the_file_stays_known_when_it_is_closed(opened: Writer, tmp_path: Path) -> None:
    opened.put(row, 1)
    opened.close()
    assert opened.path == tmp_path / "run" / "metrics.jsonl"


def test_a_second_writer_of_the_same_file_goes_on_as_a_new_session(opened: Writer, tmp_path: Path) -> None:
    opened.put(row, 1)
    opened.close()
    again = Writer(tmp_path / "run", head, Notices())
    again.put(row, 2)
    assert again.close()
    assert told(tmp_path / "run" / "metrics.jsonl") == [1, 1, 2, 2]


def test_a_file_that_is_in_use_is_said_and_another_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writers = [Writer(tmp_path, head, Notices(), rank=2) for _ in range(2)]
    for number, made in enumerate(writers):
        made.put(row, number)
        until(partial(getattr, made, "path"))
    assert all(made.close() for made in writers)
    first, second = [made.path for made in writers]
    assert first == tmp_path / "metrics.rank2.jsonl"
    assert second is not None
    assert told(second) == [1, 1]
    assert (
        f"{first} is in use by another run, or is not a log of gradtop: this run is recorded in {second}" in caplog.text
    )


def test_the_calling_thread_touches_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    threads: set[str] = set()

    def watched(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **keywords: Any) -> Any:
            threads.add(threading.current_thread().name)
            return real(*args, **keywords)

        return call

    for name in ("makedirs", "open", "write", "stat", "fstat", "pread", "fsync", "close"):
        monkeypatch.setattr(os, name, watched(name))
    made = Writer(tmp_path / "run", head, Notices())
    made.put(row, 1)
    assert made.close()
    monkeypatch.undo()
    assert threads == {"gradtop-writer"}


def test_a_burst_goes_out_with_few_writes_of_whole_lines(opened: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    real, gate = os.write, Gate()

    def write(fd: int, data: bytes) -> int:
        writes.append(data)
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    opened.put(gate)
    assert gate.reached.wait(8)
    for step in range(2000):
        opened.put(row, step)
    gate.go_on.set()
    assert opened.close()
    assert len(writes) < 10
    assert all(data.endswith(b"\n") and len(data) < writer.BATCH_BYTES + 200 for data in writes)


def test_what_does_not_fit_is_dropped_counted_and_told(tmp_path: Path, quick: None) -> None:
    made, gate = Writer(tmp_path, head, Notices(), capacity=10), Gate()
    made.put(gate)
    assert gate.reached.wait(8)
    for step in range(1, 16):
        made.put(row, step)
    made.put(line.layer_names, *NAMES, keep=True)
    gate.go_on.set()
    assert not made.close()
    assert told(tmp_path / "metrics.jsonl") == [1, 0, *range(1, 11), "layer_names", "dropped_records"]
    assert strict(tmp_path / "metrics.jsonl")[-1]["data"] == {"records": 5}


def test_closing_waits_for_its_time_only(tmp_path: Path, quick: None, caplog: pytest.LogCaptureFixture) -> None:
    made, gate = Writer(tmp_path, head, Notices()), Gate()
    made.put(gate)
    assert gate.reached.wait(8)
    assert not made.close(0.01)
    assert f"{tmp_path / 'metrics.jsonl'} did not answer for 0.01 s" in caplog.text
    gate.go_on.set()
    assert made.close(8)
    assert told(tmp_path / "metrics.jsonl") == [1, 0]


def test_closing_twice_and_a_record_afterwards_are_harmless(opened: Writer) -> None:
    opened.put(row, 1)
    assert opened.close()
    opened.put(row, 2)
    assert opened.close()
    assert opened.path is not None
    assert told(opened.path) == [1, 1]


def test_a_writer_without_records_makes_no_file(tmp_path: Path) -> None:
    assert Writer(tmp_path / "run", head, Notices()).close()
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_cannot_be_encoded_is_left_out_and_said(opened: Writer, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        opened.put(line.metrics, 1, 1.0, {"loss": "no number"})
    opened.put(row, 3)
    assert opened.close()
    assert opened.path is not None
    assert told(opened.path) == [1, 3]
    assert caplog.text.count("a record is left out: TypeError") == 1


def test_a_process_that_cannot_have_another_thread_records_nothing(
    opened: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    for step in range(3):
        opened.put(row, step)
    assert not opened.close()
    assert caplog.text.count("can't start new thread") == 1


@pytest.mark.parametrize("where", ["run", "run/deeper"])
def test_a_file_in_the_way_is_said_once_and_waited_for(
    tmp_path: Path, quick: None, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    (tmp_path / "run").write_text("a file")
    made = Writer(tmp_path / where, head, Notices())
    made.put(row, 1)
    until(lambda: "cannot be written" in caplog.text)
    made.put(row, 2)
    (tmp_path / "run").unlink()
    until(lambda: made.path)
    assert made.close()
    assert told(tmp_path / where / "metrics.jsonl") == [1, 1, 2]
    said = f"{tmp_path / where} cannot be written: a file is in the way of the directory. Give the Logger another"
    assert caplog.text.count(said) == 1


def test_a_path_that_no_file_system_has_is_said(quick: None, caplog: pytest.LogCaptureFixture) -> None:
    made = Writer(Path("a\0b"), head, Notices())
    made.put(row, 1)
    assert not made.close()
    assert "embedded null byte" in caplog.text


def test_a_full_disk_is_said_and_closing_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    made = Writer(tmp_path, head, Notices())
    made.put(row, 1)
    assert not made.close()
    assert caplog.text.count("metrics.jsonl cannot be written: the disk is full. Recording goes on when") == 1


@pytest.mark.parametrize("how", ["file", "directory", "replaced", "cut"])
def test_a_file_that_is_gone_begins_anew_with_what_was_kept(opened: Writer, how: str) -> None:
    opened.put(line.layer_names, *NAMES, keep=True)
    opened.put(row, 1)
    until(lambda: opened.path and told(opened.path) == [1, "layer_names", 1])
    path = opened.path
    assert path is not None
    if how == "directory":
        shutil.rmtree(path.parent)
    elif how == "cut":
        os.truncate(path, 0)
    else:
        path.unlink()
    if how == "replaced":
        path.write_bytes(head(4))
    opened.put(row, 2)
    assert opened.close()
    before = [4] if how == "replaced" else []
    assert told(path) == [*before, 5 if before else 1, "layer_names", 2]


def test_a_directory_that_vanishes_just_before_the_end_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "LOOK_S", 3600.0)
    made = Writer(tmp_path / "run", head, Notices())
    made.put(row, 1)
    until(lambda: made.path)
    shutil.rmtree(tmp_path / "run")
    assert not made.close()
    assert caplog.text.count("metrics.jsonl was removed or replaced: its last records are missing") == 1


def test_a_descriptor_that_the_program_closed_is_not_written(
    opened: Writer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its number may be that of another file by then."""
    opened.put(row, 1)
    until(lambda: opened.path and told(opened.path) == [1, 1])
    other = (tmp_path / "weights").open("wb", buffering=0)
    (number,) = [fd for fd in map(int, os.listdir("/proc/self/fd")) if _leads_to(fd, opened.path)]
    os.dup2(other.fileno(), number)
    opened.put(row, 2)
    until(lambda: "the program closed the file" in caplog.text)
    opened.close()
    os.close(number)
    other.close()
    assert (tmp_path / "weights").read_bytes() == b""


def _leads_to(fd: int, path: Path | None) -> bool:
    return os.path.realpath(f"/proc/self/fd/{fd}") == str(path)


SETUP = """
import atexit, os, sys, time
from pathlib import Path
from gradtop.logger import line
from gradtop.logger.notice import Notices
from gradtop.logger.writer import Writer
def head(session): return line.run(run="x", session=session)
def row(step): return line.metrics(step, 1.0, {"loss": 2.5})
directory = Path(sys.argv[1])
writer = Writer(directory, head, Notices())
"""


def script(code: str, directory: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SETUP + code, str(directory)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=50)
    return process.returncode, out, err


def test_a_forked_process_writes_nothing_and_holds_nothing(tmp_path: Path) -> None:
    code = """
for step in range(50): writer.put(row, step)
end, begin = os.pipe()
if os.fork() == 0:
    os.close(begin)
    writer.put(row, 1000)
    writer.close()
    os.read(end, 1)
    sys.exit(0)
print(writer.close())
again = Writer(directory, head, Notices())
again.put(row, 50)
print(again.close(), again.path.name)
os.close(begin)
print(os.wait()[1])
"""
    assert ended(script(code, tmp_path)) == (0, "True\nTrue metrics.jsonl\n0\n", "")
    assert told(tmp_path / "metrics.jsonl") == [1, *range(50), 2, 50]


def test_forks_in_the_middle_of_writing_end(tmp_path: Path) -> None:
    code = """
for step in range(2000):
    writer.put(row, step)
    if step % 50 == 0 and os.fork() == 0:
        writer.put(row, -1)
        writer.close()
        os._exit(0)
writer.close(9)
while True:
    try: assert os.wait()[1] == 0
    except ChildProcessError: break
"""
    assert ended(script(code, tmp_path)) == (0, "", "")
    assert told(tmp_path / "metrics.jsonl") == [1, *range(2000)]


def test_eight_processes_at_once_have_no_bad_line(tmp_path: Path) -> None:
    code = """
print("ready", flush=True)
sys.stdin.readline()
for step in range(400): writer.put(row, step)
sys.exit(not writer.close(8))
"""
    processes = [script(code, tmp_path) for _ in range(8)]
    assert [process.stdout and process.stdout.readline() for process in processes] == ["ready\n"] * 8
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [ended(process)[0] for process in processes] == [0] * 8
    files = sorted(tmp_path.iterdir())
    rows = [told(file) for file in files]
    # A process that begins when another one has ended goes on with its file.
    assert sum(len(file) for file in rows) == 8 * 401
    assert all(file[:401] == [1, *range(400)] for file in rows)
    assert tmp_path / "metrics.jsonl" in files


def test_a_killed_process_leaves_one_torn_line_at_most(tmp_path: Path) -> None:
    code = """
step = 0
while True:
    writer.put(row, step)
    step += 1
"""
    path = tmp_path / "metrics.jsonl"
    process = script(code, tmp_path)
    until(lambda: path.exists() and path.stat().st_size > 200_000)
    process.kill()
    ended(process)
    again = Writer(tmp_path, head, Notices())
    again.put(row, 7)
    assert again.close()
    bad = [text for text in path.read_text().splitlines() if not text.endswith("}")]
    assert len(bad) <= 1
    assert [json.loads(text).get("session") for text in path.read_text().splitlines()[-2:]] == [2, None]


def test_a_file_at_its_size_limit_ends_the_record_and_not_the_run(tmp_path: Path) -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
atexit.register(writer.close)
for step in range(100): writer.put(row, step)
print("trained")
"""
    returned, out, err = ended(script(code, tmp_path))
    assert (returned, out) == (0, "trained\n")
    assert err.count("has the largest size that is allowed here") == 1
    text = (tmp_path / "metrics.jsonl").read_text()
    assert len(text) == 1000
    assert [json.loads(whole)["step"] for whole in text.splitlines()[1:-1]] == list(range(text.count("\n") - 1))


def test_what_waits_at_the_end_of_a_script_is_written(tmp_path: Path) -> None:
    code = "atexit.register(writer.close)\nfor step in range(500): writer.put(row, step)"
    assert ended(script(code, tmp_path)) == (0, "", "")
    assert told(tmp_path / "metrics.jsonl") == [1, *range(500)]
