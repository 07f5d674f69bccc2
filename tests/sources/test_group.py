"""Which files are one run: by their places and names, and where these prove nothing by what is in them."""

import json
import math
import os
from pathlib import Path

import pytest

from gradtop.sources.search.discover import Candidate, Search, discover
from gradtop.sources.search.group import Part, place_of
from gradtop.sources.search.ties import Ties


def loss(step: int, seed: float) -> float:
    return 2.0 + math.exp(-step / 50) + 0.1 * math.sin(step * (1.7 + seed))


def console(seed: float = 0.0, steps: int = 50) -> str:
    return "".join(f"step {i}: loss {loss(i, seed):.4f}, lr 1e-3\n" for i in range(steps))


def log(seed: float = 0.0, steps: int = 50) -> str:
    return "".join(json.dumps({"step": i, "loss": loss(i, seed), "lr": 1e-3}) + "\n" for i in range(steps))


def table(seed: float = 0.0) -> str:
    return "step,loss\n" + "".join(f"{i},{loss(i, seed)}\n" for i in range(50))


def state(step: int) -> str:
    history = [{"step": i, "loss": loss(i, 0.0), "grad_norm": 1.0, "epoch": i / 100} for i in range(1, step + 1)]
    return json.dumps({"epoch": step / 100, "global_step": step, "log_history": history, "max_steps": 100})


