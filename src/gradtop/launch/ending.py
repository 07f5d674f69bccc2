"""What the command's processes recorded, and how it ended where they could not tell that themselves.

A process that is killed writes no end. Its parent learns what became of it, and adds that to the stream.
"""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

STREAMS = "metrics*.jsonl"
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals by which people and schedulers stop a run."""
STOPPED_S = 60.0
"""Seconds that a command may take to end after such a signal; it may save first, and launchers wait for their ranks."""
TAIL_BYTES = 1 << 20
"""Bytes at the end of a stream in which its last step is looked for."""
_TELLING = (b'{"type":"run"', b'{"type":"metrics"', b'{"type":"end"')


@dataclass(frozen=True, slots=True)
class Session:
    """The newest session of a stream."""

    pid: int
    """The process that recorded."""
    step: float | None
    """Its last step."""
    status: str
    """The end that it has told; empty for none."""


def sizes(directory: Path) -> dict[Path, int]:
    """The size in bytes of each stream of a directory."""
    with suppress(OSError):
        return {path: path.stat().st_size for path in sorted(directory.glob(STREAMS))}
    return {}


def grown(directory: Path, before: Mapping[Path, int]) -> dict[Path, int]:
    """The streams that are other than `before`, each with the offset of what is new in it."""
    now = sizes(directory)
    starts = {path: before.get(path, 0) for path in now}
    return {path: start if start < now[path] else 0 for path, start in starts.items() if start != now[path]}


def last_step(directory: Path) -> int:
    """The last step that `metrics.jsonl` has; 0 where there is none."""
    with suppress(OSError), (directory / "metrics.jsonl").open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        for text in reversed(file.readlines()):
            with suppress(ValueError, KeyError, TypeError):
                return int(json.loads(text)["step"])
    return 0


def tell_ending(streams: Mapping[Path, int], command: int, code: int, stopped: bool = False) -> None:
    """Add to each stream how its process ended: of the command with process id `command`, its exit code tells.

    Args:
        streams: each with the offset at which its newest sessions begin.
        command: the process that was waited for.
        code: as `Popen.returncode`.
        stopped: somebody had just asked the command to end, which a launcher answers with an exit code of its own.
    """
    for path, start in streams.items():
        with suppress(OSError):
            session = newest(path, start)
            if session is not None and not _alive(session.pid):
                _append(path, b"".join(_said(session, code, own=session.pid == command, stopped=stopped)))


def newest(path: Path, start: int) -> Session | None:
    """The newest session behind offset `start` that a process of this machine began; raises OSError."""
    session: Session | None = None
    with path.open("rb") as file:
        file.seek(start)
        for text in file:
            if text.startswith(_TELLING):
                with suppress(ValueError, KeyError, TypeError):
                    session = _behind(session, json.loads(text))
    return session


def _behind(session: Session | None, record: dict[str, object]) -> Session | None:
    if record["type"] == "run":
        pid = record["pid"]
        return Session(pid, None, "") if record["host"] == socket.gethostname() and isinstance(pid, int) else None
    if session is None:
        return None
    step = record.get("step")
    status = str(record["status"]) if record["type"] == "end" else ""
    return Session(session.pid, step if isinstance(step, int | float) else session.step, status)


def _said(session: Session, code: int, own: bool, stopped: bool) -> Iterator[bytes]:
    """What is missing behind a session; `own` where the exit code is that of its process."""
    # Only a command that recorded pays for it.
    from gradtop.logger import line

    def crash(message: str) -> bytes:
        return line.event("crash", step=session.step, time=now, message=message, level="error", data={})

    now = time.time()
    if session.status:
        if session.status == "finished" and own and code > 0:
            yield crash(f"exit code {code}")
    elif (code < 0 and -code in STOPPING) or (code > 0 and stopped):
        yield line.end("aborted", step=session.step, time=now)
    elif code:
        yield crash(f"killed by {_signal(-code)}" if code < 0 else f"exit code {code} of the command")
        yield line.end("crashed", step=session.step, time=now)
    elif own:
        yield line.end("finished", step=session.step, time=now)
    # Else the command went on without it, and nobody has seen how it ended.


def _signal(number: int) -> str:
    return signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"


def _append(path: Path, lines: bytes) -> None:
    """One write, apart from a line that the process did not finish."""
    if not lines:
        return
    fd = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        torn = os.pread(fd, 1, max(0, os.fstat(fd).st_size - 1)) != b"\n"
        os.write(fd, b"\n" + lines if torn else lines)
    finally:
        os.close(fd)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
