"""What is said of GPUs, of the training process and of the host, and what where something is not known."""

import math
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from gradtop import throttle
from gradtop.finding import Finding, FindingState, Severity
from gradtop.machine import Gpu, GpuProcess, Host, Machine, MachineView, Process, Worker
from gradtop.record import Rows
from gradtop.run import Run
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.verdict import Judgement, Verdict
from gradtop.view import Part, checklist
from gradtop.view.system import Panel, SystemView, machine_lines, system
from gradtop.view.system.device import devices, program
from gradtop.view.system.hint import machine_hints
from gradtop.view.system.room import NOT_SAMPLED
from machines import GIB, NAME, NOW, bare, gpu, host, past, process, sample, seen

EVIL = "[/bold][@click=app.quit]x[/]\x1b]52;c;cm0gLXJm\x07\x1b[2J\u202e"


def run(machine: MachineView | None = None, state: RunState = RunState.LIVE) -> RunSnapshot:
    store = Run()
    list(store.apply(Rows(steps=range(30), columns={"loss": [2.0] * 30})))
    judgement = Judgement(Verdict.KEEP_TRAINING, "", None)
    path = Path("/logs/a")
    return RunSnapshot("a", "a", path, state, 1.0, store.view(), (), judgement, (), None, None, None, machine=machine)


def shown(
    own: MachineView | None, here: MachineView | None = None, state: RunState = RunState.LIVE, now: float = NOW
) -> tuple[Snapshot, RunSnapshot]:
    of_run = run(own, state)
    return Snapshot(now, (of_run,), machine=here), of_run


def room(machine: Machine, selected: str | None = None, stale_s: float = 0.0) -> SystemView:
    """The room of a run whose process and GPUs are on this machine."""
    return system(*shown(seen(machine), seen(machine)), stale_s, selected)


def said(panel: Panel) -> list[str]:
    return [f"{f.label}: {f.value}" + (f" | {f.note}" if f.note else "") for f in panel.facts]


def line(parts: tuple[Part, ...]) -> str:
    return " ─ ".join(part.text for part in parts)


def inks(panel: Panel) -> dict[str, str]:
    return {fact.label: fact.ink for fact in panel.facts if fact.label}


def test_a_device_that_tells_everything() -> None:
    view = room(sample(1))
    assert view.title == ("1 GPU", NAME, "driver 595.10", "CUDA 13.1")
    assert (view.gpu.title, view.gpu.name, view.gpu.note) == ("GPU 0", NAME, "used by this run")
    assert said(view.gpu) == [
        "utilisation: 97 %",
        "memory: 62.1/80 GiB",
        "reserved: 512 MiB | by the driver itself, used by nobody",
        "power: 645/700 W",
        "temperature: 64 °C",
        "slowed by: the power limit",
        "clocks: SM 1,755/1,980 MHz, memory 2,619 MHz",
        "fan: 45 %",
        "state: P0 | the fastest",
        "PCIe: in 1.2 GB/s, out 310 MB/s",
        "NVLink: in 21 GB/s, out 19 GB/s",
        "ECC errors: 0 uncorrected, 3 corrected",
        "processes: 4242  61 GiB | this run  python train.py --config gpt2.yaml",
        "UUID: GPU-00000000",
    ]
    assert view.note == ""


@pytest.mark.parametrize("reason", ["not supported", "no permission", "out of range", "not answered in 2 s"])
def test_what_is_not_there_says_why_and_no_number_stands_for_it(reason: str) -> None:
    view = room(sample((bare(reason=reason),), process=None))
    assert said(view.gpu) == [
        f"{label}: n/a | {reason}"
        for label in (
            "utilisation", "memory", "power", "temperature", "slowed by", "clocks", "fan", "state", "PCIe", "NVLink",
            "ECC errors", "processes", "UUID",
        )
    ]  # fmt: skip
    assert view.gpu.name == f"n/a: {reason}"
    row = view.rows[0]
    assert {row.utilization, row.memory, row.temperature, row.power, row.slowed, row.process} == {"n/a"}
    assert all(fact.share is None for fact in view.gpu.facts)


