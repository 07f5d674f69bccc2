"""What is measured of every layer, and on what scale it is shown."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradtop.run import RunView


@dataclass(frozen=True, slots=True)
class Family:
    """One measure."""

    name: str
    label: str
    log: bool = True
    """Shown by its decimal logarithm; fractions are shown from 0 to 1, and their zeros are values like others."""
    lacking: str = "no value"
    """What it means that a row has none."""


FAMILIES = (
    Family("grad_norm", "grad norm", lacking="no gradient"),
    Family("weight_norm", "weight norm"),
    Family("update_ratio", "update ratio"),
    Family("update_norm", "update norm"),
    Family("activation_rms", "activation RMS"),
    Family("dead_fraction", "dead units", log=False),
    Family("zero_fraction", "zeros", log=False),
    Family("max_attention_logit", "max attention logit"),
    Family("moment_norm", "moment norm"),
    Family("exp_avg_norm", "first moment norm"),
    Family("exp_avg_sq_norm", "second moment norm"),
    Family("optimizer_state_norm", "optimizer state norm"),
)
"""In the order in which they are gone through."""


def families(view: "RunView") -> tuple[Family, ...]:
    """Those that a run has, of the kind of steps that it counts by where there are several."""
    return tuple(family for family in FAMILIES if family.name in view.layers)
