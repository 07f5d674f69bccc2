"""Directories to runs."""

import gzip
import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from gradtop.sources.follow.kind import HEAD_BYTES
from gradtop.sources.search import walk
from gradtop.sources.search.discover import Found, Search, discover

TEXT = "".join(f"step {i}: loss {3 - i / 100:.3f}, lr 1e-3\n" for i in range(50))
ROWS = "".join(json.dumps({"step": i, "loss": 3 - i / 100}) + "\n" for i in range(50))
TABLE = "epoch,loss\n0,1.5\n1,1.4\n"


def put(path: Path, text: str | bytes, age: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    at = 1_700_000_000 - age
    os.utime(path, (at, at))
    return path


def names(found: Found) -> list[str]:
    return [candidate.name for candidate in found.candidates]


def test_runs_are_found_by_content_newest_first(tmp_path: Path) -> None:
    put(tmp_path / "old" / "log.txt", TEXT, age=30)
    put(tmp_path / "new" / "metrics.jsonl", ROWS, age=10)
    put(tmp_path / "mid" / "results.csv", TABLE, age=20)
    put(tmp_path / "mid" / "requirements.txt", "torch==2.0\nnumpy==1.0\n")
    put(tmp_path / "mid" / "data.jsonl", '{"text": "hello"}\n' * 5)
    put(tmp_path / "mid" / "config.json", '{"lr": 0.1}')
    found = discover([tmp_path])
    assert names(found) == ["new", "mid", "old"]
    assert [c.path.name for c in found.candidates] == ["metrics.jsonl", "results.csv", "log.txt"]
    assert found.candidates[0].root == tmp_path
    assert found.complete


def test_a_run_is_named_after_its_directory_or_what_tells_it_apart(tmp_path: Path) -> None:
    root = tmp_path / "logs"
    for path in ("minigpt/metrics.jsonl", "a/seed0/metrics.jsonl", "b/seed0/metrics.jsonl", "two/x.log", "two/y.log"):
        put(root / path, TEXT if path.endswith("log") else ROWS)
    assert sorted(names(discover([root]))) == ["a/seed0", "b/seed0", "minigpt", "x.log", "y.log"]
    assert names(discover([root / "minigpt"])) == ["minigpt"]


def test_a_relative_root_gives_the_name_of_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "minigpt" / "metrics.jsonl", ROWS)
    monkeypatch.chdir(tmp_path / "minigpt")
    assert names(discover([Path()])) == ["minigpt"]


def test_what_is_not_read_is_named_and_counted(tmp_path: Path) -> None:
    for i in range(3):
        put(tmp_path / f"events.out.tfevents.{i}.host", b"x")
    put(tmp_path / "run.wandb", b":W&B")
    put(tmp_path / "trainer_state.json", "{}")
    put(tmp_path / "notes.log.gz", gzip.compress(b"nothing to see"))
    put(tmp_path / "data.tar.gz", b"x")
    put(tmp_path / "core.log", bytes(range(256)) * 10)
    put(tmp_path / "weights.safetensors", b"x")
    notes = "\n".join(discover([tmp_path]).notes)
    assert f"looked in {tmp_path}, 6 levels deep, 9 entries" in notes
    assert f"3 × TensorBoard event file, e.g. {tmp_path}/events" in notes
    for expected in ("1 × W&B run file", "1 × binary file"):
        assert expected in notes
    assert "; there is no run" in notes
    assert "safetensors" not in notes


def test_a_lone_entry_is_one_entry(tmp_path: Path) -> None:
    put(tmp_path / "notes.txt", "nothing here\n")
    assert discover([tmp_path]).notes[0].endswith("6 levels deep, 1 entry")


def test_a_compressed_log_is_a_run(tmp_path: Path) -> None:
    put(tmp_path / "rank1.log.gz", gzip.compress(TEXT.encode()))
    assert [c.path.name for c in discover([tmp_path]).candidates] == ["rank1.log.gz"]


