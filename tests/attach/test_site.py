"""Every Python under `gradtop run` comes by our sitecustomize, and must not notice it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import gradtop

PACKAGE = Path(gradtop.__file__).parent
SITE = PACKAGE / "attach" / "site"
TORCH = '__version__ = "2.99"\n'


def python(
    tmp_path: Path, code: str, *, files: Mapping[str, str] | None = None, options: tuple[str, ...] = ()
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """Run `code` beside `files` on the path; what it printed, and what was said to the parent."""
    site = tmp_path / "site"
    for name, text in (files or {}).items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    say = tmp_path / "say"
    order = {"package": str(PACKAGE), "directory": str(tmp_path / "run"), "say": str(say)}
    path = os.pathsep.join([str(SITE), str(site)])
    environment = {**os.environ, "PYTHONPATH": path, "GRADTOP_RUN": json.dumps(order)}
    command = [sys.executable, *options, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)
    return done, [json.loads(line) for line in say.read_text().splitlines()] if say.exists() else []


def test_a_python_without_torch_says_nothing_and_loads_nothing(tmp_path: Path) -> None:
    code = "import sys; print([name for name in sys.modules if name.split('.')[0] in ('gradtop', 'json')])"
    done, said = python(tmp_path, code)
    assert (done.returncode, done.stdout, done.stderr, said) == (0, "[]\n", "", [])


def test_our_folder_leaves_the_path_and_stays_in_the_environment(tmp_path: Path) -> None:
    code = "import os, sys; print([SITE in sys.path, os.environ['PYTHONPATH'].split(os.pathsep)[0] == SITE])"
    done, _ = python(tmp_path, f"SITE = {str(SITE)!r}; {code}")
    assert done.stdout == "[False, True]\n"


def test_the_sitecustomize_that_ours_hides_runs(tmp_path: Path) -> None:
    done, _ = python(
        tmp_path,
        "import sitecustomize; print(sitecustomize.MINE, sitecustomize.__file__)",
        files={"sitecustomize.py": "MINE = __name__\n"},
    )
    assert done.stdout == f"sitecustomize {tmp_path / 'site' / 'sitecustomize.py'}\n"


@pytest.mark.parametrize("text", ["import nowhere_to_be_found", "raise SystemExit(5)", "1 / 0", "not python"])
def test_a_sitecustomize_that_fails_fails_as_it_does_alone(tmp_path: Path, text: str) -> None:
    done, _ = python(tmp_path, "print('on')", files={"sitecustomize.py": text})
    alone = subprocess.run(
        [sys.executable, "-c", "print('on')"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout) == (alone.returncode, alone.stdout)
    assert done.stderr.splitlines()[-1:] == alone.stderr.splitlines()[-1:]


def test_torch_is_told_when_it_has_been_imported_and_a_failure_to_attach_is_no_failure_to_import(
    tmp_path: Path,
) -> None:
    done, (version, problem) = python(
        tmp_path, "import torch; print(torch.__version__)", files={"torch/__init__.py": TORCH}
    )
    assert (done.stdout, done.stderr) == ("2.99\n", "")
    assert version["torch"] == "2.99"
    assert "torch.optim" in problem["problem"]


def test_asking_whether_there_is_torch_imports_nothing(tmp_path: Path) -> None:
    code = """
import importlib.util, sys
print(importlib.util.find_spec("torch").name, importlib.util.find_spec("torch").name, "torch" in sys.modules)
import torch
print(type(torch.__spec__.loader).__name__, "exec_module" in vars(torch.__spec__.loader), sys.meta_path[0].__module__)
"""
    done, said = python(tmp_path, code, files={"torch/__init__.py": TORCH})
    first, second = done.stdout.splitlines()
    assert first == "torch torch False"
    assert second.startswith("SourceFileLoader False")
    assert "sitecustomize" not in second
    assert [line for line in said if "torch" in line] == said[:1]


def test_a_torch_that_cannot_be_imported_raises_what_it_raises(tmp_path: Path) -> None:
    done, said = python(tmp_path, "import torch", files={"torch/__init__.py": "raise OSError('libcudart')\n"})
    assert done.stderr.splitlines()[-1] == "OSError: libcudart"
    assert said == []


def test_children_of_the_command_are_attached_to_as_well(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import torch'], check=True)"
    _, said = python(tmp_path, code, files={"torch/__init__.py": TORCH})
    assert said[0]["torch"] == "2.99"


def test_an_isolated_python_is_left_alone(tmp_path: Path) -> None:
    done, said = python(tmp_path, "import sys; print(len(sys.argv))", options=("-I",))
    assert (done.returncode, done.stdout, said) == (0, "1\n", [])


@pytest.mark.parametrize("text", ["", "[]", "{", '{"package": 3}', '{"say": "/nowhere/at/all"}'])
def test_an_order_that_makes_no_sense_does_no_harm(tmp_path: Path, text: str) -> None:
    (tmp_path / "torch.py").write_text(TORCH)
    path = os.pathsep.join([str(SITE), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.__version__)"],
        env={**os.environ, "PYTHONPATH": path, "GRADTOP_RUN": text},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("2.99\n", "")


SCRIPT = """
import sys, torch
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(2):
    model(torch.ones(4)).square().sum().backward()
    optimizer.step()
raise ValueError("the end")
"""


def test_an_unchanged_script_is_recorded_to_its_bad_end(tmp_path: Path) -> None:
    done, said = python(tmp_path, SCRIPT)
    assert done.stderr.splitlines()[-1] == "ValueError: the end"
    stream = tmp_path / "run" / "metrics.jsonl"
    records = [json.loads(line) for line in stream.read_text().splitlines()]
    assert [record["step"] for record in records if record["type"] == "metrics"] == [1, 2]
    assert records[-1]["status"] == "crashed"
    assert said[-1]["stepped"] is True
