"""Rules over the loss: its level, its spikes, and whether it falls."""

from collections.abc import Callable

from gradtop.detect.case import Rule
from gradtop.detect.loss.oscillation import Oscillation
from gradtop.detect.loss.overfitting import Overfitting
from gradtop.detect.loss.plateau import LossPlateau
from gradtop.detect.signals import Signals

RULES: tuple[Callable[[Signals], Rule], ...] = (LossPlateau, Overfitting, Oscillation)
"""The rules of this group, in the order in which they look at a row."""
