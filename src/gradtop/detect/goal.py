"""What a training is after, where its loss need not fall: by the names of its metrics, or as its user says."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gradtop.config import AUTO, SUPERVISED

WORDS = {"rl": "reinforcement learning", "gan": "a GAN", "vae": "a VAE"}
"""What the profiles are called whose loss need not fall."""


def _pattern(names: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[\s/_.])(?:{names})(?:$|[\s/_.])")


_NAMES = (
    ("gan", _pattern("disc|discriminator|generator|gan|[dg]_?loss|loss_?[dg]")),
    ("vae", _pattern("elbo")),
    ("rl", _pattern("rewards?|rew|pg_loss|policy_loss|value_loss|advantages?|actor|critic|episode_returns?")),
    ("rl", _pattern("kl")),
)
"""(profile, names that only such a training has), the surest first: a VAE has a `kl` as well."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A training whose loss need not fall."""

    profile: str
    """`rl`, `gan` or `vae`."""
    metric: str = ""
    """The metric that it was recognised by, foreign text; empty where the user says so."""

    @property
    def text(self) -> str:
        """`reinforcement learning, by its metric reward`; it quotes foreign text."""
        origin = f"by its metric {self.metric}" if self.metric else f"by the profile {self.profile}"
        return f"{WORDS[self.profile]}, {origin}"


def goal(names: Iterable[str], profile: str = AUTO) -> Goal | None:
    """What a training with these metrics is after; None where its loss has to fall.

    Args:
        names: names of its metrics.
        profile: what its user says of it, one of `config.PROFILES`.
    """
    if profile == SUPERVISED:
        return None
    if profile != AUTO:
        return Goal(profile)
    told = [(rank, name) for name in names if (rank := _rank(name.lower())) is not None]
    rank, name = min(told, key=lambda one: one[0], default=(0, ""))
    return Goal(_NAMES[rank][0], name) if told else None


def _rank(name: str) -> int | None:
    return next((rank for rank, (_, pattern) in enumerate(_NAMES) if pattern.search(name)), None)
