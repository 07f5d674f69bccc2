"""Rules over the learning rate."""

from collections.abc import Callable

from gradtop.detect.case import Rule
from gradtop.detect.rate.jump import LearningRateJump
from gradtop.detect.rate.zero import LearningRateZero
from gradtop.detect.signals import Signals

RULES: tuple[Callable[[Signals], Rule], ...] = (LearningRateZero, LearningRateJump)
"""The rules of this group, in the order in which they look at a row."""
