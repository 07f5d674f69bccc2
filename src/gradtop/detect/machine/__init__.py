"""Rules over the time and the memory that a step takes."""

from collections.abc import Callable

from gradtop.detect.case import Rule
from gradtop.detect.machine.memory import MemoryLeak
from gradtop.detect.machine.starved import GpuStarved
from gradtop.detect.machine.throttled import GpuThrottled
from gradtop.detect.machine.throughput import ThroughputDrop
from gradtop.detect.signals import Signals

RULES: tuple[Callable[[Signals], Rule], ...] = (GpuThrottled, GpuStarved, ThroughputDrop, MemoryLeak)
"""The rules of this group, in the order in which they look at a row."""
