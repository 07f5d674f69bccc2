"""What a file is, told by its first bytes and its name: a format that is read, or something else with its name."""

import json
import re
from dataclasses import dataclass

from gradtop.errors import RecordError
from gradtop.record import decode_object, number
from gradtop.sources.fields.names import canonical
from gradtop.sources.fields.plan import MEASURED
from gradtop.sources.rows.table import delimiter_of, split_cells

HEAD_BYTES = 64 * 1024
"""Bytes from the start of a file that are looked at; what they do not show is not waited for."""
SURE_LINES = 2
"""Whole lines after which a file whose name says nothing is told apart."""
CHECKED_LINES = 50
"""Lines of the head that are tried as rows."""
ROWS_SHARE = 0.9
"""Part of the checked lines that must be rows: a log with a few of them in its prose is text."""
CONTROL_SHARE = 0.03
"""Part of control characters above which bytes are no text in any encoding; random bytes have a tenth."""
SHORT_BYTES = 512
"""A first line that is shorter than this and not complete says nothing yet."""

_TEXT_CONTROLS = bytes((7, 8, 9, 10, 11, 12, 13, 27))
_NOT_CONTROLS = bytes(range(32, 127)) + bytes(range(128, 256)) + _TEXT_CONTROLS
_BAR = re.compile(rb"\r[^\n]")
_NUL_RUN = re.compile(rb"(?:\A|(?<=\n))\0+")
_TABLE_NAMES = (".csv", ".tsv")
_HISTORY = b'"log_history"'
_STREAM_TYPES = frozenset(("run", "metrics", "layers", "layer_names", "event", "end", "machine"))


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is."""

    format: str
    """`gradtop`, `jsonl`, `json`, `csv` or `text`: read. `packed`: what is inside is read. `unread`: named and not
    read. `unknown`: cannot be told yet."""
    name: str = ""
    """What an unread file is, as a noun, e.g. `TensorBoard event file`."""
    advice: str = ""
    """What there is to do about it, or that it is not read."""
    packing: str = ""
    """How a packed file is unpacked, e.g. `gzip`."""

    @property
    def readable(self) -> bool:
        """There is a reader for it."""
        return self.format not in ("unread", "unknown", "packed")

    @property
    def sentence(self) -> str:
        """Why nothing is read from it; empty for a format that is read."""
        return f"{self.name}: {self.advice}" if self.name else self.advice


def _unread(name: str, advice: str = "not read yet") -> Kind:
    return Kind("unread", name, advice)


def _packed(packing: str, name: str) -> Kind:
    return Kind("packed", name, packing=packing)


_NO_LOG = "not a training log"
_EMPTY = Kind("unknown", advice="empty so far")
_UNDECIDED = Kind("unknown", advice="too short so far to tell what it is")
_DOCUMENT = _unread("one JSON document", "it has no `log_history` and no rows of metrics")
_TENSORBOARD = _unread("TensorBoard event file")
_SQLITE = _unread("SQLite database (trackio and MLflow write these)")
_WANDB = _unread("W&B run file", "not read yet; its console output is in `files/output.log`")
_SWANLAB = _unread("SwanLab run file")
_CHECKPOINT = _unread("PyTorch checkpoint", _NO_LOG)
_SAFETENSORS = _unread("safetensors checkpoint", _NO_LOG)
_UTF16 = _packed("utf-16", "UTF-16 text")
_UTF32 = _packed("utf-32", "UTF-32 text")
_GZIP = _packed("gzip", "gzip-compressed file")
_XZ = _packed("xz", "xz-compressed file")
_BZIP2 = _packed("bzip2", "bzip2-compressed file")
_ZSTD = _unread("zstd-compressed file", "unpack it on the way in, `zstdcat FILE | gradtop -`")
TWICE = _unread("compressed file in a compressed file", "unpack it first")
"""What is inside a packed file is packed again."""

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b":W&B", _WANDB),
    (b":SWL", _SWANLAB),
    (b"SQLite format 3\0", _SQLITE),
    (b"\x1f\x8b", _GZIP),
    (b"\x28\xb5\x2f\xfd", _ZSTD),
    (b"\xfd7zXZ\0", _XZ),
    (b"BZh", _BZIP2),
    (b"PAR1", _unread("Parquet table")),
    (b"ARROW1", _unread("Arrow table")),
    (b"\x89HDF\r\n\x1a\n", _unread("HDF5 file")),
    (b"\x93NUMPY", _unread("NumPy array", _NO_LOG)),
    (b"GGUF", _unread("GGUF checkpoint", _NO_LOG)),
    (b"\x89PNG\r\n\x1a\n", _unread("PNG image", _NO_LOG)),
    (b"\xff\xd8\xff", _unread("JPEG image", _NO_LOG)),
    (b"GIF8", _unread("GIF image", _NO_LOG)),
    (b"RIFF", _unread("RIFF media file", _NO_LOG)),
    (b"%PDF-", _unread("PDF document", _NO_LOG)),
    (b"\x7fELF", _unread("ELF program or library", _NO_LOG)),
    (b"\xff\xfe\0\0", _UTF32),
    (b"\xff\xfe", _UTF16),
    (b"\xfe\xff", _UTF16),
)
_NAMES: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"tfevents", _TENSORBOARD),
        (r"\.wandb\Z", _WANDB),
        (r"\.swanlab\Z", _SWANLAB),
        (r"\.(?:db|sqlite3?)\Z", _SQLITE),
        (r"\Awandb-(?:summary|metadata)\.json\Z", _DOCUMENT),
        (r"\.zst\Z", _ZSTD),
    )
)


def by_name(name: str) -> Kind | None:
    """The kind of an unread file that its name alone gives away; None where the content decides."""
    return next((kind for pattern, kind in _NAMES if pattern.search(name)), None)


def recognise(name: str, head: bytes, *, ended: bool = False) -> Kind:
    """What a file with this name and these first bytes is.

    Args:
        name: the file's name; of the whole path only its end counts.
        head: its first bytes, at most `HEAD_BYTES` of them.
        ended: nothing will follow, so that an answer must be given.
    """
    ended = ended or len(head) >= HEAD_BYTES
    if not head:
        return _EMPTY
    if (binary := _by_magic(name, head)) is not None:
        return binary
    # NULs before a line are what a truncation under an open writer leaves; the text comes after them.
    text = _NUL_RUN.sub(b"", head).removeprefix(b"\xef\xbb\xbf")
    if not text.strip():
        return Kind("text") if text and ended else _EMPTY
    short = len(text) < SHORT_BYTES and b"\n" not in text and not _BAR.search(text)
    if short and not ended and _HISTORY not in text:
        return _UNDECIDED
    if (text.count(0) * 100 > len(text)) or len(text.translate(None, _NOT_CONTROLS)) > CONTROL_SHARE * len(text):
        return _unread("binary file", "neither text nor a format that is read")
    if name.endswith(("wandb-summary.json", "wandb-metadata.json")):
        return _DOCUMENT
    return _of_text(name, text, ended)


def _by_magic(name: str, head: bytes) -> Kind | None:
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head.startswith(b"PK\x03\x04"):
        return _of_zip(name, head)
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return _unread("Python pickle", "never unpacked: it could run code")
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 100_000_000:
        return _SAFETENSORS
    if b"brain.Event:" in head[:64] and head[12:13] == b"\x09":
        return _TENSORBOARD
    return None


def _of_zip(name: str, head: bytes) -> Kind:
    if name.endswith((".pt", ".pth", ".ckpt", ".bin")) or b"/data.pkl" in head[:1024]:
        return _CHECKPOINT
    return _unread("NumPy archive" if name.endswith(".npz") else "zip archive", _NO_LOG)


def _of_text(name: str, text: bytes, ended: bool) -> Kind:
    """Rows or prose. A decision stands for the file, so that too few lines leave it open."""
    complete = text if ended and len(text) < HEAD_BYTES else text[: text.rfind(b"\n") + 1]
    lines = [line for line in complete.split(b"\n") if line.strip()][:CHECKED_LINES]
    sure = ended or len(lines) >= SURE_LINES
    if text.lstrip().startswith((b"{", b"[")):
        if (rows := _of_json(name, text, lines, sure, ended)) is not None:
            return rows
    elif is_table(lines, named=name.endswith(_TABLE_NAMES)):
        return Kind("csv")
    elif not sure and not _BAR.search(text) and _is_header(text.lstrip().partition(b"\n")[0]):
        return _UNDECIDED
    return Kind("text")


def _of_json(name: str, text: bytes, lines: list[bytes], sure: bool, ended: bool) -> Kind | None:
    """JSON rows, or one JSON document; None for text that only begins like it."""
    if _HISTORY in text and _is_document(text):
        return Kind("json")
    named = name.endswith((".jsonl", ".ndjson"))
    alone = name.endswith(".json") and b"\n" not in text
    rows = [row for line in lines if (row := _row(line)) is not None]
    if named or (rows and len(rows) >= ROWS_SHARE * len(lines) and not alone):
        if not sure and not named and not name.endswith(".json"):
            return _UNDECIDED
        return Kind("gradtop" if rows and _is_stream(rows[0]) else "jsonl")
    if not _is_document(text):
        return None
    if _is_list_of_rows(text):
        return Kind("json")
    return _DOCUMENT if ended else Kind("unknown", _DOCUMENT.name, "waiting for its rows")


def _row(line: bytes) -> dict[str, object] | None:
    """The object of a line, or the first one of a line that is a list of a tracker's values."""
    try:
        if line.lstrip().startswith(b"["):
            found = json.loads(line)
            first = found[0] if isinstance(found, list) and found else None
            return first if isinstance(first, dict) and "variant" in first else None
        return decode_object(line)
    except (RecordError, ValueError, RecursionError):
        return None


