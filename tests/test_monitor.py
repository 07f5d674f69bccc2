"""The loop from files to snapshots, on real files and a clock of our own."""

import json
import os
from pathlib import Path

import pytest

from gradtop import workspace
from gradtop.config import Limits, Settings
from gradtop.finding import Severity, Standing
from gradtop.history import History
from gradtop.monitor import Monitor
from gradtop.naming import called
from gradtop.record import Rows
from gradtop.snapshot import RunState, Snapshot
from gradtop.sources import Batch, SourceStatus
from gradtop.sources.reader import Account
from gradtop.verdict import Verdict
from gradtop.workspace import Named


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def monitor(clock: Clock, *paths: Path, open_runs: int = 64) -> Monitor:
    return Monitor(paths, Settings(), open_runs=open_runs, now=clock, monotonic=clock)


def settled(watching: Monitor) -> Snapshot:
    snapshot = watching.poll()
    while watching.backlog:
        snapshot = watching.poll()
    return snapshot


def rows(first: int, last: int, **extra: float) -> str:
    return "".join(json.dumps({"step": i, "loss": 5 - 0.01 * i, **extra}) + "\n" for i in range(first, last))


def write_run(folder: Path, name: str, text: str, modified: float) -> Path:
    path = folder / name / "metrics.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    os.utime(path, (modified, modified))
    return path


def test_a_directory_shows_its_newest_run_first(tmp_path: Path, clock: Clock) -> None:
    for name, modified in (("old", 100.0), ("new", 900.0), ("middle", 500.0)):
        write_run(tmp_path, name, rows(0, 30), modified)
    snapshot = settled(monitor(clock, tmp_path))
    assert [run.name for run in snapshot.runs] == ["new", "middle", "old"]
    assert {run.judgement.verdict for run in snapshot.runs} == {Verdict.KEEP_TRAINING}