def test_an_empty_directory_says_what_is_looked_for(tmp_path: Path) -> None:
    found = discover([tmp_path])
    assert found.candidates == ()
    assert any("*.jsonl" in note for note in found.notes)


@pytest.mark.parametrize("folder", [".git", "node_modules", "__pycache__", ".venv", "checkpoint-500", "global_step12"])
def test_directories_without_runs_are_not_entered(tmp_path: Path, folder: str) -> None:
    put(tmp_path / folder / "train.log", TEXT)
    assert discover([tmp_path]).candidates == ()


def test_the_depth_is_bounded(tmp_path: Path) -> None:
    put(tmp_path / "1/2/3/4/5/6/in.log", TEXT)
    put(tmp_path / "1/2/3/4/5/6/7/out.log", TEXT)
    assert [c.path.name for c in discover([tmp_path]).candidates] == ["in.log"]


def test_the_entries_are_bounded_and_the_bound_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_ENTRIES", 10)
    put(tmp_path / "train.log", TEXT)
    for i in range(30):
        put(tmp_path / "deep" / f"{i}.log", TEXT)
    found = discover([tmp_path])
    assert "train.log" in [c.path.name for c in found.candidates]
    assert len(found.candidates) <= 10
    assert any("name a directory closer" in note for note in found.notes)


def test_links_give_no_loop_and_no_second_run(tmp_path: Path) -> None:
    real = put(tmp_path / "run-1" / "train.log", TEXT)
    (tmp_path / "latest").symlink_to(real.parent)
    (tmp_path / "current.log").symlink_to(real)
    (real.parent / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "gone.log").symlink_to(tmp_path / "nothing")
    assert [c.path for c in discover([tmp_path]).candidates] == [real]


def test_a_directory_that_cannot_be_listed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "closed" / "train.log", TEXT)
    put(tmp_path / "open" / "train.log", TEXT)
    real = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    # Root may list everything, so the refusal is made here.
    monkeypatch.setattr(os, "scandir", scandir)
    found = discover([tmp_path])
    assert names(found) == ["open"]
    assert f"cannot be listed: {tmp_path}/closed: Permission denied" in found.notes


def test_a_given_file_is_a_run_whatever_is_in_it(tmp_path: Path) -> None:
    path = put(tmp_path / "model.bin", b"\0\1\2")
    [candidate] = discover([path]).candidates
    assert (candidate.path, candidate.modified) == (path, path.stat().st_mtime)


def test_a_given_file_is_not_found_twice(tmp_path: Path) -> None:
    path = put(tmp_path / "train.log", TEXT)
    assert len(discover([tmp_path, path]).candidates) == 1


def test_a_path_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    later, folder = tmp_path / "later.log", tmp_path / "logs"
    search = Search([later, folder])
    found = search.look()
    assert [(c.path, c.modified) for c in found.candidates] == [(later, math.inf)]
    assert f"{folder} is not there" in found.notes
    put(folder / "run" / "train.log", TEXT)
    assert names(search.look()) == ["later.log", "run"]


def test_a_log_without_rows_is_looked_into_again_when_it_grows(tmp_path: Path) -> None:
    path = put(tmp_path / "run" / "train.log", "loading the model\n")
    search = Search([tmp_path])
    found = search.look()
    assert found.candidates == ()
    assert any("no metric in 1 file" in note for note in found.notes)
    put(path, "loading the model\n" + TEXT)
    assert names(search.look()) == ["run"]


def test_rows_are_found_behind_a_long_preface(tmp_path: Path) -> None:
    put(tmp_path / "train.log", "preparing the shards\n" * 20_000 + TEXT)
    put(tmp_path / "early.log", TEXT + "waiting for the other ranks\n" * 20_000)
    assert len(discover([tmp_path]).candidates) == 2


