"""Where file systems are mounted, and which of them may stop answering. Nothing here touches a file system."""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

MOUNTS = "/proc/self/mountinfo"
"""Where Linux lists what is mounted; elsewhere nothing is known, and nothing is assumed."""

_SERVED = re.compile(r"\Afuse(?!blk)")
_REMOTE = re.compile(
    r"\A(?:fuse(?!blk)|nfs|cifs|smb|9p|virtiofs|lustre|ceph|gpfs|beegfs|afs|panfs|pvfs|orangefs|gluster)"
)
_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs", "rootfs"})
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mounted file system."""

    device: str
    """`major:minor`."""
    point: str
    kind: str
    """The kernel's name of its type, e.g. `nfs4`, `fuse.sshfs`."""


def mounts() -> Iterator[Mount]:
    """What is mounted, later mounts after earlier ones (proc(5), mountinfo)."""
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                before, _, after = line.partition(" - ")
                _, _, device, _, point, *_ = before.split(" ")
                yield Mount(device, _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), point), after.split(" ")[0])
    except OSError:
        return


def served(device: int) -> bool:
    """A program serves the files of this device (FUSE: sshfs, rclone, s3fs and the like)."""
    if os.major(device):
        return False  # a disk
    number = f"{os.major(device)}:{os.minor(device)}"
    return any(mount.device == number and _SERVED.match(mount.kind) for mount in mounts())


def remote(path: str) -> str:
    """Where the network or FUSE file system of an absolute path is mounted; empty for a local one."""
    nearest = _nearest(path)
    return nearest.point if nearest is not None and _REMOTE.match(nearest.kind) else ""


def disk(path: str) -> bool:
    """An absolute path lies on a local disk and not on a network, in a program or in memory; so where nothing tells."""
    nearest = _nearest(path)
    return nearest is None or not (_REMOTE.match(nearest.kind) or nearest.kind in _MEMORY)


def _nearest(path: str) -> Mount | None:
    """What an absolute path lies on."""
    above = [mount for mount in mounts() if path == mount.point or path.startswith(mount.point.rstrip("/") + "/")]
    # Of two at one point the later one is seen.
    return max(reversed(above), key=lambda mount: len(mount.point), default=None)