def put(path: Path, text: str, age: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    at = 1_700_000_000 - age
    os.utime(path, (at, at))
    return path


def runs(root: Path, *given: Path) -> dict[str, list[str]]:
    """Name of each run to its files, as they lie below the root."""
    found = discover(given or (root,)).candidates
    return {c.name: sorted(str(path.relative_to(root)) for path in c.paths) for c in found}


LAYOUTS = {
    "trainer": {
        "out/train.log": console(),
        "out/trainer_log.jsonl": log(),
        "out/trainer_state.json": state(50),
    },
    "mmengine": {
        "work/20260101_120000/20260101_120000.log": console(),
        "work/20260101_120000/vis_data/20260101_120000.json": log(),
        "work/20260101_120000/vis_data/scalars.json": log(),
    },
    "stable-baselines": {"ppo/progress.csv": table(), "ppo/progress.json": log(), "ppo/log.txt": console()},
    "detectron2": {"output/metrics.json": log(), "output/log.txt": console(), "output/log.txt.rank1": console()},
    "llm.c": {"log124M/main.log": console(), "log124M/stdout.log": console()},
    "torchrun": {
        "logs/none_x1/attempt_0/0/stdout.log": console(),
        "logs/none_x1/attempt_0/0/stderr.log": "a warning\n",
        "logs/none_x1/attempt_0/1/stdout.log": console(),
        "logs/none_x1/attempt_1/0/stdout.log": console(),
    },
    "ranks": {"job/rank_0.log": console(), "job/rank_1.log": console(1.0), "job/rank_2.log": "waiting\n"},
    "own stream": {"mini/metrics.jsonl": log(), "mini/metrics.rank3.jsonl": log(1.0)},
    "one stem": {"exp/lr3e-4.jsonl": log(), "exp/lr3e-4.out": console(), "exp/lr3e-4.err": "a warning\n"},
    "monitor": {
        "ds/Train_Samples_train_loss.csv": "step,train_loss\n10,2.5\n20,2.4\n",
        "ds/Train_Samples_lr.csv": "step,train_lr\n10,0.1\n20,0.2\n",
    },
    "tracker": {"wandb/run-20260101_120000-abc/files/output.log": console()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_known_layout_is_one_run(tmp_path: Path, layout: str) -> None:
    for path, text in LAYOUTS[layout].items():
        put(tmp_path / path, text)
    found = runs(tmp_path)
    assert list(found.values()) == [sorted(LAYOUTS[layout])]


@pytest.mark.parametrize(
    "names",
    [
        ("run1.log", "run2.log"),
        ("lr3e-4.jsonl", "lr1e-3.jsonl"),
        ("a.csv", "b.csv"),
        ("log_1700000000.txt", "log_1700001000.txt"),
        ("slurm-11.out", "slurm-12.out"),
        ("seed0/metrics.jsonl", "seed1/metrics.jsonl"),
        ("version_0/metrics.csv", "version_1/metrics.csv"),
    ],
)
def test_names_that_tell_apart_are_runs_of_their_own(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        put(tmp_path / name, {"csv": table(), "jsonl": log()}.get(name.rpartition(".")[2], console()))
    assert sorted(map(tuple, runs(tmp_path).values())) == sorted((name,) for name in names)


def test_the_run_of_a_layout_is_named_after_its_own_directory(tmp_path: Path) -> None:
    put(tmp_path / "work/20260101_120000/vis_data/20260101_120000.json", log())
    put(tmp_path / "work/20260202_120000/vis_data/20260202_120000.json", log())
    assert sorted(runs(tmp_path)) == ["20260101_120000", "20260202_120000"]


def test_only_the_newest_state_of_a_trainer_is_read(tmp_path: Path) -> None:
    put(tmp_path / "checkpoint-20/trainer_state.json", state(20), age=2000)
    put(tmp_path / "checkpoint-40/trainer_state.json", state(40), age=1000)
    assert runs(tmp_path) == {tmp_path.name: ["checkpoint-40/trainer_state.json"]}
    put(tmp_path / "trainer_state.json", state(50), age=10)
    assert runs(tmp_path) == {tmp_path.name: ["trainer_state.json"]}


def test_of_states_that_were_copied_together_the_furthest_is_read(tmp_path: Path) -> None:
    for path, step in (("checkpoint-100/", 100), ("checkpoint-9/", 9), ("", 50)):
        put(tmp_path / f"{path}trainer_state.json", state(step), age=step / 100)
    assert runs(tmp_path) == {tmp_path.name: ["checkpoint-100/trainer_state.json"]}


def test_a_plain_name_beside_one_of_its_own_is_the_same_run_if_it_says_the_same(tmp_path: Path) -> None:
    put(tmp_path / "same/metrics.jsonl", log())
    put(tmp_path / "same/sft_gpt2.log", console())
    put(tmp_path / "other/metrics.jsonl", log())
    put(tmp_path / "other/baseline.log", console(seed=1.0))
    found = sorted(map(tuple, runs(tmp_path).values()))
    assert found == [("other/baseline.log",), ("other/metrics.jsonl",), ("same/metrics.jsonl", "same/sft_gpt2.log")]


def test_a_second_writer_in_a_directory_is_another_training_though_it_says_the_same(tmp_path: Path) -> None:
    for name in ("metrics.jsonl", "metrics.rank1.jsonl", "metrics.n1-4711.jsonl", "metrics.n1-4711-2.jsonl"):
        put(tmp_path / "run" / name, log())
    put(tmp_path / "run" / "output.log", console())
    assert sorted(runs(tmp_path).values()) == [
        ["run/metrics.jsonl", "run/metrics.rank1.jsonl", "run/output.log"],
        ["run/metrics.n1-4711-2.jsonl"],
        ["run/metrics.n1-4711.jsonl"],
    ]
    (tmp_path / "run" / "metrics.n1-4711-2.jsonl").unlink()
    assert len(runs(tmp_path)) == 2


def test_a_tracker_below_a_run_is_part_of_it_if_it_says_the_same(tmp_path: Path) -> None:
    put(tmp_path / "metrics.jsonl", log())
    put(tmp_path / "wandb/run-20260101_120000-abc/files/output.log", console())
    put(tmp_path / "wandb/run-20250101_120000-old/files/output.log", console(seed=1.0))
    found = sorted(map(tuple, runs(tmp_path).values()), key=len)
    assert found == [
        ("wandb/run-20250101_120000-old/files/output.log",),
        ("metrics.jsonl", "wandb/run-20260101_120000-abc/files/output.log"),
    ]


def test_files_that_are_named_are_runs_unless_they_are_of_one_layout(tmp_path: Path) -> None:
    a, b = put(tmp_path / "a.log", console()), put(tmp_path / "b.log", console())
    one, two = put(tmp_path / "out/train.log", console()), put(tmp_path / "out/trainer_state.json", state(9))
    assert runs(tmp_path, a, b) == {"a.log": ["a.log"], "b.log": ["b.log"]}
    assert runs(tmp_path, one, two) == {"out": ["out/train.log", "out/trainer_state.json"]}
    assert runs(tmp_path, one) == {"train.log": ["out/train.log"]}


def test_logs_without_metrics_are_read_only_where_they_belong_to_a_run(tmp_path: Path) -> None:
    put(tmp_path / "stderr.log", "Traceback (most recent call last):\n")
    assert runs(tmp_path) == {}
    put(tmp_path / "metrics.jsonl", log())
    put(tmp_path / "requirements.txt", "torch\n")
    put(tmp_path / "config.json", "{}")
    assert list(runs(tmp_path).values()) == [["metrics.jsonl", "stderr.log"]]


def test_a_run_keeps_the_file_that_it_was_first_found_by(tmp_path: Path) -> None:
    put(tmp_path / "train.log", console())
    search = Search([tmp_path])
    assert [c.path.name for c in search.look().candidates] == ["train.log"]
    put(tmp_path / "metrics.jsonl", log())
    [found] = search.look().candidates
    assert (found.path.name, len(found.parts)) == ("train.log", 2)


def test_a_file_that_was_taken_out_of_a_run_stays_out(tmp_path: Path) -> None:
    put(tmp_path / "metrics.jsonl", log())
    old = put(tmp_path / "train.log", console(seed=1.0))
    ties = Ties()
    search = Search([tmp_path], ties=ties)
    assert len(search.look().candidates) == 1
    ties.part(old)
    for found in (search.look(), Search([tmp_path], ties=ties).look()):
        assert sorted(c.path.name for c in found.candidates) == ["metrics.jsonl", "train.log"]


def test_a_run_is_found_with_all_of_its_files_at_once(tmp_path: Path) -> None:
    for i in range(20):
        put(tmp_path / f"{i}" / "train.log", console(), age=i)
        put(tmp_path / f"{i}" / "metrics.jsonl", log(), age=100 + i)
    ticks = iter(range(10_000))
    first: tuple[Candidate, ...] = Search([tmp_path], lambda: next(ticks) * 0.04).look().candidates
    assert 1 <= len(first) < 20
    assert {len(c.parts) for c in first} == {2}


@pytest.mark.parametrize(
    ("path", "kin", "rank", "launch"),
    [
        ("metrics.rank3.jsonl", "metrics-jsonl", 3, 0),
        ("metrics.jsonl", "metrics-jsonl", None, 0),
        ("log.txt.rank1", "log-txt", 1, 0),
        ("rank_0.log", "log", 0, 0),
        ("nemo_log_globalrank-2_localrank-0.txt", "nemo-log-txt", 2, 0),
        ("logs-rank7.txt", "logs-txt", 7, 0),
        ("attempt_1/3/stderr.log", "attempt", 3, 1),
        ("frank1.log", "frank1-log", None, 0),
    ],
)
def test_ranks_and_launches_are_read_off_the_path(path: str, kin: str, rank: int | None, launch: int) -> None:
    place = place_of(Path("/logs") / path, Path("/logs"))
    assert place.part == Part(Path("/logs") / path, kin, rank, launch)


def test_a_run_does_not_reach_above_the_given_directory() -> None:
    top = Path("/work/out/checkpoint-5")
    assert place_of(top / "trainer_state.json", top).root == top
    assert place_of(top / "trainer_state.json", top.parent).root == top.parent


SAMPLES = '{"type":"machine","time":1700000000.0,"gpus":[{"index":0,"utilization":0.5}]}\n' * 5


def test_a_recording_of_the_machine_is_part_of_the_run_beside_it(tmp_path: Path) -> None:
    put(tmp_path / "a" / "metrics.jsonl", log())
    put(tmp_path / "a" / "machine.jsonl", SAMPLES, age=-50)
    put(tmp_path / "b" / "exp1.jsonl", log(1.0))
    put(tmp_path / "b" / "exp2.jsonl", log(2.0))
    put(tmp_path / "b" / "exp2.machine.jsonl", SAMPLES)
    assert runs(tmp_path) == {
        "a": ["a/machine.jsonl", "a/metrics.jsonl"], "exp1.jsonl": ["b/exp1.jsonl"],
        "exp2.jsonl": ["b/exp2.jsonl", "b/exp2.machine.jsonl"],
    }  # fmt: skip
    # The run goes by its metrics, although the recording is newer and comes first by its name.
    assert {c.path.name for c in discover([tmp_path]).candidates} == {"metrics.jsonl", "exp1.jsonl", "exp2.jsonl"}


def test_a_recording_alone_is_no_run_unless_it_is_named(tmp_path: Path) -> None:
    path = put(tmp_path / "a" / "machine.jsonl", SAMPLES)
    assert runs(tmp_path) == {}
    assert runs(tmp_path, path) == {"machine.jsonl": ["a/machine.jsonl"]}
    put(tmp_path / "b" / "machine_translation.jsonl", log())
    put(tmp_path / "c" / "machine.jsonl", log())
    assert sorted(runs(tmp_path)) == ["b", "c"]