def test_rows_of_thousands_of_metrics_are_rows(tmp_path: Path) -> None:
    row = json.dumps({"step": 1, "loss": 2.0} | {f"eval/task_{i:04}/accuracy": i / 7 for i in range(5_000)})
    assert len(row) > HEAD_BYTES
    (tmp_path / "metrics.jsonl").write_text(f"{row}\n" * 3)
    assert len(discover([tmp_path]).candidates) == 1


def test_looking_again_reads_no_file_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "a" / "train.log", TEXT)
    put(tmp_path / "b" / "notes.txt", "hello\n")
    search = Search([tmp_path])
    search.look()
    opened: list[str] = []
    real = os.open

    def recorded(path: Path, flags: int) -> int:
        opened.append(str(path))
        return real(path, flags)

    monkeypatch.setattr(os, "open", recorded)
    put(path, TEXT * 2, age=-5)
    found = search.look()
    assert opened == []
    assert found.candidates[0].modified == path.stat().st_mtime
    fresh = path.with_name("fresh")
    put(fresh, "nothing to see\n")
    os.replace(fresh, path)
    assert search.look().candidates == ()


def test_a_run_that_is_removed_is_no_candidate(tmp_path: Path) -> None:
    put(tmp_path / "a" / "train.log", TEXT)
    search = Search([tmp_path])
    assert len(search.look().candidates) == 1
    shutil.rmtree(tmp_path / "a")
    assert search.look().candidates == ()


def test_a_look_is_bounded_in_time_and_finds_the_newest_first(tmp_path: Path) -> None:
    for i in range(40):
        put(tmp_path / f"run{i}" / "train.log", TEXT, age=i)
    ticks = count()
    search = Search([tmp_path], lambda: next(ticks) * 0.05)
    first = search.look()
    assert not first.complete
    assert 1 <= len(first.candidates) < 10
    assert first.candidates[0].name == "run0"
    looks = [first]
    while not looks[-1].complete:
        looks.append(search.look())
    assert len(looks) > 3
    assert len(looks[-1].candidates) == 40


def test_two_thousand_runs_open_like_three(tmp_path: Path) -> None:
    for i in range(2000):
        put(tmp_path / f"g{i % 20}" / f"run{i}.jsonl", ROWS[:200], age=i)
    started = time.process_time()
    found = Search([tmp_path]).look()
    assert time.process_time() - started < 2
    assert found.candidates[0].path.name == "run0.jsonl"


def test_a_link_to_a_disk_of_runs_is_followed_a_few_levels(tmp_path: Path) -> None:
    given, disk = tmp_path / "project", tmp_path / "disk"
    near = put(disk / "runs" / "a" / "train.log", TEXT)
    put(disk / "runs" / "a" / "b" / "c" / "d" / "far.log", TEXT)
    other = put(tmp_path / "elsewhere" / "train.log", TEXT)
    given.mkdir()
    (given / "outputs").symlink_to(disk / "runs")
    (near.parent / "on").symlink_to(other.parent)
    assert [c.path for c in discover([given]).candidates] == [given / "outputs" / "a" / "train.log"]


def test_a_link_upwards_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "unrelated" / "train.log", TEXT)
    given = tmp_path / "project" / "logs"
    own = put(given / "run" / "train.log", TEXT)
    (given / "up").symlink_to(tmp_path)
    (given / "everything").symlink_to("/")
    assert [c.path for c in discover([given]).candidates] == [own]
    (tmp_path / "named").symlink_to(given)
    assert [c.path for c in discover([tmp_path / "named"]).candidates] == [tmp_path / "named" / "run" / "train.log"]


def test_a_link_to_a_large_tree_costs_a_bounded_part_of_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "LINKED_ENTRIES", 10)
    given = tmp_path / "project"
    for i in range(30):
        put(tmp_path / "data" / f"{i}.log", TEXT)
    own = put(given / "run" / "train.log", TEXT)
    (given / "a_link").symlink_to(tmp_path / "data")
    found = discover([given])
    assert own in [c.path for c in found.candidates]
    assert len(found.candidates) <= 11
    assert any("behind links that lead elsewhere" in note for note in found.notes)
