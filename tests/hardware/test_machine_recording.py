"""Samples written to a file, and what becomes of them there."""

import errno
import os
from pathlib import Path

import pytest
from work import until

from gradtop.config import Settings
from gradtop.errors import OutputError
from gradtop.hardware.recording import Recording
from gradtop.machine import Gpu, Machine
from gradtop.monitor import Monitor
from gradtop.record import decode_object, typed

SAMPLE = Machine(time=5.0, gpus=(Gpu(index=0, utilization=0.5),))


def written(recording: Recording, n: int = 1) -> list[object]:
    for _ in range(n):
        recording.write(SAMPLE)
        until(lambda: recording._answer is None or recording._answer.done())
    return [typed(decode_object(line)) for line in recording.path.read_bytes().splitlines()]


def test_samples_are_appended_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "machine.jsonl"
    assert written(Recording(path), 2) == [SAMPLE, SAMPLE]
    assert written(Recording(path)) == [SAMPLE] * 3


def test_a_line_that_was_cut_spoils_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "machine.jsonl"
    written(Recording(path))
    path.write_bytes(path.read_bytes() + b'{"type":"mach')
    recording = Recording(path)
    recording.write(SAMPLE)
    recording.close()
    lines = path.read_bytes().splitlines()
    assert len(lines) == 3
    assert typed(decode_object(lines[2])) == SAMPLE


@pytest.mark.parametrize("text", ['{"step": 1, "loss": 2.0}\n', "epoch 1 loss 2\n", '{"type": "run"}\n'])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    with pytest.raises(OutputError, match="holds something else"):
        Recording(path)
    assert path.read_text() == text


@pytest.mark.parametrize("name", ["no/such/folder/machine.jsonl", "."])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="samples cannot be recorded in"):
        Recording(tmp_path / name)


def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording(tmp_path / "machine.jsonl")

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        recording.write(SAMPLE)
        until(lambda: recording.problem)
    assert recording.problem == "the recording of samples ended: No space left on device"
    assert written(recording) == []


def test_a_recording_by_itself_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "machine.jsonl"
    written(Recording(path), 3)
    watching = Monitor((path,), Settings())
    snapshot = watching.poll()
    while watching.backlog:
        snapshot = watching.poll()
    (run,) = snapshot.runs
    assert run.machine is not None
    assert (len(run.machine.samples), run.machine.recorded, run.view.rows) == (3, True, 0)
