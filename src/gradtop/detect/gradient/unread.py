"""`measurement_suspect`, as the logger says it of itself: no parameter had a gradient when it looked."""

from collections.abc import Iterator

from gradtop.clean import clean
from gradtop.detect.case import Case, criterion, finding, opened
from gradtop.detect.gradient.measurement import MeasurementSuspect
from gradtop.detect.signals import Signals
from gradtop.detect.wording import back, numbers, place
from gradtop.finding import Criterion, Finding
from gradtop.record import Event

_QUOTED = 160
_WHY = "the gradients are cleared before they are read"


class Unread:
    """A notice, from the first such event to the first row with values per layer after it."""

    kinds: tuple[str, ...] = ()
    """The kind has a rule of its own; this adds what only the writer of the log can know."""
    inputs = ("grad_norm/*",)

    def __init__(self) -> None:
        """No such event seen yet."""
        self._case: Case | None = None
        self._said = ""

    def see(self, event: Event, s: Signals) -> None:
        """Take in that there was nothing to read."""
        if self._case is None:
            self._case = opened(s)
        else:
            self._case.extend(s)
        self._said = event.message

    def row(self, s: Signals) -> None:
        """There are gradients per layer in this row: it is over."""
        if self._case is not None and self._case.active:
            self._case.active, self._case.back_step = False, s.step

    def resume(self, s: Signals, anew: bool) -> None:
        """The next row or event tells."""

    def findings(self, s: Signals) -> Iterator[Finding]:
        """At most one."""
        case = self._case
        if case is None:
            return
        times = "once" if case.count == 1 else f"{case.count:,} times"
        over = "" if case.active else f"; over {back(s, case)}"
        found = f"{times}, first at {place(s, case.first_step)}{over}"
        yield finding(
            MeasurementSuspect.kind,
            case,
            f"No parameter had a gradient when the logger looked, {found}: {_WHY}.",
            (
                criterion(MeasurementSuspect.kind, "contradicts_loss", None, "there is no norm to compare"),
                criterion(MeasurementSuspect.kind, "not_measured", case.active, found),
            ),
            numbers=numbers(s, case),
            form="unread",
            scope="layers",
            evidence={"reason": "unread", "said": clean(self._said, _QUOTED)},
        )

    def answer(self, s: Signals, step: float) -> tuple[str, tuple[Criterion, ...]]:
        """It has no kind to answer for."""
        return "", ()

    def blind(self, s: Signals, kind: str) -> str:
        """It has no kind to be blind to."""
        return ""
