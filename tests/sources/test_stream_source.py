"""Standard input: whatever arrives, and never a wait."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from reading import rows_of

from gradtop.record import Record
from gradtop.sources.follow.stream import StreamSource


class Pipe:
    """A pipe with a source at its reading end."""

    def __init__(self) -> None:
        fd, self.write_fd = os.pipe()
        self.source = StreamSource(fd)

    def put(self, text: str) -> None:
        os.write(self.write_fd, text.encode())

    def read(self) -> list[Record]:
        return list(self.source.read().records)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.source.close()
    with suppress(OSError):  # the test may have closed it
        os.close(pipe.write_fd)


def test_an_empty_pipe_never_blocks(pipe: Pipe) -> None:
    started = time.monotonic()
    assert pipe.read() == []
    assert not pipe.source.wait(0.0)
    assert time.monotonic() - started < 1
    assert "empty so far" in pipe.source.status.problem
    assert not pipe.source.ended


@pytest.mark.parametrize(
    ("form", "first", "second"),
    [
        ("text", "step 1: loss 0.5\n", "step 2: loss 0.25\n"),
        ("jsonl", '{"step":1,"loss":0.5}\n', '{"step":2,"loss":0.25}\n'),
    ],
)
def test_the_kind_is_told_by_what_arrives(pipe: Pipe, form: str, first: str, second: str) -> None:
    pipe.put(first)
    records = pipe.read()
    pipe.put(second)
    records += pipe.read()
    assert [row["loss"] for row in rows_of(records)] == [0.5, 0.25]
    assert pipe.source.status.format == form
    assert pipe.source.status.size == len(first) + len(second)


def test_the_end_gives_the_line_that_was_held_back(pipe: Pipe) -> None:
    pipe.put('{"step":1,"loss":0.5}\n' * 2 + '{"step":2,"loss":0.25}')
    pipe.read()
    assert pipe.source.status.partial
    os.close(pipe.write_fd)
    assert [row["loss"] for row in rows_of(pipe.read())] == [0.25]
    assert pipe.source.ended
    assert pipe.read() == []


def test_waiting_ends_when_something_arrives(pipe: Pipe) -> None:
    pipe.put("x")
    assert pipe.source.wait(60)


def test_the_flags_of_the_descriptor_are_left_alone() -> None:
    fd, write_fd = os.pipe()
    assert os.get_blocking(fd)
    source = StreamSource(os.dup(fd))
    source.read()
    assert os.get_blocking(fd)
    source.close()
    os.close(fd)
    os.close(write_fd)


def test_a_binary_stream_is_drained_and_named(pipe: Pipe) -> None:
    for _ in range(40):
        pipe.put("\x01\x02\x03\x04" * 1000)
        assert pipe.read() == []
    assert "binary" in pipe.source.status.problem


def test_a_terminal_that_hangs_up_is_an_end() -> None:
    leader, follower = os.openpty()
    source = StreamSource(leader)
    os.close(follower)
    assert source.read().records == ()
    assert source.ended
    assert "cannot be read any more" in source.status.problem