@pytest.mark.parametrize("field", [f for f in Gpu.__struct_fields__ if f not in ("index", "problem", "mig", "absent")])
def test_each_absent_field_leaves_the_others_alone(field: str) -> None:
    whole = sample((gpu(),))
    part = sample((msgspec.structs.replace(gpu(), absent={field: "broken wire"}, **{field: None}),))
    before, after = said(room(whole).gpu), said(room(part).gpu)
    changed = [text for text in after if text not in before]
    told = "broken wire" in " ".join((*changed, room(part).gpu.name))
    assert told or field in ("memory_reserved_bytes", "sm_clock_max_mhz")
    assert len(changed) <= 1


def test_a_value_that_nobody_asked_for_says_so() -> None:
    assert said(room(sample((Gpu(index=0),), process=None)).gpu)[0] == "utilisation: n/a | not sampled"


def test_one_direction_of_a_link_is_not_both() -> None:
    half = gpu(pcie_tx_bytes_per_s=None, absent={"pcie_tx_bytes_per_s": "no permission"})
    assert "PCIe: in 1.2 GB/s, out n/a (no permission)" in said(room(sample((half,))).gpu)


def test_a_lost_device_shows_nothing_as_current() -> None:
    lost = Gpu(index=0, name=NAME, problem="lost")
    view = room(sample((lost, gpu(1))), selected="0")
    assert said(view.gpu) == [
        "state: lost | what it did before is not shown as what it does",
        "utilisation: n/a",
        "memory: n/a",
        "UUID: n/a | lost",
    ]
    row = view.rows[0]
    assert (row.slowed, row.slowed_ink, row.ink, row.utilization, row.share) == ("lost", "act", "quiet", "n/a", None)
    assert line(view.gpu.summary) == "lost"
    assert view.rows[1].ink == "plain"


def test_what_it_did_before_it_was_lost_stays_in_its_history_with_a_hole_at_the_end() -> None:
    lost = sample((Gpu(index=0, problem="lost"),), time=NOW + 1)
    view = system(*shown(None, seen(sample(1), lost), now=NOW + 1), 0.0)
    values = view.rows[0].history.values
    assert values[0] == 0.97
    assert math.isnan(values[1])
    scales = [fact.history.high for fact in view.gpu.facts if fact.history is not None]
    assert scales == [1.0, 80.0 * GIB]


def test_uncorrected_errors_are_loud() -> None:
    view = room(sample((gpu(ecc_uncorrected=2),)))
    assert (
        "ECC errors: 2 uncorrected, 3 corrected | memory of this device is damaged: what it computes may be wrong"
        in (said(view.gpu))
    )
    assert inks(view.gpu)["ECC errors"] == "act"
    assert "uncorrected memory errors" in overview(sample((gpu(ecc_uncorrected=2),)))[0]


@pytest.mark.parametrize(
    ("reasons", "text", "note", "short", "ink"),
    [
        (0, "nothing", "", "-", "quiet"),
        (0x1, "nothing", "idle", "-", "quiet"),
        (0x4, "the power limit", "", "power cap", "plain"),
        (0x44, "the power limit and heat (hardware limit)", "", "heat +1", "watch"),
        (0x60, "heat (software limit) and heat (hardware limit)", "", "heat", "watch"),
        (0x80, "the power brake of the machine", "", "power brake", "watch"),
        (0x102, "nothing", "clocks set by its user, clocks set for a display", "-", "quiet"),
        (1 << 40, "nothing", "", "-", "quiet"),
    ],
)
def test_throttle_reasons_in_words(reasons: int, text: str, note: str, short: str, ink: str) -> None:
    view = room(sample((gpu(throttle_reasons=reasons),)))
    found = next(fact for fact in view.gpu.facts if fact.label == "slowed by")
    assert (found.value, found.note, found.ink) == (text, note, ink)
    assert view.rows[0].slowed == short


