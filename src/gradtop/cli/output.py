"""What the commands print: text for people on stderr, reports and documents on stdout."""

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from gradtop.errors import OutputError

if TYPE_CHECKING:
    from gradtop.snapshot import Snapshot


def say(message: str) -> None:
    """A sentence to the user, beside the output."""
    from gradtop.clean import clean

    click.echo(clean(message), err=True)


def _print(text: str) -> None:
    """A line to stdout; no exit code of a failure is one of a verdict."""
    try:
        click.echo(text)
    except BrokenPipeError:
        # Nobody reads on, as with `| head`; what is left to be flushed has no reader either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(141)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise OutputError(f"the output cannot be written: {error.strerror}") from None


def print_lines(lines: Iterable[str]) -> None:
    """Lines of text, which are clean already."""
    for line in lines:
        _print(line)


def print_report(snapshot: "Snapshot", as_json: bool) -> None:
    """The report on all runs."""
    from gradtop.report import lines, report

    if as_json:
        print_document(report(snapshot))
    else:
        print_lines(lines(snapshot))


def print_document(document: dict[str, Any]) -> None:
    """A JSON document on a line of its own."""
    import json

    import msgspec

    try:
        _print(msgspec.json.encode(document).decode())
    except UnicodeEncodeError:
        # The name of a file need not be UTF-8: what is none of it is shown as a question mark.
        _print(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace").decode())
