"""Following one path through everything that writers, rotation and rewrites do to it. Real files throughout."""

import os
import shutil
from pathlib import Path

import pytest
from follower import Follower, append

from gradtop.sources.follow.tail import CHUNK_BYTES, RECHECK_S, Portion, Tail


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.log"


def test_a_partial_line_is_held_and_joined(path: Path) -> None:
    path.write_text("one\ntw")
    follower = Follower(path)
    assert follower.poll() == ["one"]
    assert follower.decoder.partial
    append(path, "o\n")
    assert follower.poll() == ["two"]
    assert follower.numbers == [1, 2]


def test_growth_is_not_a_restart(path: Path) -> None:
    follower = Follower(path)
    for i in range(300):
        append(path, f"step {i}\n")
        follower.now += 0.3
        assert follower.poll() == [f"step {i}"]


def test_truncation_to_nothing(path: Path) -> None:
    path.write_text("one\ntwo\n")
    follower = Follower(path)
    follower.poll()
    path.write_text("")
    append(path, "x\n")
    assert follower.poll() == ["<truncated>", "x"]


def test_copytruncate_keeps_what_was_written_before(path: Path) -> None:
    path.write_text("one\n")
    follower = Follower(path)
    follower.poll()
    append(path, "two\n")
    follower.poll()
    shutil.copy(path, path.with_suffix(".1"))
    os.truncate(path, 0)
    assert follower.poll() == ["<truncated>"]
    append(path, "three\n")
    assert follower.poll() == ["three"]


def test_same_size_rewrite_in_place(path: Path) -> None:
    path.write_text("aaa 1\nbbb 2\n")
    follower = Follower(path)
    follower.poll()
    path.write_text("aaa 3\nbbb 4\n")
    assert follower.poll() == ["<replaced>", "aaa 3", "bbb 4"]


