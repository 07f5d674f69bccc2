"""The System room: the list of GPUs, the selected one in full, the training process, the host."""

from dataclasses import dataclass

from gradtop.clean import clean
from gradtop.machine import Machine
from gradtop.snapshot import RunSnapshot, Snapshot
from gradtop.view.header import Part
from gradtop.view.system.device import Device, DeviceRow, device_row, devices, named
from gradtop.view.system.fact import ABSENT, Fact, Panel
from gradtop.view.system.gpu import gpu_panel
from gradtop.view.system.host import host_panel
from gradtop.view.system.process import process_panel
from gradtop.view.system.seen import Seen, seen

MOST_DEVICES = 256
"""Devices and instances that are listed."""
NOT_SAMPLED = "Not sampled yet. Of a replay, and of what comes from elsewhere, there are no samples."
NO_GPU = "No GPU is seen here."


@dataclass(frozen=True, slots=True)
class SystemView:
    """All that the room shows."""

    title: tuple[str, ...] = ()
    """Of the list of devices: how many of what, and the driver."""
    rows: tuple[DeviceRow, ...] = ()
    selected: str | None = None
    """Id of the device that `gpu` is about."""
    gpu: Panel = Panel("GPU")  # noqa: RUF009  # frozen
    process: Panel = Panel("process")  # noqa: RUF009  # frozen
    host: Panel = Panel("host")  # noqa: RUF009  # frozen
    note: str = ""
    """How old or whose all this is, and what does not answer; empty where all is as it seems."""


def system(
    snapshot: Snapshot, run: RunSnapshot | None, stale_s: float, selected: str | None = None, live: bool = False
) -> SystemView:
    """The room as the newest samples have it; `selected` is kept where it is there, `stale_s` is the snapshot's age."""
    shown = seen(snapshot, run, stale_s, live)
    machine = shown.newest
    if machine is None:
        return SystemView(gpu=_nothing(NOT_SAMPLED), process=_process(shown, run, snapshot), host=host_panel((), False))
    all_devices = devices(machine)[:MOST_DEVICES]
    device = next((d for d in all_devices if d.id == selected), _first(all_devices, shown))
    old = shown.stale or bool(shown.problem)
    return SystemView(
        title=_title(machine, all_devices),
        rows=tuple(device_row(d, shown.samples, shown.process, old) for d in all_devices),
        selected=device.id if device is not None else None,
        gpu=gpu_panel(device, shown.samples, shown.process, old) if device else _nothing(shown.problem or NO_GPU),
        process=_process(shown, run, snapshot),
        host=host_panel(shown.samples, shown.stale),
        note=_note(shown),
    )


def _first(all_devices: tuple[Device, ...], shown: Seen) -> Device | None:
    """The first device that the run uses, else the first one."""
    used = shown.process.gpus if shown.process is not None else ()
    return next((d for d in all_devices if d.gpu.index in used), all_devices[0] if all_devices else None)


def _nothing(why: str) -> Panel:
    return Panel("GPU", summary=(Part(why, 0, "quiet"),), facts=(Fact("", why, "plain"),))


def _process(shown: Seen, run: RunSnapshot | None, snapshot: Snapshot) -> Panel:
    now = shown.own[-1].time if shown.own else snapshot.now
    if run is not None and shown.newest is None and not shown.own:
        return Panel("process", facts=(Fact("", "Not sampled.", "quiet"),))
    return process_panel(run, shown.own, now, shown.stale)


def _title(machine: Machine, all_devices: tuple[Device, ...]) -> tuple[str, ...]:
    whole = [device for device in all_devices if device.parent is None]
    names = {named(device.gpu) for device in whole if device.gpu.name}
    count = f"{len(whole)} GPU{'s' if len(whole) != 1 else ''}"
    driver = f"driver {clean(machine.driver or ABSENT, 40)}"
    return (count, *(names if len(names) == 1 else ()), driver, f"CUDA {clean(machine.cuda or ABSENT, 20)}")


def _note(shown: Seen) -> str:
    problem = shown.problem if shown.newest is not None and shown.newest.gpus else ""
    other = "this machine" if shown.recorded else "what was recorded"
    choice = f"v shows {other}" if shown.choice else ""
    return " · ".join(filter(None, (shown.when, problem, choice)))
