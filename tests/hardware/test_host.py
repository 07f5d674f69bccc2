"""The host: what a real one says, and what is absent in odd places."""

from pathlib import Path
from typing import Any

import psutil
import pytest

from gradtop.hardware.host import HostReader, _limits


def test_this_host(tmp_path: Path) -> None:
    reader = HostReader()
    assert reader.sample(None).cpu is None
    found = reader.sample(tmp_path)
    assert found.memory_total_bytes == psutil.virtual_memory().total
    assert found.memory_total_bytes is not None
    assert found.memory_used_bytes is not None
    assert 0 < found.memory_used_bytes < found.memory_total_bytes
    assert found.disk_free_bytes
    assert found.disk_total_bytes
    assert found.disk_free_bytes <= found.disk_total_bytes
    assert found.cores
    assert found.load is not None
    assert found.name
    assert found.absent == {}


def test_processor_time_is_what_passed_since(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("user", "system", "idle", "iowait", "guest")
    times = iter([(10, 5, 80, 5, 4), (16, 7, 90, 7, 8), (16, 7, 90, 7, 8), (0, 0, 1, 0, 0)])
    given = __import__("collections").namedtuple("Times", names)
    monkeypatch.setattr(psutil, "cpu_times", lambda: given(*next(times)))
    reader = HostReader()
    assert [reader.sample(None).cpu for _ in range(4)] == [None, 8 / 20, None, None]


def test_what_fails_is_absent_and_all_else_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied() -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(psutil, "swap_memory", denied)
    found = HostReader().sample(tmp_path / "gone")
    assert found.absent == {
        "swap_used_bytes": "no permission", "swap_total_bytes": "no permission",
        "disk_free_bytes": "no such file or directory", "disk_total_bytes": "no such file or directory",
    }  # fmt: skip
    assert found.memory_total_bytes


@pytest.mark.parametrize(
    ("files", "names", "path", "limits"),
    [
        ({"memory.max": "1000"}, "", "/", [1000]),
        ({"job/memory.max": "max", "job/step/memory.max": "500", "memory.max": "900"}, "", "/job/step", [900, 500]),
        ({"memory/job/memory.limit_in_bytes": "700"}, "memory", "/job", [700]),
        ({"memory.max": "1000"}, "cpu,cpuacct", "/", []),
        ({}, "", "/host/path/of/a/container", []),
    ],
)
def test_limits_of_control_groups(
    tmp_path: Path, files: dict[str, str], names: str, path: str, limits: list[int]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert _limits(tmp_path, names, path) == limits
