"""Rules over the grad norm, and over whether it can be believed."""

from collections.abc import Callable

from gradtop.detect.case import Rule
from gradtop.detect.gradient.clipping import ClipSaturation
from gradtop.detect.gradient.exploding import GradientExploding
from gradtop.detect.signals import Signals

RULES: tuple[Callable[[Signals], Rule], ...] = (GradientExploding, ClipSaturation)
"""The rules of this group, in the order in which they look at a row."""