def test_every_reason_has_a_long_and_a_short_word() -> None:
    assert set(throttle.SHORT) == set(throttle.REASONS)


def test_processes_say_whose_they_are() -> None:
    used = (
        GpuProcess(pid=7, memory_bytes=GIB, name="other", ours=True),
        GpuProcess(pid=99, memory_bytes=30 * GIB, name="stranger"),
        GpuProcess(pid=4301, memory_bytes=GIB, name="worker"),
        GpuProcess(pid=4242, host_pid=True),
        GpuProcess(pid=4242, memory_bytes=2 * GIB, name="python"),
    )
    view = room(sample((gpu(processes=used),)))
    assert [text for text in said(view.gpu) if text.startswith((":", "processes"))] == [
        "processes: 4242  2 GiB | this run  python train.py --config gpt2.yaml",
        ": 4301  1 GiB | this run  worker",
        ": 7  1 GiB | a watched run  other",
        ": 99  30 GiB | stranger",
        ": host 4242  memory n/a | a pid of the host",
    ]
    assert view.rows[0].process == "4242 train.py +4"
    assert "processes: none" in said(room(sample((gpu(processes=()),))).gpu)


def test_instances_are_rows_of_their_own() -> None:
    parts = (
        Gpu(index=0, name="1g.10gb", memory_used_bytes=GIB, memory_total_bytes=10 * GIB, absent={"utilization": "MIG"}),
        Gpu(index=1, name="1g.10gb", utilization=0.5),
    )
    whole = gpu(mig=parts, utilization=None, absent={"utilization": "not supported with MIG"})
    view = room(sample((whole, gpu(1))), selected="0.1")
    assert [(row.id, row.index, row.utilization) for row in view.rows] == [
        ("0", "0", "n/a"), ("0.0", "·0", "n/a"), ("0.1", "·1", "50 %"), ("1", "1", "97 %"),
    ]  # fmt: skip
    assert (view.gpu.title, view.gpu.name) == ("GPU 0 MIG 1", "1g.10gb")
    assert view.title[0] == "2 GPUs"
    assert "MIG: 0  1/10 GiB  n/a | 1g.10gb" in said(room(sample((whole,)), selected="0").gpu)


@pytest.mark.parametrize(
    ("count", "title"), [(0, "0 GPUs"), (1, "1 GPU"), (2, "2 GPUs"), (8, "8 GPUs"), (16, "16 GPUs")]
)
def test_any_number_of_devices(count: int, title: str) -> None:
    view = room(sample(count))
    assert (len(view.rows), view.title[0]) == (count, title)
    if not count:
        assert said(view.gpu) == [": No GPU is seen here."]


def test_a_selected_device_stays_selected_and_one_that_vanished_gives_way() -> None:
    assert room(sample(8), selected="5").gpu.title == "GPU 5"
    assert room(sample(2), selected="5").gpu.title == "GPU 0"


def test_at_first_the_device_that_the_run_uses_is_selected() -> None:
    assert room(sample(8, process=process(gpus=(3, 4)))).selected == "3"


def test_devices_of_other_names_are_told_apart_in_the_list() -> None:
    view = room(sample((gpu(name="A"), gpu(1, name="B"))))
    assert view.title == ("2 GPUs", "driver 595.10", "CUDA 13.1")
    assert [row.name for row in view.rows] == ["A", "B"]


def test_without_a_driver_one_line_says_so_and_the_rest_is_there() -> None:
    missing = sample(0, gpu_problem="no NVML: libnvidia-ml.so.1 is missing", driver=None, cuda=None)
    view = room(missing)
    assert said(view.gpu) == [": no NVML: libnvidia-ml.so.1 is missing"]
    assert view.note == ""
    assert view.title == ("0 GPUs", "driver n/a", "CUDA n/a")
    assert said(view.process)[0].startswith("state: running")
    lone = process(gpus=(), gpus_why="")
    assert "GPUs: n/a | no driver tells" in said(room(msgspec.structs.replace(missing, process=lone)).process)
    assert "GPUs: none" in said(room(sample(0, process=lone)).process)
    assert said(view.host)[0] == "CPU: 25 %"


