import gzip
import os
from pathlib import Path

import pytest

from gradtop.sources import peek
from gradtop.sources.peek import LogPage, Peek


def texts(page: LogPage) -> list[str]:
    return [line.text for line in page.lines]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "train.log"
    path.write_text("".join(f"step {i}: loss {5 - i / 100:.2f}\n" for i in range(100)))
    return path


def test_last_shows_the_end_and_the_unfinished_line(log: Path) -> None:
    with log.open("a") as file:
        file.write("step 100: lo")
    assert texts(Peek(log).last(2)) == ["step 99: loss 4.01", "step 100: lo"]


def test_pages_back_and_forth_meet_without_gap(log: Path) -> None:
    pages = Peek(log)
    end = pages.last(10)
    above = pages.before(end.start, 10)
    assert above.stop == end.start
    assert texts(above)[-1] == "step 89: loss 4.11"
    assert pages.after(above.start, 20).lines == above.lines + end.lines


def test_every_line_is_seen_once_when_windows_are_small(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peek, "WINDOW_BYTES", 64)
    whole = log.read_text().splitlines()
    seen: list[str] = []
    at = 0
    while at < log.stat().st_size:
        page = Peek(log).after(at, 1000)
        seen += texts(page)
        at = page.stop
    assert seen == whole
    back: list[str] = []
    while at > 0:
        page = Peek(log).before(at, 1000)
        back = texts(page) + back
        at = page.start
    assert back == whole


def test_a_line_longer_than_a_window_comes_in_bounded_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peek, "WINDOW_BYTES", 64)
    path = tmp_path / "long.log"
    path.write_bytes(b"x" * 1000 + b"\nlast\n")
    assert len(Peek(path).after(0, 5).lines[0].text) == 64
    assert texts(Peek(path).last(5)) == ["last"]
    assert len(Peek(path).before(1001, 5).lines[0].text) <= 64


def test_find_goes_both_ways_and_ignores_case(log: Path) -> None:
    pages = Peek(log)
    forward = pages.find("LOSS 4.5", 0, 3)
    assert texts(forward)[0] == "step 41: loss 4.59"
    assert forward.found == forward.start
    assert texts(pages.find("loss 4.5", forward.start, 1))[0] == "step 42: loss 4.58"
    back = pages.find("loss 4.6", forward.start, 1, forward=False)
    assert texts(back) == ["step 40: loss 4.60"]


@pytest.mark.parametrize("window", [16, 17, 23, 64])
def test_find_sees_a_match_across_windows(log: Path, monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    whole = Peek(log)
    expected = whole.find("step 77:", 0, 1).start, whole.find("step 7:", 1500, 1, forward=False).start
    monkeypatch.setattr(peek, "WINDOW_BYTES", window)
    found = Peek(log).find("step 77:", 0, 1).found, Peek(log).find("step 7:", 1500, 1, forward=False).found
    assert found[0] is not None
    assert found[1] is not None
    # A line start is looked for within one window, so a small window may stop inside the line.
    assert expected[0] <= found[0] < expected[0] + 30
    assert expected[1] <= found[1] < expected[1] + 30


def test_find_says_when_there_is_nothing(log: Path) -> None:
    page = Peek(log).find("nowhere", 0, 5)
    assert page.lines == ()
    assert "'nowhere' is not in the text after this line" in page.problem


def test_what_cannot_be_paged_says_so(tmp_path: Path) -> None:
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(b"loss 1\n"))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "compressed" in Peek(packed).last(5).problem
    assert "not a regular file" in Peek(pipe).last(5).problem
    assert "not a regular file" in Peek(tmp_path).last(5).problem
    assert "No such file" in Peek(tmp_path / "gone").last(5).problem
    assert "cannot be read" in Peek(Path("nul\0byte")).last(5).problem


def test_an_empty_or_shrunk_file_gives_what_is_there(log: Path) -> None:
    assert Peek(log).after(10**9, 1).lines[0].text == "step 99: loss 4.01"
    log.write_bytes(b"")
    assert Peek(log).last(5) == LogPage()
    assert Peek(log).after(500, 5) == LogPage()


def test_broken_text_is_shown_as_replacement(tmp_path: Path) -> None:
    path = tmp_path / "bad.log"
    path.write_bytes(b"ok\r\n\xff\xfe loss\n")
    assert texts(Peek(path).last(5)) == ["ok", "\ufffd\ufffd loss"]


def test_what_lies_beyond_the_limit_is_not_there_yet(log: Path) -> None:
    limit = log.read_bytes().index(b"step 50:")
    pages = Peek(log, limit)
    assert texts(pages.last(1)) == ["step 49: loss 4.51"]
    assert texts(pages.after(0, 1000))[-1] == "step 49: loss 4.51"
    assert "is not in the text" in pages.find("step 77:", 0, 1).problem


def test_piped_text_is_not_kept() -> None:
    assert "piped in" in Peek(Path("-")).last(5).problem
