"""The optimizer's own reports beside the rows of a training: `step=10, skipped=0, lr=[9.7e-06]`.

They have no measurement, and where the training's rows print the same, they are a second copy of it.
"""

from typing import Generic, TypeVar

from gradtop.sources.fields.plan import Plan

T = TypeVar("T")


class Reports(Generic[T]):
    """Tells which lines without a measurement are rows. The first wait: a report comes before the row of its step."""

    __slots__ = ("_held", "_names", "_newest", "_raws", "_step")

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._raws: set[str] = set()
        self._newest: Plan | None = None
        self._held: list[tuple[Plan, T]] | None = []
        self._step: float | None = None

    @property
    def waits(self) -> bool:
        """It is not clear yet whether rows repeat the reports."""
        return self._held is not None

    def learn(self, plan: Plan) -> None:
        """A row with a measurement prints these names."""
        if plan is not self._newest:
            self._newest = plan
            self._names.update(plan.names)
            self._raws.update([take.raw for take in plan.takes])

    def repeats(self, plan: Plan) -> bool:
        """Rows with a measurement print all of this, in other words.

        In their own words it is one of them: the row of a skipped step has no loss.
        """
        return self._names.issuperset(plan.names) and not self._raws.issuperset([take.raw for take in plan.takes])

    def hold(self, plan: Plan, step: float | None, item: T) -> bool:
        """Keep a report back, while it is not clear whether rows of its step repeat it; a measurement is none."""
        if self._held is None or plan.measured or (self._held and step != self._step):
            return False
        self._step = step
        self._held.append((plan, item))
        return True

    def settle(self, measured: float | None = None) -> list[T]:
        """The reports that waited, save those that the row of the step `measured` repeats; none waits any longer."""
        held, self._held = self._held or [], None
        repeated = measured is not None and measured == self._step
        return [item for plan, item in held if not (repeated and self._names.issuperset(plan.names))]
