"""Bytes of a file that another process writes, in order, and what happened to the file; bytes to whole lines.

Polling is the truth: every look compares the path with what was read, whether or not anything woke it. A file is
known by its content (its first bytes and the bytes before the offset), because file systems reuse inode numbers.
"""

import errno
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from gradtop.sources.follow.mount import served
from gradtop.sources.reader import Block, Line

CHUNK_BYTES = 256 * 1024
"""Bytes of one read: small enough to keep a screen alive, large enough to be fast."""
MAX_LINE_BYTES = 1024 * 1024
"""A longer line is skipped and counted."""
MARK_BYTES = 64
"""Bytes at the start, and before the offset, that say whether the file still is the one that was read."""
RECHECK_S = 1.0
"""The content is compared at least this often, even when size and times say that nothing happened."""

_BOM = b"\xef\xbb\xbf"
_HEAD_CHARS = 2000
_line = partial(tuple.__new__, Line)


@dataclass(frozen=True, slots=True)
class Portion:
    """What one look at a file gave."""

    data: bytes = b""
    began: str = ""
    """Why these are the first bytes of the file: `truncated`, `replaced`, `rotated`; empty while it goes on."""
    ended: bool = False
    """No byte follows these: the file was deleted, or another one took its place."""
    more: bool = False
    """More is waiting: look again at once."""


_NOTHING = Portion()


class LineDecoder:
    """Bytes in any portions to whole lines. The same bytes give the same lines, but for soft ends."""

    def __init__(self, soft_cr: bool = False) -> None:
        """`soft_cr`: a line that keeps growing without its newline ends at its last `\\r` (text, never rows)."""
        self._soft_cr = soft_cr
        self._pending = bytearray()
        self._skipping = False
        self._number = 0
        self._first = True
        self.nuls = 0
        """NUL bytes dropped from the start of lines."""
        self.oversize: list[Line] = []
        """The beginnings of lines that were skipped because they are longer than `MAX_LINE_BYTES`."""

    @property
    def partial(self) -> bool:
        """A line has begun and has no end yet."""
        return self._skipping or bool(self._pending)

    def feed(self, data: bytes) -> list[Line]:
        """The lines that end in `data`, without their line ends."""
        parts = data.split(b"\n")
        rest = parts.pop()
        if not parts:
            return self._grow(rest)
        dirty = b"\r" in data or b"\0" in data or len(data) > MAX_LINE_BYTES
        lines = self._complete(parts.pop(0))
        if dirty:
            for part in parts:
                lines += self._complete(part)
        else:
            lines += map(_line, zip(count(self._number + 1), parts))
            self._number += len(parts)
        self._hold(rest)
        return lines

    def block(self, data: bytes) -> Block | None:
        """The lines that end in `data`, as one block; None, and nothing is taken, where they need a closer look."""
        end = data.rfind(b"\n") + 1
        if not end or self._first or self._skipping or len(self._pending) + len(data) > MAX_LINE_BYTES or b"\0" in data:
            return None
        whole = bytes(self._pending) + data[:end]
        self._pending[:] = data[end:]
        block = Block(self._number + 1, whole.count(b"\n"), whole)
        self._number += block.n
        return block

    def finish(self) -> list[Line]:
        """The line that never got its end; the next byte begins a new one."""
        return self._complete(b"") if self.partial else []

    def _complete(self, part: bytes) -> list[Line]:
        """The line that ends after `part`; none if it is too long."""
        if self._pending:
            part = bytes(self._pending) + part
            self._pending.clear()
        else:
            part = self._without_nuls(part)
        self._number += 1
        skipped, self._skipping = self._skipping, False
        if skipped:
            return []
        if len(part) > MAX_LINE_BYTES:
            self.oversize.append(Line(self._number, part[:_HEAD_CHARS]))
            return []
        return [Line(self._number, self._without_bom(part.removesuffix(b"\r")))]

    def _grow(self, rest: bytes) -> list[Line]:
        """Hold on to the rest; a text line that was already waiting ends at its last `\\r`."""
        grown = bool(self._pending)
        self._hold(rest)
        # A last `\r` may be the first half of `\r\n`.
        cut = self._pending.rfind(b"\r", 0, -1) if self._soft_cr and grown else -1
        if cut < 0:
            return []
        piece = bytes(self._pending[:cut])
        del self._pending[: cut + 1]
        return [Line(self._number + 1, self._without_bom(piece))]

    def _hold(self, rest: bytes) -> None:
        if self._skipping:
            return
        self._pending += rest if self._pending else self._without_nuls(rest)
        if len(self._pending) > MAX_LINE_BYTES:
            self.oversize.append(Line(self._number + 1, bytes(self._pending[:_HEAD_CHARS])))
            self._pending.clear()
            self._skipping = True

    def _without_nuls(self, part: bytes) -> bytes:
        """Without leading NULs: a writer that kept its position after a truncation leaves a run of them."""
        if not part.startswith(b"\0"):
            return part
        kept = part.lstrip(b"\0")
        self.nuls += len(part) - len(kept)
        return kept

    def _without_bom(self, part: bytes) -> bytes:
        first, self._first = self._first, False
        return part.removeprefix(_BOM) if first else part


