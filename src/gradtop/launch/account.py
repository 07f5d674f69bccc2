"""What the command's Python processes said of themselves, and what that means to the user."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_BYTES = 1 << 20
"""Of what was said, as many bytes are read: a line for each process that imported torch."""


@dataclass(frozen=True, slots=True)
class Account:
    """What happened in the command, as far as its processes told."""

    torch: bool = False
    """A process imported torch."""
    stepped: bool = False
    """An optimizer stepped in one."""
    own: bool = False
    """One has a `gradtop.Logger` of its own."""
    problems: tuple[str, ...] = ()
    """What went wrong, each once. Foreign text."""


def read_account(path: Path) -> Account:
    """What the status file says; lines that say nothing are passed over."""
    said = list(_said(path))
    return Account(
        torch=any("torch" in line for line in said),
        stepped=any("stepped" in line for line in said),
        own=any("own" in line for line in said),
        problems=tuple(dict.fromkeys(str(line["problem"]) for line in said if "problem" in line)),
    )


def closing(account: Account, streams: Iterable[Path], command: str) -> Iterator[str]:
    """The sentences for the end: of `streams`, which were written, and of `command`, which shows the verdict."""
    yield from account.problems
    names = [stream.name for stream in streams]
    if account.own and not names:
        yield "the script has a gradtop.Logger of its own, which records its steps; output.log has its output"
    else:
        yield f"{_recorded(account, names)}; for the verdict: {command}"


def _recorded(account: Account, names: Sequence[str]) -> str:
    if names:
        return f"recorded {', '.join(names)} and output.log"
    if account.stepped:
        return "the training ended before its steps were written: only its output was recorded"
    if account.torch:
        return "torch was imported but no optimizer stepped: only the output was recorded"
    return "no torch in this command: only its output was recorded"


def _said(path: Path) -> Iterator[dict[str, Any]]:
    with suppress(OSError), path.open("rb") as file:
        for line in file.read(MOST_BYTES).splitlines():
            with suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict):
                    yield said
