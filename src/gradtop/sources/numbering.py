"""Which number a line of a file has, and where the line of a number begins, whatever the file's size."""

import os
from bisect import bisect_right

MARK_BYTES = 1 << 20
"""Bytes between two places whose line number is kept: 8,192 of them in 8 GiB."""
PASSING_BYTES = 32 << 20
"""Bytes counted at most to number the lines of a page; more are counted with the next page."""
SOUGHT_BYTES = 4 << 30
"""Bytes counted at most to find a line."""
_HEAD_BYTES = 64


class Numbering:
    """Line numbers of one file, from 1. What was counted once is kept while the file is the same and only grows."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self._head = b""
        self._before = [0]
        """Line ends before each mark."""

    @property
    def counted(self) -> int:
        """Bytes from the start of the file that were counted."""
        return (len(self._before) - 1) * MARK_BYTES

    def number_at(self, fd: int, size: int, offset: int) -> int | None:
        """The number of the line that the byte at `offset` belongs to; None where that takes too long to count."""
        self._check(fd, size)
        if not self._reach(fd, offset, PASSING_BYTES):
            return None
        mark = min(offset // MARK_BYTES, len(self._before) - 1)
        start = mark * MARK_BYTES
        return self._before[mark] + os.pread(fd, offset - start, start).count(b"\n") + 1

    def offset_of(self, fd: int, size: int, number: int) -> int | None:
        """The byte at which a line begins; None where the file has fewer lines, or it lies too far in."""
        self._check(fd, size)
        ends = max(0, number - 1)
        until = self.counted + SOUGHT_BYTES
        while self._before[-1] < ends and self.counted + MARK_BYTES <= min(size, until):
            self._count_on(fd)
        at = (bisect_right(self._before, ends - 1) - 1 if ends else 0) * MARK_BYTES
        left = ends - self._before[at // MARK_BYTES]
        data = os.pread(fd, min(MARK_BYTES, max(0, size - at)), at)
        place = 0
        for _ in range(left):
            place = data.find(b"\n", place) + 1
            if not place:
                return None
        return at + place if at + place < size else None

    def _check(self, fd: int, size: int) -> None:
        """Begin anew where the file is another one."""
        head = os.pread(fd, _HEAD_BYTES, 0)
        if size < self.counted or not head.startswith(self._head):
            self._before = [0]
            self._head = b""
        self._head = head

    def _reach(self, fd: int, offset: int, most: int) -> bool:
        """Count up to the last mark before `offset`, at most so many bytes; True when it is reached."""
        until = self.counted + most
        while self.counted + MARK_BYTES <= offset:
            if self.counted >= until or not self._count_on(fd):
                return False
        return True

    def _count_on(self, fd: int) -> bool:
        data = os.pread(fd, MARK_BYTES, self.counted)
        if len(data) == MARK_BYTES:
            self._before.append(self._before[-1] + data.count(b"\n"))
        return len(data) == MARK_BYTES
