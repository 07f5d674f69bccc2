"""NVIDIA's driver and everything that it can do wrong, through the real binding and a library of our own."""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standin import SYMBOLS, Compiler, compiler, loaded

from gradtop.hardware.answer import Gpus
from gradtop.hardware.driver import MISSING_S, RETRY_S, Driver
from gradtop.hardware.gpu import SLOW_S
from gradtop.machine import Gpu, Machine
from gradtop.record import decode_object, encode, typed

__all__ = ["compiler"]

FIELDS = {
    "name", "uuid", "utilization", "memory_used_bytes", "memory_total_bytes", "memory_reserved_bytes", "temperature_c",
    "power_w", "power_limit_w", "sm_clock_mhz", "sm_clock_max_mhz", "memory_clock_mhz", "fan", "performance_state",
    "pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s", "ecc_corrected", "ecc_uncorrected", "throttle_reasons", "processes",
}  # fmt: skip
"""What a healthy device tells in its first sample; NVLink takes two."""
OF = {
    "GetName": {"name"},
    "GetUUID": {"uuid"},
    "GetUtilizationRates": {"utilization"},
    "GetMemoryInfo": set[str](),
    "GetMemoryInfo_v2": {"memory_used_bytes", "memory_total_bytes", "memory_reserved_bytes"},
    "GetTemperature": {"temperature_c"},
    "GetPowerUsage": {"power_w"},
    "GetEnforcedPowerLimit": {"power_limit_w"},
    "GetClockInfo": {"sm_clock_mhz", "memory_clock_mhz"},
    "GetCurrentClocksEventReasons": {"throttle_reasons"},
    "GetComputeRunningProcesses_v3": {"processes"},
    "GetMigMode": set[str](),
    "GetFanSpeed": {"fan"},
    "GetPerformanceState": {"performance_state"},
    "GetPcieThroughput": {"pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s"},
    "GetTotalEccErrors": {"ecc_corrected", "ecc_uncorrected"},
    "GetFieldValues": {"nvlink_rx_bytes_per_s", "nvlink_tx_bytes_per_s"},
    "GetMaxClockInfo": {"sm_clock_max_mhz"},
}
"""Function → the fields that it is asked for."""
FAILURES = ["3", "4", "13", "15", "18", "999", "sentinel", "absent"]
FALLEN_BACK = {
    "GetMemoryInfo_v2": {"memory_reserved_bytes"},
    "GetCurrentClocksEventReasons": set[str](),
    "GetComputeRunningProcesses_v3": set[str](),
}
"""Function → what is still missing where an older one is asked instead, because the driver does not know it."""
Started = Callable[..., "Standing"]


class Standing:
    """A driver under test, and the words that it obeys."""

    def __init__(self, driver: Driver, words: Path) -> None:
        self._driver, self._words = driver, words
        self.at = 0.0

    def say(self, words: str) -> None:
        self._words.write_text(words)

    def sample(self, later_s: float = 1.0) -> Gpus:
        """One sample later on; whatever it is, it can be written and read back."""
        self.at += later_s
        found = self._driver.sample(self.at)
        line = encode(Machine(time=1.0, gpus=found.gpus, gpu_problem=found.problem))
        assert typed(decode_object(line)) == Machine(time=1.0, gpus=found.gpus, gpu_problem=found.problem)
        for gpu in found.gpus:
            check(gpu)
        return found


def check(gpu: Gpu) -> None:
    """No field is absent without a reason, and none has both."""
    values = {field for field in gpu.__struct_fields__ if getattr(gpu, field) is not None}
    assert not values - {"mig"} & gpu.absent.keys()
    if not gpu.problem:
        assert FIELDS - values <= gpu.absent.keys(), gpu


