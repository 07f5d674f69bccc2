"""The one table of finding kinds: what each means, its severity policy, causes, checks and reference."""

from gradtop.catalogue import layers, machine, rate, size, trend
from gradtop.catalogue.gradient import MEASUREMENT, VANISHING
from gradtop.catalogue.kind import FIELDS, Advice, Check, Kind
from gradtop.catalogue.loss import DIVERGENCE, NO_LEARNING, SPIKE
from gradtop.catalogue.precision import OVERFLOW, SCALE_COLLAPSE, SKIP_STORM
from gradtop.catalogue.process import CRASHED, GONE, STALLED
from gradtop.catalogue.value import EMPTY, NONFINITE

__all__ = ["CATALOGUE", "FIELDS", "KINDS", "PRECEDENCE", "Advice", "Check", "Kind"]

CATALOGUE = (
    NONFINITE, VANISHING, SPIKE, DIVERGENCE, NO_LEARNING, STALLED, CRASHED, GONE, EMPTY, MEASUREMENT,
    SCALE_COLLAPSE, SKIP_STORM, OVERFLOW,
    *rate.KINDS, *size.KINDS, *trend.KINDS, *layers.KINDS, *machine.KINDS,
)  # fmt: skip
"""Every kind that gradtop finds."""

KINDS = {kind.id: kind for kind in CATALOGUE}
"""The catalogue by id."""

PRECEDENCE = (
    "crashed", "process_gone", "nonfinite", "amp_scale_collapse", "amp_skip_storm", "measurement_suspect", "lr_zero",
    "frozen_layer", "dead_layer", "lr_jump", "loss_divergence", "gradient_exploding", "loss_spike",
    "gradient_vanishing", "layer_imbalance", "dead_units", "activation_growth", "update_ratio",
    "clip_saturation", "no_learning", "loss_plateau", "overfitting", "oscillation", "gpu_throttled",
    "gpu_starved", "throughput_drop", "memory_leak", "stalled", "amp_overflow", "empty_batch",
)  # fmt: skip
"""All kinds; of several findings the first one in this order explains the others."""
