"""What happens to log files, one test for each fault, on real files and through the same path as the app.

The numbers are those of the list of faults that the tests go through; what only root can set up is in `test_root.py`.
"""

import gzip
import json
import os
import random
import resource
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from follower import Reading, Watcher, append, jsonl, losses, losses_of, reasons
from reading import rows_of

from gradtop.config import Settings
from gradtop.snapshot import RunState
from gradtop.sources.follow.lane import STALLED_S
from gradtop.sources.follow.tail import RECHECK_S, Portion, Tail
from gradtop.wiring import Watching, watch_paths


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def test_t01_half_a_line_waits_for_its_other_half(path: Path) -> None:
    """A line without its end is shown as held back and never parsed, however long it waits; joined, it counts once."""
    path.write_text(jsonl(1, 1) + '{"step": 2, "loss": 1')
    watcher = Watcher(path)
    for _ in range(3):
        assert watcher.losses(after_s=5.0) == [0.5]
        assert watcher.run().sources[0].partial
    append(path, ".25}\n")
    assert watcher.losses() == [0.5, 1.25]
    assert not watcher.run().sources[0].partial


def test_t02_characters_split_between_two_reads_are_whole(path: Path) -> None:
    """Bytes become text a line at a time, so that a character may arrive in pieces."""
    reading = Reading(path)
    records = []
    with path.open("wb", buffering=0) as out:
        for byte in '{"step": 1, "损失 🙂": 0.5}\n{"step": 2, "损失 🙂": 0.25}\n'.encode():
            out.write(bytes((byte,)))
            records += reading.poll()
    assert [row["损失 🙂"] for row in rows_of(records)] == [0.5, 0.25]


@pytest.mark.parametrize("copied", [False, True])
def test_t03_truncation_begins_a_session_and_keeps_the_history(path: Path, copied: bool) -> None:
    """A file that is emptied, with or without a copy of it, goes on as the next session of its run."""
    path.write_text(jsonl(1, 5))
    watcher = Watcher(path)
    watcher.poll()
    if copied:
        shutil.copy(path, path.with_suffix(".1"))
    os.truncate(path, 0)
    append(path, jsonl(1, 2))
    run = watcher.run()
    assert losses_of(run) == [0.5, 1.0, 1.5, 2.0, 2.5, 0.5, 1.0]
    assert [session.reason for session in run.view.sessions] == ["start", "truncated"]


def test_t04_a_rewrite_of_the_same_size_is_seen_by_its_content(path: Path) -> None:
    """Other bytes of the same length, with the old time put back: only the content tells."""
    path.write_text(jsonl(2, 3))
    reading = Reading(path)
    reading.poll()
    before = path.stat()
    path.write_text(jsonl(4, 5))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    records = reading.poll()
    assert (reasons(records), losses(records)) == (["replaced"], [2.0, 2.5])


def test_t05_a_longer_rewrite_is_read_from_its_start(path: Path) -> None:
    """What looks like growth is not: every row of the new content counts, not the last ones alone."""
    path.write_text(jsonl(1, 3))
    reading = Reading(path)
    reading.poll()
    path.write_text(jsonl(5, 9))
    records = reading.poll()
    assert (reasons(records), losses(records)) == (["replaced"], [2.5, 3.0, 3.5, 4.0, 4.5])


def test_t06_rotation_reads_the_old_file_to_its_end(path: Path) -> None:
    """What is written to the renamed file comes first, its last line without an end too; the new one follows."""
    path.write_text(jsonl(1, 3))
    watcher = Watcher(path)
    watcher.poll()
    with path.open("a") as late:
        os.rename(path, path.with_suffix(".1"))
        path.write_text(jsonl(6, 7))
        late.write(jsonl(4, 4) + jsonl(5, 5).rstrip("\n"))
    run = watcher.run()
    assert losses_of(run) == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
    assert len(run.view.sessions) == 1


def test_t07_a_recreated_file_with_the_same_number_is_a_new_file(path: Path) -> None:
    """File systems give the number of a deleted file to the next one: the content decides, shorter or longer."""
    path.write_text(jsonl(1, 3))
    reading = Reading(path)
    reading.poll()
    numbers = {path.stat().st_ino}
    for first, last in ((11, 11), (21, 26), (31, 33), (41, 50)):
        reading.source.close()
        path.unlink()
        path.write_text(jsonl(first, last))
        numbers.add(path.stat().st_ino)
        records = reading.poll()
        assert losses(records) == [step / 2 for step in range(first, last + 1)], f"numbers {numbers}"
        assert len(reasons(records)) == 1


