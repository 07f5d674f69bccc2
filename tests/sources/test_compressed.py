"""Compressed logs and logs in UTF-16: read once, in bounded portions; what cannot be unpacked is said."""

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from reading import rows_of

from gradtop.record import Record
from gradtop.sources.follow import compressed
from gradtop.sources.follow.compressed import PORTION_BYTES, bare_name, unpacker
from gradtop.sources.follow.file import FileSource
from gradtop.sources.follow.tail import CHUNK_BYTES

PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
SUFFIXES = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz"}


def jsonl(first: int, last: int) -> bytes:
    rows = (json.dumps({"step": step, "loss": 1 / step}) + "\n" for step in range(first, last + 1))
    return "".join(rows).encode()


def poll(source: FileSource) -> list[Record]:
    records: list[Record] = []
    more = True
    while more:
        batch = source.read()
        records += batch.records
        more = batch.more
    return records


def steps(records: Iterable[Record]) -> list[float]:
    return [row["step"] for row in rows_of(records)]


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("log.txt", b"step 1: loss 2.5\nstep 2: loss 2.25\n", "text"),
        ("metrics.jsonl", jsonl(1, 2), "jsonl"),
        ("metrics.csv", b"step,loss\n1,2.5\n2,2.25\n", "csv"),
        ("trainer_state.json", b'{"log_history": [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 2.25}]}', "json"),
        ("train.log", b"step 1: loss 2.5\nstep 2: loss 2.25\n", "text"),
    ],
)
def test_what_is_inside_is_recognised_like_any_other_file(
    tmp_path: Path, packing: str, name: str, content: bytes, form: str
) -> None:
    path = tmp_path / f"{name}{SUFFIXES[packing]}"
    path.write_bytes(PACKERS[packing](content))
    source = FileSource(path)
    assert steps(poll(source)) == [1, 2]
    status = source.status
    assert (status.format, status.problem, status.partial) == (form, "", False)
    assert (status.size, status.offset) == (path.stat().st_size, path.stat().st_size)


@pytest.mark.parametrize("packing", PACKERS)
def test_streams_in_a_row_are_one_log(tmp_path: Path, packing: str) -> None:
    path = tmp_path / "a.jsonl.packed"
    pack = PACKERS[packing]
    path.write_bytes(pack(jsonl(1, 5)) + pack(jsonl(6, 9)) + b"\0" * 512)
    source = FileSource(path)
    assert steps(poll(source)) == list(range(1, 10))
    assert source.status.problem == ""


@pytest.mark.parametrize("packing", PACKERS)
def test_portions_are_bounded(packing: str) -> None:
    data = PACKERS[packing](b"\0" * 20_000_000)
    opened = unpacker(packing)
    sizes = [len(opened.take(data))]
    while opened.waiting:
        sizes.append(len(opened.take(b"")))
    assert sum(sizes) == 20_000_000
    assert max(sizes) <= PORTION_BYTES
    assert (opened.problem, opened.partial) == ("", False)


def test_bytes_in_any_portions_unpack_to_the_same(tmp_path: Path) -> None:
    data = jsonl(1, 20_000)
    for packing, pack in PACKERS.items():
        packed, opened, out = pack(data), unpacker(packing), bytearray()
        for start in range(0, len(packed), 1111):
            out += opened.take(packed[start : start + 1111])
            while opened.waiting:
                out += opened.take(b"")
        assert out == data


def test_a_log_larger_than_a_portion_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(jsonl(1, 30_000)))
    source = FileSource(path)
    batch = source.read()
    assert batch.more
    assert steps([*batch.records, *poll(source)]) == list(range(1, 30_001))


