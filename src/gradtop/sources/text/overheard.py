"""Stands in for the keeper of rows, to hear what a single line would give it."""

from collections.abc import Sequence

from gradtop.record import Record, Scalar
from gradtop.sources.reader import Line
from gradtop.sources.text.bar import Bar
from gradtop.sources.text.found import Found
from gradtop.sources.text.template import Run


class Overheard:
    """What a reader does with one line: the rows that it finds, and whether it does anything else."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self.found: list[Found] = []
        self.disturbed = False
        """The line is more than a row: an event, a bar, a heading."""
        self.last_step: Scalar | None = None

    def keep(self, found: Found, line: Line) -> str:
        """A row."""
        self.found.append(found)
        return "row"

    def keep_run(self, run: Run, numbers: Sequence[int]) -> bool:
        """One line is no run."""
        return False

    def put(self, record: Record) -> None:
        """A record that is no row."""
        self.disturbed = True

    def see(self, bar: Bar, line: Line) -> None:
        """A state of a bar."""
        self.disturbed = True

    def enter(self, epoch: int, epochs: int | None) -> None:
        """A heading."""
        self.disturbed = True

    def release(self) -> None:
        """The end of what waits."""
        self.disturbed = True

    def finish(self) -> None:
        """The end of the log."""
        self.disturbed = True

    def take(self) -> list[Record]:
        """It keeps nothing."""
        return []