def test_a_driver_that_hangs_leaves_its_last_values_grey() -> None:
    view = room(sample(2, gpu_problem="GPU driver not answering 12 s"))
    assert view.note == "GPU driver not answering 12 s"
    assert {row.ink for row in view.rows} == {"quiet"}
    assert {fact.ink for fact in view.gpu.facts} == {"quiet"}
    assert inks(view.process)["CPU"] == "value"


def test_old_samples_are_said_to_be_old() -> None:
    view = room(sample(1), stale_s=42.0)
    assert view.note == "sampled 40s ago"
    assert {fact.ink for panel in (view.gpu, view.process, view.host) for fact in panel.facts} == {"quiet"}
    assert room(sample(1), stale_s=3.0).note == ""


def test_recorded_samples_are_said_to_be_recorded_and_this_machine_is_one_key_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    recorded = seen(sample((gpu(name="Far away"),), line=7, time=NOW - 1e6))
    alone = system(*shown(recorded), 0.0)
    assert alone.note == "recorded 2023-11-03 08:26:40"
    assert alone.gpu.name == "Far away"
    assert inks(alone.gpu)["utilisation"] == "value"
    both = shown(recorded, seen(sample(2, process=None)))
    assert system(*both, 0.0).note == "recorded 2023-11-03 08:26:40 · v shows this machine"
    here = system(*both, 0.0, live=True)
    assert (here.note, len(here.rows), here.gpu.name) == ("v shows what was recorded", 2, NAME)
    assert said(here.process) == [": Not known: no process on this machine was found to write this log."]


def test_a_sample_of_no_moment_is_recorded_all_the_same() -> None:
    assert system(*shown(seen(sample(1, line=1, time=5.0))), 0.0).note == "recorded at an unknown time"


def test_nothing_sampled_yet() -> None:
    view = system(*shown(None), 0.0)
    assert (said(view.gpu), said(view.host), view.rows, view.note) == (
        [f": {NOT_SAMPLED}"],
        [": Not sampled."],
        (),
        "",
    )
    assert system(Snapshot(NOW), None, 0.0).process.facts[0].value == "There is no run yet."


def test_the_process_that_trains() -> None:
    view = room(sample(1))
    assert (view.process.title, view.process.name) == ("process 4242", "train.py")
    assert said(view.process) == [
        "state: running",
        "started: 1h23m ago",
        "command: python train.py --config gpt2.yaml",
        "found by: its pid is in the log",
        "CPU: 1.02 cores",
        "resident: 12.3 GiB",
        "threads: 45",
        "disk: reads 120 MB/s, writes 400 kB/s",
        "GPUs: 0 | it has memory of them",
        "children: 4 | pt_data_worker, 3.00 cores together",
        ": 4301  running  0.90 cores  1 GiB",
        ": 4302  running  0.80 cores  1 GiB",
        ": 4303  running  0.70 cores  1 GiB",
        ": 4304  running  0.60 cores  1 GiB",
    ]
    assert line(view.process.summary) == "running ─ 1.02 cores ─ 12.3 GiB"


def test_what_is_not_known_of_a_process() -> None:
    fields = ("cpu", "rss_bytes", "threads", "read_bytes_per_s", "write_bytes_per_s", "workers")
    nothing = Process(pid=1, state="sleeping", absent=dict.fromkeys(fields, "no permission"))
    assert said(room(sample(1, process=nothing)).process) == [
        "state: sleeping | waits for a GPU, data or a process",
        "command: n/a | not sampled",
        "found by: n/a | a guess: it may be another one",
        "CPU: n/a | no permission",
        "resident: n/a | no permission",
        "threads: n/a | no permission",
        "disk: n/a | no permission",
        "GPUs: none",
        "children: n/a | no permission",
    ]