def test_a_truncated_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    packed = gzip.compress(jsonl(1, 5000))
    path.write_bytes(packed[: len(packed) // 2])
    source = FileSource(path)
    found = steps(poll(source))
    assert 1000 < len(found) < 5000
    assert source.status.partial
    path.write_bytes(packed)
    assert steps(poll(source)) == list(range(len(found) + 1, 5001))
    assert (source.status.problem, source.status.partial) == ("", False)


def test_a_file_that_stays_truncated_says_so_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(jsonl(1, 5000))[:-20])
    source = FileSource(path)
    poll(source)
    source.finish()
    assert "end in the middle" in source.status.problem
    assert any("end in the middle" in reason for reason in source.account.rejected)
    rejected = source.status.lines_rejected
    source.finish()
    assert source.status.lines_rejected == rejected


def test_a_line_that_ends_with_the_compressed_data_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "train.log.gz"
    whole = zlib.compressobj(wbits=31)
    packed = whole.compress(b"step 1 loss 2.75\nstep 2 loss 2.50\nstep 3 loss 1")
    path.write_bytes(packed + whole.flush(zlib.Z_SYNC_FLUSH))
    source = FileSource(path)
    records = poll(source)
    records += source.finish().records
    assert steps(records) == [1, 2]
    assert source.account.rejected["cut off with the data it stands in"].samples == [(3, "step 3 loss 1")]


@pytest.mark.parametrize("packing", PACKERS)
def test_damage_ends_the_reading_and_is_said(tmp_path: Path, packing: str) -> None:
    path = tmp_path / "a.jsonl.gz"
    packed = bytearray(PACKERS[packing](jsonl(1, 5000)))
    packed[len(packed) * 3 // 4] ^= 0xFF
    path.write_bytes(packed)
    source = FileSource(path)
    found = steps(poll(source))
    if packing == "gzip":
        assert found[:2000] == list(range(1, 2001))
    assert "damaged" in source.status.problem
    assert source.status.lines_rejected >= 1


def test_a_wrong_checksum_costs_no_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    packed = bytearray(gzip.compress(jsonl(1, 50)))
    packed[-5] ^= 0xFF
    path.write_bytes(packed)
    source = FileSource(path)
    assert steps(poll(source)) == list(range(1, 51))
    assert "damaged" in source.status.problem


def test_what_follows_the_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(jsonl(1, 3)) + b"and some words")
    source = FileSource(path)
    assert steps(poll(source)) == [1, 2, 3]
    assert "they are not read" in source.status.problem


def test_a_bomb_is_stopped_by_its_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "FREE_BYTES", 1_000_000)
    path = tmp_path / "log.txt.gz"
    path.write_bytes(gzip.compress(b"step 1: loss 2.5\n" + b" " * 30_000_000, 9))
    source = FileSource(path)
    poll(source)
    assert "as no log does" in source.status.problem
    assert sum(tally.count for tally in source.account.rejected.values()) >= 1


def test_the_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compressed.MAX_BYTES == 4 * 1024**3
    monkeypatch.setattr(compressed, "MAX_BYTES", 1_000_000)
    opened = unpacker("gzip")
    opened.take(gzip.compress(jsonl(1, 100_000)))
    while opened.waiting:
        opened.take(b"")
    assert "the rest is not read" in opened.problem
    assert opened.take(b"x") == b""


def test_what_is_packed_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz.gz"
    path.write_bytes(gzip.compress(gzip.compress(jsonl(1, 3))))
    source = FileSource(path)
    assert poll(source) == []
    assert "unpack it first" in source.status.problem


def test_an_archive_is_no_log(tmp_path: Path) -> None:
    path = tmp_path / "logs.tar.gz"
    path.write_bytes(gzip.compress(b"log.txt" + b"\0" * 505 + b"step 1: loss 2.5\n" + b"\0" * 600_000))
    source = FileSource(path)
    assert poll(source) == []
    assert "binary" in source.status.problem
    assert source.status.offset <= CHUNK_BYTES


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-32-le"])
def test_other_encodings_with_their_mark_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "train.log"
    text = "\ufeffdébut\nstep 1: loss 0.5, lr 0.1\nstep 2: loss 0.25, lr 0.1\n".encode(encoding)
    path.write_bytes(text[:-3])
    source = FileSource(path)
    assert steps(poll(source)) == [1]
    assert source.status.partial
    path.write_bytes(text)
    assert steps(poll(source)) == [2]
    assert (source.status.problem, source.status.partial) == ("", False)


def test_the_name_inside_is_the_name_without_its_suffix() -> None:
    assert [bare_name(name) for name in ("a.csv.gz", "b.xz", "c.log")] == ["a.csv", "b", "c.log"]
