"""How a command ended is told in the stream of a process that could not tell it itself."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest
from launched import python, recorded

from gradtop.launch.ending import grown, last_step, sizes, tell_ending

TORN = '{"type":"metrics","st'
DIES = """
import json, os, pathlib, socket, sys
directory = json.loads(os.environ["GRADTOP_RUN"])["directory"]
run = {"type": "run", "host": socket.gethostname(), "pid": os.getpid()}
rows = json.dumps(run, separators=(",", ":")) + '\\n{"type":"metrics","step":7,"loss":1.0}\\n'
pathlib.Path(directory, "metrics.jsonl").write_text(rows)
os.kill(os.getpid(), int(sys.argv[1]))
"""

STOPS = """
import json, os, pathlib, signal, socket, subprocess, sys
directory = json.loads(os.environ["GRADTOP_RUN"])["directory"]
rank = subprocess.Popen([sys.executable, "-c", ""])
rank.wait()
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
run = json.dumps({"type": "run", "host": socket.gethostname(), "pid": rank.pid}, separators=(",", ":"))
pathlib.Path(directory, "metrics.jsonl").write_text(run + "\\n")
os.kill(os.getppid() if sys.argv[1] == "stopped" else os.getpid(), signal.SIGTERM)
signal.pause()
"""


def gone() -> int:
    """The id of a process that is over."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def told(path: Path, code: int, *, own: bool = True, status: str = "", host: str = "", pid: int = 0) -> list[Any]:
    """What is added behind one session of a process that is gone."""
    pid = pid or gone()
    records: list[dict[str, Any]] = [{"type": "run", "host": host or gethostname(), "pid": pid}]
    records += [{"type": "metrics", "step": 7, "loss": 1.0}]
    records += [{"type": "end", "step": 7, "status": status}] if status else []
    written = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
    path.write_text(written)
    tell_ending({path: 0}, pid if own else 0, code)
    return [json.loads(line) for line in path.read_text()[len(written) :].splitlines()]


def statuses(records: list[Any]) -> list[str]:
    return [record.get("message") or record["status"] for record in records]


@pytest.mark.parametrize(("how", "added"), [
    ("stopped", ["aborted"]),
    ("failed", ["exit code 1 of the command", "crashed"]),
])  # fmt: skip
def test_a_launcher_that_was_asked_to_stop_ends_its_ranks_in_peace(tmp_path: Path, how: str, added: list[str]) -> None:
    assert recorded(tmp_path, *python(STOPS), how).returncode == 1
    assert statuses([json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()[1:]]) == added


@pytest.mark.parametrize(("code", "own", "status", "added"), [
    (-signal.SIGKILL, True, "", ["killed by SIGKILL", "crashed"]),
    (-60, True, "", ["killed by signal 60", "crashed"]),
    (-signal.SIGTERM, True, "", ["aborted"]),
    (1, False, "", ["exit code 1 of the command", "crashed"]),
    (0, True, "", ["finished"]),
    (0, False, "", []),
    (3, True, "finished", ["exit code 3"]),
    (3, False, "finished", []),
    (1, True, "crashed", []),
    (130, True, "aborted", []),
])  # fmt: skip
def test_what_is_missing_is_added(tmp_path: Path, code: int, own: bool, status: str, added: list[str]) -> None:
    records = told(tmp_path / "metrics.jsonl", code, own=own, status=status)
    assert statuses(records) == added
    assert all(record["step"] == 7 for record in records)


def test_what_may_still_be_written_is_left_alone(tmp_path: Path) -> None:
    assert told(tmp_path / "metrics.jsonl", -9, pid=os.getpid()) == []
    assert told(tmp_path / "metrics.jsonl", -9, host="elsewhere") == []


def test_a_line_that_was_not_finished_stays_apart(tmp_path: Path) -> None:
    stream = tmp_path / "metrics.jsonl"
    run = json.dumps({"type": "run", "host": gethostname(), "pid": gone()}, separators=(",", ":"))
    stream.write_text(f"{run}\n{TORN}")
    tell_ending({stream: 0}, 0, -9)
    assert stream.read_text().splitlines()[1] == TORN
    assert json.loads(stream.read_text().splitlines()[-1])["status"] == "crashed"


def test_only_what_is_new_counts(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in ("metrics.jsonl", "metrics.rank1.jsonl", "notes.jsonl"))
    old.write_text("old\n")
    before = sizes(tmp_path)
    assert grown(tmp_path, before) == {}
    for path in (old, new, other):
        with path.open("a") as file:
            file.write("more\n")
    assert grown(tmp_path, before) == {old: 4, new: 0}
    old.write_text("x")
    assert grown(tmp_path, before) == {old: 0, new: 0}
    assert sizes(tmp_path / "none") == {}


def test_the_last_step_is_that_of_the_last_whole_line_that_has_one(tmp_path: Path) -> None:
    assert last_step(tmp_path) == 0
    (tmp_path / "metrics.jsonl").write_text('{"step":6}\n{"type":"layers","step":7}\n{"type":"run"}\n{"type":"metr')
    assert last_step(tmp_path) == 7


def test_a_killed_training_is_told_as_killed(tmp_path: Path) -> None:
    done = recorded(tmp_path, *python(DIES), "9")
    assert done.returncode == -9
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert statuses([json.loads(line) for line in lines[2:]]) == ["killed by SIGKILL", "crashed"]