def test_a_search_in_several_looks_is_waited_for_however_slow_the_reading(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradtop.sources.search.discover.LOOK_S", -1.0)
    for i in range(6):
        write_run(tmp_path, f"run{i}", rows(1, 10), 100.0 + i)
    watching = monitor(clock, tmp_path)
    with monkeypatch.context() as slow:
        # The time of a poll is over as soon as it has read something.
        slow.setattr("gradtop.monitor.POLL_S", -1.0)
        while not (found := watching.poll().runs) or found[0].read < 1:
            assert watching.backlog
        assert len(found) < 6
        assert watching.backlog
    assert len(settled(watching).runs) == 6


def test_an_answer_that_came_late_is_taken_at_once(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path, "run", rows(1, 10), 100.0)
    watching = monitor(clock, tmp_path)
    settled(watching)
    for _ in range(20):
        clock.at += workspace.LIVE_S + 1  # a quiet run, read once a second: by the clock it is not due again
        with monkeypatch.context() as impatient:
            impatient.setattr("gradtop.monitor.AWAITED_S", 0.0)
            impatient.setattr("gradtop.sources.follow.lane.PATIENCE_S", 0.0)
            watching.poll()
        polls = 0
        while watching.backlog:
            watching.poll()
            polls += 1
            assert polls < 50


def test_a_run_is_waited_for_until_the_last_look(tmp_path: Path, clock: Clock) -> None:
    watching = monitor(clock, tmp_path, tmp_path / "later.log")
    snapshot = settled(watching)
    assert any(note.endswith("there is no run") for note in snapshot.notes)
    assert snapshot.runs[0].sources[0].problem == "there is no such file: waiting for it"
    ended = watching.finish()
    assert ended.runs[0].sources[0].problem == "there is no such file"
    empty = monitor(clock, tmp_path)
    assert "waiting for a run to appear" in settled(empty).notes
    assert not any("waiting" in note for note in empty.finish().notes)


def test_a_run_that_appears_later_is_found(tmp_path: Path, clock: Clock) -> None:
    watching = monitor(clock, tmp_path)
    assert settled(watching).runs == ()
    write_run(tmp_path, "run", rows(0, 30), clock.at)
    clock.at += 3
    assert [run.name for run in settled(watching).runs] == [f"{tmp_path.name}/run"]


def test_new_rows_reach_the_next_snapshot(tmp_path: Path, clock: Clock) -> None:
    path = write_run(tmp_path, "run", rows(0, 30), clock.at)
    watching = monitor(clock, tmp_path)
    before = settled(watching).runs[0]
    with path.open("a") as file:
        file.write(rows(30, 31))
    clock.at += 0.2
    after = settled(watching).runs[0]
    assert (before.view.last_step, after.view.last_step) == (29, 30)
    assert before.view.rows == 30


def test_a_large_file_is_loading_until_it_is_read(tmp_path: Path, clock: Clock) -> None:
    write_run(tmp_path, "run", rows(0, 100_000), clock.at)

    class Ticking(Clock):
        def __call__(self) -> float:
            self.at += 0.04
            return self.at

    watching = monitor(Ticking(), tmp_path)
    # On a busy machine a search, or a read, may take longer than a poll waits for it.
    first = next(run for seen in iter(watching.poll, None) for run in seen.runs if run.read)
    assert first.state is RunState.LOADING
    assert 0 < first.read < 1
    assert first.judgement.verdict is Verdict.UNKNOWN
    assert settled(watching).runs[0].read == 1.0


def test_states_follow_the_file_and_its_end(tmp_path: Path, clock: Clock) -> None:
    path = write_run(tmp_path, "run", rows(0, 30), clock.at)
    watching = monitor(clock, tmp_path)
    assert settled(watching).runs[0].state is RunState.LIVE
    clock.at += 300
    assert settled(watching).runs[0].state is RunState.QUIET
    with path.open("a") as file:
        file.write('{"type": "end", "status": "finished"}\n')
    clock.at += 2
    assert settled(watching).runs[0].state is RunState.FINISHED


def test_speed_and_eta_come_from_the_rows(tmp_path: Path, clock: Clock) -> None:
    text = '{"type":"run","schema":"gradtop/1","train":{"total_steps":100}}\n'
    text += "".join(json.dumps({"step": i, "time": 1.7e9 + 2 * i, "loss": 5.0}) + "\n" for i in range(50))
    write_run(tmp_path, "run", text, clock.at)
    run = settled(monitor(clock, tmp_path)).runs[0]
    assert run.rate == 0.5
    assert run.eta_s == 102


def test_a_log_without_times_has_the_speed_at_which_its_rows_come_in(tmp_path: Path, clock: Clock) -> None:
    path = write_run(tmp_path, "run", '{"total_steps": 1000, "step": 0, "loss": 5.0}\n', clock.at)
    watching = monitor(clock, tmp_path)
    assert settled(watching).runs[0].rate is None
    for step in (10, 20, 30):
        clock.at += 5
        with path.open("a") as file:
            file.write(json.dumps({"step": step, "loss": 5.0}) + "\n")
        run = settled(watching).runs[0]
    assert (run.rate, run.rate_seen) == (2.0, True)


def test_a_copied_log_has_no_time_left(tmp_path: Path, clock: Clock) -> None:
    text = '{"type":"run","schema":"gradtop/1","train":{"total_steps":100}}\n'
    text += "".join(json.dumps({"step": i, "time": 1.7e9 + 2 * i, "loss": 5.0}) + "\n" for i in range(50))
    clock.at = 1.8e9
    path = write_run(tmp_path, "run", text, clock.at)
    watching = monitor(clock, tmp_path)
    run = settled(watching).runs[0]
    assert (run.state, run.rate, run.eta_s) == (RunState.LIVE, 0.5, None)
    for step in (50, 51, 52):
        clock.at += 2
        with path.open("a") as file:
            file.write(json.dumps({"step": step, "time": 1.7e9 + 2 * step, "loss": 5.0}) + "\n")
        run = settled(watching).runs[0]
    assert run.eta_s == 96, "rows that keep coming in are a run that goes on"


@pytest.mark.parametrize(
    ("place", "name", "shown"),
    [
        ("/work/my_experiment/version_0", "version_0", "my_experiment/version_0"),
        ("/work/big/lightning_logs/version_0/metrics.csv", "version_0", "big/lightning_logs/version_0"),
        ("/work/yolo/train/results.csv", "train", "yolo/train"),
        ("/work/sft/2026-11-23_10-00-00", "2026-11-23_10-00-00", "sft/2026-11-23_10-00-00"),
        ("/work/sft/exp12/log.txt", "exp12", "sft/exp12"),
        ("/work/sft/train.log", "train.log", "train.log"),
        ("/work/sft/a/train.log", "a/train.log", "a/train.log"),
        ("/work/sft/logs/a.log", "logs/a.log", "sft/logs/a.log"),
        ("/work/gpt2-small/log.txt", "gpt2-small", "gpt2-small"),
        ("/runs/output", "output", "runs/output"),
        ("-", "standard input", "standard input"),
    ],
)
def test_a_name_that_says_nothing_comes_after_that_of_its_folder(place: str, name: str, shown: str) -> None:
    assert called(name, Path(place)) == shown


def test_only_the_newest_runs_stay_open_and_a_selected_one_is_read(tmp_path: Path, clock: Clock) -> None:
    paths = [write_run(tmp_path, f"run{i}", rows(0, 30), 100.0 + i) for i in range(5)]
    watching = monitor(clock, tmp_path, open_runs=2)
    assert [run.view.rows for run in settled(watching).runs] == [30, 30, 0, 0, 0]
    watching.select(str(paths[0]))
    clock.at += 3
    assert [run.view.rows for run in settled(watching).runs] == [30, 30, 0, 0, 30]


def test_runs_that_are_not_open_share_one_empty_history(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bool] = []

    class Counted(History):
        def __init__(self, limits: Limits, joinable: bool, spill: Path | None = None) -> None:
            made.append(joinable)
            super().__init__(limits, joinable, spill)

    monkeypatch.setattr(workspace, "History", Counted)
    for i in range(20):
        write_run(tmp_path, f"run{i}", rows(0, 30), 100.0 + i)
    watching = Monitor((tmp_path,), Settings(limits=Limits(spike_z=7.5)), open_runs=2, now=clock, monotonic=clock)
    assert len(settled(watching).runs) == 20
    assert len(made) == 3


def test_compared_runs_are_read_and_stay_open_whatever_is_selected(tmp_path: Path, clock: Clock) -> None:
    paths = [write_run(tmp_path, f"run{i}", rows(0, 30), 100.0 + i) for i in range(5)]
    watching = monitor(clock, tmp_path, open_runs=1)

    def read() -> list[int]:
        clock.at += 3
        return [run.view.rows for run in settled(watching).runs]

    assert read() == [30, 0, 0, 0, 0]
    watching.compare((str(paths[0]), str(tmp_path / "gone"), str(paths[1])))
    watching.select(str(paths[2]))
    assert read() == [30, 0, 30, 30, 30]
    watching.select(str(paths[4]))
    with paths[0].open("a") as file:
        file.write(rows(30, 40))
    # What is written is the newest run.
    assert read() == [40, 30, 0, 0, 30]
    watching.compare(())
    assert read() == [40, 30, 0, 0, 0]


def test_a_last_line_without_an_end_counts_once_nobody_writes(tmp_path: Path, clock: Clock) -> None:
    write_run(tmp_path, "run", rows(0, 30).rstrip("\n"), clock.at - 10)
    watching = monitor(clock, tmp_path)
    assert settled(watching).runs[0].view.rows == 29
    assert watching.finish().runs[0].view.rows == 30


def test_a_stalled_run_is_watched_by_its_own_rhythm(tmp_path: Path, clock: Clock) -> None:
    path = write_run(tmp_path, "run", rows(0, 30), clock.at)
    watching = monitor(clock, tmp_path)
    settled(watching)
    for step in range(30, 80):
        clock.at += 2
        with path.open("a") as file:
            file.write(rows(step, step + 1))
        settled(watching)
    assert settled(watching).runs[0].state is RunState.LIVE
    clock.at += 400
    stalled = settled(watching).runs[0]
    assert stalled.state is RunState.STALLED
    assert [f.kind for f in stalled.findings] == ["stalled"]


def test_explicit_files_are_runs_even_before_they_exist(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "later.log"
    watching = monitor(clock, path)
    run = settled(watching).runs[0]
    assert run.sources[0].problem
    path.write_text("".join(f"Step {i}: Loss: {3 - 0.01 * i}\n" for i in range(20)))
    clock.at += 3
    assert settled(watching).runs[0].view.rows == 20


class Held:
    """A source of an old file that gives out its last row late, as after a line that something might follow."""

    account = Account()

    def __init__(self, path: Path) -> None:
        self.status = SourceStatus(path, "text", size=100, offset=0, modified=100.0)
        self._left = [rows_at(1, 9), rows_at(9, 10)]

    def read(self) -> Batch:
        self.status = SourceStatus(self.status.path, "text", size=100, offset=100, modified=100.0)
        return Batch((self._left.pop(0),)) if self._left else Batch()

    def finish(self) -> Batch:
        return Batch()

    def close(self) -> None:
        pass


def rows_at(first: int, last: int) -> Rows:
    return Rows(range(first, last), {"loss": [3.0 - 0.1 * step for step in range(first, last)]})


def test_a_row_that_was_held_back_does_not_make_an_old_log_live(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "train.log"
    watching = Monitor((), Settings(), sources=[(Named(path, "train.log"), Held(path))], now=clock, monotonic=clock)
    for _ in range(3):
        clock.at += 2
        run = settled(watching).runs[0]
    assert (run.view.last_step, run.state) == (9, RunState.QUIET)


def broken(first: int, last: int) -> str:
    """A loss that is NaN from step 100 on: one finding to act on."""
    return "".join(
        json.dumps({"step": i, "loss": 5 - 0.01 * i if i < 100 else float("nan")}) + "\n" for i in range(first, last)
    )


def kept(clock: Clock, state: Path, *paths: Path, muted: frozenset[str] = frozenset()) -> Monitor:
    return Monitor(paths, Settings(muted=muted), state=state, now=clock, monotonic=clock)


def test_what_the_user_said_holds_at_once_and_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    write_run(tmp_path / "logs", "run", broken(0, 200), 900.0)
    watching = kept(clock, tmp_path / "state", tmp_path / "logs")
    (run,) = settled(watching).runs
    assert run.judgement.verdict is Verdict.INTERVENE
    broke = next(f for f in run.findings if f.kind == "nonfinite")
    watching.acknowledge(run.id, broke.id, broke.severity)
    (run,) = settled(watching).runs
    assert run.judgement.verdict is Verdict.KEEP_TRAINING
    assert run.judgement.summary.startswith("1 finding acknowledged: NaN or Inf since step 100.")
    assert run.attention.kept == f"Kept in {tmp_path / 'state'}."
    again = kept(clock, tmp_path / "state", tmp_path / "logs")
    settled(again)
    (run,) = again.finish().runs
    assert run.judgement.verdict is Verdict.KEEP_TRAINING
    assert {f.standing for f in run.findings if f.severity is Severity.INTERVENE} == {Standing.ACKNOWLEDGED}
    again.acknowledge(run.id, broke.id, None)
    assert settled(again).runs[0].judgement.verdict is Verdict.INTERVENE


def test_a_run_named_by_its_file_is_the_same_run(tmp_path: Path, clock: Clock) -> None:
    path = write_run(tmp_path / "logs", "run", broken(0, 200), 900.0)
    watching = kept(clock, tmp_path / "state", tmp_path / "logs")
    (run,) = settled(watching).runs
    watching.acknowledge(run.id, run.findings[0].id, run.findings[0].severity)
    settled(watching)
    (named,) = settled(kept(clock, tmp_path / "state", path)).runs
    assert named.judgement.verdict is Verdict.KEEP_TRAINING


def test_a_kind_is_muted_for_the_runs_of_one_directory(tmp_path: Path, clock: Clock) -> None:
    logs = tmp_path / "logs"
    for folder, name in (("a", "one.jsonl"), ("a", "two.jsonl"), ("b", "three.jsonl")):
        (logs / folder).mkdir(parents=True, exist_ok=True)
        (logs / folder / name).write_text(broken(0, 200))
    watching = kept(clock, tmp_path / "state", logs)
    runs = {run.name: run for run in settled(watching).runs}
    assert {run.judgement.verdict for run in runs.values()} == {Verdict.INTERVENE}
    watching.mute(next(run.id for run in runs.values() if run.id.endswith("one.jsonl")), "nonfinite", True)
    verdicts = {Path(run.id).name: run.judgement.verdict for run in settled(watching).runs}
    assert verdicts == {
        "one.jsonl": Verdict.KEEP_TRAINING,
        "two.jsonl": Verdict.KEEP_TRAINING,
        "three.jsonl": Verdict.INTERVENE,
    }


def test_what_the_settings_mute_is_listed_and_never_counts(tmp_path: Path, clock: Clock) -> None:
    write_run(tmp_path, "run", broken(0, 200), 900.0)
    (run,) = settled(kept(clock, tmp_path / "state", tmp_path, muted=frozenset(("nonfinite",)))).runs
    assert run.judgement.verdict is Verdict.KEEP_TRAINING
    assert "1 finding muted: NaN or Inf" in run.judgement.summary
    assert run.muted == {"nonfinite"}
    assert not (tmp_path / "state").exists()


def test_what_is_said_of_a_run_that_is_gone_is_no_fault(tmp_path: Path, clock: Clock) -> None:
    watching = kept(clock, tmp_path / "state", tmp_path)
    watching.acknowledge("/nowhere", "a:total:1", Severity.WATCH)
    watching.mute("/nowhere", "overfitting", True)
    assert settled(watching).runs == ()
