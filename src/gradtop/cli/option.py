"""Arguments and options that commands share, and the settings that they make."""

import math
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from gradtop.cli.output import say
from gradtop.config import PROFILES, Profile, Settings
from gradtop.errors import ConfigError, GradtopError

if TYPE_CHECKING:
    from gradtop.settings import Typed

HERE = (Path(),)
"""The path when none is given."""
LOOK_S = 0.3
"""Seconds for which the disk of a path is waited for before the path is taken as it is."""
RULES_S = 10.0
"""Seconds for which the disk of a file is waited for that was asked for by name."""
_Command = TypeVar("_Command", bound=Callable[..., Any])


class AnyPath(click.Path):
    """A path that is taken as it is: looking at it may take for ever, and is the monitor's to do."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Any text is a path."""
        return Path(value)


class KindName(StringParamType):
    """The id of a kind of findings."""

    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A known kind, or an error with the one that looks like it."""
        from gradtop.settings import known_kind

        try:
            return known_kind(value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The kinds that begin like this."""
        from gradtop.catalogue import KINDS

        return [CompletionItem(id) for id in sorted(KINDS) if id.startswith(incomplete)]


path_type = AnyPath(allow_dash=True)
paths_argument = click.argument("paths", nargs=-1, type=path_type, metavar="[PATH ...]")
ascii_option = click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII characters only.")


record_option = click.option(
    "--record",
    "record",
    type=AnyPath(dir_okay=False),
    metavar="FILE",
    help="Append what the machine does (GPUs, the training process, the host) to this file, once a second: "
    "machine.jsonl in the directory of a run is shown with it.",
)


def _number(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """A range does not refuse what is no number."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is not a number above 0.", ctx, param)
    return value


_RULE_OPTIONS = (
    click.option(
        "--grad-floor",
        type=click.FloatRange(0, math.inf, min_open=True, max_open=True),
        callback=_number,
        metavar="NORM",
        help="Call a gradient small below this norm, whatever this run's own range is. A lower floor hides faults.",
    ),
    click.option(
        "--profile",
        type=click.Choice(PROFILES),
        help="What kind of training it is: of rl, gan and vae the loss need not fall. By default the names of the "
        "metrics tell.",
    ),
    click.option(
        "--mute",
        type=KindName(),
        multiple=True,
        metavar="KIND",
        help="List findings of this kind, but let none count for the verdict; may be repeated.",
    ),
    click.option(
        "--rules",
        type=AnyPath(dir_okay=False),
        metavar="FILE",
        help="A settings file like gradtop.toml, with [limits] and [rules]; it goes before gradtop.toml.",
    ),
)


def rule_options(command: _Command) -> _Command:
    """Options about the rules, which arrive as the fields of `settings.Typed`."""
    for option in reversed(_RULE_OPTIONS):
        command = option(command)
    return command


def settings_of(paths: Sequence[Path], typed: "Typed") -> Settings:
    """The settings for these paths, with profiles that can be used; a disk that does not answer has no say.

    A thread, and not a lane: the app is painted before what a lane needs is imported.
    """
    from gradtop.settings import settings_for, settings_typed

    found: list[Settings | GradtopError] = []

    def look() -> None:
        try:
            found.append(settings_for(paths, os.environ, typed))
        except GradtopError as error:
            found.append(error)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(LOOK_S if typed.rules is None else RULES_S)
    if not found and typed.rules is not None:
        raise ConfigError(f"{typed.rules}: its disk, or that of gradtop.toml, does not answer")
    settings = found[0] if found else settings_typed(typed)
    if isinstance(settings, GradtopError):
        raise settings
    if settings.profiles:
        from gradtop.sources.text.profile import rules_of

        rules_of(settings.profiles)
    return settings


def warn_of_shadowed(profiles: Sequence[Profile]) -> None:
    """Say which of the user's own profiles never get a line."""
    if profiles:
        from gradtop.sources.text.profile import shadowed

        for note in filter(None, map(shadowed, profiles)):
            say(f"note: {note}")


def why_no_file(path: Path) -> str:
    """Why there is nothing to read at a path; empty where there is, and where its disk does not answer."""
    from gradtop.sources.follow.lane import Lane, Threads, answered

    def look() -> str:
        return "" if path.is_dir() or path.is_file() else "not a file" if path.exists() else "there is no such file"

    kind = Lane(Threads()).do(look)
    return kind.result() if answered(kind, LOOK_S) else ""