@pytest.fixture
def start(compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    with ExitStack() as stack:

        def begin(words: str = "", without: str = "", old: bool = False, foreign: bool = False) -> Standing:
            path = tmp_path / "words"
            path.write_text(words)
            monkeypatch.setenv("GPU_DRIVER_FILE", str(path))
            nvml = stack.enter_context(loaded(compiler.library(without, old)))
            return Standing(Driver(lambda: nvml, foreign), path)

        yield begin


def test_a_healthy_machine_tells_everything(start: Started) -> None:
    found = start("gpus=2 procs:0=4242:1024,4300:na util:1=0").sample()
    assert (found.problem, found.driver, found.cuda, len(found.gpus)) == ("", "595.10.01", "13.1", 2)
    gpu, idle = found.gpus
    assert msgspec.to_builtins(gpu) == {
        "index": 0, "uuid": "GPU-00000000", "name": "Stand-in GPU 80GB", "utilization": 0.97,
        "memory_used_bytes": 62000 << 20, "memory_total_bytes": 81920 << 20, "memory_reserved_bytes": 500 << 20,
        "temperature_c": 71, "power_w": 645.0, "power_limit_w": 700.0, "sm_clock_mhz": 1980, "sm_clock_max_mhz": 1980,
        "memory_clock_mhz": 2619, "fan": 0.33, "performance_state": 0, "pcie_rx_bytes_per_s": 2000 * 1024,
        "pcie_tx_bytes_per_s": 1000 * 1024, "ecc_corrected": 0, "ecc_uncorrected": 0, "throttle_reasons": 4,
        "processes": ({"pid": 4242, "memory_bytes": 1024 << 20}, {"pid": 4300}),
    }  # fmt: skip
    assert (idle.utilization, idle.processes) == (0.0, ())


def test_the_structures_are_those_of_the_binding(compiler: Compiler) -> None:
    names = ("Utilization", "Memory", "Memory_v2", "ProcessInfo", "FieldValue", "Value")
    with loaded(compiler.library()) as nvml:
        nvml.nvmlInit()
        theirs = [ctypes.sizeof(getattr(nvml, f"c_nvml{name}_t")) for name in names]
        assert [nvml.nvmlLib.size_of(i) for i in range(len(names))] == theirs == [8, 24, 40, 24, 40, 8]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("function", OF)
def test_what_one_call_cannot_say_is_absent_and_all_else_lives(start: Started, function: str, failure: str) -> None:
    driver = start(without=function) if failure == "absent" else start(f"{function}={failure}")
    driver.sample()
    found = driver.sample(SLOW_S)
    assert found.problem == ""
    for gpu in found.gpus:
        missing = {field for field in FIELDS if getattr(gpu, field) is None}
        fell_back = failure in ("13", "absent") and function in FALLEN_BACK
        expected = FALLEN_BACK[function] if fell_back else OF[function]
        if failure == "sentinel" and function in ("GetMigMode", "GetFieldValues"):
            expected = set()
        assert missing == expected & FIELDS
        assert gpu.problem == ""
        assert all(gpu.absent[field] for field in expected)
        assert not any(value is not None and value > 1 for value in (gpu.utilization, gpu.fan))


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("function", sorted(SYMBOLS.keys() - OF.keys()))
def test_a_driver_that_does_not_begin_says_so_in_one_line(start: Started, function: str, failure: str) -> None:
    driver = start(without=function) if failure == "absent" else start(f"{function}={failure}")
    for _ in range(3):
        found = driver.sample(MISSING_S)
    if function in ("Shutdown", "GetDriverVersion", "GetCudaDriverVersion"):
        assert (found.problem, len(found.gpus)) == ("", 2)
    elif function == "GetHandleByIndex":
        assert all(gpu.problem for gpu in found.gpus)
    else:
        assert found.gpus == ()
        assert found.problem.startswith("NVIDIA's driver")
        assert "\n" not in found.problem


def test_g1_without_a_library_it_is_looked_for_every_30_seconds() -> None:
    asked: list[float] = []

    def missing() -> None:
        asked.append(driver_at[0])

    driver_at = [0.0]
    driver = Driver(missing, foreign=False)
    for second in range(91):
        driver_at[0] = float(second)
        found = driver.sample(driver_at[0])
        assert found == Gpus(problem="no NVIDIA driver on this machine: libnvidia-ml.so.1 is not there")
    assert asked == [0.0, 30.0, 60.0, 90.0]


def test_g1_a_library_that_appears_is_used(start: Started, compiler: Compiler) -> None:
    late: list[Any] = []
    driver = Driver(lambda: late[0] if late else None, foreign=False)
    assert driver.sample(0.0).gpus == ()
    with loaded(compiler.library()) as nvml:
        late.append(nvml)
        assert driver.sample(MISSING_S - 1).gpus == ()
        assert len(driver.sample(MISSING_S).gpus) == 2


@pytest.mark.parametrize(
    ("code", "words"),
    [(18, "different versions"), (9, "not loaded"), (999, "container"), (4, "no permission"), (25, "does not start")],
)
def test_g2_a_driver_that_refuses_is_explained_and_asked_again(start: Started, code: int, words: str) -> None:
    driver = start(f"Init={code}")
    assert words in driver.sample().problem
    driver.say("")
    assert words in driver.sample(RETRY_S - 1).problem
    assert driver.sample(1.0).problem == ""


def test_g2_what_stops_working_for_all_devices_is_explained(start: Started) -> None:
    driver = start()
    assert driver.sample().problem == ""
    driver.say("*=999 GetCount=0")
    driver.say(" ".join(f"{name}=999" for name in OF))
    found = driver.sample()
    assert [gpu.problem for gpu in found.gpus] == ["unknown error"] * 2
    assert "container" in found.problem
    driver.say("")
    assert all(not gpu.problem for gpu in driver.sample(SLOW_S).gpus)


def test_g3_an_old_driver_is_asked_what_it_knows(start: Started) -> None:
    (gpu,) = start("gpus=1 procs=77:5", old=True).sample().gpus
    assert (gpu.memory_used_bytes, gpu.memory_total_bytes) == (62500 << 20, 81920 << 20)
    assert gpu.absent["memory_reserved_bytes"] == "counted as used"
    assert gpu.throttle_reasons == 4
    assert [process.pid for process in gpu.processes or ()] == [77]
    assert gpu.absent["nvlink_rx_bytes_per_s"] == gpu.absent["mig"] == "not in this driver"


def test_g4_g11_a_lost_device_is_greyed_and_comes_back_alone(start: Started) -> None:
    driver = start("gpus=3")
    driver.sample()
    driver.say("gpus=3 lost:1=1")
    found = driver.sample()
    assert [gpu.problem for gpu in found.gpus] == ["", "lost", ""]
    lost = found.gpus[1]
    assert (lost.name, lost.utilization, lost.temperature_c, lost.power_limit_w) == (
        "Stand-in GPU 80GB",
        None,
        None,
        None,
    )
    driver.sample(SLOW_S)
    driver.say("gpus=3 lost:1=0 temp:1=40")
    back = driver.sample(SLOW_S).gpus[1]
    assert (back.problem, back.temperature_c) == ("", 40)


def test_g4_a_device_that_is_lost_from_the_start(start: Started) -> None:
    found = start("gpus=2 lost:0=1").sample()
    assert [(gpu.problem, gpu.utilization) for gpu in found.gpus] == [("lost", None), ("", 0.97)]


def test_g5_what_is_not_supported_is_not_zero(start: Started) -> None:
    (gpu,) = start("gpus=1 GetFanSpeed=3 GetMemoryInfo=3 GetMemoryInfo_v2=3 GetPowerUsage=3").sample().gpus
    assert (gpu.fan, gpu.memory_used_bytes, gpu.memory_total_bytes, gpu.power_w) == (None, None, None, None)
    assert {gpu.absent[name] for name in ("fan", "memory_used_bytes", "memory_total_bytes", "power_w")} == {
        "not supported"
    }


@pytest.mark.parametrize(
    ("word", "field"),
    [
        ("util=101", "utilization"), ("temp=201", "temperature_c"), ("power=10000001", "power_w"),
        ("sm=4294967295", "sm_clock_mhz"), ("fan=101", "fan"), ("pstate=32", "performance_state"),
        ("total=0", "memory_total_bytes"), ("used=90000", "memory_used_bytes"),
    ],
)  # fmt: skip
def test_g6_what_cannot_be_is_out_of_range(start: Started, word: str, field: str) -> None:
    (gpu,) = start(f"gpus=1 {word}").sample().gpus
    assert getattr(gpu, field) is None
    assert gpu.absent[field] == "out of range"


def test_g6_every_function_answers_with_all_bits_set(start: Started) -> None:
    driver = start("*=sentinel Init=x GetCount=x GetHandleByIndex=x")
    driver.say(" ".join(f"{name}=sentinel" for name in OF))
    for gpu in driver.sample().gpus:
        numbers = {field for field in FIELDS if isinstance(getattr(gpu, field), int | float)}
        assert numbers == set()
        assert gpu.name is None


def test_g7_a_name_that_cannot_be_read_is_absent_and_a_hostile_one_is_kept_as_it_is(start: Started) -> None:
    first, second = start("GetName:0=sentinel name:1=evil").sample().gpus
    assert (first.name, first.absent["name"]) == (None, "not readable")
    assert second.name is not None
    assert "\x1b]52;c;" in second.name


def test_g8_garbage_pids_are_left_out(start: Started) -> None:
    driver = start("gpus=1 procs=1184:10,0:1,4294967295:2,1184:3,4194304:1,5:99999999")
    (gpu,) = driver.sample().gpus
    assert [(p.pid, p.memory_bytes) for p in gpu.processes or ()] == [(5, None), (1184, 10 << 20)]
    driver.say("gpus=1 procs=0:1,4294967295:2")
    (gpu,) = driver.sample().gpus
    assert (gpu.processes, gpu.absent["processes"]) == (None, "out of range")


def test_g9_pids_of_a_host_are_marked_in_a_container(start: Started) -> None:
    found = start("gpus=1 procs=2:100", foreign=True).sample()
    assert found.host_pids
    (process,) = found.gpus[0].processes or ()
    assert (process.pid, process.host_pid, process.name) == (2, True, None)


def test_g11_a_driver_that_is_loaded_anew_is_greeted_anew(start: Started) -> None:
    driver = start()
    for reload in range(1, 5):
        assert all(gpu.utilization for gpu in driver.sample(RETRY_S).gpus)
        driver.say(f"reload={reload}")
        found = driver.sample(RETRY_S)
        assert (found.problem, [gpu.utilization for gpu in found.gpus]) == ("", [0.97, 0.97])


def test_g11_a_driver_that_forgets_us_again_and_again_is_greeted_every_5_seconds(start: Started) -> None:
    driver = start()
    driver.sample()
    driver.say("GetPowerUsage=1")
    for _ in range(12):
        found = driver.sample()
        assert [gpu.absent["power_w"] for gpu in found.gpus] == ["error 1"] * 2
        assert all(gpu.utilization for gpu in found.gpus)


def test_g12_an_abort_inside_the_library_is_the_end(compiler: Compiler) -> None:
    ended = in_process(compiler, "GetPowerUsage=abort", "d.sample(1.0)")
    assert ended.returncode == -6


def test_g13_success_that_is_raised_is_an_empty_list(start: Started) -> None:
    driver = start("gpus=1")

    class Odd:
        """The binding raises `NVMLError: Success` for some lists that are empty."""

        def __init__(self, nvml: Any) -> None:
            self._nvml = nvml

        def __getattr__(self, name: str) -> Any:
            return getattr(self._nvml, name)

        def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Any) -> Any:
            raise self._nvml.NVMLError(0)

    (gpu,) = Driver(lambda: Odd(driver._driver._find()), foreign=False).sample(0.0).gpus
    assert gpu.processes == ()