def test_children_that_differ_and_more_than_are_listed() -> None:
    workers = (Worker(pid=8, name="a", state="disk"), Worker(pid=9, name="b", state="zombie"))
    texts = said(room(sample(1, process=process(workers=workers, worker_count=300, ranks=tuple(range(1, 21))))).process)
    assert texts[-5:] == [
        "children: 300",
        ": 8  waits for a disk  CPU n/a  memory n/a | a",
        ": 9  zombie  CPU n/a  memory n/a | b",
        ": and 298 more",
        "other ranks: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 and 4 more",
    ]


@pytest.mark.parametrize(
    ("state", "of_run", "word", "ink"),
    [
        ("zombie", RunState.LIVE, "zombie", "act"),
        ("gone", RunState.CRASHED, "gone", "act"),
        ("gone", RunState.FINISHED, "gone", "quiet"),
        ("disk", RunState.LIVE, "waits for a disk", "watch"),
        ("stopped", RunState.LIVE, "stopped", "watch"),
        ("parked", RunState.LIVE, "parked", "plain"),
        ("", RunState.LIVE, "n/a", "plain"),
    ],
)
def test_states_of_a_process_in_words(state: str, of_run: RunState, word: str, ink: str) -> None:
    view = system(*shown(seen(sample(1, process=process(state=state))), None, of_run), 0.0)
    assert (view.process.facts[0].value, view.process.facts[0].ink) == (word, ink)
    assert any(fact.label == "CPU" for fact in view.process.facts) is (state != "gone")


@pytest.mark.parametrize(
    ("code", "note"),
    [(None, "it has ended"), (0, "it ended with exit code 0"), (-9, "it was killed by signal 9 (SIGKILL)")],
)
def test_how_a_process_ended_stands_beside_that_it_did(code: int | None, note: str) -> None:
    view = system(*shown(seen(sample(1, process=process(state="gone", exit_code=code))), None, RunState.QUIET), 0.0)
    assert view.process.facts[0].note == note


@pytest.mark.parametrize(
    ("problem", "state", "text"),
    [
        ("its pid belongs to another container", RunState.LIVE, "its pid belongs to another container"),
        ("", RunState.LIVE, "Not known: no process on this machine was found to write this log."),
        ("", RunState.FINISHED, "Not known: the run is finished."),
    ],
)
def test_a_process_that_is_not_known(problem: str, state: RunState, text: str) -> None:
    own = seen(sample(1, process=None, process_problem=problem))
    assert said(system(*shown(own, None, state), 0.0).process) == [f": {text}"]


def test_the_host() -> None:
    view = room(sample(1))
    assert (view.host.title, view.host.name) == ("host", "node1")
    assert said(view.host) == [
        "CPU: 25 %",
        "load: 9.50 on 32 cores",
        "memory: 31/256 GiB",
        "memory limit: 64 GiB | of this container or job",
        "swap: 0/8 GiB",
        "disk of log: 0.793/2 TiB free",
    ]


def test_what_is_not_known_of_a_host() -> None:
    fields = ("cpu", "load", "memory_used_bytes", "swap_used_bytes", "disk_free_bytes")
    nothing = Host(absent=dict.fromkeys(fields, "no permission"))
    assert said(room(sample(1, host=nothing)).host) == [
        f"{label}: n/a | no permission" for label in ("CPU", "load", "memory", "swap", "disk of log")
    ]


def test_a_disk_that_is_nearly_full_stands_out() -> None:
    full = host(disk_free_bytes=GIB, swap_total_bytes=0)
    view = room(sample(1, host=full))
    assert inks(view.host)["disk of log"] == "watch"
    assert "swap: none" in said(view.host)
    assert inks(room(sample(1)).host)["disk of log"] == "plain"


