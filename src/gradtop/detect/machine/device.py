"""What the driver says of the devices of a run: the names of its metrics, and what its throttle reasons mean."""

from gradtop.detect.signals import Signals

DEVICES = 16
"""Devices of one run that are looked at; a node has at most that many."""
UTILIZATION = "utilization"
"""Part of the time in which a kernel ran, 0 to 1, as in `gpu0/utilization`."""
MEMORY_USED = "memory_used_bytes"
"""Memory of the device in use, by all processes, in bytes."""
MEMORY_TOTAL = "memory_total_bytes"
"""All memory of the device, in bytes."""
TEMPERATURE = "temperature_c"
"""Of the chip, in degrees Celsius."""
POWER = "power_w"
"""Draw, in watts."""
POWER_LIMIT = "power_limit_w"
"""The most that the driver allows, in watts."""
THROTTLE_REASONS = "throttle_reasons"
"""NVML's clocks event reasons: a bit mask as a number."""

REASONS = {
    0x4: "the power limit",
    0x8: "a hardware slowdown",
    0x10: "clocks bound to another GPU",
    0x20: "heat (software limit)",
    0x40: "heat (hardware limit)",
    0x80: "the power brake of the machine",
}
"""Bits of NVML that slow a busy device down; idle (1), set clocks (2) and display clocks (0x100) are none."""
THROTTLED = sum(REASONS)
"""All of these bits."""
FORCED = 0x8 | 0x20 | 0x40 | 0x80
"""Those that a sound machine does not have; a power limit and bound clocks may be meant."""


def metric(device: int, name: str) -> str:
    """`gpu0/utilization`."""
    return f"gpu{device}/{name}"


class Devices:
    """The metrics of one name that the log has, one for each device."""

    __slots__ = ("_all", "_known", "names")

    def __init__(self, name: str) -> None:
        """No metric known yet of this name."""
        self._all = tuple(metric(device, name) for device in range(DEVICES))
        self._known = -1
        self.names: tuple[str, ...] = ()
        """Of the devices that were seen so far."""

    def look(self, s: Signals) -> tuple[str, ...]:
        """The names that the log has by now."""
        if len(s.names) != self._known:
            self._known = len(s.names)
            self.names = tuple(name for name in self._all if name in s.names)
        return self.names


def said(reasons: int) -> str:
    """`the power limit and heat (hardware limit)`; empty where nothing slows the device down."""
    return " and ".join(text for bit, text in REASONS.items() if reasons & bit)