class Tail:
    """Follows one path by name: every byte written is given once, in order, and every new beginning is said."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Follow `path`, which need not exist yet; `clock` is seconds from any origin."""
        self._path = os.fspath(path)
        self._clock = clock
        self._fd: int | None = None
        self._id: tuple[int, int] | None = None
        self._brief = False
        self._head = self._mark = b""
        self._seen: tuple[int, int, int] | None = None
        self._checked_at = -RECHECK_S
        self._reason = ""
        self.offset = 0
        """Bytes read of the file as it is now."""
        self.size = 0
        """Bytes in the file at the last look."""
        self.modified: float | None = None
        """Unix seconds of its last change; None while there is no file."""
        self.problem = ""
        """Why nothing can be read now, as a sentence; empty when all is well."""
        self.remedy = ""
        """What is done about it as long as the file is followed, to be put behind the problem."""

    def read(self, limit: int = CHUNK_BYTES) -> Portion:
        """Look once: at most `limit` bytes (0: only what happened). Never blocks on a local disk, never raises."""
        self.problem = self.remedy = ""
        try:
            return self._read(limit)
        except OSError as error:
            return self._failed(error)
        finally:
            if self._brief:
                self.close()

    def close(self) -> None:
        """Let go of the file; the next read opens it again and goes on at the same byte."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _read(self, limit: int) -> Portion:
        try:
            found = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return self._missing(limit)
        if not stat.S_ISREG(found.st_mode):
            self.problem = _refusal(found.st_mode)
            return _NOTHING
        if self._id is None:
            return self._begin(limit)
        if (found.st_dev, found.st_ino) != self._id:
            return self._other(found, limit)
        return self._same(found, limit)

    def _same(self, found: os.stat_result, limit: int) -> Portion:
        """The path still leads to the file that is being read: go on, unless its content is another."""
        seen = _signature(found)
        now = self._clock()
        fresh = self._fd is None or now - self._checked_at < RECHECK_S
        if seen == self._seen and found.st_size <= self.offset and fresh:
            return _NOTHING
        if self._fd is None:
            self._fd = _open_regular(self._path)
        if _identity(os.fstat(self._fd)) != self._id:
            self.close()
            return _NOTHING  # The path changed hands since it was looked at: the next look settles it.
        self._seen, self._checked_at = seen, now
        self.size, self.modified = found.st_size, found.st_mtime
        if found.st_size < self.offset:
            return self._restart(self._fd, "truncated", limit)
        if not self._is_known(self._fd):
            # A run of NULs where text was: truncated under a writer that kept its position.
            holed = os.pread(self._fd, 1, 0) == b"\0" and not self._head.startswith(b"\0")
            return self._restart(self._fd, "truncated" if holed else "replaced", limit)
        return self._take(self._fd, limit)

    def _begin(self, limit: int) -> Portion:
        """Read a file from its start: the first one at this path, or one that took the place of another."""
        fd = _open_regular(self._path)
        self._become(fd)
        reason, self._reason = self._reason, ""
        return self._restart(fd, reason, limit)

    def _become(self, fd: int) -> None:
        """From now on `fd` is the file that is read."""
        self.close()
        found = os.fstat(fd)
        self._fd, self._id = fd, _identity(found)
        # Nobody can leave while it holds a file whose server hangs: the kernel waits for it at the end of a process.
        self._brief = served(found.st_dev)
        self._seen, self._checked_at = _signature(found), self._clock()
        self.size, self.modified = found.st_size, found.st_mtime

    def _restart(self, fd: int, reason: str, limit: int) -> Portion:
        self.offset, self._head, self._mark = 0, b"", b""
        portion = self._take(fd, limit)
        return Portion(portion.data, reason, portion.ended, portion.more)

    def _take(self, fd: int, limit: int) -> Portion:
        """The next bytes; remember how the part read so far begins and ends."""
        data = os.pread(fd, limit, self.offset) if limit else b""
        if not data:
            return _NOTHING
        if self.offset < MARK_BYTES:
            self._head = (self._head + data)[:MARK_BYTES]
        self._mark = (self._mark + data[-MARK_BYTES:])[-MARK_BYTES:]
        self.offset += len(data)
        self.size = max(self.size, self.offset)
        return Portion(data, more=len(data) == limit or self.offset < self.size)

    def _other(self, found: os.stat_result, limit: int) -> Portion:
        """Another file is at the path: finish the one that was there, then see whether it goes on or begins anew."""
        old = self._fd
        if old is not None and (portion := self._take(old, limit)).data:
            return Portion(portion.data, more=True)
        kept = old is not None and os.fstat(old).st_nlink > 0
        if kept and not found.st_size:
            return _NOTHING  # The writer has not begun the new file, and may still write to the old one.
        new = _open_regular(self._path)
        if self.offset and self._is_known(new):
            # A copy with the same content and more, as rsync leaves it: go on in it.
            self._become(new)
            return self._take(new, limit)
        os.close(new)
        if old is None and (moved := self._moved()) is not None:
            self._fd = moved
            return self._other(found, limit)
        self._forget("rotated" if kept else "replaced")
        return Portion(ended=True, more=True)

    def _moved(self) -> int | None:
        """The file that was being read when it was let go, open, if it was only renamed within its directory."""
        if self._id is None or not self.offset:
            return None
        try:
            with os.scandir(os.path.dirname(self._path) or ".") as entries:
                same_number = [e.path for e in entries if e.inode() == self._id[1] and e.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return None
        for path in same_number:
            fd = _open_regular(path)
            if _identity(os.fstat(fd)) == self._id and self._is_known(fd):
                return fd
            os.close(fd)
        return None

    def _missing(self, limit: int) -> Portion:
        """There is no file at the path: finish the one that was there, and wait."""
        self.modified = None
        if self._fd is None and self._brief:
            self._fd = self._moved()
        if self._fd is None and self._id is not None and self._brief:
            return self._deleted()
        if self._fd is None:
            self.problem, self.remedy = "there is no such file", ": waiting for it"
            return _NOTHING
        if (portion := self._take(self._fd, limit)).data:
            return Portion(portion.data, more=True)
        if os.fstat(self._fd).st_nlink:
            self.problem, self.remedy = "the file was moved away", ": reading on until another takes its place"
            return _NOTHING
        return self._deleted()

    def _deleted(self) -> Portion:
        self.problem, self.remedy = "the file was deleted", ": waiting for a new one"
        self._forget("replaced")
        return Portion(ended=True)

    def _forget(self, reason: str) -> None:
        """The file is over; the next one begins for `reason`."""
        self.close()
        self._id, self._seen, self._reason = None, None, reason
        self.size = self.offset

    def _is_known(self, fd: int) -> bool:
        """The file begins, and goes on up to the offset, as it did when it was read."""
        return (
            os.pread(fd, len(self._head), 0) == self._head
            and os.pread(fd, len(self._mark), self.offset - len(self._mark)) == self._mark
        )

    def _failed(self, error: OSError) -> Portion:
        """A disk, a mount or a permission said no: say so and try again, at the same byte, next time."""
        if error.errno == errno.ESTALE:
            self._forget("replaced")
            return Portion(ended=True, more=True)
        self.problem, self.remedy = f"cannot be read: {error.strerror or error}", "; trying again"
        return _NOTHING


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _signature(found: os.stat_result) -> tuple[int, int, int]:
    """Changes whenever the file does, as far as its file system's clock is fine enough."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _open_regular(path: str) -> int:
    """Open a regular file for reading, without waiting for anyone.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise OSError(errno.EINVAL, _refusal(mode))
    return fd


def _refusal(mode: int) -> str:
    """Why a path that is no regular file is not read."""
    if stat.S_ISDIR(mode):
        return "a directory, not a file"
    if stat.S_ISFIFO(mode):
        return "a pipe: read it through standard input, `gradtop - < PIPE`"
    return "a device or socket, not a file"
