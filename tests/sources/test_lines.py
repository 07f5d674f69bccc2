"""Bytes in any portions to whole lines."""

import tracemalloc

import pytest

from gradtop.sources.follow.tail import CHUNK_BYTES, MAX_LINE_BYTES, LineDecoder
from gradtop.sources.reader import Line


def lines_of(data: bytes, size: int, soft_cr: bool = False) -> list[Line]:
    decoder = LineDecoder(soft_cr)
    found = [line for i in range(0, len(data), size) for line in decoder.feed(data[i : i + size])]
    return found + decoder.finish()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_do_not_depend_on_the_portions(size: int) -> None:
    data = "\ufeffжürich\r\n\0\0a\u2028b\x0bc\x85\n\n二 loss\r\r\nend".encode()
    texts = ["жürich", "a\u2028b\x0bc\x85", "", "二 loss\r", "end"]
    assert lines_of(data, size) == [Line(i, text.encode()) for i, text in enumerate(texts, 1)]


@pytest.mark.parametrize("size", [1000, 65536, 3 * MAX_LINE_BYTES])
def test_a_long_line_is_skipped_and_counted(size: int) -> None:
    decoder = LineDecoder()
    data = b"a\n" + b"x" * (MAX_LINE_BYTES + 1) + b"\nb\n"
    lines = [line for i in range(0, len(data), size) for line in decoder.feed(data[i : i + size])]
    assert lines == [Line(1, b"a"), Line(3, b"b")]
    assert [line.number for line in decoder.oversize] == [2]


def test_the_longest_line_is_kept() -> None:
    assert len(lines_of(b"x" * MAX_LINE_BYTES + b"\n", 65536)[0].data) == MAX_LINE_BYTES


def test_an_endless_line_stays_small() -> None:
    decoder, chunk = LineDecoder(), b"x" * CHUNK_BYTES
    tracemalloc.start()
    for _ in range(80):
        assert decoder.feed(chunk) == []
    for _ in range(20_000):
        decoder.feed(b"y" * 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MAX_LINE_BYTES
    assert decoder.feed(b"\nnext\n") == [Line(2, b"next")]


def test_a_growing_text_line_ends_at_its_last_carriage_return() -> None:
    decoder = LineDecoder(soft_cr=True)
    assert decoder.feed(b"\r 1%") == []
    assert decoder.feed(b"\r 2%\r 3") == [Line(1, b"\r 1%\r 2%")]
    assert decoder.feed(b"%\r") == []
    assert decoder.feed(b"\ndone\n") == [Line(1, b" 3%"), Line(2, b"done")]


def test_rows_never_end_at_a_carriage_return() -> None:
    decoder = LineDecoder()
    for piece in (b'{"a":"1\r', b'2\r3"', b"}"):
        assert decoder.feed(piece) == []
    assert decoder.feed(b"\n") == [Line(1, b'{"a":"1\r2\r3"}')]


def test_finish_gives_the_rest_once() -> None:
    decoder = LineDecoder()
    decoder.feed(b"a\nb\r")
    assert decoder.finish() == [Line(2, b"b")]
    assert decoder.finish() == []
    assert not decoder.partial
