"""The commands: they wire paths, monitor and front end, and turn errors into sentences and exit codes."""

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from gradtop import __version__
from gradtop.config import Limits, Profile, Settings
from gradtop.errors import GradtopError

if TYPE_CHECKING:
    from gradtop.snapshot import Snapshot
    from gradtop.wiring import Watching

USAGE_EXIT = 3
"""Wrong usage and unreadable input: not one of the verdicts 0 to 2."""
LOOK_S = 0.3
"""Seconds for which the disk of a path is waited for before the path is taken as it is."""
DEFAULT_COMMAND = "watch"
HERE = (Path(),)
"""The path when none is given."""


class PathsOrCommand(click.Group):
    """`gradtop logs/` opens the app: whatever is not a command is a path for the default command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in front of paths and of the app's own options."""
        own = args and (args[0] in self.commands or args[0] in ("--help", "-h", "--version"))
        completing = ctx.resilient_parsing and not args
        return super().parse_args(ctx, args if own or completing else [DEFAULT_COMMAND, *args])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """A first word is a command or a path."""
        return [*super().shell_complete(ctx, incomplete), CompletionItem(incomplete, type="file")]

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the paths, not the hidden command."""
        formatter.write_usage(ctx.command_path, "[OPTIONS] [PATH ...]  |  COMMAND [ARGS ...]")


class AnyPath(click.Path):
    """A path that is taken as it is: looking at it may take for ever, and is the monitor's to do."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Any text is a path."""
        return Path(value)


_path_type = AnyPath(allow_dash=True)
_paths = click.argument("paths", nargs=-1, type=_path_type, metavar="[PATH ...]")
_grad_floor = click.option(
    "--grad-floor",
    type=click.FloatRange(min=0, min_open=True),
    metavar="NORM",
    help="Call a gradient small below this norm, whatever this run's own range is. A lower floor hides faults.",
)


@click.group(
    cls=PathsOrCommand,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: gradtop logs/      Piped: python train.py 2>&1 | gradtop -",
)
@click.version_option(__version__, prog_name="gradtop")
def cli() -> None:
    """Watch a training run: its curves, and a verdict that shows its evidence.

    PATH is a log directory, a file, or - for standard input; the current directory by default. The newest run opens.
    """


@cli.command(DEFAULT_COMMAND, hidden=True)
@_paths
@_grad_floor
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII characters only.")
def watch(paths: tuple[Path, ...], grad_floor: float | None, ascii_only: bool) -> None:
    """Open the app on the newest run of PATH (default: the current directory).

    Example: gradtop logs/
    """
    settings = _settings(paths or HERE, grad_floor)
    if not _is_terminal(paths):
        from gradtop.wiring import read_paths

        _print(read_paths(paths or HERE, settings.limits, settings.profiles).to_end(), as_json=False)
        return
    piped = _take_stdin() if Path("-") in paths else None

    def make() -> "Watching":
        from gradtop.wiring import watch_paths

        return watch_paths(paths or HERE, settings.limits, settings.profiles, piped)

    _open_app(make, ascii_only)


@cli.command()
@_paths
@_grad_floor
@click.option("--json", "as_json", is_flag=True, help="Print the gradtop.check/1 document instead of text.")
@click.option("--follow", is_flag=True, help="Keep going; print a line whenever the verdict changes.")
@click.option(
    "--fail-on",
    type=click.Choice(["watch", "intervene"]),
    default="watch",
    show_default=True,
    help="The mildest verdict that gives its own exit code; milder ones give 0.",
)
def check(paths: tuple[Path, ...], grad_floor: float | None, as_json: bool, follow: bool, fail_on: str) -> None:
    """Print the verdict of every run under PATH, without a screen.

    Exit codes follow the Nagios plugin convention: 0 keep_training, 1 watch, 2 intervene, 3 unknown or wrong usage.

    Example: gradtop check --json logs/ | jq .verdict
    """
    from gradtop.report import EXIT_CODES, overall
    from gradtop.wiring import read_paths

    settings = _settings(paths or HERE, grad_floor)
    watching = read_paths(paths or HERE, settings.limits, settings.profiles)
    snapshot = _follow(watching, as_json) if follow else watching.to_end()
    if not follow:
        _print(snapshot, as_json)
    if as_json and not snapshot.runs:
        for note in snapshot.notes:
            _say(note)
    code = EXIT_CODES[overall(snapshot)]
    sys.exit(0 if code == 1 and fail_on == "intervene" else code)


