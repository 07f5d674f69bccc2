"""`python -m gradtop.launch.leftover FILE FD ...`: records what processes write that the command left behind.

Closing their output would kill them; they are none of ours to end, and none to wait for.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

CHUNK_BYTES = 64 * 1024


def leave_behind(log: Path, outlets: Sequence[int]) -> None:
    """Record these channels in a process of its own until the last of them is closed."""
    # It outlives us, and nobody waits for it.
    subprocess.Popen(
        [sys.executable, "-m", __name__, str(log), *map(str, outlets)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=tuple(outlets),
        start_new_session=True,
    )


def record(log: Path, outlets: Sequence[int]) -> None:
    """Append what comes to the file until all is closed; a disk that takes nothing loses it."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    with DefaultSelector() as selector:
        for outlet in outlets:
            selector.register(outlet, EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                data = b""
                with suppress(OSError):
                    data = os.read(key.fd, CHUNK_BYTES)
                if not data:
                    selector.unregister(key.fd)
                with suppress(OSError):
                    os.write(file, data)


if __name__ == "__main__":
    record(Path(sys.argv[1]), [int(argument) for argument in sys.argv[2:]])
