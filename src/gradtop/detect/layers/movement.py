"""What other findings say of layers: it finds nothing itself, and keeps `Signals.layers` up to date."""

from collections.abc import Iterable

from gradtop.detect.perlayer import PATTERNS
from gradtop.detect.signals import Signals
from gradtop.finding import Criterion, Finding


class Movement:
    """Follows how far apart per-layer rows are, and which layers leave the usual range of their gradients."""

    kinds: tuple[str, ...] = ()
    inputs = PATTERNS

    def __init__(self, s: Signals) -> None:
        """Nothing to keep here: what is learned is kept in `Signals.layers`."""

    def row(self, s: Signals) -> None:
        """Take a row with per-layer values in."""
        s.layers.follow(s.step)

    def resume(self, s: Signals, anew: bool) -> None:
        """Rows of two sessions are not neighbours."""
        s.layers.resume(anew)

    def findings(self, s: Signals) -> Iterable[Finding]:
        """None."""
        return ()

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """It has no kind to answer for."""
        return "", ()

    def blind(self, s: Signals, kind: str) -> str:
        """It has no kind to be blind to."""
        return ""
