"""NVIDIA's driver on this machine: found, lost, loaded anew. It may answer never: ask it from a thread of its own."""

import math
import os
from collections.abc import Callable

from gradtop.hardware.answer import Gpus
from gradtop.hardware.field import Nvml
from gradtop.hardware.gpu import Device
from gradtop.hardware.reading import REASONS, Reading, Reloaded
from gradtop.machine import Gpu

LIBRARY = "libnvidia-ml.so.1"
MISSING_S = 30.0
"""Seconds between two looks for a driver that is not there."""
RETRY_S = 5.0
"""Seconds after which a driver that refused is asked again, and then ever more, up to `MISSING_S`."""
MOST_DEVICES = 64
_FIRST_PID_NAMESPACE = 4026531836
"""The inode of the machine's own pid namespace (`PROC_PID_INIT_INO` of Linux)."""
_NO_LIBRARY = f"no NVIDIA driver on this machine: {LIBRARY} is not there"
_HINTS = {
    4: "NVIDIA's driver refuses to answer: no permission for its device files",
    9: "NVIDIA's driver is not loaded",
    18: "NVIDIA's driver and its library have different versions: after an update it takes a reboot",
    999: "NVIDIA's driver gives an unknown error: in a container, the GPUs are gone after a reload on the host",
}


def host_pids() -> bool:
    """Pids of the machine are not those that are seen here: this is a container with pids of its own."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino != _FIRST_PID_NAMESPACE
    except OSError:
        return True


def find_nvml() -> Nvml | None:
    """The binding, where there is a library to bind: importing it for nothing would cost every start 50 ms."""
    import ctypes

    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    import pynvml

    return pynvml


class Driver:
    """The driver and its devices, as one thread asks it."""

    def __init__(self, find: Callable[[], Nvml | None] = find_nvml, foreign: bool | None = None) -> None:
        """Nothing is loaded yet. `foreign`: the driver's pids mean nothing here; by default the system tells."""
        self._find = find
        self._foreign = host_pids() if foreign is None else foreign
        self._nvml: Nvml | None = None
        self._devices: dict[int, Device] = {}
        self._failed = Gpus()
        self._due_at, self._pause_s = -math.inf, RETRY_S
        self._begun_at = -math.inf
        self._driver: str | None = None
        self._cuda: str | None = None

    def sample(self, at: float) -> Gpus:
        """All devices at `at` (seconds of any clock), or why there are none. Never raises."""
        if self._nvml is None:
            if at < self._due_at:
                return self._failed
            if problem := self._begin(at):
                return self._fail(at, problem)
        try:
            return self._read(self._nvml, at, reloads=at - self._begun_at >= RETRY_S)
        except Reloaded:
            self._end()
        if problem := self._begin(at):
            return self._fail(at, problem)
        return self._read(self._nvml, at, reloads=False)

    def _begin(self, at: float) -> str:
        """Load and greet the driver; what is wrong with it, in one line."""
        nvml = self._find()
        if nvml is None:
            return _NO_LIBRARY
        read = Reading(reloads=False)
        if read.ask("init", lambda: nvml.nvmlInit() or True) is None:
            return _hint(read, "init")
        self._nvml, self._begun_at, self._pause_s = nvml, at, RETRY_S
        self._driver = read.text("driver", nvml.nvmlSystemGetDriverVersion)
        number = read.number("cuda", 1_000_000, lambda: nvml.nvmlSystemGetCudaDriverVersion_v2())
        self._cuda = f"{int(number) // 1000}.{int(number) % 1000 // 10}" if number is not None else None
        return ""

    def _end(self) -> None:
        """Let go of the driver and of every handle."""
        nvml, self._nvml = self._nvml, None
        self._devices.clear()
        if nvml is not None:
            Reading(reloads=False).ask("shutdown", nvml.nvmlShutdown)

    def _fail(self, at: float, problem: str) -> Gpus:
        """Say so until it is time to look again."""
        self._end()
        self._failed = Gpus(problem=problem)
        self._due_at = at + (MISSING_S if problem == _NO_LIBRARY else self._pause_s)
        self._pause_s = min(MISSING_S, 2 * self._pause_s)
        return self._failed

    def _read(self, nvml: Nvml, at: float, reloads: bool) -> Gpus:
        read = Reading(reloads)
        count = read.number("count", MOST_DEVICES, nvml.nvmlDeviceGetCount)
        if count is None:
            unsaid = f"NVIDIA's driver does not say how many GPUs there are: {read.absent['count']}"
            return self._fail(at, _HINTS.get(read.codes.get("count") or 0, unsaid))
        if not count:
            return Gpus((), "NVIDIA's driver has no GPU here", self._driver, self._cuda)
        for index in range(int(count)):
            if index not in self._devices:
                self._devices[index] = Device(nvml, index, self._foreign)
        gpus = tuple(self._devices[index].sample(at, reloads) for index in range(int(count)))
        return Gpus(gpus, _common(gpus), self._driver, self._cuda, self._foreign)


def _common(gpus: tuple[Gpu, ...]) -> str:
    """What is wrong with all of them, where it is the same and says something of the driver."""
    said = {gpu.problem for gpu in gpus}
    return next((hint for code, hint in _HINTS.items() if said == {REASONS[code]}), "")


def _hint(read: Reading, field: str) -> str:
    return _HINTS.get(read.codes.get(field) or 0, f"NVIDIA's driver does not start: {read.absent[field]}")
