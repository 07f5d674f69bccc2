"""The screen, saved as a picture in a file of its own."""

import os
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.segment import Segment
from textual.message import Message

from gradtop.clean import clean
from gradtop.shelf import state_folder
from gradtop.ui.svg import svg
from gradtop.ui.theme import Theme

_NO_NAME = re.compile("[^A-Za-z0-9._-]+")
"""What a file name should not have."""
MOST_ALIKE = 1000
"""Pictures of one name."""


class Saved(Message):
    """A picture was saved, or was not."""

    def __init__(self, told: str) -> None:
        """What to tell the user; clean."""
        super().__init__()
        self.told = told


def picture(rows: Sequence[Iterable[Segment]], columns: int, theme: Theme, name: str) -> str:
    """Save a screen with the run's clean name in the current directory, or in gradtop's own; what to tell the user."""
    file = f"gradtop-{_NO_NAME.sub('-', name)[:60].strip('-.') or 'run'}-{time.strftime('%Y%m%d-%H%M%S')}"
    own = state_folder(os.environ)
    try:
        path = save(svg(rows, columns, theme, f"gradtop: {name}"), file, [Path(), *([own / "pictures"] if own else [])])
    except OSError as error:
        return f"the picture cannot be saved: {clean(str(error.strerror or error), 200)}"
    return f"saved {clean(str(path), 500)}"


def save(document: str, name: str, folders: Sequence[Path]) -> Path:
    """Write it into the first of the folders that takes it, beside what is there.

    Raises:
        OSError: none of them takes it.
    """
    problem = OSError("there is no place for it")
    for folder in folders:
        try:
            return _write(document, folder, name)
        except OSError as error:
            problem = error
    raise problem


def _write(document: str, folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(1, MOST_ALIKE):
        path = folder / (f"{name}.svg" if n == 1 else f"{name}-{n}.svg")
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(document)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{folder}/{name}.svg and many more are there already")
