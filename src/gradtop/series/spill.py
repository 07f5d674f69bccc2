"""Long columns in files without a name, so that a run of days needs no more memory than one of minutes.

What is in the files is mapped for reading: the kernel keeps of it in memory what is looked at, and drops that when it
needs the room. Writing goes through the file, so that a full disk is an error that can be answered, and never a signal.
"""

import mmap
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

LEAST_BYTES = 1 << 16
"""Columns that are smaller stay in memory: 8,192 values."""
KEPT_FREE = 1 << 30
"""Bytes of a disk that are left to others, such as the training with its checkpoints."""
_FIRST_FILE, _LARGEST_FILE = 1 << 24, 1 << 30
"""Bytes of address space of the first file and, at most, of a later one; on disk a file takes what it holds."""
_LOOKS = 64
"""How often a run is looked at until what was read back is let go."""


class Place:
    """A stretch of a file that holds one column."""

    __slots__ = ("_file", "_offset", "bytes")

    def __init__(self, file: "_File", offset: int, size: int) -> None:
        self._file, self._offset = file, offset
        self.bytes: npt.NDArray[np.uint8] = np.frombuffer(file.mapped, np.uint8, size, offset)
        """What it holds, read-only; zero where nothing was written yet."""

    def write(self, at: int, data: npt.NDArray[Any]) -> bool:
        """Put an array `at` so many bytes behind the beginning; False where the disk does not take it."""
        rest = np.ascontiguousarray(data).data.cast("B")
        at += self._offset
        try:
            while rest:
                done = os.pwrite(self._file.fd, rest, at)
                at, rest = at + done, rest[done:]
        except OSError:
            return False
        return True

    def let_go(self) -> None:
        """What was read of it is no longer in the memory of this process; it is read again where it is looked at."""
        self._file.let_go(self._offset, len(self.bytes))


class _File:
    """One file without a name and with places in it; it is gone when the last array that shows a part of it is."""

    def __init__(self, folder: Path, size: int) -> None:
        """Make it.

        Raises:
            OSError, ValueError: there is no room, no descriptor or no address space for it.
        """
        name = folder / f"gradtop-{os.urandom(8).hex()}.tmp"
        self.fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._closed = weakref.finalize(self, os.close, self.fd)
        os.unlink(name)
        os.truncate(self.fd, size)
        self.mapped = mmap.mmap(self.fd, size, prot=mmap.PROT_READ)
        self.size, self._used = size, 0

    def place(self, size: int) -> Place | None:
        """A place of `size` bytes; None where that is more than is left."""
        start = -(-self._used // mmap.PAGESIZE) * mmap.PAGESIZE
        if start + size > self.size:
            return None
        self._used = start + size
        return Place(self, start, size)

    def let_go(self, start: int, size: int) -> None:
        """Let go of what was read of some bytes, from the beginning of a page on."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.mapped.madvise(mmap.MADV_DONTNEED, start, size)


class Spill:
    """Places on a disk for the long columns of one run. Where the disk has none they stay in memory."""

    def __init__(self, folder: Path) -> None:
        """Files are made in `folder`, the first one when there is need of it."""
        self._folder = folder
        self._files: list[_File] = []
        self._looks = 0
        self._full = False

    def place(self, size: int) -> Place | None:
        """Room for a column that may grow to `size` bytes; None where it has to stay in memory."""
        if self._full:
            return None
        try:
            disk = os.statvfs(self._folder)
            if disk.f_bavail * disk.f_frsize < size + KEPT_FREE:
                return None
            found = self._files[-1].place(size) if self._files else None
            if found is None:
                next_size = min(_FIRST_FILE << len(self._files), _LARGEST_FILE)
                self._files.append(_File(self._folder, max(size, next_size)))
                found = self._files[-1].place(size)
        except (OSError, ValueError):
            # Asked again for every column, a folder that is gone would cost as much as one that is there.
            self._full = True
            return None
        return found

    def looked(self) -> None:
        """Somebody has looked at the run: what was read back for that is let go now and then."""
        self._looks += 1
        if self._looks % _LOOKS == 0:
            for file in self._files:
                file.let_go(0, file.size)
