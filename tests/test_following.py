"""`check --follow` over files and pipes that grow, as a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

END = '{"type": "end", "status": "finished"}\n'


def rows(start: int, stop: int, loss: float | None = None) -> str:
    values = ((i, 5 - i * 0.01 if loss is None else loss) for i in range(start, stop))
    return "".join(json.dumps({"step": i, "loss": value}) + "\n" for i, value in values)


@contextmanager
def following(*args: str, given: int | None = None) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "gradtop", "check", "--follow", *args]
    with subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """The next line; the time limit of the tests ends a wait that is in vain."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def await_line(process: subprocess.Popen[str], words: str) -> None:
    """Read on to the line with these words: before it there may be one on a file or pipe with nothing in it yet."""
    while words not in (told := line(process)):
        assert told


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def piped(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None
    return process.stdin


def test_each_change_is_a_line_while_the_file_grows(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(rows(0, 30))
    with following(str(path)) as process:
        assert line(process) == "metrics.jsonl  step 29  verdict  keep_training: No problem seen in 30 rows."
        append(path, rows(30, 35, float("nan")))
        told = line(process)
        assert told.startswith("metrics.jsonl  step 3")
        assert "  raised  " in told
        assert "  nonfinite: " in told
        while "  verdict  " not in told:
            told = line(process)
        assert told == "metrics.jsonl  step 34  verdict  intervene (was keep_training): nonfinite"
        append(path, rows(35, 60))
        assert line(process).startswith("metrics.jsonl  step 34  recovered  ")
        assert line(process).startswith("metrics.jsonl  step 59  verdict  keep_training (was intervene): ")
        append(path, END)
        assert process.wait() == 0
        assert line(process) == ""


@pytest.mark.parametrize(("fail_on", "code"), [("watch", 2), ("intervene", 2)])
def test_what_came_and_went_before_the_first_look_is_told_and_the_end_gives_the_exit_code(
    tmp_path: Path, fail_on: str, code: int
) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(rows(0, 30) + rows(30, 35, float("nan")) + rows(35, 60) + rows(60, 65, float("nan")) + END)
    with following("--json", "--fail-on", fail_on, str(path)) as process:
        assert process.wait() == code
        assert process.stdout is not None
        changes: list[dict[str, Any]] = [json.loads(told) for told in process.stdout]
    assert [change["change"] for change in changes] == ["raised", "recovered", "recurred", "verdict"]
    assert [change["step"] for change in changes] == [32, 34, 62, 64]
    assert [change["finding"]["kind"] for change in changes] == ["nonfinite"] * 4
    assert changes[-1]["verdict"] == "intervene"


def test_milder_verdicts_than_asked_for_give_0(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(rows(0, 60) + rows(60, 63, 8.0) + END)
    for fail_on, code in (("watch", 1), ("intervene", 0)):
        with following("--fail-on", fail_on, str(path)) as process:
            assert process.wait() == code
            assert line(process).split("  ")[2:4] == ["raised", "watch"]


def test_a_session_that_repeats_steps_tells_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(rows(0, 30) + rows(30, 35, float("nan")) + rows(35, 80))
    with following(str(path)) as process:
        before = [line(process) for _ in range(3)]
        assert ["raised" in before[0], "recovered" in before[1], "verdict" in before[2]] == [True, True, True]
        append(path, rows(60, 120) + END)
        assert process.wait() == 0
        assert line(process) == ""


def test_a_run_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    with following(str(tmp_path)) as process:
        assert process.stderr is not None
        while process.stderr.readline() != "waiting for a run to appear\n":
            pass
        (tmp_path / "metrics.jsonl").write_text(rows(0, 30) + END)
        await_line(process, ": Finished, no problem seen in 30 rows.")
        assert process.wait() == 0


def test_a_pipe_is_followed_to_its_end() -> None:
    with following("-", given=subprocess.PIPE) as process:
        stdin = piped(process)
        stdin.write(rows(0, 30))
        stdin.flush()
        await_line(process, "standard input  step 29  verdict  keep_training")
        stdin.write(rows(30, 40, float("nan")))
        stdin.close()
        assert process.wait() == 2
        assert "nonfinite" in line(process)
