"""What a run is called, and what its processes are told."""

import json
import os
from pathlib import Path

import pytest

from gradtop.launch.plan import Plan, environment, new_directory, script_name


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python train.py --lr 1", "train"),
        ("torchrun --nproc_per_node 2 src/pre-train.py a.py", "pre-train"),
        ("python -m pkg.train", "pkg.train"),
        ("accelerate launch -m pkg", "pkg"),
        ("bash run.sh", "run"),
        ("/opt/my trainer/x\x1b[2J", "trainer-x-2J"),
        ("./...", "run"),
    ],
)
def test_a_run_is_called_after_its_script(command: str, name: str) -> None:
    words = command.split(" ") if "\x1b" not in command else ["/opt/trainer x\x1b[2J"]
    assert script_name(words) == name


def test_a_directory_is_always_a_new_one(tmp_path: Path) -> None:
    first = new_directory(["python", "train.py"], tmp_path, 0.0)
    first.mkdir(parents=True)
    second = new_directory(["python", "train.py"], tmp_path, 0.0)
    assert first.parent == second.parent == tmp_path / "gradtop-runs"
    assert first.name.endswith("-train")
    assert second.name == f"{first.name}-2"


def test_an_empty_or_nested_python_path_adds_nothing(tmp_path: Path) -> None:
    plan = Plan(("x",), tmp_path, layers="block", activations=True)
    once = environment(plan, {"PYTHONPATH": ""}, tmp_path / "said")
    twice = environment(plan, once, tmp_path / "said")
    assert once["PYTHONPATH"] == twice["PYTHONPATH"]
    assert os.pathsep not in once["PYTHONPATH"]
    told = json.loads(once["GRADTOP_RUN"])
    assert (told["layers"], told["activations"], told["say"]) == ("block", True, str(tmp_path / "said"))
