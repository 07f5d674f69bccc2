"""What the driver says of the devices of a run, as metrics beside the others: their names and units."""

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


def metric(device: int, name: str) -> str:
    """`gpu0/utilization`."""
    return f"gpu{device}/{name}"
