"""Which metrics are values of one layer each: `grad_norm/layers.0.attn` is one of the family `grad_norm`."""

FAMILIES = (
    "grad_norm", "weight_norm", "update_ratio", "update_norm", "activation_rms", "dead_fraction", "zero_fraction",
    "max_attention_logit", "moment_norm", "exp_avg_norm", "exp_avg_sq_norm", "optimizer_state_norm",
)  # fmt: skip
"""What logs have per layer, as names in files are translated."""
_KNOWN = frozenset(FAMILIES)
_NOT_LAYERS = frozenset(
    ("total", "global", "all", "overall", "sum", "total_norm", "global_norm", "mean", "max", "min", "median", "std")
)
"""What stands where a layer's name would: values of all layers together."""


def split(name: str) -> tuple[str, str] | None:
    """(family, layer) of a metric; None where it is not of a layer."""
    family, _, layer = name.partition("/")
    return (family, layer) if family in _KNOWN and layer and layer.lower() not in _NOT_LAYERS else None
