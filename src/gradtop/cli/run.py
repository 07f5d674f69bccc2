"""`gradtop run`: a training command as it is, recorded."""

import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from gradtop.clean import clean
from gradtop.cli.option import AnyPath, settings_of
from gradtop.cli.screen import is_terminal, prefers_ascii, show_app

if TYPE_CHECKING:
    from gradtop.launch import Ended, Screen
    from gradtop.launch.output import OutputLog
    from gradtop.launch.plan import Detail, Plan
    from gradtop.wiring import Watching

REFUSED_EXIT = 2
"""Nothing was started: the directory cannot be used, or there is no screen for `--ui`."""
NOT_RUNNABLE_EXIT, NOT_FOUND_EXIT = 126, 127
"""As a shell has them."""


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--every", type=click.IntRange(min=1), metavar="N", help="Read the layers at every N-th step. By default "
              "as often as 1 % of the training's time allows.")  # fmt: skip
@click.option(
    "--layers",
    type=click.Choice(["module", "parameter", "block"]),
    is_flag=False,
    flag_value="parameter",
    help="How fine the layers are; by module unless given. Without a word: each parameter.",
)
@click.option("--activations", is_flag=True, help="Read activations too: their size, dead units, attention logits.")
@click.option(
    "--log-dir",
    type=AnyPath(),
    metavar="DIR",
    help="Record to DIR, behind what is there. By default gradtop-runs/<date>-<time>-<script>.",
)
@click.option("--ui", is_flag=True, help="Open the app instead of the output; q goes back to the output.")
@click.option("--quiet", is_flag=True, help="Say nothing of our own.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] COMMAND [ARGS ...]")
def run(
    every: int | None,
    layers: "Detail | None",
    activations: bool,
    log_dir: Path | None,
    ui: bool,
    quiet: bool,
    command: tuple[str, ...],
) -> None:
    """Run a training command unchanged and record it: its output, and with PyTorch its loss and layers.

    Nothing in the script has to change. Terminal, signals and exit code are those of the command.

    Example: gradtop run -- torchrun --nproc_per_node 2 train.py --lr 3e-4
    """
    tell: Callable[[str], None] = _silent if quiet else _tell
    _check(command, ui)
    from gradtop.launch import end_like, launch
    from gradtop.launch.plan import Plan, new_directory
    from gradtop.launch.stream import fill_closed

    closed = fill_closed()
    directory = (log_dir or new_directory(command, Path.cwd(), time.time())).absolute()
    plan = Plan(command, directory, every, layers, activations)
    log = _open_log(directory, command)
    tell(f"recording to {directory}; watch it with: gradtop {shlex.quote(str(directory))}")
    try:
        ended = launch(plan, log, os.environ, closed, _screen(directory, tell) if ui else None)
    except OSError as error:
        _refuse(f"{command[0]} cannot be run: {error.strerror}", NOT_RUNNABLE_EXIT)
    if not quiet:
        _close(ended, plan)
    end_like(ended.code)
    sys.exit(ended.code if ended.code >= 0 else 128 - ended.code)


def _check(command: tuple[str, ...], ui: bool) -> None:
    """Leave with a sentence before anything is made where the command or the screen is not to be had."""
    if os.name != "posix":
        _refuse("gradtop run needs a POSIX system; on Windows it works inside WSL", REFUSED_EXIT)
    if ui and not is_terminal(()):
        _refuse("--ui needs a terminal", REFUSED_EXIT)
    if shutil.which(command[0]) is None:
        if os.sep in command[0] and os.path.exists(command[0]):
            _refuse(f"{command[0]} is not executable", NOT_RUNNABLE_EXIT)
        _refuse(f"{command[0]}: there is no such command", NOT_FOUND_EXIT)


def _open_log(directory: Path, command: tuple[str, ...]) -> "OutputLog":
    from gradtop.launch.output import NAME, OutputLog

    try:
        directory.mkdir(parents=True, exist_ok=True)
        return OutputLog(directory / NAME, command)
    except OSError as error:
        why = "it is not a directory" if directory.exists() and not directory.is_dir() else error.strerror
        _refuse(f"cannot record to {directory}: {why}. Nothing was started.", REFUSED_EXIT)


def _screen(directory: Path, tell: Callable[[str], None]) -> "Screen":
    """The app on the directory."""
    from gradtop.launch import Screen
    from gradtop.settings import Typed

    settings = settings_of((directory,), Typed())
    if settings.keys:
        # What is wrong with them is to be known before the command is started.
        from gradtop.ui.binding import rebound

        rebound(settings)

    def make() -> "Watching":
        from gradtop.wiring import watch_paths

        return watch_paths((directory,), settings)

    return Screen(
        lambda: show_app(make, settings, prefers_ascii(os.environ), (directory,)),
        lambda: tell("the command's output is shown from here on"),
    )


def _close(ended: "Ended", plan: "Plan") -> None:
    """Say what was recorded."""
    from gradtop.launch.account import closing

    if ended.mid_line:
        _write("\n")
    if ended.lost_bytes or ended.problem:
        _tell(f"output.log is not complete: {ended.problem}, {ended.lost_bytes:,} bytes of output are missing")
    if ended.left_behind:
        _tell("processes that the command left behind go on; their output goes to output.log alone")
    for sentence in closing(ended.account, ended.streams, f"gradtop check {shlex.quote(str(plan.directory))}"):
        _tell(sentence)


def _refuse(message: str, code: int) -> NoReturn:
    _tell(message)
    sys.exit(code)


def _tell(message: str) -> None:
    _write(f"gradtop: {clean(message)}\n")


def _silent(message: str) -> None:
    """With `--quiet`."""


def _write(text: str) -> None:
    """To standard error, past Python's buffers: what fails here must not change the exit code."""
    with suppress(OSError):
        os.write(2, text.encode(errors="replace"))
