"""The machine without its GPUs: processors, memory and what a container may use of it, swap, the disk of a log."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradtop.hardware.reading import why_absent
from gradtop.machine import Host

_CGROUPS = Path("/sys/fs/cgroup")


class HostReader:
    """Reads the host again and again; processor time is that since the last reading."""

    def __init__(self, root: Path = _CGROUPS) -> None:
        """Nothing read yet; `root` is where control groups are mounted."""
        self._root = root
        self._busy: tuple[float, float] | None = None

    def sample(self, folder: Path | None) -> Host:
        """How the host stands; `folder` lies on the disk that is of interest."""
        from gradtop.hardware.process import psutil_quiet

        psutil = psutil_quiet()
        absent: dict[str, str] = {}
        values: dict[str, Any] = {"name": os.uname().nodename[:200]}

        def ask(read: Callable[[], dict[str, Any]], *fields: str) -> None:
            try:
                values.update(read())
            except (OSError, ValueError, RuntimeError, AttributeError, psutil.Error) as error:
                absent.update(dict.fromkeys(fields, why_absent(error)))

        ask(lambda: {"cpu": self._cpu(psutil.cpu_times())}, "cpu")
        ask(lambda: {"cores": _cores()}, "cores")
        ask(lambda: {"load": os.getloadavg()[0]}, "load")
        ask(lambda: _memory(psutil.virtual_memory()), "memory_used_bytes", "memory_total_bytes")
        ask(lambda: _limit(self._root, values), "memory_limit_bytes")
        ask(lambda: _swap(psutil.swap_memory()), "swap_used_bytes", "swap_total_bytes")
        if folder is not None:
            ask(lambda: _disk(folder), "disk_free_bytes", "disk_total_bytes")
        return Host(**values, absent=absent)

    def _cpu(self, times: Any) -> float | None:
        """Part of the time of all cores that was used since the last reading; None for the first."""
        # Time of guests is counted as the user's already, and waiting for a disk is idle.
        spent: float = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        idle: float = times.idle + getattr(times, "iowait", 0.0)
        before, self._busy = self._busy, (spent, spent - idle)
        if before is None or spent <= before[0]:
            return None
        return min(1.0, max(0.0, (self._busy[1] - before[1]) / (spent - before[0])))


def _cores() -> int | None:
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count()


def _memory(found: Any) -> dict[str, Any]:
    # What is available is what matters: caches are given back.
    return {"memory_used_bytes": found.total - found.available, "memory_total_bytes": found.total}


def _swap(found: Any) -> dict[str, Any]:
    return {"swap_used_bytes": found.used, "swap_total_bytes": found.total}


def _disk(folder: Path) -> dict[str, Any]:
    found = os.statvfs(folder)
    return {"disk_free_bytes": found.f_bavail * found.f_frsize, "disk_total_bytes": found.f_blocks * found.f_frsize}


def _limit(root: Path, values: dict[str, Any]) -> dict[str, Any]:
    """The least memory that a control group above this process allows, where that is less than there is."""
    groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    limits = [limit for _, names, path in groups for limit in _limits(root, names, path)]
    least = min(limits, default=None)
    total = values.get("memory_total_bytes")
    return {"memory_limit_bytes": least} if least is not None and total and least < total else {}


def _limits(root: Path, names: str, path: str) -> list[int]:
    if names not in ("", "memory"):
        return []
    top, name = (root, "memory.max") if not names else (root / "memory", "memory.limit_in_bytes")
    # In a container the path may be that of the host, and its own limit stands at the top.
    parts = [part for part in path.split("/") if part]
    folders = [top.joinpath(*parts[:n]) for n in range(len(parts) + 1)]
    found = [text for folder in folders if (text := _text(folder / name)).isdigit()]
    return [int(text) for text in found]


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
