"""Facts of a run from its log and from beside it are used, and shown with where they were read."""

import json
from pathlib import Path
from typing import Any

import pytest

from commands import gradtop
from gradtop.config import Settings
from gradtop.detect.schedule import Schedule
from gradtop.explain import explain
from gradtop.record import Model, RunFacts, Train, merged
from gradtop.report import report
from gradtop.snapshot import RunSnapshot
from gradtop.view.header import header
from gradtop.wiring import Watching, read_paths

BANNER = "  Num Epochs = 3\n  Gradient Accumulation steps = 2\n  Total optimization steps = 1,000\n"
ROWS = "".join(f"step {i} loss {3 - i / 100:.3f} grad_norm 0.8{i % 7} lr {i * 1e-6:.3e}\n" for i in range(1, 31))
ARGS = "max_steps: 7\nwarmup_ratio: 0.1\nmax_grad_norm: 1.0\nlr: 0.0003\nbf16: true\n"
OWN_LINES = "".join(f"[{i}] L={3 - i / 100:.3f}\n" for i in range(1, 31))
PROFILE = "[[profile]]\nname = 'own'\nregex = '^\\[(?P<step>\\d+)\\] L=(?P<loss>\\S+)'\nsample = '[1] L=2.5'\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.log").write_text(BANNER + ROWS)
    (tmp_path / "args.yaml").write_text(ARGS)
    return tmp_path


def watched(path: Path) -> Watching:
    watching = read_paths((path,), Settings())
    watching.to_end()
    return watching


def run_of(path: Path) -> RunSnapshot:
    (run,) = watched(path).monitor.poll().runs
    return run


@pytest.mark.parametrize("named", ["", "train.log"])
def test_the_log_goes_before_what_lies_beside_it(folder: Path, named: str) -> None:
    facts = run_of(folder / named).view.facts
    assert (facts.train.total_steps, facts.train.accumulation, facts.train.epochs) == (1000, 2, 3.0)
    assert (facts.train.clip_norm, facts.train.lr_max, facts.train.precision) == (1.0, 0.0003, "bf16")
    assert facts.train.warmup == 100
    assert (facts.origin["total_steps"], facts.origin["clip_norm"]) == ("line 3", "args.yaml")


def test_beside_several_runs_a_side_file_is_of_none(folder: Path) -> None:
    (folder / "other.log").write_text(ROWS.replace("loss 2", "loss 9"))
    runs = watched(folder).monitor.poll().runs
    assert len(runs) == 2
    assert all(run.view.facts.train.clip_norm is None for run in runs)


def test_facts_are_shown(folder: Path) -> None:
    run = run_of(folder)
    parts = [part.text for part in header(_snapshot(folder), run, None, False)]
    assert "step 30/1,000" in parts
    assert "warm-up 30 %" in parts
    (source,) = watched(folder).monitor.newest().sources
    told = [line[12:] for line in explain(source.status, source.account, run.view)]
    for fact in (
        "total steps 1,000 (line 3)",
        "epochs 3 (line 1)",
        "warm-up steps 100 (args.yaml)",
        "clip 1 (args.yaml)",
        "precision bf16 (args.yaml)",
    ):
        assert fact in told


def _snapshot(folder: Path) -> Any:
    return watched(folder).monitor.poll()


def test_facts_are_in_the_report(folder: Path) -> None:
    (run,) = report(_snapshot(folder))["runs"]
    assert run["facts"]["train"]["total_steps"] == 1000
    assert run["facts"]["train"]["warmup_steps"] == 100
    assert run["facts"]["origin"]["lr_max"] == "args.yaml"
    assert json.loads(json.dumps(run["facts"])) == run["facts"]


def test_a_side_file_that_turns_up_with_the_first_rows_is_read(folder: Path) -> None:
    (folder / "train.log").unlink()
    watching = read_paths((folder / "train.log",), Settings())
    watching.monitor.poll()
    (folder / "train.log").write_text(ROWS)
    (run,) = watching.to_end().runs
    assert run.view.facts.train.clip_norm == 1.0


