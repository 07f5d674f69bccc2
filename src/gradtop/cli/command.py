"""The commands of the command line."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from gradtop import __version__
from gradtop.cli.option import (
    HERE,
    ascii_option,
    path_type,
    paths_argument,
    record_option,
    rule_options,
    settings_of,
    warn_of_shadowed,
    why_no_file,
)
from gradtop.cli.output import print_document, print_lines, print_report, say
from gradtop.cli.run import run
from gradtop.cli.screen import is_terminal, open_app, take_stdin
from gradtop.config import Settings
from gradtop.errors import GradtopError

if TYPE_CHECKING:
    from gradtop.hardware.recording import Recording
    from gradtop.wiring import Watching

DEFAULT_COMMAND = "watch"


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


@click.group(
    cls=PathsOrCommand,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: gradtop logs/      Piped: python train.py 2>&1 | gradtop -      In the app: ? lists all keys, and "
    "where to bind them anew.",
)
@click.version_option(__version__, prog_name="gradtop")
def cli() -> None:
    """Watch a training run: its curves, and a verdict that shows its evidence.

    PATH is a log directory, a file, or - for standard input; the current directory by default. The newest run opens.
    """


cli.add_command(run)


@cli.command(DEFAULT_COMMAND, hidden=True)
@paths_argument
@rule_options
@record_option
@ascii_option
def watch(paths: tuple[Path, ...], record: Path | None, ascii_only: bool, **typed: Any) -> None:
    """Open the app on the newest run of PATH (default: the current directory).

    Example: gradtop logs/
    """
    settings = _settings(paths, typed)
    if not is_terminal(paths):
        if record is not None:
            raise click.UsageError("--record goes on while the app runs: without a terminal, use check --follow")
        from gradtop.wiring import read_paths

        print_report(read_paths(paths or HERE, settings).to_end(), as_json=False)
        return
    piped = take_stdin() if Path("-") in paths else None
    recording = _recording(record)

    def make() -> "Watching":
        from gradtop.wiring import watch_paths

        return watch_paths(paths or HERE, settings, piped, recording)

    open_app(make, settings, ascii_only, paths or HERE)


@cli.command()
@paths_argument
@rule_options
@record_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document instead of text; with --follow, many.")
@click.option("--follow", is_flag=True, help="Keep going; print a line at each change of a verdict or a finding.")
@click.option(
    "--fail-on",
    type=click.Choice(["watch", "intervene"]),
    default="watch",
    show_default=True,
    help="The mildest verdict that gives its own exit code; milder ones give 0. With --follow, the last verdict.",
)
@click.option(
    "--list-rules", is_flag=True, help="Print all rules with their limits, or those of the KINDs named instead of PATH."
)
def check(
    paths: tuple[Path, ...],
    record: Path | None,
    as_json: bool,
    follow: bool,
    fail_on: str,
    list_rules: bool,
    **typed: Any,
) -> None:
    """Print the verdict of every run under PATH, without a screen.

    Exit codes follow the Nagios plugin convention: 0 keep_training, 1 watch, 2 intervene, 3 unknown or wrong usage.

    Example: gradtop check --json logs/ | jq .verdict
    """
    if list_rules:
        _list_rules(paths, typed, as_json)
        return
    from gradtop.cli.follow import follow as followed
    from gradtop.report import EXIT_CODES, overall
    from gradtop.wiring import follow_paths, read_paths

    if record is not None and not follow:
        raise click.UsageError("--record needs --follow: it takes samples while it watches")
    paths, settings = paths or HERE, _settings(paths, typed)
    watching = follow_paths(paths, settings, _recording(record)) if follow else read_paths(paths, settings)
    snapshot = followed(watching, as_json) if follow else watching.to_end()
    if not follow:
        print_report(snapshot, as_json)
        for note in snapshot.notes if as_json and not snapshot.runs else ():
            say(note)
    code = EXIT_CODES[overall(snapshot)]
    sys.exit(0 if code == 1 and fail_on == "intervene" else code)


@cli.command()
@click.argument("path", type=path_type)
def explain(path: Path) -> None:
    """Show how gradtop understood a file, or the files of the newest run in a directory, and how it joined them.

    Format, names, units, the lines it did not read, and what it cannot tell for want of something in the log.

    Example: gradtop explain train.log
    """
    from gradtop.explain import explain as explained
    from gradtop.explain import explain_rules, explain_run
    from gradtop.wiring import read_newest

    if str(path) != "-" and (kind := why_no_file(path)):
        raise GradtopError(f"{path}: {kind}")
    settings = _settings((path,), {})
    warn_of_shadowed(settings.profiles)
    watching = read_newest((path,), settings)
    seen = watching.to_end()
    for note in seen.notes if not seen.runs else ():
        say(note)
    run = watching.monitor.newest()
    if len(run.sources) > 1:
        print_lines(explain_run(run.place, run.sources, run.joined(), run.view()))
    else:
        print_lines(explained(run.sources[0].status, run.sources[0].account, run.view()))
    for shown in seen.runs:
        if shown.id == run.id:
            print_lines(explain_rules(shown))


@cli.command()
@click.option(
    "--speed", type=click.FloatRange(min=0.1, max=1000), default=4.0, show_default=True, help="Times real time."
)
@ascii_option
def demo(speed: float, ascii_only: bool) -> None:
    """Open the app on a recorded real run, replayed live. Needs no GPU, no torch and no network.

    Example: gradtop demo --speed 10
    """
    if not is_terminal(()):
        from gradtop.sources.replay import recorded_run
        from gradtop.wiring import read_paths

        print_report(read_paths((recorded_run(),), Settings()).to_end(), as_json=False)
        return

    def make() -> "Watching":
        from gradtop.wiring import watch_demo

        return watch_demo(speed)

    open_app(make, _settings((), {}), ascii_only)


def _recording(path: Path | None) -> "Recording | None":
    """Where samples go; opened before anything else, so that what is wrong with it is said at once."""
    if path is None:
        return None
    from gradtop.hardware.recording import Recording

    return Recording(path)


def _settings(paths: tuple[Path, ...], typed: dict[str, Any]) -> Settings:
    from gradtop.settings import Typed

    return settings_of(paths or HERE, Typed(**typed))


def _list_rules(paths: tuple[Path, ...], typed: dict[str, Any], as_json: bool) -> None:
    """Print the rules that are named among the paths, or all; the settings are those for the other paths."""
    from gradtop.catalogue import KINDS
    from gradtop.listing import document, lines, listed
    from gradtop.settings import known_kind

    named = [str(path) for path in paths if str(path) in KINDS]
    places = tuple(path for path in paths if str(path) not in KINDS)
    for path in places:
        if str(path) != "-" and why_no_file(path):
            known_kind(str(path))
    settings, kinds = _settings(places, typed), listed(named)
    if as_json:
        print_document(document(settings, kinds))
    else:
        print_lines(lines(settings, kinds))