def _is_stream(row: dict[str, object]) -> bool:
    return str(row.get("schema", "")).startswith("gradtop/") or row.get("type") in _STREAM_TYPES


def _is_document(text: bytes) -> bool:
    """The bytes are one JSON value, or the beginning of one."""
    chars = text.decode("utf-8", errors="replace").strip()
    slack = 30 if len(text) >= HEAD_BYTES // 2 else 0
    try:
        _, end = json.JSONDecoder().raw_decode(chars)
    except json.JSONDecodeError as error:
        return error.pos >= len(chars) - slack or error.msg.startswith("Unterminated string")
    except (RecursionError, ValueError):
        return True  # too deep, or a number of too many digits: no text that a person wrote
    return end == len(chars)


def _is_list_of_rows(text: bytes) -> bool:
    """The document is a list, and its first object has a metric that only a training loop can know."""
    chars = text.decode("utf-8", errors="replace").lstrip()
    if not chars.startswith("[") or not chars[1:].lstrip().startswith("{"):
        return False
    try:
        found, _ = json.JSONDecoder().raw_decode(chars, chars.index("{"))
    except (ValueError, RecursionError):
        return False
    return any(canonical(key) in MEASURED and number(value) is not None for key, value in found.items())


def is_table(lines: list[bytes], named: bool = False) -> bool:
    """Whole lines are a CSV table: a header with a known name (or a file name that says so), and rows as long as it."""
    if not lines or not _is_header(lines[0], known=not named):
        return False
    delimiter = delimiter_of(_text(lines[0]))
    width = len(split_cells(_text(lines[0]), delimiter) or ())
    rows = [split_cells(_text(line), delimiter) for line in lines[1:CHECKED_LINES]]
    fitting = sum(row is not None and len(row) == width for row in rows)
    return fitting >= ROWS_SHARE * len(rows) if rows else named


def _is_header(line: bytes, known: bool = True) -> bool:
    """The line holds two names or more and, where `known` asks for it, one that the synonym table has."""
    text = _text(line)
    cells = split_cells(text, delimiter_of(text)) or []
    # pandas leaves the name of its index empty.
    names = cells[1:] if cells and not cells[0] else cells
    return len(cells) > 1 and all(map(_is_name, names)) and (not known or any(map(canonical, names)))


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").removesuffix("\r")


def _is_name(cell: str) -> bool:
    """A column's name: short, and not a number."""
    try:
        float(cell)
    except ValueError:
        return 0 < len(cell.strip()) <= 120
    return False