def test_what_is_stated_anew_forgets_where_it_was_read() -> None:
    old = RunFacts(train=Train(total_steps=5, lr_max=0.1), origin={"total_steps": "line 3", "lr_max": "line 4"})
    new = merged(old, RunFacts(train=Train(total_steps=9), model=Model(layers=2)))
    assert (new.train.total_steps, new.train.lr_max, new.model.layers) == (9, 0.1, 2)
    assert new.origin == {"lr_max": "line 4"}


@pytest.mark.parametrize(
    ("train", "steps"),
    [
        (Train(), None),
        (Train(warmup_steps=100), 100),
        (Train(warmup_ratio=0.03), None),
        (Train(warmup_ratio=0.03, total_steps=1001), 31),
        (Train(warmup_ratio=0.03, warmup_steps=7, total_steps=1000), 7),
        (Train(warmup_epochs=1.5, epochs=3, total_steps=1000), 500),
        (Train(warmup_epochs=9, epochs=3, total_steps=1000), 1000),
        (Train(warmup_steps=0, total_steps=1000), 0),
    ],
)
def test_the_length_of_the_warm_up(train: Train, steps: int | None) -> None:
    assert train.warmup == steps


@pytest.mark.parametrize(("kind", "end"), [("step", 1000), ("epoch", 3), ("row", None), ("samples", None)])
def test_the_planned_end_is_in_what_the_run_counts(kind: str, end: float | None) -> None:
    assert Train(total_steps=1000, epochs=3).planned(kind) == end


def test_a_declared_ratio_is_a_warm_up_of_the_diagnosis() -> None:
    schedule = Schedule()
    schedule.declare(RunFacts(train=Train(warmup_ratio=0.1, total_steps=1000)), counts_steps=True)
    assert (schedule.in_warmup(99), schedule.in_warmup(100), schedule.warmup_end) == (True, False, 100.0)


def test_a_declared_peak_below_what_is_seen_is_not_used() -> None:
    schedule = Schedule()
    schedule.declare(RunFacts(train=Train(lr_max=1e-6)), counts_steps=True)
    for step in range(10):
        schedule.see(1e-3, step)
        schedule.advance(1)
    assert schedule.effective == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("named", ["", "train.log"])
def test_a_profile_beside_the_logs_reads_them(tmp_path: Path, named: str) -> None:
    (tmp_path / "train.log").write_text(OWN_LINES)
    (tmp_path / "gradtop.toml").write_text(PROFILE)
    done = gradtop("check", "--json", str(tmp_path / named))
    assert done.stderr == ""
    (run,) = json.loads(done.stdout)["runs"]
    assert (run["metrics"]["loss"]["count"], run["steps"]["last"]) == (30, 30)
    assert "own: 30 lines" in gradtop("explain", str(tmp_path / "train.log")).stdout


@pytest.mark.parametrize("command", ["check", "explain"])
def test_a_profile_that_cannot_be_used_is_one_sentence(tmp_path: Path, command: str) -> None:
    (tmp_path / "train.log").write_text(OWN_LINES)
    (tmp_path / "gradtop.toml").write_text(PROFILE.replace("'[1] L=2.5'", r'"nothing \u001b[31m of it"'))
    done = gradtop(command, str(tmp_path / "train.log"))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(
        f"gradtop: {tmp_path / 'gradtop.toml'}, line 1: profile 'own': sample: the regex does"
    )
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_profile_that_is_not_needed_is_noted(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(ROWS)
    needless = "[[profile]]\nname = 'p'\nregex = 'step (?P<step>\\d+) loss (?P<loss>\\S+)'\nsample = 'step 1 loss 2'\n"
    (tmp_path / "gradtop.toml").write_text(needless)
    done = gradtop("explain", str(tmp_path / "train.log"))
    assert "its sample is read without it too (loss)" in done.stderr
