"""The rows that a file gave before it was written anew, so that the new file gives only what is new in it."""

from array import array
from collections.abc import Hashable, Iterable

from gradtop.record import Record, Restart


class Past:
    """Fingerprints of the rows of one file, in order: eight bytes a row.

    A writer that adds a column or appends to a document writes the old rows again. As long as they are the old
    ones they are no news; the first one that differs is where the run went on from an earlier state, or anew.
    """

    __slots__ = ("_at", "_prints", "_reason")

    def __init__(self) -> None:
        self._prints = array("q")
        self._at = 0
        self._reason = ""

    def rewind(self, reason: str) -> None:
        """The file is written anew, for `reason`: its rows come again from the first one on."""
        self._at, self._reason = 0, reason

    @property
    def repeating(self) -> bool:
        """The next row is compared with one that was given before."""
        return self._at < len(self._prints)

    def extend(self, rows: Iterable[Hashable]) -> None:
        """Take many rows that come after all that were given before."""
        self._prints.extend(map(hash, rows))
        self._at = len(self._prints)

    def admit(self, row: Hashable) -> tuple[Record, ...] | None:
        """Take the next row, as a value that tells it apart.

        Returns:
            None where this row was given before. Else what goes before it: a restart where other rows stood here.
        """
        mark, at = hash(row), self._at
        self._at += 1
        if at < len(self._prints):
            if self._prints[at] == mark:
                return None
            del self._prints[at:]
            self._prints.append(mark)
            return (Restart(reason="resumed" if at else self._reason),)
        self._prints.append(mark)
        return ()
