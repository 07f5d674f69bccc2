"""What memory the training holds."""

import os
import sys

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def held() -> dict[str, float]:
    """`rss_bytes` of this process where the kernel says so, `memory_allocated_bytes` of the CUDA device in use."""
    found: dict[str, float] = {}
    try:
        with open("/proc/self/statm", "rb") as file:
            found["rss_bytes"] = float(file.read().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        pass
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        found["memory_allocated_bytes"] = float(torch.cuda.memory_allocated())
    return found