def test_g14_errors_of_the_binding_are_only_compared_as_numbers(compiler: Compiler) -> None:
    with loaded(compiler.library()) as nvml:
        error = nvml.NVMLError(3)
        with pytest.raises(TypeError, match="unhashable"):
            hash(error)
        with pytest.raises(AttributeError):
            assert error == 3


@pytest.mark.parametrize(("mask", "uncorrected"), [(0x0, 0), (0x44, 7), (0x1FF, 2**40)])
def test_g15_reasons_and_ecc_come_through(start: Started, mask: int, uncorrected: int) -> None:
    (gpu,) = start(f"gpus=1 reasons={mask} uncorrected={uncorrected} corrected=3").sample().gpus
    assert (gpu.throttle_reasons, gpu.ecc_uncorrected, gpu.ecc_corrected) == (mask, uncorrected, 3)


def test_instances_have_memory_and_processes_of_their_own(start: Started) -> None:
    driver = start("mig:1=3 procs=77:5")
    whole, divided = driver.sample().gpus
    assert whole.mig == ()
    assert (divided.utilization, divided.absent["utilization"]) == (None, "not supported")
    assert [(i.index, i.uuid, i.memory_total_bytes) for i in divided.mig] == [
        (n, f"MIG-00000001-{n + 1}", 10 << 30) for n in range(3)
    ]
    assert all(i.name == "Stand-in GPU MIG 1g.10gb" and i.processes for i in divided.mig)
    driver.say("")
    assert driver.sample(SLOW_S).gpus[1].mig == ()


