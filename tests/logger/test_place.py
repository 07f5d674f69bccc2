"""Which file is written, and that a line is in it whole, once, whatever the kernel takes."""

import errno
import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path

import pytest

from gradtop.logger.writer import place
from gradtop.logger.writer.place import Place, claim, names

HEAD = '{"type":"run","schema":"gradtop/1","run":"x","session":%d}\n'
ROW = '{"type":"metrics","step":1,"loss":2.5}\n'
LINES = b'{"step":1}\n{"step":2}\n{"step":3}\n'


def own(name: str) -> bool:
    return re.fullmatch(rf"metrics\.[A-Za-z0-9_-]+-{os.getpid()}\.jsonl", name) is not None


def test_a_new_directory_and_a_first_session(tmp_path: Path) -> None:
    taken = claim(tmp_path / "logs" / "run1")
    assert (taken.path, taken.session) == (tmp_path / "logs" / "run1" / "metrics.jsonl", 1)
    taken.close()


def test_the_file_of_a_rank(tmp_path: Path) -> None:
    taken = claim(tmp_path, 3)
    assert taken.path.name == "metrics.rank3.jsonl"
    taken.close()


@pytest.mark.parametrize("block", [40, 100, 1 << 18])
@pytest.mark.parametrize("rows", [0, 1, 50])
def test_a_session_follows_the_newest_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, rows: int
) -> None:
    """Whatever blocks the file is read in: run lines lie across them."""
    (tmp_path / "metrics.jsonl").write_text(HEAD % 1 + ROW * rows + HEAD % 7 + ROW * rows)
    monkeypatch.setattr(place, "BLOCK_BYTES", block)
    taken = claim(tmp_path)
    assert taken.session == 8
    taken.close()


def test_a_session_too_far_back_counts_from_the_first_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metrics.jsonl").write_text(HEAD % 4 + ROW * 50)
    monkeypatch.setattr(place, "SEARCH_BYTES", 100)
    taken = claim(tmp_path)
    assert taken.session == 5
    taken.close()


@pytest.mark.parametrize("last", ["", '{"type":"metr', '{"type":"run","schema":"gradtop/1","session":9'])
def test_a_torn_last_line_is_closed_off(tmp_path: Path, last: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(HEAD % 2 + last)
    taken = claim(tmp_path)
    assert taken.session == 3
    assert taken.append(LINES) == b""
    taken.close()
    assert path.read_text() == HEAD % 2 + last + ("\n" if last else "") + LINES.decode()


def test_a_killed_writers_half_first_line_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"type":"run","sch')
    taken = claim(tmp_path)
    assert (taken.path.name, taken.session) == ("metrics.jsonl", 1)
    taken.close()


def test_writers_of_one_directory_have_files_of_their_own(tmp_path: Path) -> None:
    """Also in one process; a file that is let go of can be had again."""
    first, second, third = claim(tmp_path), claim(tmp_path), claim(tmp_path)
    assert first.path.name == "metrics.jsonl"
    assert own(second.path.name)
    assert third.path.name == second.path.name.replace(".jsonl", "-2.jsonl")
    first.close()
    again = claim(tmp_path)
    assert again.path == first.path
    for taken in (second, third, again):
        taken.close()


def test_a_file_that_something_else_writes_is_left_alone(tmp_path: Path) -> None:
    """`metrics.jsonl` is a common name: a training may have its own."""
    path = tmp_path / "metrics.jsonl"
    path.write_text(ROW)
    taken = claim(tmp_path)
    assert own(taken.path.name)
    assert path.read_text() == ROW
    taken.close()


def test_without_locks_only_a_file_made_just_now_is_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    first, second = claim(tmp_path), claim(tmp_path)
    assert first.path.name == "metrics.jsonl"
    assert own(second.path.name)
    first.close()
    second.close()


def test_a_file_of_another_user_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refusing(path: Path, flags: int, mode: int = 0o777) -> int:
        if path.name == "metrics.jsonl":
            raise PermissionError(errno.EACCES, "denied")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    taken = claim(tmp_path)
    assert own(taken.path.name)
    taken.close()


def test_a_directory_that_refuses_every_name_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(path: Path, flags: int, mode: int = 0o777) -> int:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(PermissionError):
        claim(tmp_path)


def test_a_name_once_held_is_gone_on_with(tmp_path: Path) -> None:
    """The file of the run is not taken over later on, where another run may have stood."""
    name = list(names(None))[1]
    taken = claim(tmp_path, held=name)
    assert taken.path.name == name
    taken.close()


def test_a_host_is_cleaned_for_a_file_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("", "gpu/../ü 1.cluster.org", "", "", "")))
    assert list(names(None))[1] == f"metrics.gpu-{os.getpid()}.jsonl"
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("", "", "", "", "")))
    assert list(names(2))[1] == f"metrics.rank2.host-{os.getpid()}.jsonl"


@pytest.mark.parametrize("taken", range(len(LINES) + 1))
def test_a_short_write_leaves_each_line_whole_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    """The disk fills up after any byte: what was cut off stands on a line of its own."""
    target, real, room = claim(tmp_path), os.write, taken

    def write(fd: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "full")
        done = real(fd, data[:room])
        room -= done
        return done

    monkeypatch.setattr(os, "write", write)
    rest = fill(target, LINES)
    room = 1000
    assert fill(target, rest) == b""
    target.close()
    lines = target.path.read_bytes().splitlines(keepends=True)
    assert b"".join(line for line in lines if line.endswith(b"}\n")) == LINES
    assert sum(not line.endswith(b"}\n") for line in lines) <= 1


def fill(target: Place, lines: bytes) -> bytes:
    """What is left when the disk takes no more."""
    with suppress(OSError):
        while lines:
            lines = target.append(lines)
    return lines


def test_a_file_that_is_removed_replaced_or_cut_no_longer_stands(tmp_path: Path) -> None:
    target = claim(tmp_path)
    target.append(LINES)
    assert target.stands()
    os.truncate(target.path, 3)
    assert not target.stands()
    target.path.unlink()
    assert not target.stands()
    target.path.write_bytes(LINES)
    assert not target.stands()
    assert target.holds()
    target.close()
    assert not target.holds()
