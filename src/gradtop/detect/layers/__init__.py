"""Rules over per-layer values."""

from collections.abc import Callable

from gradtop.detect.case import Rule
from gradtop.detect.signals import Signals

RULES: tuple[Callable[[Signals], Rule], ...] = ()
"""The rules of this group, in the order in which they look at a row."""