def test_t08_an_atomic_replacement_of_the_same_size_is_a_new_file(path: Path) -> None:
    """Written aside and renamed over the old one, as careful writers do."""
    path.write_text(jsonl(2, 3))
    reading = Reading(path)
    reading.poll()
    fresh = path.with_suffix(".tmp")
    fresh.write_text(jsonl(4, 5))
    os.replace(fresh, path)
    records = reading.poll()
    assert (reasons(records), losses(records)) == (["replaced"], [2.0, 2.5])


def test_t09_a_link_is_followed_by_name(tmp_path: Path) -> None:
    """Growth of the target counts, wherever it lies; a link that is turned finishes the old target first."""
    first, second, link = tmp_path / "a" / "1.jsonl", tmp_path / "b" / "2.jsonl", tmp_path / "latest.jsonl"
    for target in (first, second):
        target.parent.mkdir()
    first.write_text(jsonl(1, 1))
    link.symlink_to(first)
    watcher = Watcher(link)
    assert watcher.losses() == [0.5]
    append(first, jsonl(2, 2))
    assert watcher.losses() == [0.5, 1.0]
    append(first, jsonl(3, 3))
    second.write_text(jsonl(4, 4))
    link.with_suffix(".new").symlink_to(second)
    os.replace(link.with_suffix(".new"), link)
    assert watcher.losses() == [0.5, 1.0, 1.5, 2.0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything: see test_root.py")
def test_t10_lost_permission_is_said_and_loses_nothing(path: Path) -> None:
    """The status names the refusal while it lasts; with the permission back, reading goes on at the same byte."""
    path.write_text(jsonl(1, 1))
    reading = Reading(path)
    reading.poll()
    reading.source.close()
    append(path, jsonl(2, 2))
    path.chmod(0)
    assert reading.poll() == []
    assert "Permission denied" in reading.source.status.problem
    path.chmod(0o644)
    assert losses(reading.poll()) == [1.0]


def test_t11_a_directory_that_is_made_anew_is_followed(tmp_path: Path) -> None:
    """The path counts, not the directory that was at it."""
    path = tmp_path / "logs" / "metrics.jsonl"
    path.parent.mkdir()
    path.write_text(jsonl(1, 2))
    watcher = Watcher(path)
    watcher.poll()
    for first in (3, 5):
        shutil.rmtree(path.parent)
        watcher.poll()
        path.parent.mkdir()
        path.write_text(jsonl(first, first + 1))
        watcher.poll()
    assert watcher.losses() == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]


def test_t12_a_path_that_is_not_there_yet_is_waited_for(path: Path) -> None:
    """The status says so, and the first look after it appeared reads it."""
    watcher = Watcher(path)
    assert "waiting for it" in watcher.run().sources[0].problem
    path.write_text(jsonl(1, 2))
    assert watcher.losses() == [0.5, 1.0]
    assert watcher.run().sources[0].problem == ""


def test_t12_a_pipe_at_the_path_is_refused_without_waiting(tmp_path: Path) -> None:
    """To open a pipe for reading would wait for a writer."""
    pipe = tmp_path / "pipe.log"
    os.mkfifo(pipe)
    assert Watcher(pipe).run().sources[0].problem == "a pipe: read it through standard input, `gradtop - < PIPE`"


def test_t13_a_thousand_files_take_few_descriptors(tmp_path: Path) -> None:
    """Only the newest runs are open; the others are listed, and nothing of the data beside them is entered."""
    for i in range(300):
        run = tmp_path / f"run{i}"
        run.mkdir()
        (run / "metrics.jsonl").write_text(jsonl(1, 3))
        os.utime(run / "metrics.jsonl", (1000.0 + i, 1000.0 + i))
    before = len(os.listdir("/proc/self/fd"))
    watcher = Watcher(tmp_path, open_runs=8)
    snapshot = watcher.poll()
    assert len(os.listdir("/proc/self/fd")) - before <= 8
    assert len(snapshot.runs) == 300
    names = [f"{tmp_path.name}/run{i}" for i in range(299, 291, -1)]
    assert [run.name for run in snapshot.runs if run.view.rows] == names


def test_t14_an_endless_line_takes_bounded_memory_and_is_counted(path: Path) -> None:
    """What is longer than 1 MiB is skipped up to its end, whether or not the end ever comes."""
    path.write_text(jsonl(1, 1))
    reading = Reading(path)
    reading.poll()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with path.open("a") as out:
        for _ in range(40):
            out.write("x" * 1_000_000)
            out.flush()
            reading.poll()
        assert reading.source.status.rejected_why == "longer than 1 MiB"
        out.write("\n" + jsonl(3, 3))
    assert losses(reading.poll()) == [1.5]
    assert reading.source.account.rejected["longer than 1 MiB"].count == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_000, "KiB"


