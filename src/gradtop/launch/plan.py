"""What is to be started, where it is recorded, and the environment that tells the command's Python processes so."""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gradtop
from gradtop.launch.ending import last_step

Detail = Literal["module", "parameter", "block"]

VARIABLE = "GRADTOP_RUN"
"""The environment variable that the command's Python processes read: JSON."""
RUNS = "gradtop-runs"
"""The folder of the runs that were given no directory, below the working directory."""
_SCRIPT = re.compile(r"\.(?:py|pyz|sh|bash|ipynb)\Z")
_ODD = re.compile(r"[^\w.-]+", re.ASCII)
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """A command, and how it is to be recorded."""

    command: tuple[str, ...]
    """The program and its arguments; never empty."""
    directory: Path
    """Where everything is recorded; absolute."""
    every: int | None = None
    """Steps between two readings of the layers; None lets their cost decide."""
    layers: Detail | None = None
    """How fine the layers are; None is the logger's own choice."""
    activations: bool = False
    """Activations are read as well."""


def environment(plan: Plan, environ: Mapping[str, str], say: Path) -> dict[str, str]:
    """The environment of the command: `environ`, our folder in front of the Python path, and what to record.

    `say` is the file to which the command's Python processes append what they found.
    """
    package = Path(gradtop.__file__).parent.absolute()
    site = str(package / "attach" / "site")
    behind = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry not in ("", site)]
    told = {
        "package": str(package),
        "directory": str(plan.directory),
        "every": plan.every,
        "layers": plan.layers,
        "activations": plan.activations,
        "argv": list(plan.command),
        "behind": last_step(plan.directory),
        "say": str(say),
    }
    return {**environ, "PYTHONPATH": os.pathsep.join([site, *behind]), VARIABLE: json.dumps(told)}


def new_directory(command: Sequence[str], here: Path, now: float) -> Path:
    """A directory that does not exist yet, named by the local time of `now` (Unix seconds) and by the script."""
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{script_name(command)}"
    path = here / RUNS / name
    again = 2
    while path.exists():
        path, again = here / RUNS / f"{name}-{again}", again + 1
    return path


def script_name(command: Sequence[str]) -> str:
    """What a command is called for short: its script, the module after `-m`, or else its program."""
    for argument, following in zip(command, [*command[1:], ""], strict=True):
        if argument in ("-m", "--module") and following:
            return _plain(following)
        if _SCRIPT.search(argument):
            return _plain(Path(argument).stem)
    return _plain(Path(command[0]).name)


def _plain(name: str) -> str:
    return _ODD.sub("-", name)[:_LONGEST_NAME].strip("-.") or "run"
