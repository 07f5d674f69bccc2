"""The record of the output gives way to whatever happens to its disk."""

import os
import threading
from pathlib import Path

import pytest

from gradtop.launch import output
from gradtop.launch.output import OutputLog, opening


def test_chunks_are_appended_behind_a_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    for before, begun in ((b"", 0), (b"whole\n", 1), (b"torn", 1)):
        path.write_bytes(before)
        log = OutputLog(path, ["python", "train.py"])
        log.put(b"a")
        log.put(b"b\n")
        log.close()
        *ahead, last = path.read_bytes().splitlines()
        assert (ahead[:1], last) == ([before.strip()] if before else [], b"ab")
        assert [line.endswith(b": python train.py ====") for line in ahead[1:]] == [True] * begun
        assert (log.lost_bytes, log.problem) == (0, "")


@pytest.mark.parametrize("last", [b"whole\n", b"no end", b" 99%|##\r", b""])
def test_how_the_command_ended_stands_on_a_line_of_its_own(tmp_path: Path, last: bytes) -> None:
    log = OutputLog(tmp_path / "output.log")
    if last:
        log.put(last)
    log.end(-9)
    log.close()
    *before, line = (tmp_path / "output.log").read_bytes().removesuffix(b"\n").split(b"\n")
    assert before == ([last.removesuffix(b"\n")] if last else [])
    assert line.startswith(b"==== gradtop run ended at 20")
    assert line.endswith(b"Z, killed by signal 9 ====")


def test_the_line_of_a_launch_is_one_line_without_secrets() -> None:
    command = ["train.py", "--api-key", "hush", "--note", "a\nb\x1b[2J", "--token=hush", "x" * 1000]
    line = opening(command, 1795444567.25)
    assert line.startswith(b"==== gradtop run at 2026-11-23T14:36:07.250Z on ")
    assert (line.count(b"\n"), line[-6:]) == (1, b" ====\n")
    assert b"hush" not in line
    assert b"\x1b" not in line
    assert len(line) < 1000


def test_a_full_disk_is_told_once_and_costs_the_record_alone() -> None:
    log = OutputLog(Path("/dev/full"))
    log.put(b"12345")
    log.close()
    assert (log.lost_bytes, log.problem) == (5, os.strerror(28))


def test_a_directory_that_is_removed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    log = OutputLog(path)
    path.unlink()
    log.put(b"12345")
    log.close()
    assert log.problem == "it was deleted"


def test_a_disk_that_hangs_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "CLOSE_S", 0.05)
    monkeypatch.setattr(output, "MOST_BYTES", 8)
    monkeypatch.setattr(output, "_write", hung := _Hung())
    log = OutputLog(tmp_path / "output.log")
    log.put(b"1234")
    hung.wait()
    log.put(b"5678")
    log.put(b"9")
    log.close()
    assert (log.lost_bytes, log.problem) == (9, "the disk is too slow")
    hung.go_on()


class _Hung:
    """A write that does not come back until it is told to."""

    def __init__(self) -> None:
        self._entered, self._released = threading.Event(), threading.Event()

    def __call__(self, fd: int, data: bytes) -> tuple[int, str]:
        self._entered.set()
        self._released.wait()
        return len(data), ""

    def wait(self) -> None:
        self._entered.wait()

    def go_on(self) -> None:
        self._released.set()