def test_same_size_rewrite_with_all_times_alike_is_seen_within_the_recheck(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("aaa 1\n")
    follower = Follower(path)
    follower.poll()
    before = path.stat()
    path.write_text("aaa 3\n")
    real = os.stat

    def coarse(where: str | Path, *args: object, **options: bool) -> os.stat_result:
        """What a file system with coarse times shows."""
        return before if where == str(path) else real(where, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", coarse)
        assert follower.poll() == []
        follower.now += RECHECK_S
        assert follower.poll() == ["<replaced>", "aaa 3"]


def test_same_size_rewrite_with_the_modification_time_restored(path: Path) -> None:
    path.write_text("aaa 1\n")
    follower = Follower(path)
    follower.poll()
    before = path.stat()
    path.write_text("aaa 3\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    follower.now += RECHECK_S
    assert follower.poll() == ["<replaced>", "aaa 3"]


def test_larger_rewrite_in_place_is_read_from_its_start(path: Path) -> None:
    path.write_text("o1\no2\n")
    follower = Follower(path)
    follower.poll()
    path.write_text("n1\nn2\nn3\n")
    assert follower.poll() == ["<replaced>", "n1", "n2", "n3"]


def test_a_rewrite_under_a_long_common_head_is_seen_by_the_bytes_before_the_offset(path: Path) -> None:
    header = "epoch,step,train_loss,val_loss,learning_rate,grad_norm,tokens,samples,time\n"
    path.write_text(header + "1,2,3\n")
    follower = Follower(path)
    follower.poll()
    path.write_text(header + "1,2,4\n5,6,7\n")
    assert follower.poll() == ["<replaced>", header.strip(), "1,2,4", "5,6,7"]


def test_the_bytes_before_the_offset_are_remembered_over_small_reads(path: Path) -> None:
    path.write_text("header " * 20 + "\nloss 1.5\n")
    follower = Follower(path)
    follower.limit = 3
    follower.poll()
    path.write_text("header " * 20 + "\nloss 2.5\n")
    assert follower.poll()[-1] == "loss 2.5"


def test_rename_rotation_drains_the_old_file_first(path: Path) -> None:
    path.write_text("one\n")
    follower = Follower(path)
    follower.poll()
    with path.open("a") as writer:
        os.rename(path, path.with_suffix(".1"))
        path.write_text("new 1\n")
        writer.write("two\nrest")
        writer.flush()
        assert follower.poll() == ["two", "rest", "<rotated>", "new 1"]
    assert follower.numbers == [1, 2, 3, 1]


def test_rotation_stays_on_the_old_file_until_the_new_one_has_begun(path: Path) -> None:
    path.write_text("one\n")
    follower = Follower(path)
    follower.poll()
    with path.open("a") as writer:
        os.rename(path, path.with_suffix(".1"))
        assert follower.poll() == []
        assert "moved away" in follower.tail.problem
        path.touch()
        assert follower.poll() == []
        writer.write("late\n")
        writer.flush()
        assert follower.poll() == ["late"]
    append(path, "new\n")
    assert follower.poll() == ["<rotated>", "new"]
    assert follower.tail.problem == ""


def test_a_let_go_file_is_found_under_its_new_name(path: Path) -> None:
    path.write_text("one\n")
    follower = Follower(path)
    follower.poll()
    follower.tail.close()
    append(path, "two\n")
    os.rename(path, path.with_suffix(".1"))
    path.write_text("new\n")
    assert follower.poll() == ["two", "<rotated>", "new"]


def test_a_let_go_file_goes_on_where_it_stopped(path: Path) -> None:
    path.write_text("one\ntw")
    follower = Follower(path)
    for text, expected in (("o\nth", ["two"]), ("ree\n", ["three"])):
        follower.poll()
        follower.tail.close()
        append(path, text)
        assert follower.poll() == expected


def test_looking_at_a_let_go_idle_file_opens_nothing(path: Path) -> None:
    path.write_text("one\n")
    follower = Follower(path)
    follower.poll()
    follower.tail.close()
    open_before = set(os.listdir("/proc/self/fd"))
    for _ in range(5):
        follower.now += 10
        follower.poll()
    assert len(os.listdir("/proc/self/fd")) <= len(open_before)


@pytest.mark.parametrize("let_go", [False, True])
def test_delete_and_recreate(path: Path, let_go: bool) -> None:
    path.write_text("one\ntwo\nthree\n")
    follower = Follower(path)
    follower.poll()
    if let_go:
        follower.tail.close()
    path.unlink()
    path.write_text("new\n")
    follower.now += RECHECK_S
    reason = follower.poll()
    assert reason[1:] == ["new"]
    assert reason[0] in ("<replaced>", "<truncated>")  # the file system may give the number again


def test_the_rest_of_a_deleted_file_is_given(path: Path) -> None:
    path.write_text("one\nlast without end")
    follower = Follower(path)
    assert follower.poll() == ["one"]
    path.unlink()
    assert follower.poll() == ["last without end"]
    assert "deleted" in follower.tail.problem
    assert follower.poll() == []
    path.write_text("again\n")
    assert follower.poll() == ["<replaced>", "again"]


def test_what_is_written_between_the_last_look_and_the_deletion_is_given(path: Path) -> None:
    path.write_text("one\n")
    follower = Follower(path)
    follower.poll()
    append(path, "two\n")
    path.unlink()
    assert follower.poll() == ["two"]


def test_atomic_replace_of_the_same_size(path: Path) -> None:
    path.write_text("aaa 1\n")
    follower = Follower(path)
    follower.poll()
    fresh = path.with_suffix(".tmp")
    fresh.write_text("aaa 3\n")
    os.replace(fresh, path)
    assert follower.poll() == ["<replaced>", "aaa 3"]


def test_a_grown_copy_in_its_place_is_no_restart(path: Path) -> None:
    path.write_text("one\ntw")
    follower = Follower(path)
    follower.poll()
    fresh = path.with_suffix(".tmp")
    fresh.write_text("one\ntwo\nthree\n")
    os.replace(fresh, path)
    assert follower.poll() == ["two", "three"]


def test_symlink_is_followed_by_name(tmp_path: Path) -> None:
    first, second, link = tmp_path / "run1", tmp_path / "run2", tmp_path / "latest"
    first.write_text("one\n")
    link.symlink_to(first)
    follower = Follower(link)
    assert follower.poll() == ["one"]
    append(first, "two\n")
    assert follower.poll() == ["two"]
    append(first, "three\n")
    second.write_text("new\n")
    link.unlink()
    link.symlink_to(second)
    assert follower.poll() == ["three", "<rotated>", "new"]


def test_directory_removed_and_recreated(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "train.log"
    path.parent.mkdir()
    path.write_text("one\n")
    follower = Follower(path)
    follower.poll()
    shutil.rmtree(path.parent)
    assert follower.poll() == []
    path.parent.mkdir()
    path.write_text("new\n")
    assert follower.poll() == ["<replaced>", "new"]


def test_a_file_that_appears_later(path: Path) -> None:
    follower = Follower(path)
    assert follower.poll() == []
    assert "no such file" in follower.tail.problem
    path.write_text("one\n")
    assert follower.poll() == ["one"]
    assert follower.tail.problem == ""


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, word in ((pipe, "pipe"), (tmp_path, "directory"), (Path("/dev/zero"), "device")):
        follower = Follower(path)
        assert follower.poll() == []
        assert word in follower.tail.problem


def test_a_refused_path_is_tried_again(path: Path) -> None:
    path.mkdir()
    follower = Follower(path)
    follower.poll()
    path.rmdir()
    path.write_text("one\n")
    assert follower.poll() == ["one"]


def test_an_unreadable_file_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("one\n")
    follower = Follower(path)
    follower.poll()
    follower.tail.close()
    append(path, "two\n")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    # Root may read everything, so the refusal is made here.
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert follower.poll() == []
        assert follower.tail.problem + follower.tail.remedy == "cannot be read: Permission denied; trying again"
    assert follower.poll() == ["two"]


def test_a_stale_handle_is_a_replaced_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("one\nrest")
    follower = Follower(path)
    follower.poll()
    append(path, "x")

    def stale(*_: object) -> bytes:
        raise OSError(116, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", stale)
        follower.look()
    assert follower.said == ["one", "rest"]
    assert follower.poll() == ["<replaced>", "one"]


def test_nul_run_of_a_writer_that_kept_its_position(path: Path) -> None:
    with path.open("wb", buffering=0) as writer:
        writer.write(b"x" * 1000 + b"\n")
        follower = Follower(path)
        follower.poll()
        os.truncate(path, 0)
        writer.write(b"after\n")
        assert path.stat().st_size > 1001
        assert follower.poll() == ["<truncated>", "after"]
        assert follower.decoder.nuls == 1001


def test_reads_are_bounded(path: Path) -> None:
    path.write_bytes(b"0123456789\n" * 100_000)
    follower = Follower(path)
    portion = follower.look()
    assert len(portion.data) == CHUNK_BYTES
    assert portion.more
    follower.poll()
    assert len(follower.numbers) == 100_000


def test_a_look_without_bytes_says_what_happened(path: Path) -> None:
    path.write_text("one\n")
    tail = Tail(path)
    tail.read()
    append(path, "two\n")
    assert tail.read(0) == Portion()
    path.write_text("")
    assert tail.read(0) == Portion(began="truncated")