def test_histories_have_the_scale_of_what_they_show() -> None:
    view = system(*shown(past(sample(1)), past(sample(1))), 0.0)
    scales = {f.label: (f.history.low, f.history.high) for f in view.gpu.facts if f.history is not None}
    assert scales == {
        "utilisation": (0.0, 1.0), "memory": (0.0, 80.0 * GIB), "power": (0.0, 700.0), "temperature": (0.0, 100.0),
    }  # fmt: skip
    assert len(view.gpu.facts[0].history.values if view.gpu.facts[0].history else ()) == 301
    assert len(view.rows[0].history.values) == 120


def test_a_load_below_all_cores_leaves_room_above() -> None:
    facts = {f.label: f.history for f in room(sample(1)).host.facts}
    load = facts["load"]
    assert load is not None
    assert (load.high, load.top) == (32, "32")


def test_the_history_of_a_process_is_not_that_of_the_one_before_it() -> None:
    own = seen(sample(1, process=process(pid=1, rss_bytes=99 * GIB)), sample(1, time=NOW + 1))
    facts = {f.label: f for f in system(*shown(own, None, now=NOW + 1), 0.0).process.facts}
    resident = facts["resident"].history
    assert resident is not None
    assert math.isnan(resident.values[0])
    assert resident.high == 1.2 * int(12.3 * GIB)
    assert resident.top == "14.8 GiB"


def test_devices_are_found_in_samples_where_others_are_missing() -> None:
    device = devices(sample(8))[5]
    fewer = sample((gpu(5, utilization=0.1),))
    assert device.history([fewer, sample(8), sample(0)], "utilization", 1, "1").values[:2] == (0.1, 0.97)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python train.py --config a.yaml", "train.py"),
        ("/usr/bin/python3 -u /home/me/run/train.py", "train.py"),
        ("./llama-train -m x", "llama-train"),
        ("", ""),
        ("   ", ""),
        ("/", "/"),
        ("a\x1b[2Jb", "ab"),
    ],
)
def test_what_tells_a_command_from_others(command: str, name: str) -> None:
    assert program(command) == name


def test_foreign_text_is_clean_everywhere() -> None:
    fields = [f for f in Gpu.__struct_fields__ if f not in ("index", "problem", "mig", "absent")]
    evil_gpu = Gpu(index=0, name=EVIL, uuid=EVIL, absent=dict.fromkeys(fields, EVIL), processes=(
        GpuProcess(pid=5, name=EVIL),), mig=(Gpu(index=0, name=EVIL, absent=dict.fromkeys(fields, EVIL)),),
    )  # fmt: skip
    evil = Machine(
        time=NOW, gpus=(evil_gpu, Gpu(index=1, problem=EVIL)), gpu_problem=EVIL, driver=EVIL, cuda=EVIL,
        process=Process(pid=5, name=EVIL, state=EVIL, found_by=EVIL, gpus_why=EVIL, absent={"cpu": EVIL},
                        workers=(Worker(pid=6, name=EVIL, state=EVIL),), worker_count=1),
        host=Host(name=EVIL, absent={"cpu": EVIL}),
    )  # fmt: skip
    for machine in (evil, msgspec.structs.replace(evil, process=None, process_problem=EVIL)):
        for selected in ("0", "0.0", "1"):
            text = repr(room(machine, selected)) + repr(machine_lines(*shown(seen(machine)), 0.0))
            assert not any(bad in text for bad in ("\\x1b", "\\x07", "\\u202e"))


# The lines of the Overview.


def overview(machine: Machine, state: RunState = RunState.LIVE, stale_s: float = 0.0) -> list[str]:
    return [line(parts) for parts in machine_lines(*shown(seen(machine), seen(machine), state), stale_s)]


PROCESS = "pid 4242 train.py ─ running ─ 1.02 cores ─ 12.3 GiB"
HOST = "host ─ CPU 25 % ─ memory 31/256 GiB"


