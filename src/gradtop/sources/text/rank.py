"""Which of several processes that write to one log is heard: a run has one loss, and not one for each rank."""

from typing import Generic, NamedTuple, TypeVar

PATIENCE = 5
"""Rows with a loss from one other rank, without one from the rank that is heard, after which that one is heard."""

T = TypeVar("T")


class Verdict(NamedTuple, Generic[T]):
    """What becomes of a row."""

    heard: bool
    late: tuple[T, ...] = ()
    """Rows before it of the same rank that turn out to be the run's."""


class Ranks(Generic[T]):
    """Hears the first rank that logs a loss, for as long as it goes on to.

    The rows that another rank writes meanwhile are kept until it is clear whose log it is, so that none is lost.
    """

    __slots__ = ("_rank", "_waiting")

    def __init__(self) -> None:
        self._rank: int | None = None
        self._waiting: dict[int, list[T]] = {}

    def hears(self, rank: int) -> bool:
        """This is the rank that is heard, and no other has written since its last row."""
        return self._rank == rank and not self._waiting

    def hear(self, rank: int, row: T, has_loss: bool) -> Verdict[T]:
        """One row of a rank; rows without a loss are heard from all until one rank logs a loss."""
        if self._rank is None and has_loss:
            self._rank = rank
        if self._rank is None or rank == self._rank:
            if has_loss:
                self._waiting.clear()
            return Verdict(True)
        if not has_loss:
            return Verdict(False)
        waiting = self._waiting.setdefault(rank, [])
        waiting.append(row)
        if len(waiting) < PATIENCE:
            return Verdict(False)
        self._rank, self._waiting = rank, {}
        return Verdict(True, tuple(waiting[:-1]))
