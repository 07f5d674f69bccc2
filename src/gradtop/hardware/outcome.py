"""How a process that is not a child of ours ended. Linux tells from 6.15 on to whoever held on to it while it lived."""

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

_LAYOUT = struct.Struct("=QQ11Ii")
"""`struct pidfd_info` of Linux in its first version: mask, cgroup, eleven ids, exit code."""
_GET_INFO = (3 << 30) | (_LAYOUT.size << 16) | (0xFF << 8) | 11
"""`PIDFD_GET_INFO`."""
_EXIT = 1 << 3
"""`PIDFD_INFO_EXIT`: it is asked for, and it is told."""


class Outcome:
    """Holds on to a process, so that its exit code can be read once it is gone."""

    def __init__(self, pid: int) -> None:
        """The process that has this pid now. Where the system cannot hold on to it, its end is not known."""
        self._pid = pid
        self._fd = -1
        with suppress(OSError, AttributeError):  # an old kernel, another system, or no permission
            self._fd = os.pidfd_open(pid)

    def code(self) -> int | None:
        """Its exit code, -N where signal N ended it; None while it lives, and where the system does not say."""
        if self._fd < 0:
            return None
        answer = bytearray(_LAYOUT.pack(_EXIT, *(0,) * 13))
        try:
            fcntl.ioctl(self._fd, _GET_INFO, answer)
        except OSError:
            return None
        mask, *_, status = _LAYOUT.unpack(answer)
        return os.waitstatus_to_exitcode(status) if mask & _EXIT else None

    def of_zombie(self) -> int | None:
        """The same before its parent has asked; None where this may not be known, as of another user's process."""
        try:
            fields = Path(f"/proc/{self._pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        # To whoever may not know, it reads 0.
        return os.waitstatus_to_exitcode(int(fields[-1])) if fields[:1] == [b"Z"] and int(fields[-1]) else None

    def __del__(self) -> None:
        """Let go of it."""
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