def test_one_device_in_a_line_and_what_goes_with_it_in_another() -> None:
    assert overview(sample(1)) == [
        f"GPU 0 ─ {NAME} ─ 97 % ─          ▇ ─ 62.1/80 GiB ─ 64 °C ─ 645/700 W ─ power cap",
        f"{PROCESS} ─ {HOST}",
    ]


def test_several_devices_together_show_the_worst_of_them() -> None:
    gpus = (gpu(0, utilization=0.4, temperature_c=91.0, throttle_reasons=0x40), gpu(1), gpu(2), gpu(3, power_w=700.0))
    first, beside = overview(sample(gpus, process=process(gpus=(0, 1, 2, 3))))
    assert first == (
        f"GPUs 0–3 ─ {NAME} ─ 40–97 % ─          ▃ ─ max 62.1/80 GiB ─ max 91 °C ─ max 700/700 W ─ heat, power cap on 4"
    )
    assert beside == f"{PROCESS} ─ {HOST}"
    assert overview(sample(8, process=process(gpus=(1, 3))))[0].startswith("GPUs 0,1,3 ─")


def test_lost_devices_are_named_and_not_averaged_away() -> None:
    gpus = (gpu(0), Gpu(index=1, name=NAME, problem="lost"), gpu(2))
    first, _ = overview(sample(gpus, process=process(gpus=(0, 1, 2))))
    assert first.startswith(f"GPUs 0–2 ─ {NAME} ─ 1 lost: 1 ─ 97 %")
    assert overview(sample((Gpu(index=0, name=NAME, problem="lost"),)))[0] == f"GPU 0 ─ {NAME} ─ lost"


def test_a_run_without_a_device_shows_its_process() -> None:
    own = sample(2, process=process(pid=99, gpus=(), gpus_why="it has no memory on a GPU"))
    assert overview(own) == ["pid 99 train.py ─ running ─ 1.02 cores ─ 12.3 GiB", HOST]
    assert overview(sample(0)) == [PROCESS, HOST]
    assert overview(sample(0, host=None)) == [PROCESS, ""]
    assert overview(sample(0, process=process(sure=False)))[0] == f"a guess: {PROCESS}"


def test_devices_of_which_it_is_not_known_whose_they_are_belong_to_no_run_in_particular() -> None:
    unknown = sample(4, process=None)
    first, beside = overview(unknown)
    assert first.startswith("all 4 GPUs ─")
    assert beside == HOST
    assert overview(unknown, RunState.FINISHED) == []
    why = "the driver does not tell which processes use a GPU"
    untold = sample((gpu(processes=None), gpu(1, processes=None)), process=process(gpus=(), gpus_why=why))
    assert overview(untold)[0].startswith("all 2 GPUs ─")
    foreign = gpu(processes=(GpuProcess(pid=7, host_pid=True),))
    assert overview(sample((foreign,), process=process(gpus=(), gpus_why=why)))[0].startswith("GPU 0 ─")


def test_a_driver_that_hangs_is_said_once_for_all_devices() -> None:
    silent = tuple(Gpu(index=i, name=NAME, problem="not answering") for i in range(8))
    problem = "NVIDIA's driver has not answered for 12 s"
    first, _ = overview(sample(silent, process=process(gpus=tuple(range(8))), gpu_problem=problem))
    assert first == f"GPUs 0–7 ─ {NAME} ─ 8 not answering: 0, 1, 2, 3, … ─ {problem}"


def test_a_disk_that_is_nearly_full_is_said_first() -> None:
    assert overview(sample(1, host=host(disk_free_bytes=GIB)))[1] == (
        f"{PROCESS} ─ host ─ 1 GiB of disk left ─ CPU 25 % ─ memory 31/256 GiB"
    )


def test_the_lines_say_what_is_old_recorded_or_silent() -> None:
    assert overview(sample(1), stale_s=60.0)[0].endswith("sampled 1m ago")
    recorded = machine_lines(*shown(seen(sample(1, line=3))), 0.0)
    assert recorded[0][-1].text.startswith("recorded ")
    hung = machine_lines(*shown(seen(sample(1, gpu_problem="GPU driver not answering 12 s"))), 0.0)[0]
    assert (hung[-1].text, hung[-1].rank, {p.ink for p in hung[1:-1]}) == (
        "GPU driver not answering 12 s",
        0,
        {"quiet"},
    )