@cli.command()
@click.argument("path", type=_path_type)
def explain(path: Path) -> None:
    """Show how gradtop understood a file, or the files of the newest run in a directory, and how it joined them.

    Format, names, units, and the lines it did not read.

    Example: gradtop explain train.log
    """
    from gradtop.explain import explain as explained
    from gradtop.explain import explain_run
    from gradtop.wiring import read_newest

    if str(path) != "-" and (kind := _no_file(path)):
        raise GradtopError(f"{path}: {kind}")
    settings = _settings((path,), None)
    _warn_of_shadowed(settings.profiles)
    watching = read_newest((path,), settings.limits, settings.profiles)
    seen = watching.to_end()
    for note in seen.notes if not seen.runs else ():
        _say(note)
    run = watching.monitor.newest()
    if len(run.sources) > 1:
        told = explain_run(run.place, run.sources, run.joined(), run.view())
    else:
        told = explained(run.sources[0].status, run.sources[0].account, run.view())
    for line in told:
        click.echo(line)


@cli.command()
@click.option(
    "--speed", type=click.FloatRange(min=0.1, max=1000), default=4.0, show_default=True, help="Times real time."
)
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII characters only.")
def demo(speed: float, ascii_only: bool) -> None:
    """Open the app on a recorded real run, replayed live. Needs no GPU, no torch and no network.

    Example: gradtop demo --speed 10
    """
    if not _is_terminal(()):
        from gradtop.sources.replay import recorded_run
        from gradtop.wiring import read_paths

        _print(read_paths((recorded_run(),), Limits()).to_end(), as_json=False)
        return

    def make() -> "Watching":
        from gradtop.wiring import watch_demo

        return watch_demo(speed)

    _open_app(make, ascii_only)


def _settings(paths: Sequence[Path], grad_floor: float | None) -> Settings:
    """The settings for these paths, with profiles that can be used; a disk that does not answer has no say.

    A thread, and not a lane: the app is painted before what a lane needs is imported.
    """
    from gradtop.settings import settings_for

    found: list[Settings | GradtopError] = []

    def look() -> None:
        try:
            found.append(settings_for(paths, os.environ, grad_floor=grad_floor))
        except GradtopError as error:
            found.append(error)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(LOOK_S)
    settings = found[0] if found else Settings(limits=Limits(grad_floor=grad_floor))
    if isinstance(settings, GradtopError):
        raise settings
    if settings.profiles:
        from gradtop.sources.text.profile import rules_of

        rules_of(settings.profiles)
    return settings


def _warn_of_shadowed(profiles: Sequence[Profile]) -> None:
    if profiles:
        from gradtop.sources.text.profile import shadowed

        for note in filter(None, map(shadowed, profiles)):
            _say(f"note: {note}")


def _no_file(path: Path) -> str:
    """Why there is nothing to explain; empty where there is, and where its disk does not answer."""
    from gradtop.sources.follow.lane import Lane, Threads, answered

    def look() -> str:
        return "" if path.is_dir() or path.is_file() else "not a file" if path.exists() else "there is no such file"

    kind = Lane(Threads()).do(look)
    return kind.result() if answered(kind, LOOK_S) else ""


