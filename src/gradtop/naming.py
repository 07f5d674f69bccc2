"""What a run is called, where the place that it was found in says so."""

import re
from pathlib import Path

FOLDERS_NAMED = 3
"""Folders at most that stand before a name that says nothing by itself."""
_PLAIN = re.compile(
    r"(?:lightning_logs|version|ver|v|exp|experiments?|runs?|train(?:ing)?|logs?|outputs?|out|results?|checkpoints?|ckpts?"
    r"|default|tensorboard|tb|csv|latest|attempt|trial|seed)?[-_ ]?[\d_.:T-]*",
    re.IGNORECASE,
)
"""Names that every training has: `version_0`, `train`, `exp3`, `2026-11-23_10-00-00`."""


def called(name: str, place: Path) -> str:
    """The name of a run; one that says nothing by itself comes after the names of the folders that it lies in.

    Args:
        name: what it was found by: a directory, a file, or the end of their path.
        place: its directory or file.
    """
    words = tuple(name.split("/"))
    for folder in (place.absolute(), *place.absolute().parents):
        parts = folder.parts
        if parts[-len(words) :] == words:
            n = len(words)
            while n - len(words) < FOLDERS_NAMED and n < len(parts) - 1 and _PLAIN.fullmatch(parts[-n]):
                n += 1
            return "/".join(parts[-n:])
    return name
