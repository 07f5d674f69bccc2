"""Which file a run is written to: one that no other writer has, after all that is there."""

import errno
import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import dropwhile
from pathlib import Path

BLOCK_BYTES = 1 << 18
"""Bytes of an existing file that are looked at in one go."""
SEARCH_BYTES = 256 << 20
"""Bytes at its end in which the newest session is looked for."""
MOST_NAMES = 100
"""Names that are tried in a directory."""

_OURS = b'{"type":"run","schema":"gradtop/'
_MOVED = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)


class Place:
    """An open file that this process alone writes, at its end."""

    def __init__(self, path: Path, fd: int, session: int) -> None:
        """`fd` is open for reading and appending; `session` is the number of the session that begins now."""
        found = os.fstat(fd)
        self.path, self.session = path, session
        self._fd = fd
        self._identity = found.st_dev, found.st_ino
        self._size = found.st_size
        self._torn = found.st_size > 0 and os.pread(fd, 1, found.st_size - 1) != b"\n"

    def append(self, lines: bytes) -> bytes:
        """Write whole lines with one `write`, apart from a line before them that was not finished.

        Returns:
            The lines that are not in the file as a whole; the next call says why.

        Raises:
            OSError: nothing was written.
        """
        data = b"\n" + lines if self._torn else lines
        done = self._put(data)
        self._size += done
        # A line that lacks only its newline is whole.
        whole = done if data.startswith(b"\n", done) else data.rfind(b"\n", 0, done) + 1
        self._torn = whole < done
        return data[whole:]

    def _put(self, data: bytes) -> int:
        """The number of bytes that were written; a kernel that takes a part is asked for the rest at once."""
        done = 0
        while done < len(data):
            try:
                written = os.write(self._fd, data[done:])
            except OSError:
                if not done:
                    raise
                break
            done += written
        return done

    def holds(self) -> bool:
        """The descriptor still is this file's; a program may have closed it, and opened another under its number."""
        try:
            found = os.fstat(self._fd)
        except OSError as error:
            return error.errno != errno.EBADF
        return (found.st_dev, found.st_ino) == self._identity

    def stands(self) -> bool:
        """The path leads to this file and nothing was cut off it; where that cannot be told, it does."""
        try:
            there = os.stat(self.path)
        except OSError as error:
            return error.errno not in _MOVED
        cut = stat.S_ISREG(there.st_mode) and there.st_size < self._size
        return (there.st_dev, there.st_ino) == self._identity and not cut

    def sync(self) -> None:
        """Have the disk keep what was written. Raises OSError, except where a file has no disk."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EROFS):
                raise

    def close(self) -> None:
        """Let go of the file and its lock; never raises."""
        fd, self._fd = self._fd, -1
        # Where closing fails, the descriptor is closed all the same.
        with suppress(OSError):
            os.close(fd)


def claim(directory: Path, rank: int | None = None, held: str = "") -> Place:
    """A file in `directory`, which is made where it is missing.

    Args:
        directory: where the run is recorded.
        rank: of a rank's own file; None is the file of the run.
        held: name of the file that was written so far; earlier choices are not tried again.

    Raises:
        OSError: no file can be written there.
    """
    os.makedirs(directory, exist_ok=True)
    refused = OSError(errno.EBUSY, "other writers have all its files")
    for name in dropwhile(lambda name: bool(held) and name != held, names(rank)):
        try:
            place = _taken(directory / name)
        except PermissionError as error:
            refused = error
            continue
        if place is not None:
            return place
    raise refused


def names(rank: int | None) -> Iterator[str]:
    """File names in the order of choice: that of the run or the rank first, then those of this process."""
    stem = "metrics" if rank is None else f"metrics.rank{rank}"
    yield f"{stem}.jsonl"
    host = re.sub(r"[^A-Za-z0-9_-]+", "-", os.uname().nodename.split(".")[0])[:40].strip("-") or "host"
    own = f"{stem}.{host}-{os.getpid()}"
    yield f"{own}.jsonl"
    for i in range(2, MOST_NAMES):
        yield f"{own}-{i}.jsonl"


def newest_session(fd: int, size: int) -> int:
    """The number in the last run line of a file of `size` bytes; 0 if none is found in its last `SEARCH_BYTES`."""
    end, rest = size, b""
    while end > max(0, size - SEARCH_BYTES):
        start = max(0, end - BLOCK_BYTES)
        block = os.pread(fd, end - start, start) + rest
        at = len(block)
        while (at := block.rfind(_OURS, 0, at)) >= 0:
            if session := _session(block[at : block.find(b"\n", at) + 1]):
                return session
        # What is before the first newline is the end of a line that begins in the block before.
        rest = block[: block.find(b"\n") + 1] if b"\n" in block else block[:BLOCK_BYTES]
        end = start
    return 0


def _taken(path: Path) -> Place | None:
    """The file at `path`, locked; None where another writer has it or may have it."""
    fd, created = _opened(path)
    place = None
    try:
        if _locked(fd, created):
            place = _at_end(path, fd)
    finally:
        if place is None:
            os.close(fd)
    return place


def _opened(path: Path) -> tuple[int, bool]:
    """A descriptor, and whether the file was made just now."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_EXCL, 0o666), True
    except FileExistsError:
        return os.open(path, flags, 0o666), False


def _locked(fd: int, created: bool) -> bool:
    """No other writer has the file: the kernel says so or, on a disk without locks, this process made it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return created
    return True


def _at_end(path: Path, fd: int) -> Place | None:
    """The place behind what is in the file; None where that was not written by gradtop."""
    size = os.fstat(fd).st_size
    if not size:
        return Place(path, fd, 1)
    first = os.pread(fd, BLOCK_BYTES, 0)
    if not _OURS.startswith(first[: len(_OURS)]):
        return None
    session = newest_session(fd, size) or _session(first[: first.find(b"\n") + 1])
    return Place(path, fd, session + 1)


def _session(line: bytes) -> int:
    """The session that a whole run line names; 0 of any other."""
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError):
        return 0
    session = facts.get("session") if isinstance(facts, dict) else None
    return session if isinstance(session, int) else 0
