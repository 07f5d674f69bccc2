"""The command line: wires paths, monitor and front end, and turns errors into sentences and exit codes."""

import sys

import click

from gradtop.cli.command import cli
from gradtop.cli.output import say
from gradtop.errors import GradtopError

__all__ = ["USAGE_EXIT", "cli", "main"]

USAGE_EXIT = 3
"""Wrong usage and unreadable input: not one of the verdicts 0 to 2."""


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
        say(f"gradtop: {error}")
        sys.exit(USAGE_EXIT)
