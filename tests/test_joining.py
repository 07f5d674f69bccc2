"""Several files of one training on a disk, found, followed and joined while they are written."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gradtop.config import Settings
from gradtop.monitor import Monitor
from gradtop.report import report
from gradtop.snapshot import RunSnapshot, Snapshot
from gradtop.wiring import read_paths

SHARED = Path(__file__).parents[2] / "shared" / "corpus"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class Training:
    """A loop that prints to a console, appends to a JSON log and saves its state now and then."""

    def __init__(self, folder: Path, seed: float = 0.0) -> None:
        self.folder, self.seed, self.step = folder, seed, 0
        self.history: list[dict[str, float]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def row(self, step: int) -> dict[str, float]:
        loss = 2 + 3 * math.exp(-step / 100) + 0.1 * math.sin(step * (1.7 + self.seed))
        return {"step": step, "loss": loss, "grad_norm": 1 + 0.3 * math.cos(step), "learning_rate": 1e-4 * step}

    def run(self, steps: int, console: bool = True, log: bool = True) -> None:
        for _ in range(steps):
            self.step += 1
            row = self.row(self.step)
            self.history.append(row)
            if console:
                with (self.folder / "train.log").open("a") as out:
                    out.write(f"step {self.step}: loss {row['loss']:.4f}, grad_norm {row['grad_norm']:.3f}\n")
            if log:
                with (self.folder / "trainer_log.jsonl").open("a") as out:
                    kept = {name: row[name] for name in ("loss", "learning_rate")}
                    out.write(json.dumps({"current_steps": self.step, "total_steps": 500, **kept}) + "\n")

    def save(self, checkpoint: bool = False) -> Path:
        folder = self.folder / f"checkpoint-{self.step}" if checkpoint else self.folder
        folder.mkdir(exist_ok=True)
        state = {"epoch": 1.0, "global_step": self.step, "log_history": self.history, "max_steps": 500}
        fresh = folder / "state.tmp"
        fresh.write_text(json.dumps(state, indent=2))
        os.replace(fresh, folder / "trainer_state.json")
        return folder / "trainer_state.json"


def settled(watching: Monitor, clock: Clock) -> Snapshot:
    """What stands once everything was found, read and joined; a few seconds later."""
    snapshot = watching.poll()
    for _ in range(20):
        clock.at += 1.0
        snapshot = watching.poll()
        while watching.backlog:
            snapshot = watching.poll()
    return snapshot


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path / "out")


def monitor(clock: Clock, *paths: Path) -> Monitor:
    return Monitor(paths, Settings(), now=clock, monotonic=clock)


def values(run: RunSnapshot, name: str) -> list[float]:
    return [float(value) for value in run.view.series[name].values]


def expected(training: Training, name: str, wanted: Callable[[float], float] = float) -> list[float]:
    return [wanted(row[name]) for row in training.history]


def test_files_of_one_training_are_one_run_with_the_most_precise_values(training: Training, clock: Clock) -> None:
    training.run(60)
    training.save()
    [run] = settled(monitor(clock, training.folder.parent), clock).runs
    shown = f"{training.folder.parent.name}/out"
    assert (run.name, run.path, len(run.sources)) == (shown, training.folder, 3)
    assert run.view.rows == 60
    assert values(run, "loss") == expected(training, "loss")
    assert values(run, "grad_norm") == expected(training, "grad_norm")
    assert run.view.facts.train.total_steps == 500


def test_a_state_that_is_saved_later_joins_the_run_that_is_watched(training: Training, clock: Clock) -> None:
    training.run(40)
    watching = monitor(clock, training.folder.parent)
    [before] = settled(watching, clock).runs
    assert values(before, "grad_norm") == expected(training, "grad_norm", lambda norm: round(norm, 3))
    training.save(checkpoint=True)
    [after] = settled(watching, clock).runs
    assert after.id == before.id
    assert values(after, "grad_norm") == expected(training, "grad_norm")
    training.run(20)
    training.save(checkpoint=True)
    [last] = settled(watching, clock).runs
    assert (last.id, len(last.sources), len(last.view.sessions)) == (before.id, 3, 1)
    assert values(last, "grad_norm") == expected(training, "grad_norm")
    assert values(last, "loss") == expected(training, "loss")


def test_a_state_that_is_rewritten_in_place_is_no_new_session(training: Training, clock: Clock) -> None:
    watching = monitor(clock, training.folder.parent)
    for _ in range(4):
        training.run(15, log=False)
        training.save()
        [run] = settled(watching, clock).runs
    assert (len(run.view.sessions), run.view.rows) == (1, 60)
    assert values(run, "loss") == expected(training, "loss")


def test_a_row_that_both_files_get_is_on_the_screen_in_the_next_poll(training: Training, clock: Clock) -> None:
    training.run(30)
    watching = monitor(clock, training.folder.parent)
    settled(watching, clock)
    for _ in range(10):
        training.run(1)
        clock.at += 0.1
        [run] = watching.poll().runs
        assert run.view.last_step == training.step
    assert values(run, "loss") == expected(training, "loss")


def test_a_row_that_one_file_gets_is_on_the_screen_within_half_a_second(training: Training, clock: Clock) -> None:
    training.run(30)
    watching = monitor(clock, training.folder.parent)
    settled(watching, clock)
    training.run(1, console=False)
    clock.at += 0.1
    watching.poll()
    assert watching.due_s() <= 0.25
    clock.at += watching.due_s()
    [run] = watching.poll().runs
    assert run.view.last_step == training.step
    assert watching.due_s() == math.inf


def test_a_buffered_console_is_joined_when_it_comes(training: Training, clock: Clock) -> None:
    training.run(20)
    watching = monitor(clock, training.folder.parent)
    settled(watching, clock)
    training.run(20, console=False)
    settled(watching, clock)
    late = training.history[-20:]
    with (training.folder / "train.log").open("a") as out:
        out.writelines(
            f"step {row['step']}: loss {row['loss']:.4f}, grad_norm {row['grad_norm']:.3f}\n" for row in late
        )
    [run] = settled(watching, clock).runs
    assert len(run.view.series["grad_norm"]) == 40
    assert values(run, "loss") == expected(training, "loss")


def test_a_relaunch_in_the_same_files_is_a_session(training: Training, clock: Clock) -> None:
    training.run(40)
    watching = monitor(clock, training.folder.parent)
    settled(watching, clock)
    training.step = 20
    training.run(30)
    [live] = settled(watching, clock).runs
    [fresh] = settled(monitor(clock, training.folder.parent), clock).runs
    for run in (live, fresh):
        assert [session.first_step for session in run.view.sessions] == [1, 21]
        assert values(run, "loss") == expected(training, "loss")
        assert run.findings == live.findings


def test_a_file_of_another_training_becomes_a_run_of_its_own(training: Training, clock: Clock, tmp_path: Path) -> None:
    other = Training(tmp_path / "other", seed=1.0)
    training.run(40, console=False)
    other.run(60)
    os.replace(other.folder / "train.log", training.folder / "train.log")
    watching = monitor(clock, training.folder)
    snapshot = settled(watching, clock)
    assert sorted(run.view.rows for run in snapshot.runs) == [40, 60]
    assert any("tells of another training" in note for note in snapshot.notes)
    assert len({run.id for run in snapshot.runs}) == 2
    checked = read_paths((training.folder,), Settings()).to_end()
    assert sorted(run.view.rows for run in checked.runs) == [40, 60]


def test_a_second_file_that_says_the_same_later_does_not_stay_a_run_of_its_own(
    training: Training, clock: Clock
) -> None:
    training.run(5)
    os.replace(training.folder / "train.log", training.folder / "qwen.log")
    watching = monitor(clock, training.folder)
    training.history.clear()
    training.step = 0
    (training.folder / "qwen.log").write_text("loading\n")
    assert len(settled(watching, clock).runs) == 1
    with (training.folder / "qwen.log").open("a") as out:
        out.writelines(f"step {i}: loss {training.row(i)['loss']:.4f}, tps {i + 7}\n" for i in range(1, 6))
    [run] = settled(watching, clock).runs
    assert len(run.sources) == 2
    assert len(run.view.series["tokens_per_s"]) == 5


def test_the_document_lists_the_sources(training: Training) -> None:
    training.run(30)
    training.save()
    [run] = report(read_paths((training.folder,), Settings()).to_end())["runs"]
    assert run["format"] == ["json", "jsonl", "text"]
    assert [(Path(s["path"]).name, s["format"], s["rows"], s["rejected"], s["problem"]) for s in run["sources"]] == [
        ("train.log", "text", 30, 0, None),
        ("trainer_log.jsonl", "jsonl", 30, 0, None),
        ("trainer_state.json", "json", 30, 0, None),
    ]
    [alone] = report(read_paths((training.folder / "train.log",), Settings()).to_end())["runs"]
    assert [s["rows"] for s in alone["sources"]] == [30]


def test_a_recorded_pair_of_logs_is_one_run(tmp_path: Path) -> None:
    for id, name in (("lf01", "trainer_log.jsonl"), ("hf01", "trainer_state.json")):
        if not (found := sorted(SHARED.glob(f"{id}__*"))):
            pytest.skip(f"recorded logs are not here: {id}")
        (tmp_path / name).write_bytes(found[0].read_bytes())
    [run] = report(read_paths((tmp_path,), Settings()).to_end())["runs"]
    truth = json.loads((SHARED / "truth" / "hf01.json").read_text())["metrics"]
    assert run["metrics"]["loss"]["count"] == 866
    for ours, theirs in (("loss", "loss"), ("grad_norm", "grad_norm"), ("lr", "learning_rate")):
        for key in ("count", "last", "min", "max"):
            assert run["metrics"][ours][key] == truth[theirs][key]