def _follow(watching: "Watching", as_json: bool) -> "Snapshot":
    """Print the report whenever a verdict changes, until every run is over."""
    from gradtop.report import headline, report
    from gradtop.snapshot import RunState

    said: dict[str, str] = {}
    mode = ""
    snapshot = watching.monitor.poll()
    while watching.monitor.backlog:
        snapshot = watching.monitor.poll()
    while True:
        verdicts = {run.id: run.judgement.verdict.value for run in snapshot.runs}
        if as_json and verdicts != said:
            click.echo(_json(report(snapshot)))
        elif not as_json:
            for run in snapshot.runs:
                if said.get(run.id) != verdicts[run.id]:
                    click.echo(headline(run))
        said = verdicts
        if snapshot.following != mode and snapshot.following.startswith("polling ("):
            _say(f"new rows are noticed by {snapshot.following}")
        mode = snapshot.following
        if snapshot.runs and all(run.state in (RunState.FINISHED, RunState.CRASHED) for run in snapshot.runs):
            return snapshot
        watching.wait(1.0)
        snapshot = watching.monitor.poll()


class Deferred:
    """A monitor that is made by the thread that polls it, so that the screen is painted before its imports."""

    def __init__(self, make: Callable[[], "Watching"]) -> None:
        self._make = make
        self._made: Watching | None = None

    def poll(self) -> "Snapshot":
        """One step of the monitor."""
        if self._made is None:
            self._made = self._make()
        return self._made.monitor.poll()

    def wait(self, timeout_s: float) -> None:
        """Wait until there is something to do."""
        if self._made is not None:
            self._made.wait(timeout_s)

    def select(self, run_id: str) -> None:
        """Read this run first."""
        if self._made is not None:
            self._made.monitor.select(run_id)


def _open_app(make: Callable[[], "Watching"], ascii_only: bool) -> None:
    """Show the screen until the user leaves, then end with its exit code."""
    # A monitor does no linear algebra: without this, numpy starts a thread for every core when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from gradtop.ui.app import GradtopApp

    watching = Deferred(make)
    app = GradtopApp(
        watching.poll, watching.wait, select=watching.select, ascii=ascii_only or prefers_ascii(os.environ)
    )
    app.run()
    sys.exit(app.return_code)


def prefers_ascii(environ: Mapping[str, str]) -> bool:
    """The locale says that the terminal knows no UTF-8; saying nothing is taken as UTF-8."""
    kind = environ.get("LC_CTYPE", "")
    # Python itself sets these where the locale is C, which says nothing of the terminal.
    chosen = (
        environ.get("LC_ALL") or (kind if kind not in ("C.UTF-8", "C.utf8", "UTF-8") else "") or environ.get("LANG", "")
    )
    name, _, encoding = chosen.partition(".")
    return "utf" not in encoding.lower() if encoding else name in ("C", "POSIX")


def _take_stdin() -> int:
    """The piped input as a descriptor of its own; the keyboard takes its place, where there is one."""
    piped = os.dup(0)
    try:
        keyboard = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        return piped
    os.dup2(keyboard, 0)
    os.close(keyboard)
    return piped


def _is_terminal(paths: Sequence[Path]) -> bool:
    """A screen can be shown: a real terminal to draw on (Textual draws on stderr) and one to type on."""
    if os.environ.get("TERM", "") in ("", "dumb") or not sys.stderr.isatty() or not sys.stdout.isatty():
        return False
    return sys.stdin.isatty() or Path("-") in paths


def _say(message: str) -> None:
    from gradtop.clean import clean

    click.echo(clean(message), err=True)


def _print(snapshot: "Snapshot", as_json: bool) -> None:
    from gradtop.report import lines, report

    if as_json:
        click.echo(_json(report(snapshot)))
        return
    for line in lines(snapshot):
        click.echo(line)


def _json(document: dict[str, Any]) -> str:
    import json

    import msgspec

    try:
        return msgspec.json.encode(document).decode()
    except UnicodeEncodeError:
        # The name of a file need not be UTF-8: what is none of it is shown as a question mark.
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace").decode()


def main() -> None:
    """Run the command line; every failure is one sentence on stderr and an exit code that is no verdict."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE_EXIT)
    except click.Abort:
        sys.exit(130)
    except GradtopError as error:
        _say(f"gradtop: {error}")
        sys.exit(USAGE_EXIT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(141)