def test_nothing_known_is_no_line() -> None:
    assert machine_lines(*shown(None), 0.0) == ()
    assert machine_lines(Snapshot(NOW, machine=seen(sample(1))), None, 0.0) == ()
    assert machine_lines(*shown(None, seen(sample(0, process=None))), 0.0) == ()


def test_what_the_devices_do_not_tell_is_absent_in_the_line() -> None:
    assert overview(sample((bare(),)))[0] == (
        "GPU 0 ─ n/a: not supported ─ utilisation n/a ─ memory n/a ─ temperature n/a ─ power n/a"
    )


# What the newest sample says to a finding.


def hint(kind: str, machine: Machine | None, state: RunState = RunState.LIVE) -> tuple[str, ...]:
    found = Finding(kind, "total", Severity.WATCH, FindingState.ACTIVE, 9, 9, 9, 1, "", {}, (), (), ("look",))
    return machine_hints(run(seen(machine) if machine is not None else None, state), found)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("gpu_throttled", "GPU 0 is slowed down by the power limit, 64 °C, 645/700 W"),
        ("gpu_starved", "GPU 0 busy 97 % of the time, its 4 children take 3.00 cores together"),
        ("throughput_drop", "process 4242 is running and takes 1.02 cores, GPU 0 busy 97 % of the time"),
        ("stalled", "process 4242 is running and takes 1.02 cores, GPU 0 busy 97 % of the time"),
        ("crashed", "process 4242 is running and takes 1.02 cores"),
        (
            "memory_leak",
            "process 4242 has 12.3 GiB and may have 64 GiB here, GPU 0 62.1/80 GiB, the host 31/256 GiB",
        ),
    ],
)
def test_a_finding_leads_to_the_room_with_what_is_seen_there(kind: str, text: str) -> None:
    assert hint(kind, sample(1)) == (f"System (5) shows it: {text}.",)


def test_hints_of_many_devices_of_none_and_of_other_findings() -> None:
    many = tuple(gpu(i, utilization=0.3 + i / 100, throttle_reasons=0x40, power_w=None) for i in range(6))
    (told,) = hint("gpu_throttled", sample(many))
    assert told.startswith("System (5) shows it: GPU 0 is slowed down by heat (hardware limit), 71 °C, GPU 1 is")
    assert told.endswith("2 more are.")
    assert "its 6 GPUs busy 30 % to 35 % of the time" in hint("gpu_starved", sample(many))[0]
    assert hint("gpu_throttled", sample((gpu(throttle_reasons=1),))) == (
        "System (5) shows it: nothing slows its GPUs down now.",
    )
    assert hint("gpu_throttled", sample((bare(),))) == ()
    assert hint("crashed", sample(0, process=process(state="gone")), RunState.CRASHED) == (
        "System (5) shows it: process 4242 is gone.",
    )
    assert hint("loss_spike", sample(1)) == ()
    assert hint("stalled", None) == ()


def test_a_hint_from_a_recording_says_so_and_stands_before_the_other_checks() -> None:
    recorded = sample(1, line=4)
    assert hint("crashed", recorded)[0].startswith("System (5) shows it, as recorded 2023-11-1")
    found = Finding("stalled", "total", Severity.WATCH, FindingState.ACTIVE, 9, 9, 9, 1, "", {}, (), (), ("look",))
    shown_run = replace(run(seen(sample(1))), findings=(found,), judgement=Judgement(Verdict.WATCH, "", found))
    texts = [entry.text for entry in checklist(shown_run)]
    checks = texts[texts.index("Check next") + 1 :]
    assert checks[0].startswith("System (5) shows it: process 4242 is running")
    assert checks[1] == "look"
