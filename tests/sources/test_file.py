"""One file from its first byte to its records, through everything that happens to files."""

import os
from pathlib import Path

import pytest
from follower import Reading, jsonl, losses, reasons

from gradtop.record import Restart
from gradtop.sources.follow.file import open_source
from gradtop.sources.follow.tail import CHUNK_BYTES


@pytest.mark.parametrize(
    ("name", "text", "form"),
    [
        ("metrics.jsonl", '{"step":1,"loss":0.5}\n', "jsonl"),
        ("metrics.jsonl", '{"type":"metrics","step":1,"loss":0.5}\n', "gradtop"),
        ("log.csv", "step,loss\n1,0.5\n", "csv"),
        ("train.log", "step 1: loss 0.5, lr 0.1\n", "text"),
    ],
)
def test_every_format_is_read_from_its_first_row_on(tmp_path: Path, name: str, text: str, form: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    reading = Reading(path)
    assert losses(reading.poll()) == [0.5]
    status = reading.source.status
    assert (status.problem, status.partial, status.modified) == ("", False, path.stat().st_mtime)
    assert status.format in (form, "jsonl")
    assert (status.size, status.offset) == (len(text), len(text))
    assert status.lines_read >= 1


def test_growth_is_read_as_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    reading = Reading(path)
    assert "so far" in reading.source.status.problem
    with path.open("a") as out:
        for step in range(1, 20):
            whole = jsonl(step, step)
            out.write(whole[:9])
            out.flush()
            assert reading.poll() == []
            assert reading.source.status.partial
            out.write(whole[9:])
            out.flush()
            assert losses(reading.poll()) == [step / 2]


def test_a_truncated_file_begins_a_session_and_a_new_account(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(jsonl(1, 50) + '{"step": 51, "lo')
    reading = Reading(path)
    reading.poll()
    path.write_text(jsonl(1, 3))
    records = reading.poll()
    assert reasons(records) == ["truncated"]
    assert isinstance(records[0], Restart)
    assert losses(records) == [0.5, 1.0, 1.5]
    assert reading.source.status.lines_read == 3
    assert not reading.source.status.partial


def test_a_table_that_is_written_again_with_more_columns_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n1,0.5\n2,0.4\n")
    reading = Reading(path)
    reading.poll()
    path.write_text("step,loss,lr\n1,0.5,\n2,0.4,\n3,0.3,0.1\n")
    records = reading.poll()
    assert reasons(records) == []
    assert losses(records) == [0.3]


def test_rotation_reads_both_files_and_is_no_restart(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(jsonl(1, 3))
    reading = Reading(path)
    reading.poll()
    with path.open("a") as writer:
        writer.write(jsonl(4, 4) + '{"step":5,"loss":2.5}')
    os.rename(path, tmp_path / "metrics.jsonl.1")
    path.write_text(jsonl(6, 7))
    records = reading.poll()
    assert reasons(records) == []
    assert losses(records) == [2.0, 2.5, 3.0, 3.5]


def test_the_kind_of_a_new_file_is_told_anew(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    reading = Reading(path)
    assert reading.poll() == []
    assert reading.source.status.format == "unknown"
    assert "PNG" in reading.source.status.problem
    path.write_text("step 1: loss 0.5\nstep 2: loss 0.4\n")
    assert losses(reading.poll()) == [0.5, 0.4]
    assert reading.source.status.problem == ""


def test_a_file_of_an_unread_kind_is_not_read_through(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"PK\x03\x04" + b"\0" * (20 * CHUNK_BYTES))
    reading = Reading(path)
    reading.poll()
    assert reading.source.status.offset <= CHUNK_BYTES
    assert reading.source.status.problem == "PyTorch checkpoint: not a training log"


def test_a_last_line_without_its_end_waits_for_finish(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(jsonl(1, 2) + '{"step":3,"loss":1.5}')
    reading = Reading(path)
    assert losses(reading.poll()) == [0.5, 1.0]
    assert reading.source.status.partial
    assert losses(reading.source.finish().records) == [1.5]
    assert reading.source.finish().records == ()
    assert not reading.source.status.partial


def test_a_single_line_without_its_end_is_told_apart_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text('{"step":3,"loss":1.5}')
    reading = Reading(path)
    assert reading.poll() == []
    assert "too short" in reading.source.status.problem
    assert losses(reading.source.finish().records) == [1.5]


def test_progress_bars_without_a_newline_are_read_live(tmp_path: Path) -> None:
    path = tmp_path / "stdout.txt"
    reading = Reading(path)
    with path.open("a") as out:
        for step in range(1, 30):
            out.write(f"\rEpoch 1:  10%|█         | {step}/290 [00:01<00:07,  1.90it/s, loss={step / 2:.3f}]")
            out.flush()
            reading.poll()
    assert reading.source.status.format == "text"
    assert reading.source.status.lines_read > 20


def test_a_long_line_is_rejected_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(jsonl(1, 1) + '{"step":2,"loss":' + "9" * 2_000_000 + "}\n" + jsonl(3, 3))
    reading = Reading(path)
    assert losses(reading.poll()) == [0.5, 1.5]
    tally = reading.source.account.rejected["longer than 1 MiB"]
    assert (tally.count, tally.samples[0][0]) == (1, 2)


def test_a_hole_before_the_first_line_takes_no_memory_and_no_meaning(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with path.open("wb") as out:
        out.seek(3_000_000)
        out.write(jsonl(1, 2).encode())
    reading = Reading(path)
    assert losses(reading.poll()) == [0.5, 1.0]
    assert reading.source.account.rejected == {}


def test_hostile_rows_are_counted_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    bad = ["[" * 100_000, '{"a":' * 100_000, '{"step":1}{"step":2}', '[{"step":1}]', '{"step":', "\x00\x01"]
    path.write_text(jsonl(1, 2) + "\n".join(bad) + "\n" + jsonl(3, 3))
    reading = Reading(path)
    assert losses(reading.poll()) == [0.5, 1.0, 1.5]
    assert reading.source.status.lines_rejected == len(bad)


def test_a_byte_order_mark_and_carriage_returns_are_no_content(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"\xef\xbb\xbfstep,loss\r\n1,0.5\r\n")
    assert losses(Reading(path).poll()) == [0.5]


def test_utf16_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_bytes("step 1: loss 0.5\nstep 2: loss 0.25\n".encode("utf-16"))
    assert losses(Reading(path).poll()) == [0.5, 0.25]


def test_mixed_encodings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    other = "训练开始\n".encode("gbk") + "début\n".encode("latin-1")
    path.write_bytes(other + b"step 1: loss 0.5\nstep 2: loss 0.25\n")
    assert losses(Reading(path).poll()) == [0.5, 0.25]


def test_a_closed_source_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(jsonl(1, 2))
    reading = Reading(path)
    reading.poll()
    reading.source.close()
    with path.open("a") as out:
        out.write(jsonl(3, 3))
    assert losses(reading.poll()) == [1.5]


def test_portions_are_bounded_and_say_that_more_waits(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(jsonl(1, 30_000))
    source = open_source(path)
    batch = source.read()
    assert batch.more
    assert source.status.offset == CHUNK_BYTES
    source.close()
