"""The text inside a file that is compressed, or written in UTF-16 or UTF-32, unpacked in bounded portions.

What can be unpacked is read, and what cannot is said.
"""

import bz2
import codecs
import lzma
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

PORTION_BYTES = 256 * 1024
"""Bytes that one call unpacks at most, so that a few bytes cannot hold up the reader."""
MAX_BYTES = 4 << 30
"""Unpacked bytes after which a file is not read any further."""
FREE_BYTES = 64 << 20
"""Unpacked bytes below which any ratio is taken: a short log of repeated lines packs well."""
MAX_RATIO = 250
"""Times its size that a longer file may unpack to. Logs pack 3 to 60 times; a bomb of one byte packs 1,000 times."""

SUFFIXES = (".gz", ".xz", ".bz2")
"""What a compressed file's name ends in."""
_PIECE = 4096


class Unpacker(Protocol):
    """Bytes of a file to the bytes inside it."""

    problem: str
    """Why unpacking stopped before the end, as a sentence; empty while all is well."""
    waiting: bool
    """More can be unpacked without another byte of the file."""

    @property
    def partial(self) -> bool:
        """The bytes so far are not all of a file."""
        ...

    @property
    def cut(self) -> bool:
        """What was unpacked ends in the middle, so that its last line may as well."""
        ...

    def take(self, data: bytes) -> bytes:
        """The next bytes inside: about `PORTION_BYTES` at most where the file is compressed."""
        ...


class _Stream(Protocol):
    """A decompressor of the standard library, as bz2 and lzma have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """One gzip member, in the manner of bz2 and lzma."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)
        self._before = self._inflate, b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        data = self._inflate.unconsumed_tail + data
        self._before = self._inflate.copy(), data
        out = self._inflate.decompress(data, max_length)
        self.needs_input = not self._inflate.unconsumed_tail and len(out) < max_length
        return out

    def salvaged(self) -> bytes:
        """What comes before the damage that the last call met: zlib gives nothing of a call that fails."""
        inflate, data = self._before
        out = bytearray()
        with suppress(zlib.error):
            for i in range(len(data)):
                out += inflate.decompress(data[i : i + 1])
        return bytes(out)


_STREAMS: dict[str, tuple[Callable[[], _Stream], bytes]] = {
    "gzip": (_Gzip, b"\x1f\x8b"),
    "xz": (lzma.LZMADecompressor, b"\xfd7zXZ\0"),
    "bzip2": (bz2.BZ2Decompressor, b"BZh"),
}
"""Form → what decompresses one stream of it, and how a stream begins. A file may hold several in a row."""


class Decompressor:
    """Unpacks gzip, xz or bzip2; see `Unpacker`."""

    def __init__(self, form: str) -> None:
        """`form` is `gzip`, `xz` or `bzip2`."""
        self._open, self._magic = _STREAMS[form]
        self._stream = self._open()
        self._input = b""
        self._packed = self._unpacked = 0
        self.problem = ""
        self.waiting = False

    @property
    def partial(self) -> bool:
        """The file ends within a stream."""
        return not self.problem and self.cut

    @property
    def cut(self) -> bool:
        """A stream was not unpacked to its end, whatever the reason."""
        return not self._stream.eof

    def take(self, data: bytes) -> bytes:
        """The next bytes inside, about `PORTION_BYTES` at most."""
        if self.problem:
            return b""
        self._input += data
        self._packed += len(data)
        out = bytearray()
        while len(out) < PORTION_BYTES and self._ready():
            out += self._piece(PORTION_BYTES - len(out))
        self._unpacked += len(out)
        self._check()
        self.waiting = len(out) >= PORTION_BYTES and not self.problem
        return bytes(out)

    def _ready(self) -> bool:
        """There is something to unpack: input for the stream, or output that it still holds."""
        if self.problem or (self._stream.eof and not self._next_stream()):
            return False
        return bool(self._input) or not self._stream.needs_input

    def _piece(self, limit: int) -> bytes:
        """What a few bytes of input, or what the stream still holds, unpack to."""
        piece = b""
        if self._stream.needs_input:
            piece, self._input = self._input[:_PIECE], self._input[_PIECE:]
        try:
            out = self._stream.decompress(piece, limit)
        except (zlib.error, lzma.LZMAError, OSError, EOFError):
            out = self._stream.salvaged() if isinstance(self._stream, _Gzip) else b""
            self.problem = f"damaged after {self._unpacked + len(out):,} unpacked bytes: the rest cannot be read"
            return out
        if self._stream.eof:
            self._input = self._stream.unused_data + self._input
        return out

    def _next_stream(self) -> bool:
        """Go on with the stream that follows the one that has ended, past the NULs that may pad it."""
        self._input = self._input.lstrip(b"\0")
        if self._magic.startswith(self._input):
            return False  # nothing follows, or too little to say what
        if not self._input.startswith(self._magic):
            self.problem = "bytes follow the end of the compressed data: they are not read"
            return False
        self._stream = self._open()
        return True

    def _check(self) -> None:
        """Stop at a size or a ratio that no log has."""
        if self._unpacked > MAX_BYTES:
            self.problem = f"unpacks to more than {MAX_BYTES >> 30} GiB: the rest is not read"
        elif self._unpacked > FREE_BYTES and self._unpacked > MAX_RATIO * self._packed:
            self.problem = f"unpacks to more than {MAX_RATIO} times its size, as no log does: the rest is not read"


class Decoder:
    """Text in another encoding to UTF-8; see `Unpacker`. What is no character becomes U+FFFD."""

    def __init__(self, encoding: str) -> None:
        """`encoding` is `utf-16` or `utf-32`: the byte order is told by the mark that the text begins with."""
        self._decode = codecs.getincrementaldecoder(encoding)("replace")
        self.problem = ""
        self.waiting = False

    @property
    def partial(self) -> bool:
        """The bytes so far end within a character."""
        return bool(self._decode.getstate()[0])

    @property
    def cut(self) -> bool:
        """Half a character is left; the line before it may go on like any line without an end."""
        return self.partial

    def take(self, data: bytes) -> bytes:
        """The text as UTF-8."""
        return self._decode.decode(data).encode()


def unpacker(form: str) -> Unpacker:
    """What unpacks a file of a form: `gzip`, `xz`, `bzip2`, `utf-16` or `utf-32`."""
    return Decompressor(form) if form in _STREAMS else Decoder(form)


def bare_name(name: str) -> str:
    """The name of the file that was compressed."""
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name
