"""One GPU as the driver tells of it, sample by sample. An answer may take for ever: this is not for an event loop."""

import math
from typing import Any

from gradtop.hardware.field import (
    Handle,
    Nvml,
    mig_handles,
    read_fast,
    read_links,
    read_memory,
    read_names,
    read_processes,
    read_slow,
    read_utilization,
)
from gradtop.hardware.reading import Reading
from gradtop.machine import Gpu

SLOW_S = 5.0
"""Seconds between two readings of what changes rarely, and between two looks for a device that is lost."""
_MOST_PER_S = 1e13


class Device:
    """A device, and what was last known of it."""

    def __init__(self, nvml: Nvml, index: int, host_pids: bool) -> None:
        """The driver's device `index`. `host_pids`: the driver's pids are not those that are seen here."""
        self._nvml, self.index, self._host_pids = nvml, index, host_pids
        self._problem = ""
        self._named: dict[str, Any] = {}
        self._tried_at = -math.inf
        self._forget()

    def _forget(self) -> None:
        """Know nothing but its names."""
        self._handle: Handle = None
        self._slow, self._slow_at = Reading(), -math.inf
        self._links: dict[str, float] = {}
        self._instances: dict[int, Handle] = {}

    def sample(self, at: float, reloads: bool = True) -> Gpu:
        """How it stands at `at` (seconds of any clock).

        Raises:
            Reloaded: the driver was loaded anew, unless `reloads` is False.
        """
        if self._handle is None and not self._find(at, reloads):
            return Gpu(index=self.index, problem=self._problem, **self._named)
        fast = Reading(reloads)
        read_fast(fast, self._nvml, self._handle)
        read_memory(fast, self._nvml, self._handle)
        read_processes(fast, self._nvml, self._handle, self._host_pids)
        if at - self._slow_at >= SLOW_S:
            self._read_slow(at, reloads)
        if problem := fast.silence:
            # What is known of it does not hold when it returns, nor does its handle.
            self._forget()
            self._problem, self._tried_at = problem, at
            return Gpu(index=self.index, problem=problem, **self._named)
        mig = tuple(self._instance(i, handle) for i, handle in self._instances.items())
        return _told(self.index, self._named | self._slow.values | fast.values, self._slow.absent | fast.absent, mig)

    def _find(self, at: float, reloads: bool) -> bool:
        """Get a handle, now and then; False where the driver gives none."""
        if at - self._tried_at < SLOW_S:
            return False
        self._tried_at = at
        read = Reading(reloads)
        self._handle = read.ask("handle", lambda: self._nvml.nvmlDeviceGetHandleByIndex(self.index))
        self._problem = read.absent.get("handle", "")
        return self._handle is not None

    def _read_slow(self, at: float, reloads: bool) -> None:
        read, spent = Reading(reloads), at - self._slow_at
        read_names(read, self._nvml, self._handle)
        self._named |= {name: read.values.pop(name) for name in ("name", "uuid") if name in read.values}
        read_slow(read, self._nvml, self._handle)
        links, before = read_links(read, self._nvml, self._handle), self._links
        for field in links.keys() & before.keys():
            read.keep(field, (links[field] - before[field]) / spent, _MOST_PER_S)
        self._instances = mig_handles(read, self._nvml, self._handle)
        self._slow, self._slow_at, self._links = read, at, links

    def _instance(self, place: int, handle: Handle) -> Gpu:
        """A MIG instance: its memory and processes. Most else is known of the whole device alone."""
        read = Reading(reloads=False)
        read_names(read, self._nvml, handle)
        read_utilization(read, self._nvml, handle)
        read_memory(read, self._nvml, handle)
        read_processes(read, self._nvml, handle, self._host_pids)
        return _told(place, read.values, read.absent)


def _told(index: int, values: dict[str, Any], absent: dict[str, str], mig: tuple[Gpu, ...] = ()) -> Gpu:
    why = {field: reason for field, reason in absent.items() if field not in values}
    return Gpu(index=index, **values, mig=mig, absent=why)