def test_nvlink_flows_by_the_difference_of_its_counters(start: Started) -> None:
    driver = start("gpus=1 nvlink_tx=1000 nvlink_rx=0")
    assert driver.sample().gpus[0].nvlink_tx_bytes_per_s is None
    driver.say("gpus=1 nvlink_tx=6000 nvlink_rx=0")
    (gpu,) = driver.sample(SLOW_S).gpus
    assert (gpu.nvlink_tx_bytes_per_s, gpu.nvlink_rx_bytes_per_s) == (5000 * 1024 / SLOW_S, 0.0)
    driver.say("gpus=1 nvlink_tx=0 nvlink_rx=0")
    (gpu,) = driver.sample(SLOW_S).gpus
    assert (gpu.nvlink_tx_bytes_per_s, gpu.absent["nvlink_tx_bytes_per_s"]) == (None, "out of range")


def test_devices_come_and_go(start: Started) -> None:
    driver = start("gpus=1")
    for n in (1, 4, 2, 16):
        driver.say(f"gpus={n}")
        assert [gpu.index for gpu in driver.sample().gpus] == list(range(n))
    driver.say("gpus=0")
    assert driver.sample() == Gpus((), "NVIDIA's driver has no GPU here", "595.10.01", "13.1")


def in_process(compiler: Compiler, words: str, code: str) -> "subprocess.CompletedProcess[bytes]":
    """A process in which the linker itself finds the library, as on a machine with a driver."""
    library = compiler.library()
    environment = os.environ | {"LD_LIBRARY_PATH": str(library.parent), "GPU_DRIVER": words}
    begin = "import json, sys, time\nfrom gradtop.hardware.driver import Driver\nd = Driver()\n"
    return subprocess.run(
        [sys.executable, "-c", begin + code], env=environment, capture_output=True, check=False, timeout=50
    )


def test_the_linker_finds_the_library(compiler: Compiler) -> None:
    ended = in_process(compiler, "gpus=8", "print(json.dumps([g.utilization for g in d.sample(0.0).gpus]))")
    assert json.loads(ended.stdout) == [0.97] * 8


def test_the_binding_is_not_imported_where_there_is_no_driver() -> None:
    code = (
        "import sys\nfrom gradtop.hardware.driver import Driver\nassert 'pynvml' not in sys.modules\n"
        "found = Driver().sample(0.0)\nassert found.gpus or 'pynvml' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)
