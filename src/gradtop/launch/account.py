"""What the command's Python processes said of themselves, and what that means to the user."""

import json
from collections.abc import Iterator
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
    attached: tuple[Path, ...] = ()
    """The files of the processes that recorded, in order."""
    problems: tuple[str, ...] = ()
    """What went wrong, each once. Foreign text."""


def read_account(path: Path) -> Account:
    """What the status file says; lines that say nothing are passed over."""
    said = list(_said(path))
    return Account(
        torch=any("torch" in line for line in said),
        attached=tuple(dict.fromkeys(Path(str(line["attached"])) for line in said if "attached" in line)),
        problems=tuple(dict.fromkeys(str(line["problem"]) for line in said if "problem" in line)),
    )


def closing(account: Account, command: str) -> Iterator[str]:
    """The sentences for the end; `command` is what shows the verdict."""
    yield from account.problems
    if account.attached:
        names = ", ".join(file.name for file in account.attached)
        yield f"recorded {names} and output.log; for the verdict: {command}"
    elif account.torch:
        yield f"torch was imported but no optimizer stepped: only the output was recorded; for the verdict: {command}"
    else:
        yield f"no torch in this command: only its output was recorded; for the verdict: {command}"


def _said(path: Path) -> Iterator[dict[str, Any]]:
    with suppress(OSError), path.open("rb") as file:
        for line in file.read(MOST_BYTES).splitlines():
            with suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict):
                    yield said
