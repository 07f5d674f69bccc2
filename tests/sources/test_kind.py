"""What a file is: never guessed at."""

import bz2
import gzip
import lzma
import pickle
import sqlite3
import struct
import zipfile
from pathlib import Path

import pytest
from reading import SHARED

from gradtop.sources.follow.kind import HEAD_BYTES, recognise

ROW = b'{"step": 1, "loss": 2.5}\n'
PRETTY = b'{\n  "epoch": 1.0,\n  "log_history": [\n    {"loss": 2.0}\n  ]\n}\n'


@pytest.mark.parametrize(
    ("name", "head", "form"),
    [
        ("a.jsonl", ROW, "jsonl"),
        ("metrics.json", ROW, "jsonl"),
        ("log.txt", ROW * 2, "jsonl"),
        ("a.jsonl", b'{"step": 1, "loss": NaN}\n' * 3, "jsonl"),
        ("a.jsonl", b'{"type":"run","schema":"gradtop/1"}\n', "gradtop"),
        ("a.jsonl", b'{"wide": "' + b"x" * (HEAD_BYTES - 10), "jsonl"),
        ("a.csv", b"epoch,loss\n", "csv"),
        ("training.log", b"epoch;loss\n0;1.5\n", "csv"),
        ("a.csv", b'step,"loss"\r\n1,2\r\n', "csv"),
        ("progress.csv", b"a,b\n1,2\n", "csv"),
        ("a.log", b"a,b\n1,2\n", "text"),
        ("a.log", b"Loading model, loss, lr\nstep 1\n", "text"),
        ("a.log", b"step 1: loss 2\n", "text"),
        ("a.log", b"starting\n" + ROW * 2 + b"done\n", "text"),
        ("a.log", ROW + b"epoch 1 of 3 begins\n" * 3, "text"),
        ("a.log", b"[2025-01-02 15:45:19] [INFO] started\n", "text"),
        ("a.log", b"{'loss': 2.5, 'epoch': 0.1}\n", "text"),
        ("a.log", b'{\n  "lr": 0.1\n}\nstep 1: loss 2\n', "text"),
        ("a.log", b"\r 1%|#  | 1/100, loss=2\r 2%", "text"),
        ("a.log", "训练 loss 损失\n".encode("gbk") * 20, "text"),
        ("a.log", "d\xe9but \xe0 l'\xe9t\xe9\n".encode("latin-1"), "text"),
        ("a.log", b"\x1b[32mstep 1\x1b[0m loss 2\n", "text"),
        ("a.log", b"\0" * 5000 + b"step 1: loss 2\n", "text"),
        ("a.jsonl", b"\0" * 5000 + ROW, "jsonl"),
        ("a.log", b"x" * HEAD_BYTES, "text"),
    ],
)
def test_formats_that_are_read(name: str, head: bytes, form: str) -> None:
    kind = recognise(name, head)
    assert (kind.format, kind.sentence) == (form, "")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.log", b""),
        ("a.log", b"\0" * 100),
        ("a.log", b"\n\n"),
        ("a.log", b"ste"),
        ("a.log", ROW),
        ("a.log", b"step,loss\n"),
        ("state.json", b'{"a": 1}'),
        ("state.json", PRETTY[:20]),
    ],
)
def test_too_little_is_left_open(name: str, head: bytes) -> None:
    kind = recognise(name, head)
    assert kind.format == "unknown"
    assert kind.sentence


@pytest.mark.parametrize(
    ("name", "head", "form"),
    [
        ("a.log", b"ste", "text"),
        ("a.log", ROW.strip(), "jsonl"),
        ("a.log", b"step,loss\n", "text"),
        ("state.json", PRETTY, "json"),
        ("state.json", b'{"log_history": [{"step": 1, "loss": NaN}]}\n', "json"),
        ("rows.json", b'[{"step": 1, "loss": 2.5}, {"step": 2, "loss": NaN}]', "json"),
        ("rows.json", b'[\n  {"epoch": 1, "val_loss": "2.5"},\n', "unread"),
        ("data.json", b'[{"text": "loss 2.5", "label": 3}]', "unread"),
        ("state.json", b'{"a": 1}', "unread"),
        ("a.log", b"", "unknown"),
    ],
)
def test_at_the_end_an_answer_is_given(name: str, head: bytes, form: str) -> None:
    assert recognise(name, head, ended=True).format == form