@pytest.mark.parametrize("how", ["replaced", "deleted", "left"])
def test_t15_the_last_line_without_its_end_counts_when_no_more_can_come(path: Path, how: str) -> None:
    """The file was replaced or deleted, or the user leaves and nobody has written for a while."""
    path.write_text(jsonl(1, 2).rstrip("\n"))
    watcher = Watcher(path)
    assert watcher.losses() == [0.5]
    if how == "replaced":
        os.rename(path, path.with_suffix(".1"))
        path.write_text(jsonl(3, 3))
        assert watcher.losses() == [0.5, 1.0, 1.5]
    elif how == "deleted":
        path.unlink()
        assert watcher.losses() == [0.5, 1.0]
    else:
        watcher.clock.at = path.stat().st_mtime + 10
        assert losses_of(watcher.monitor.finish().runs[0]) == [0.5, 1.0]


def test_t16_a_run_of_nuls_is_counted_and_is_no_line(path: Path) -> None:
    """A writer that kept its position after a truncation leaves a hole, so that the file even grew."""
    reading = Reading(path)
    with path.open("wb", buffering=0) as writer:
        writer.write(jsonl(1, 40).encode())
        hole = path.stat().st_size
        assert len(losses(reading.poll())) == 40
        os.truncate(path, 0)
        writer.write(jsonl(41, 42).encode())
        records = reading.poll()
    assert (reasons(records), losses(records)) == (["truncated"], [20.5, 21.0])
    assert reading.source.account.nuls == hole
    assert reading.source.status.lines_rejected == 0


def test_t16_a_hole_in_the_middle_is_counted(path: Path) -> None:
    """A crashed file system leaves NULs between two lines."""
    path.write_bytes(jsonl(1, 2).encode() + b"\0" * 5000 + jsonl(3, 3).encode())
    reading = Reading(path)
    assert losses(reading.poll()) == [0.5, 1.0, 1.5]
    assert (reading.source.account.nuls, reading.source.status.lines_rejected) == (5000, 0)


def test_t17_a_progress_bar_is_one_row(tmp_path: Path) -> None:
    """The states of a bar stand in one line: drawn again and again, a step is one row and never one for each state."""
    path = tmp_path / "train.log"
    bar = "\rEpoch 1:  {n}%|█         | {n}/100 [00:01<00:07,  1.90it/s, loss={loss:.3f}]"
    states = "".join(bar.format(n=n, loss=n / 2) * 20 for n in (1, 2, 3, 4))
    path.write_text(f"starting\n{states}\n")
    reading = Reading(path)
    rows = rows_of([*reading.poll(), *reading.poll()])
    assert rows[-1]["loss"] == 2.0
    assert len({row["step"] for row in rows}) == len(rows)


