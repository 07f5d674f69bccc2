"""Following one path through everything that writers, rotation and rewrites do to it. Real files throughout."""

import os
import random
import shutil
import time
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gradtop.sources.reader import Line
from gradtop.sources.tail import CHUNK_BYTES, MAX_LINE_BYTES, RECHECK_S, LineDecoder, Portion, Tail


@dataclass
class Follower:
    """A tail with its decoder, used as a source uses them: lines, and what happened in between."""

    path: Path
    now: float = 0.0
    limit: int = CHUNK_BYTES
    said: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tail = Tail(self.path, lambda: self.now)
        self.decoder = LineDecoder()

    def look(self) -> Portion:
        portion = self.tail.read(self.limit)
        if portion.began:
            self.said.append(f"<{portion.began}>")
            self.decoder = LineDecoder()
        self._take(self.decoder.feed(portion.data))
        if portion.ended:
            self._take(self.decoder.finish())
            self.decoder = LineDecoder()
        return portion

    def _take(self, lines: list[Line]) -> None:
        self.said += [line.data.decode() for line in lines]
        self.numbers += [line.number for line in lines]

    def poll(self) -> list[str]:
        """Read until nothing is waiting; what was said since the last poll."""
        before = len(self.said)
        while self.look().more:
            pass
        return self.said[before:]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.log"


def append(path: Path, text: str) -> None:
    with path.open("a") as out:
        out.write(text)


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
        assert follower.tail.problem == "cannot be read: Permission denied; trying again"
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


# --- bytes to lines -------------------------------------------------------------------------------------------------


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


def test_an_endless_line_stays_small_and_fast() -> None:
    decoder, chunk = LineDecoder(), b"x" * CHUNK_BYTES
    tracemalloc.start()
    started = time.process_time()
    for _ in range(80):
        assert decoder.feed(chunk) == []
    for _ in range(20_000):
        decoder.feed(b"y" * 100)
    seconds, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MAX_LINE_BYTES
    assert seconds < 2
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


# --- random programs against a model --------------------------------------------------------------------------------


class Program:
    """A writer that appends in pieces, rotates, replaces and deletes, and a follower that looks in between."""

    def __init__(self, path: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.path = path
        self.follower = Follower(path, limit=self.rng.choice((7, 64, 1000, CHUNK_BYTES)))
        self.written: list[str] = []
        self.open_line = ""
        self.serial = 0
        self.generation = 0
        self.known = False
        """The follower has looked at the file that is at the path now."""
        self.held = True
        """The follower has it open, or will have before anything happens to it."""

    def run(self, actions: int) -> None:
        weighted = [self.write] * 8 + [self.look] * 6 + [self.rename, self.replace, self.delete, self.let_go]
        for _ in range(actions):
            self.rng.choice(weighted)()
            self.follower.now += self.rng.choice((0.0, 0.1, RECHECK_S))
        self.end_line()
        self.follower.poll()

    def write(self) -> None:
        """Append whole lines and, often, a piece of one."""
        for _ in range(self.rng.randrange(4)):
            self.serial += 1
            self.put(f"{self.serial}:{'x' * self.rng.choice((0, 3, 90))}\n")
        if self.rng.random() < 0.5:
            self.serial += 1
            self.put(f"{self.serial}:half")

    def put(self, text: str) -> None:
        append(self.path, text)
        self.open_line += text
        *whole, self.open_line = self.open_line.split("\n")
        self.written += whole

    def end_line(self) -> None:
        """The file is complete: what is in its last line is a line."""
        if self.open_line:
            self.put("\n")

    def cut_off(self) -> None:
        """No end will come for the last line; a deleted or rotated file gives it as it is."""
        self.written += [self.open_line] if self.open_line else []
        self.open_line = ""

    def look(self) -> None:
        self.follower.look()

    def let_go(self) -> None:
        """The next look must find the file again."""
        if self.path.exists():
            self.end_line()
            self.settle()
            self.follower.tail.close()
            self.held = False

    def begin(self) -> None:
        """A new file under the name, with at least one line."""
        self.serial += 1
        self.put(f"{self.serial}:new\n")
        self.known = False

    def rename(self) -> None:
        if self.path.exists():
            self.settle(held=False)
            self.generation += 1
            os.rename(self.path, self.path.with_name(f"train.log.{self.generation}"))
            self.cut_off()
            self.begin()

    def replace(self) -> None:
        if self.path.exists():
            self.settle()
            self.cut_off()
            self.serial += 1
            fresh = self.path.with_name("fresh")
            fresh.write_text(f"{self.serial}:fresh\n")
            self.written.append(f"{self.serial}:fresh")
            os.replace(fresh, self.path)
            self.known = False

    def delete(self) -> None:
        if self.path.exists():
            self.settle()
            self.cut_off()
            self.path.unlink()
            if self.rng.random() < 0.5:
                self.look()
            self.begin()

    def settle(self, held: bool = True) -> None:
        """A file that came and went between two looks cannot be read, nor can a deleted one that nobody holds."""
        if not self.known or (held and not self.held):
            self.follower.poll()
            self.known = self.held = True

    def lines(self) -> list[str]:
        return [text for text in self.follower.said if not text.startswith("<")]


def check_programs(folder: Path, seeds: range, actions: int = 60) -> None:
    for seed in seeds:
        place = folder / str(seed)
        place.mkdir()
        program = Program(place / "train.log", seed)
        program.run(actions)
        program.follower.tail.close()
        assert program.lines() == program.written, f"seed {seed}"
        shutil.rmtree(place)


def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    check_programs(tmp_path, range(250))


def test_with_truncations_no_line_is_torn_or_invented(tmp_path: Path) -> None:
    """What is truncated between two looks is lost; what is given was written, whole, and in order."""
    for seed in range(150):
        rng = random.Random(seed)
        path = tmp_path / f"{seed}.log"
        follower = Follower(path)
        written: list[str] = []
        since: list[str] = []
        for serial in range(60):
            action = rng.random()
            if action < 0.6:
                written.append(f"{serial}:{'x' * rng.choice((0, 5, 80))}")
                since.append(written[-1])
                append(path, written[-1] + "\n")
            elif action < 0.7:
                path.write_text("")
                since.clear()
            else:
                follower.now += 0.5
                follower.poll()
        follower.now += RECHECK_S
        follower.poll()
        got = [text for text in follower.said if not text.startswith("<")]
        assert [text for text in written if text in set(got)] == got, f"seed {seed}"
        assert got[len(got) - len(since) :] == since, f"seed {seed}"