def written(tmp_path: Path) -> dict[str, bytes]:
    """Files of many kinds, as their own writers make them."""
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    database = sqlite3.connect(tmp_path / "d")
    database.execute("create table metrics (step)")
    database.commit()
    database.close()
    header = b'{"weight":{"dtype":"F32"}}'
    return {
        "checkpoint": (tmp_path / "z").read_bytes(),
        "SQLite": (tmp_path / "d").read_bytes(),
        "safetensors": struct.pack("<Q", len(header)) + header + bytes(100),
        "pickle": pickle.dumps({"loss": [1.0, 2.0]}),
    }


@pytest.mark.parametrize("word", ["checkpoint", "SQLite", "safetensors", "pickle"])
def test_real_files_of_other_kinds_are_named(tmp_path: Path, word: str) -> None:
    kind = recognise("metrics.jsonl", written(tmp_path)[word])
    assert kind.format == "unread"
    assert word in kind.name


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b":W&B\xe1\xbe\x00", "W&B"),
        (b":SWL\xd6\xe1\x02", "SwanLab"),
        (b"\x28\xb5\x2f\xfd\x00", "zstdcat"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"\x89HDF\r\n\x1a\n\0", "HDF5"),
        (b"\x89PNG\r\n\x1a\n\0", "PNG"),
        (b"\x7fELF\2\1\1", "ELF"),
        (b"%PDF-1.7\n", "PDF"),
        (bytes(range(256)) * 4, "binary"),
        (b"step 1" + b"\0" * 50 + b"\n", "binary"),
    ],
)
def test_magic_bytes(head: bytes, word: str) -> None:
    assert word in recognise("train.log", head).sentence


@pytest.mark.parametrize(
    ("head", "packing"),
    [
        (gzip.compress(ROW * 100, mtime=0), "gzip"),
        (bz2.compress(ROW), "bzip2"),
        (lzma.compress(ROW), "xz"),
        (b"\xff\xfes\0t\0", "utf-16"),
        (b"\xfe\xff\0s\0t", "utf-16"),
        (b"\xff\xfe\0\0s\0\0\0", "utf-32"),
    ],
)
def test_what_has_to_be_unpacked_is_told_by_its_first_bytes(head: bytes, packing: str) -> None:
    kind = recognise("metrics.jsonl", head)
    assert (kind.format, kind.packing, kind.readable) == ("packed", packing, False)


def test_a_table_of_pandas_has_a_column_without_a_name() -> None:
    assert recognise("log.csv", b",step,loss\n0,1,2.5\n", ended=True).format == "csv"


def test_bytes_that_are_no_text_are_binary_in_any_encoding() -> None:
    noise = bytes((i * 7919 + (i >> 3) * 104729) % 251 for i in range(4096))
    assert recognise("train.log", noise).name == "binary file"


CORPUS_FORMATS = {".jsonl": "jsonl", ".csv": "csv", ".log": "text", ".out": "text"}


def test_the_corpus_is_told_apart() -> None:
    corpus = SHARED / "corpus"
    if not corpus.is_dir():
        pytest.skip("the corpus of real logs is not beside the repository")
    for path in sorted(corpus.iterdir()):
        unread = "tfevents" in path.name or path.suffix == ".wandb"
        expected = "unread" if unread else CORPUS_FORMATS.get(path.suffix)
        if expected is not None:
            with path.open("rb") as file:
                assert recognise("x", file.read(HEAD_BYTES), ended=True).format == expected, path.name
