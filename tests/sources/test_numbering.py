import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradtop.sources import numbering, peek
from gradtop.sources.numbering import Numbering
from gradtop.sources.peek import Peek, Peeks


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "MARK_BYTES", 16)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"x")), max_size=30), last=st.booleans())
def test_numbers_and_offsets_are_those_of_counting(
    small: None, tmp_path: Path, pieces: list[bytes], last: bool
) -> None:
    data = b"\n".join(pieces) + b"\n" * last
    path = tmp_path / "log"
    path.write_bytes(data)
    starts = [0, *(i + 1 for i, byte in enumerate(data) if byte == 10)]
    fd = os.open(path, os.O_RDONLY)
    try:
        found = Numbering()
        for number, start in enumerate(starts, 1):
            assert found.offset_of(fd, len(data), number) == (start if start < len(data) else None)
            assert found.number_at(fd, len(data), start) == number
            assert Numbering().number_at(fd, len(data), start) == number
        assert found.offset_of(fd, len(data), len(starts) + 1) is None
    finally:
        os.close(fd)


def test_a_file_that_is_another_one_is_counted_anew(small: None, tmp_path: Path) -> None:
    path, peeks = tmp_path / "log", Peeks()
    path.write_text("a\n" * 100)
    assert peeks(path, None).line(50, 5).found == 98
    path.write_text("bbbb\n" * 100)
    assert peeks(path, None).line(50, 5).found == 245
    path.write_text("bbbb\n" * 10)
    page = peeks(path, None).line(50, 5)
    assert page.lines == ()
    assert page.problem == "line 50 is not in this file, as it is now"


def test_what_takes_too_long_is_counted_page_by_page(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbering, "PASSING_BYTES", 32)
    path, peeks = tmp_path / "log", Peeks()
    path.write_text("".join(f"line {i}\n" for i in range(20)))
    numbers = [peeks(path, None).last(3).number for _ in range(8)]
    assert numbers[0] is None
    assert numbers[-1] == 18


def test_a_line_very_far_into_a_file_takes_several_tries_and_that_is_said(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbering, "SOUGHT_BYTES", 64)
    monkeypatch.setattr(peek, "MARK_BYTES", 16)
    path, peeks = tmp_path / "log", Peeks()
    path.write_text("".join(f"line {i}\n" for i in range(1, 31)))
    tries = [peeks(path, None).line(30, 3) for _ in range(6)]
    assert "try again" in tries[0].problem
    assert tries[-1].lines[-1].text == "line 30"


def test_a_page_around_a_line_says_where_it_is_and_what_number_it_begins_with(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {i}\n" for i in range(1, 101)))
    page = Peeks()(path, None).line(50, 9)
    assert [line.text for line in page.lines] == [f"line {i}" for i in range(47, 56)]
    assert page.number == 47
    assert next(line.text for line in page.lines if line.offset == page.found) == "line 50"
    end = Peeks()(path, None).line(100, 9)
    assert (end.number, end.lines[-1].text) == (92, "line 100")
    assert Peeks()(path, None).line(1, 9).number == 1


def test_without_a_numbering_a_page_has_no_number_and_a_line_is_found_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a\nb\nc\n")
    assert Peek(path).last(2).number is None
    assert Peek(path).line(2, 1).lines[0].text == "b"


def test_a_line_of_ten_megabytes_is_found_between_others(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\n" + b"x" * 10_000_000 + b"\nlast\n")
    peeks = Peeks()
    long, last = peeks(path, None).line(2, 10), peeks(path, None).line(3, 10)
    assert long.found == 6
    assert any(line.offset == 6 for line in long.lines)
    assert last.found == 10_000_007
    assert last.lines[-1].text == "last"


def test_what_is_not_written_yet_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a\nb\nc\n")
    assert Peeks()(path, 4).line(3, 5).lines == ()
    assert Peeks()(path, 4).line(2, 5).lines[-1].text == "b"
