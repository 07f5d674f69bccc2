"""Counts which names were used how often, once for each plan instead of once for each row."""

from gradtop.sources.fields.plan import Plan
from gradtop.sources.reader import Account


class Usage:
    """The rows read by each plan since the account was last told."""

    __slots__ = ("_account", "_counts")

    def __init__(self, account: Account) -> None:
        self._account = account
        self._counts: dict[int, tuple[Plan, int]] = {}

    def count(self, plan: Plan, rows: int = 1) -> None:
        """`rows` rows were read by the plan."""
        # Plans are shared values, so their identity tells them apart without hashing hundreds of names.
        self._counts[id(plan)] = (plan, self._counts.get(id(plan), (plan, 0))[1] + rows)

    def settle(self) -> None:
        """Tell the account."""
        for plan, rows in self._counts.values():
            for take in (plan.step, plan.total, *plan.takes):
                if take is not None:
                    self._account.name(take.raw, take.canonical, take.known, take.unit, rows)
        self._counts.clear()
