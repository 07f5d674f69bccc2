"""What the driver's throttle reasons mean: NVML's clocks event reasons, a bit mask."""

POWER_LIMIT, HARDWARE, BOUND, HEAT, HARDWARE_HEAT, POWER_BRAKE = 0x4, 0x8, 0x10, 0x20, 0x40, 0x80
REASONS = {
    POWER_LIMIT: "the power limit",
    HARDWARE: "a hardware slowdown",
    BOUND: "clocks bound to another GPU",
    HEAT: "heat (software limit)",
    HARDWARE_HEAT: "heat (hardware limit)",
    POWER_BRAKE: "the power brake of the machine",
}
"""Bits of NVML that slow a busy device down; idle (1), set clocks (2) and display clocks (0x100) are none."""
THROTTLED = sum(REASONS)
"""All of these bits."""
FORCED = HARDWARE | HEAT | HARDWARE_HEAT | POWER_BRAKE
"""Those that a sound machine does not have; a power limit and bound clocks may be meant."""
SHORT = {
    HARDWARE_HEAT: "heat",
    HEAT: "heat",
    POWER_BRAKE: "power brake",
    HARDWARE: "hardware",
    POWER_LIMIT: "power cap",
    BOUND: "sync boost",
}
"""The same in a word or two, the worst first."""


def said(reasons: int) -> str:
    """`the power limit and heat (hardware limit)`; empty where nothing slows the device down."""
    return " and ".join(text for bit, text in REASONS.items() if reasons & bit)


def short(reasons: int) -> tuple[str, ...]:
    """`heat`, `power cap`: each once, the worst first; none where nothing slows the device down."""
    return tuple(dict.fromkeys(text for bit, text in SHORT.items() if reasons & bit))
