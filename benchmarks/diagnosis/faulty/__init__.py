"""Runs with a fault whose step is known, and the kinds that an expert accepts from their stream.

Left out is what no stream shows (validation data among the training data, a wrong augmentation from the start), and
what only the driver or the reader's clock tells (throttling, a process that hangs).
"""

from ..plan import Plan
from . import layers, learning, loss, machine, value

FAULTY: tuple[Plan, ...] = (*value.PLANS, *loss.PLANS, *layers.PLANS, *learning.PLANS, *machine.PLANS)
"""All of them."""
