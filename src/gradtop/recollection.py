"""How the user left the screen of one log directory: the room, the run, and what each room wants to be told again."""

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gradtop.shelf import alone, file_for, make, prune, replace

SCHEMA = "gradtop.view/1"
SUFFIX = ".view"
MAX_BYTES = 64 * 1024
"""A larger file is not one of these."""
MAX_TEXT = 4096
"""Characters of one text; a longer one is forgotten."""
MAX_FILES = 1000
"""Files kept: of more, those that were not changed for the longest time are removed."""

Memory = Mapping[str, str | float | bool | None]
"""What one room remembers. Who reads it takes nothing for granted: a user or another version may have written it."""


@dataclass(frozen=True, slots=True)
class Recollection:
    """The app's own memory, and that of its rooms by their names."""

    app: Memory = field(default_factory=dict)
    rooms: Mapping[str, Memory] = field(default_factory=dict)


def recalled(folder: Path, place: str) -> Recollection:
    """What is kept for a place; nothing where nothing is kept that can be read."""
    with suppress(OSError), file_for(folder, place, SUFFIX).open("rb") as file:
        return decoded(file.read(MAX_BYTES + 1))
    return Recollection()


def keep(folder: Path, place: str, recollection: Recollection) -> None:
    """Put it into the place's file, unless a newer gradtop wrote that; a disk that refuses is left alone."""
    path = file_for(folder, place, SUFFIX)
    with suppress(OSError):
        make(folder)
        with alone(folder):
            if not _newer(path):
                replace(path, encoded(place, recollection))
                prune(folder, SUFFIX, MAX_FILES)


def encoded(place: str, recollection: Recollection) -> bytes:
    """The file, at most `MAX_BYTES` long: of too much, the app's own memory alone is kept, or nothing."""
    app = _sound(recollection.app)
    rooms = {name: memory for name, found in recollection.rooms.items() if (memory := _sound(found))}
    for shorter in ((app, rooms), (app, {}), ({}, {})):
        document = {"schema": SCHEMA, "place": place[:MAX_TEXT], "app": shorter[0], "rooms": shorter[1]}
        if len(data := json.dumps(document, allow_nan=False, indent=1).encode()) < MAX_BYTES:
            break
    return data + b"\n"


def decoded(data: bytes) -> Recollection:
    """What a file says; what is not understood is passed over."""
    document = _document(data)
    if document.get("schema") != SCHEMA:
        return Recollection()
    rooms = document.get("rooms")
    found = rooms.items() if isinstance(rooms, dict) else ()
    return Recollection(_sound(document.get("app")), {name: _sound(memory) for name, memory in found})


def _document(data: bytes) -> dict[str, object]:
    with suppress(ValueError, RecursionError):
        document = json.loads(data) if len(data) <= MAX_BYTES else None
        if isinstance(document, dict):
            return document
    return {}


def _newer(path: Path) -> bool:
    """A later gradtop wrote the file."""
    with suppress(OSError), path.open("rb") as file:
        name, _, version = str(_document(file.read(MAX_BYTES + 1)).get("schema")).partition("/")
        ours, known = SCHEMA.split("/")
        return name == ours and version.isdecimal() and int(version) > int(known)
    return False


def _sound(memory: object) -> Memory:
    """The entries that have a value of one of the kinds that are kept."""
    if not isinstance(memory, Mapping):
        return {}
    return {str(key): value for key, value in memory.items() if _kept(value)}


def _kept(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    # NaN is no answer to a comparison; an integer may be larger than any float.
    return value is None or (isinstance(value, int | float) and abs(value) <= sys.float_info.max)
