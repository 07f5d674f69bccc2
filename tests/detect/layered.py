"""Streams with per-layer values for the tests of the rules over layers."""

import math
import random
from collections.abc import Iterable, Sequence

from synthetic import Row, detector, records

from gradtop.finding import Finding

KINDS = frozenset(("layer_imbalance", "dead_layer", "frozen_layer", "update_ratio", "dead_units", "activation_growth"))
WEIGHTS = tuple(f"layers.{i}.weight" for i in range(8))


def layered(
    n: int,
    seed: int = 0,
    *,
    names: Sequence[str] = WEIGHTS,
    families: str = "gwu",
    learns: bool = True,
    decades: float = 0.0,
    every: int = 1,
) -> list[Row]:
    """A healthy run with the grad norms (g), weight norms (w) and update ratios (u) of its layers.

    The gradient falls by `decades` on its way from the last layer to the first; `every` is the steps per row.
    """
    random_ = random.Random(seed)
    rows: list[Row] = []
    sizes = {name: 10.0 + i for i, name in enumerate(names)}
    for i in range(n):
        loss = (2.0 + 2.5 * math.exp(-i * every / 150) if learns else 4.5) * math.exp(random_.gauss(0, 0.01))
        row = {"step": float(i * every), "loss": loss, "lr": 1e-3, "grad_norm": math.exp(random_.gauss(0, 0.2))}
        for k, name in enumerate(names):
            sizes[name] *= math.exp(random_.gauss(1e-4, 3e-4))
            fade = 10.0 ** (decades * (k / max(1, len(names) - 1) - 1))
            row |= {f"grad_norm/{name}": fade * math.exp(random_.gauss(0, 0.2))} if "g" in families else {}
            row |= {f"weight_norm/{name}": sizes[name]} if "w" in families else {}
            row |= {f"update_ratio/{name}": 1e-3 * math.exp(random_.gauss(0, 0.2))} if "u" in families else {}
        rows.append(row)
    return rows


def of_layers(rows: Iterable[Row]) -> list[Finding]:
    """What the rules over layers find."""
    return [finding for finding in detector(records(rows)).findings() if finding.kind in KINDS]


def only(rows: Iterable[Row]) -> Finding:
    """The one finding that the rules over layers have."""
    (finding,) = of_layers(rows)
    return finding