def test_t18_line_ends_and_marks_are_no_content(path: Path) -> None:
    """CRLF and a byte order mark are dropped."""
    path.write_bytes(b"\xef\xbb\xbf" + jsonl(1, 2).replace("\n", "\r\n").encode())
    reading = Reading(path)
    assert losses(reading.poll()) == [0.5, 1.0]
    assert reading.source.status.lines_rejected == 0


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\x85", "\v", "\f", "\x1c"])
def test_t19_only_a_newline_ends_a_line(path: Path, char: str) -> None:
    """Unicode has other line ends; inside a JSON string they are text."""
    rows = [{"step": step, "note": f"a{char}b", "loss": step / 2} for step in (1, 2)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    assert losses(Reading(path).poll()) == [0.5, 1.0]


def test_t20_a_rotated_compressed_log_is_read_once(tmp_path: Path) -> None:
    """Whole, cut off in the middle, or with a flipped bit: what is wrong with it is said, and nothing counts twice."""
    packed = gzip.compress(jsonl(1, 2000).encode())
    cut, flipped = packed[: len(packed) // 2], bytearray(packed)
    flipped[len(packed) // 2] ^= 0x10
    for data, whole in ((packed, True), (cut, False), (bytes(flipped), False)):
        path = tmp_path / f"{len(data)}-{whole}.jsonl.1.gz"
        path.write_bytes(data)
        reading = Reading(path)
        found = losses([*reading.poll(), *reading.source.finish().records])
        assert len(found) == 2000 if whole else len(found) <= 2000
        assert found[:100] == [step / 2 for step in range(1, 101)]
        assert whole is (reading.source.status.problem == "")
        assert reading.poll() == []


def test_t21_without_any_event_everything_arrives_by_polling(path: Path) -> None:
    """Network and stacked file systems send no events: looking is what counts."""
    path.write_text(jsonl(1, 1))
    watcher = Watcher(path)
    for step in range(2, 12):
        watcher.poll(after_s=0.0)
        append(path, jsonl(step, step))
        assert watcher.losses(after_s=2.0)[-1] == step / 2


@pytest.fixture
def dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, threading.Event]]:
    """A file whose disk does not answer until the event is set."""
    path, alive = tmp_path / "dead.jsonl", threading.Event()
    read = Tail.read

    def hung(tail: Tail, limit: int = 1 << 18) -> Portion:
        if tail._path == str(path):
            alive.wait()
        return read(tail, limit)

    monkeypatch.setattr(Tail, "read", hung)
    yield path, alive
    alive.set()


def test_t22_a_disk_that_hangs_delays_no_other(path: Path, dead: tuple[Path, threading.Event]) -> None:
    """The hung file says for how long it has been silent; the other is read on; what was late comes once, and all."""
    hung, alive = dead
    hung.write_text(jsonl(1, 3))
    path.write_text(jsonl(1, 1))
    watcher = Watcher(hung, path)

    def look(after_s: float) -> dict[str, tuple[list[float], str]]:
        watcher.clock.at += after_s
        started = time.monotonic()
        runs = watcher.monitor.poll().runs
        assert time.monotonic() - started < 1
        return {run.path.name: (losses_of(run), run.sources[0].problem if run.sources else "") for run in runs}

    while len(look(0.0)[path.name][0]) < 1:
        pass
    append(path, jsonl(2, 2))
    seen = look(12.0)
    assert seen == {
        hung.name: ([], "stalled 12 s: its disk does not answer"),
        path.name: ([0.5, 1.0], ""),
    }
    assert not watcher.monitor.backlog
    append(path, jsonl(3, 3))
    assert look(3.0)[hung.name][1] == "stalled 15 s: its disk does not answer"
    alive.set()
    deadline = time.monotonic() + 5
    while look(2.0)[hung.name] != ([0.5, 1.0, 1.5], "") and time.monotonic() < deadline:
        pass
    assert look(2.0) == {hung.name: ([0.5, 1.0, 1.5], ""), path.name: ([0.5, 1.0, 1.5], "")}


def test_t22_a_report_on_a_hung_disk_ends_and_says_so(dead: tuple[Path, threading.Event]) -> None:
    """Nobody waits for ever, neither to read nor to let go."""
    hung, _ = dead
    hung.write_text(jsonl(1, 3))
    watching = watch_paths((hung,), Settings())
    started = time.monotonic()
    (run,) = watching.to_end().runs
    watching.monitor.close()
    assert time.monotonic() - started < STALLED_S + 1.5
    assert "does not answer" in run.sources[0].problem
    assert run.state is not RunState.LOADING


@pytest.fixture
def no_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that has no watches left."""
    from watchdog.observers.api import BaseObserver

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BaseObserver, "schedule", refuse)


def latency(watching: Watching, path: Path, step: int) -> float:
    """Seconds from an append to the row in a snapshot, in the loop that every front end runs."""
    append(path, jsonl(step, step))
    started = time.monotonic()
    while time.monotonic() - started < 5:
        watching.wait(1.0)
        (run,) = watching.monitor.poll().runs
        if losses_of(run)[-1] == step / 2:
            return time.monotonic() - started
    return float("inf")


@pytest.mark.usefixtures("no_watches")
def test_t23_without_watches_left_rows_arrive_by_polling_and_the_mode_is_named(path: Path) -> None:
    """The limit on watches is common on shared machines: it is said, and costs nothing but the early wake-up."""
    path.write_text(jsonl(1, 1))
    watching = watch_paths((path,), Settings())
    watching.to_end()
    assert max(latency(watching, path, step) for step in (2, 3, 4)) < 2
    assert watching.monitor.poll().following == "polling (No space left on device)"


def test_t24_lost_events_lose_no_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that overflowed tells of nothing: every known path is looked at anyway, and the mode says why."""
    from watchdog.observers.api import EventEmitter

    monkeypatch.setattr(EventEmitter, "queue_event", lambda self, event: None)
    path.write_text(jsonl(1, 1))
    watching = watch_paths((path,), Settings())
    watching.to_end()
    assert max(latency(watching, path, step) for step in (2, 3, 4, 5)) < 2
    assert watching.monitor.poll().following == "polling (no event tells of new data)"


def test_t25_an_event_carries_no_data(path: Path) -> None:
    """Fifty wake-ups for one append, or one for fifty: every row counts once."""
    reading = Reading(path)
    path.write_text(jsonl(1, 1))
    found = [loss for _ in range(50) for loss in losses(reading.poll(after_s=0.01))]
    for step in range(2, 52):
        append(path, jsonl(step, step))
    found += losses(reading.poll())
    assert found == [step / 2 for step in range(1, 52)]


def test_t26_a_clock_that_jumps_is_a_label_only(path: Path) -> None:
    """A day back or forward: nothing stalls, no speed is negative, and rows come in as before."""
    path.write_text(jsonl(1, 10))
    watcher = Watcher(path)
    watcher.poll()
    monotonic, wall = watcher.clock, [time.time()]
    watcher.monitor._now = lambda: wall[0]
    for step, jump in ((11, -86_399.0), (12, 2 * 86_400.0), (13, -86_401.0)):
        wall[0] += jump
        append(path, jsonl(step, step))
        run = watcher.run(after_s=1.0)
        assert run.view.last_step == step
        assert run.state in (RunState.LIVE, RunState.QUIET)
        assert run.rate is None or run.rate >= 0
    assert monotonic.at > 1000


def test_t27_a_step_that_goes_back_begins_a_session(path: Path) -> None:
    """A resume in the same file: no zig-zag, and the steps that were run twice are there twice."""
    path.write_text(jsonl(1, 100) + jsonl(60, 120))
    run = Watcher(path).run()
    assert [(session.first_step, session.reason) for session in run.view.sessions] == [
        (1, "start"),
        (60, "step went back"),
    ]
    assert run.view.rows == 161


HOSTILE = (
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"step": 1' + "0" * 5000 + ', "loss": 1}',
    '{"step": 2, "loss": 1' + "0" * 5000 + "}",
    '{"step": 2, "note": "\\ud800", "loss": 1}',
    '{"step": 2, "loss": 1, "loss": 2}',
    '{"step": 2, "loss": 1e999}',
    '{"step": 2, "loss": NaN}',
    '[{"step": 2, "loss": 1}]',
    '{"step": 2}{"step": 3}',
    '{"step": 2, "loss": {"a": [[[[1]]]]}}',
    '{"step": true, "loss": false}',
    '{"step": null, "loss": null}',
    "\0\0\0{",
    "\x1b]0;title\x07",
    '"',
    "{",
    "}",
    "",
)


