"""Windows into a log file: some lines around a place, never more than a bounded read, whatever the file's size."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gradtop.sources.numbering import MARK_BYTES, Numbering

WINDOW_BYTES = 256 * 1024
"""Bytes read at most for one page."""
SEARCH_BYTES = 64 * 1024 * 1024
"""Bytes looked through at most by one search."""
LINE_BYTES = 16 * 1024
"""Bytes of one line that are kept, the last ones of a line that was redrawn; the rest of it is not shown."""
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a file, or a piece of one that is longer than a window."""

    offset: int
    """Byte at which it starts."""
    text: str
    """As decoded, without its line end; foreign: clean it before it is shown."""


@dataclass(frozen=True, slots=True)
class LogPage:
    """Consecutive lines of a file."""

    lines: tuple[LogLine, ...] = ()
    start: int = 0
    """Byte at which the first line starts."""
    stop: int = 0
    """Byte after the last line."""
    size: int = 0
    """Bytes in the file."""
    found: int | None = None
    """Byte at which the line found by a search starts; None without a search or without a match."""
    problem: str = ""
    """Why there is nothing to see; empty when all is well."""
    number: int | None = None
    """Of the first line, from 1; None where it was not counted."""


class Peek:
    """Pages of one file. Every call opens the file anew, so that a replaced file shows its new content."""

    def __init__(self, path: Path, limit: int | None = None, numbering: Numbering | None = None) -> None:
        """Nothing is opened yet. What lies at or beyond byte `limit` counts as not written yet.

        With a `numbering` pages say which number their first line has.
        """
        self._path, self._limit, self._numbering = path, limit, numbering

    def last(self, n: int) -> LogPage:
        """The last `n` lines, the unfinished one included."""
        return self._page(lambda fd, size: _before(fd, size, size, n))

    def after(self, offset: int, n: int) -> LogPage:
        """Up to `n` lines from the line start `offset` on; the last ones where `offset` lies beyond the end."""
        return self._page(lambda fd, size: _after(fd, offset, size, n) if offset < size else _before(fd, size, size, n))

    def before(self, offset: int, n: int) -> LogPage:
        """Up to `n` lines that end at the line start `offset`."""
        return self._page(lambda fd, size: _before(fd, min(offset, size), size, n))

    def find(self, text: str, offset: int, n: int, forward: bool = True) -> LogPage:
        """`n` lines with the next one that holds `text` (upper and lower case alike) after or before `offset`.

        It is the first of them, except near the end of the file. Without a match within `SEARCH_BYTES` the page has no
        lines and `problem` says so.
        """
        needle = text.encode().lower()

        def search(fd: int, size: int) -> LogPage:
            found = _find_after(fd, needle, offset, size) if forward else _find_before(fd, needle, min(offset, size))
            if found is None:
                span, where = _span(offset, size, forward), "after" if forward else "before"
                return LogPage(size=size, problem=f"{text!r} is not in the {span} {where} this line")
            return _with(fd, found, size, n, 0)

        return self._page(search)

    def line(self, number: int, n: int) -> LogPage:
        """`n` lines around the one with this number, which is the one that was found.

        Where the file has no such line (any more) the page has no lines and `problem` says so.
        """
        numbering = self._numbering or Numbering()

        def seek(fd: int, size: int) -> LogPage:
            found = numbering.offset_of(fd, size, number)
            if found is None:
                return LogPage(size=size, problem=_missing(number, size - numbering.counted))
            return _with(fd, found, size, n, n // 3)

        return self._page(seek)

    def _page(self, read: "Read") -> LogPage:
        if str(self._path) == "-":
            return LogPage(problem="is piped in and not kept: there is no text to go back to")
        try:
            # Non-blocking, so that a pipe without a writer cannot hold up the reader.
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            return LogPage(problem=f"cannot be read: {error.strerror if isinstance(error, OSError) else error}")
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                return LogPage(problem="is not a regular file: there is no text to go back to")
            if os.pread(fd, 2, 0) == _GZIP:
                return LogPage(size=info.st_size, problem="is compressed: its raw text is not shown")
            size = info.st_size if self._limit is None else min(info.st_size, self._limit)
            return self._numbered(read(fd, size), fd, size)
        except OSError as error:
            return LogPage(problem=f"cannot be read: {error.strerror}")
        finally:
            os.close(fd)

    def _numbered(self, page: LogPage, fd: int, size: int) -> LogPage:
        if self._numbering is None or not page.lines:
            return page
        return replace(page, number=self._numbering.number_at(fd, size, page.start))


class Peeks:
    """Opens pages, and keeps what was counted of the files that were looked into last. One thread uses it."""

    def __init__(self) -> None:
        """Nothing opened yet."""
        self._numberings: dict[Path, Numbering] = {}

    def __call__(self, path: Path, limit: int | None) -> Peek:
        """The pages of a file, up to a byte."""
        numbering = self._numberings.pop(path, None) or Numbering()
        self._numberings[path] = numbering
        if len(self._numberings) > _FILES_KEPT:
            del self._numberings[next(iter(self._numberings))]
        return Peek(path, limit, numbering)


_FILES_KEPT = 16
Read = Callable[[int, int], LogPage]
"""(descriptor, size) to a page."""


def _missing(number: int, left: int) -> str:
    if left > MARK_BYTES:
        return f"line {number:,} lies so far into the file that counting takes several tries: try again"
    return f"line {number:,} is not in this file, as it is now"


def _span(offset: int, size: int, forward: bool) -> str:
    span = size - offset if forward else offset
    return f"{SEARCH_BYTES >> 20} MiB" if span > SEARCH_BYTES else "text"


def _after(fd: int, offset: int, size: int, n: int) -> LogPage:
    data = os.pread(fd, min(WINDOW_BYTES, max(0, size - offset)), offset)
    pieces = data.split(b"\n", n)
    if len(pieces) > n:
        pieces = pieces[:n]
    elif offset + len(data) < size and len(pieces) > 1:
        # The last piece goes on beyond the window: it is the next page's.
        pieces = pieces[:-1]
    elif not pieces[-1]:
        pieces = pieces[:-1]
    return _as_page(pieces, offset, size, offset + len(data))


def _before(fd: int, end: int, size: int, n: int) -> LogPage:
    start = max(0, end - WINDOW_BYTES)
    data = os.pread(fd, end - start, start)
    pieces = data.removesuffix(b"\n").split(b"\n") if data else []
    if start and len(pieces) > 1:
        # The first piece began before the window.
        start += len(pieces.pop(0)) + 1
    skipped = max(0, len(pieces) - n)
    start += sum(len(piece) + 1 for piece in pieces[:skipped])
    return _as_page(pieces[skipped:], start, size, end)


def _with(fd: int, found: int, size: int, n: int, above: int) -> LogPage:
    """`n` lines with the one that starts at `found`, at most `above` lines over it where others follow."""
    start = _before(fd, found, size, above).start if above else found
    page = _after(fd, start, size, n)
    if len(page.lines) < n and page.stop >= size:
        page = _before(fd, size, size, n)
    if not any(line.offset == found for line in page.lines):
        # Lines beside it are so long that it has no room there.
        page = _after(fd, found, size, n)
    return LogPage(page.lines, page.start, page.stop, size, found)


def _as_page(pieces: list[bytes], start: int, size: int, end: int) -> LogPage:
    lines: list[LogLine] = []
    offset = start
    for piece in pieces:
        whole = piece.removesuffix(b"\r")
        kept = whole[-LINE_BYTES:] if b"\r" in whole else whole[:LINE_BYTES]
        lines.append(LogLine(offset, kept.decode("utf-8", errors="replace")))
        offset += len(piece) + 1
    return LogPage(tuple(lines), start, min(offset, end), size)


def _find_after(fd: int, needle: bytes, offset: int, size: int) -> int | None:
    """The start of the first line after the one at `offset` that holds the needle."""
    at = _next_line(fd, offset, size)
    stop = min(size, at + SEARCH_BYTES)
    while at < stop:
        data = os.pread(fd, min(WINDOW_BYTES, size - at), at).lower()
        hit = data.find(needle)
        if hit >= 0:
            return _line_start(fd, at + hit)
        if len(data) < WINDOW_BYTES:
            return None
        at += len(data) - len(needle) + 1
    return None


def _find_before(fd: int, needle: bytes, offset: int) -> int | None:
    """The start of the last line before `offset` that holds the needle."""
    end, stop = offset, max(0, offset - SEARCH_BYTES)
    while end > stop:
        start = max(stop, end - WINDOW_BYTES)
        hit = os.pread(fd, end - start, start).lower().rfind(needle)
        if hit >= 0:
            return _line_start(fd, start + hit)
        end = start + len(needle) - 1 if start > stop else stop
    return None


def _next_line(fd: int, offset: int, size: int) -> int:
    found = os.pread(fd, WINDOW_BYTES, offset).find(b"\n")
    return offset + found + 1 if found >= 0 else min(size, offset + WINDOW_BYTES)


def _line_start(fd: int, offset: int) -> int:
    start = max(0, offset - WINDOW_BYTES)
    return start + os.pread(fd, offset - start, start).rfind(b"\n") + 1
