"""NVIDIA's library as a stand-in that is compiled here, and loaded by the unmodified binding."""

import _ctypes
import ctypes
import importlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_name("driver.c")
NAME = "libnvidia-ml.so.1"
SYMBOLS = {
    "Init": "nvmlInitWithFlags",
    "Shutdown": "nvmlShutdown",
    "GetDriverVersion": "nvmlSystemGetDriverVersion",
    "GetCount": "nvmlDeviceGetCount_v2",
    "GetHandleByIndex": "nvmlDeviceGetHandleByIndex_v2",
    "GetName": "nvmlDeviceGetName",
    "GetUUID": "nvmlDeviceGetUUID",
    "GetUtilizationRates": "nvmlDeviceGetUtilizationRates",
    "GetMemoryInfo": "nvmlDeviceGetMemoryInfo",
    "GetMemoryInfo_v2": "nvmlDeviceGetMemoryInfo_v2",
    "GetTemperature": "nvmlDeviceGetTemperature",
    "GetPowerUsage": "nvmlDeviceGetPowerUsage",
    "GetEnforcedPowerLimit": "nvmlDeviceGetEnforcedPowerLimit",
    "GetClockInfo": "nvmlDeviceGetClockInfo",
    "GetCurrentClocksEventReasons": "nvmlDeviceGetCurrentClocksEventReasons",
    "GetComputeRunningProcesses_v3": "nvmlDeviceGetComputeRunningProcesses_v3",
    "GetMigMode": "nvmlDeviceGetMigMode",
    "GetFanSpeed": "nvmlDeviceGetFanSpeed",
    "GetPerformanceState": "nvmlDeviceGetPerformanceState",
    "GetPcieThroughput": "nvmlDeviceGetPcieThroughput",
    "GetTotalEccErrors": "nvmlDeviceGetTotalEccErrors",
    "GetFieldValues": "nvmlDeviceGetFieldValues",
    "GetMaxClockInfo": "nvmlDeviceGetMaxClockInfo",
    "GetCudaDriverVersion": "nvmlSystemGetCudaDriverVersion_v2",
}
"""What the stand-in's words call a function → its symbol."""


class Compiler:
    """Makes libraries: one of all symbols, an old one, and those without one symbol."""

    def __init__(self, folder: Path) -> None:
        self._cc = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        self._folder = folder
        self._made: dict[str, Path] = {}
        self._objects: dict[str, Path] = {}

    @property
    def missing(self) -> bool:
        return self._cc is None

    def library(self, without: str = "", old: bool = False) -> Path:
        """The library in a directory of its own, so that `LD_LIBRARY_PATH` may name it."""
        key = f"{'old' if old else 'new'}-{without or 'whole'}"
        if key not in self._made:
            path = self._folder / key / NAME
            path.parent.mkdir()
            script = path.with_suffix(".map")
            script.write_text(
                f"{{ global: nvml*; size_of; local: {SYMBOLS[without]}; }};" if without else "{ global: *; };"
            )
            self._cc_run(
                "-shared", f"-Wl,-soname,{NAME}", f"-Wl,--version-script={script}", "-o", path, self._object(old)
            )
            self._made[key] = path
        return self._made[key]

    def _object(self, old: bool) -> Path:
        name = "old.o" if old else "new.o"
        if name not in self._objects:
            path = self._objects[name] = self._folder / name
            flags = ["-DOLD_DRIVER"] if old else []
            self._cc_run(
                "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-fPIC", "-c", *flags, SOURCE, "-o", path
            )
        return self._objects[name]

    def _cc_run(self, *arguments: str | Path) -> None:
        assert self._cc is not None
        subprocess.run([self._cc, *map(str, arguments)], check=True, timeout=30)


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    made = Compiler(tmp_path_factory.mktemp("driver"))
    if made.missing:
        pytest.skip("there is no C compiler here: the stand-in for NVIDIA's driver cannot be built")
    return made


@contextmanager
def loaded(library: Path) -> Iterator[Any]:
    """The binding, as if it was just imported, with this library: a name that is loaded already is not searched for."""
    preloaded = ctypes.CDLL(str(library))
    nvml: Any = importlib.import_module("pynvml")
    try:
        yield nvml
    finally:
        if nvml.nvmlLib is not None:
            _ctypes.dlclose(nvml.nvmlLib._handle)
        nvml.nvmlLib = None
        nvml._nvmlGetFunctionPointer_cache.clear()
        _ctypes.dlclose(preloaded._handle)