def test_t28_hostile_lines_are_rows_or_counted(path: Path) -> None:
    """Whatever stands in a line, the line is a row or one counted rejection, and the next one is read."""
    path.write_text(jsonl(1, 2))
    reading = Reading(path)
    reading.poll()
    for number, line in enumerate(HOSTILE):
        append(path, line + "\n" + jsonl(10 + number, 10 + number))
        assert losses(reading.poll())[-1] == (10 + number) / 2, line[:40]
    status = reading.source.status
    known = status.lines_read + status.lines_skipped + status.lines_rejected
    assert known == 2 + 2 * len(HOSTILE)


def test_t28_a_row_of_very_many_names_is_bounded(path: Path) -> None:
    """A line as long as lines may be holds tens of thousands of names: it is counted, and no data are names."""
    wide = ",".join(f'"k{i}":{i}' for i in range(60_000))
    path.write_text(jsonl(1, 2) + '{"step":3,' + wide + "}\n" + jsonl(4, 4))
    run = Watcher(path).run()
    assert losses_of(run) == [0.5, 1.0, 2.0]
    assert run.sources[0].rejected_why == "more than 10000 values in a row"
    assert list(run.view.series) == ["loss"]


def test_t28_random_bytes_are_no_rows(path: Path) -> None:
    """Noise between rows, of all kinds, invents nothing and hides nothing."""
    rng = random.Random(1)
    reading = Reading(path)
    path.write_text(jsonl(1, 2))
    found = losses(reading.poll())
    for step in range(3, 60):
        noise = bytes(rng.choice((rng.randrange(256), 0x7B, 0x22, 0x2C)) for _ in range(rng.randrange(200)))
        with path.open("ab") as out:
            out.write(noise.replace(b"\n", b"") + b"\n" + jsonl(step, step).encode())
        found += losses(reading.poll(after_s=RECHECK_S / 10))
    assert found == [step / 2 for step in range(1, 60)]
