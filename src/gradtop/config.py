"""Settings and limits: frozen values with a docstring under every field."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds of the rules. Windows count observed rows unless a name says otherwise."""

    grad_floor: float | None = None
    """A user's own floor for the grad norm (`--grad-floor`); None: only the run's own range counts."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How gradtop runs, as opposed to what it judges."""

    interval_s: float = 0.2
    """Seconds between two polls of the active files."""
    discover_s: float = 2.0
    """Seconds between two searches for new runs."""
    limits: Limits = field(default_factory=Limits)
