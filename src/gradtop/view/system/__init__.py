"""What the System room and the Overview say of the machine: its GPUs, the training process, the host."""

from gradtop.view.system.device import DeviceRow
from gradtop.view.system.fact import ABSENT, Fact, History, Panel
from gradtop.view.system.hint import machine_hints
from gradtop.view.system.line import machine_lines
from gradtop.view.system.room import SystemView, system
from gradtop.view.system.seen import seen

__all__ = [
    "ABSENT",
    "DeviceRow",
    "Fact",
    "History",
    "Panel",
    "SystemView",
    "machine_hints",
    "machine_lines",
    "seen",
    "system",
]
