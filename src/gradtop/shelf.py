"""Small files that gradtop keeps for its user, one per log directory, in the user's state directory."""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path


def state_folder(environ: Mapping[str, str]) -> Path | None:
    """gradtop's part of the user's state directory (XDG base directories); None where nothing says where that is."""
    base, home = environ.get("XDG_STATE_HOME", ""), environ.get("HOME", "")
    # A relative path is to be ignored, by that specification.
    if not os.path.isabs(base):
        base = f"{home}/.local/state" if os.path.isabs(home) else ""
    return Path(base) / "gradtop" if base else None


def absolute(directory: Path) -> str:
    """The directory as a path from the root on; not resolved, as that would ask the disk of the logs."""
    try:
        return os.path.abspath(directory)
    except OSError:
        # The working directory was removed.
        return str(directory)


def file_for(folder: Path, place: str, suffix: str) -> Path:
    """The file for a place: any path makes a name of one length."""
    return folder / f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}{suffix}"


def make(folder: Path) -> None:
    """Make the folder. The base directories may have to be made; a home that is not there is not.

    Raises:
        OSError: it cannot be made.
    """
    for each in (*reversed(folder.parents[:2]), folder):
        each.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While no other gradtop writes, where its file system knows locks."""
    with (folder / ".lock").open("w") as lock:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace(path: Path, data: bytes) -> None:
    """Put the whole file in place, or leave the old one.

    Raises:
        OSError: it cannot be written.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


def prune(folder: Path, suffix: str, most: int) -> None:
    """Remove the files that were not changed for the longest time, where there are more than `most` with the suffix."""
    pages = [entry for entry in os.scandir(folder) if entry.name.endswith(suffix)]
    if len(pages) > most:
        for entry in sorted(pages, key=lambda entry: entry.stat().st_mtime)[:-most]:
            Path(entry.path).unlink()
