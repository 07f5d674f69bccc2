"""A recorded run on a scripted clock: the stream of a real training, released as it was written."""

from collections.abc import Callable
from pathlib import Path

from gradtop.record import Record, decode_object, number
from gradtop.sources import Batch, SourceStatus
from gradtop.sources.reader import Account, Line
from gradtop.sources.rows.jsonl import RowReader

HEAD_LINES = 64
"""Lines that are there at once, so that the first screen has something to say."""


def recorded_run() -> Path:
    """The run that comes with gradtop: a small transformer, see `benchmarks/record_demo.py` in its repository."""
    return Path(__file__).parents[1] / "recorded" / "demo.jsonl"


class Replay:
    """A source that releases the lines of a recorded gradtop stream by their own times.

    Args:
        path: a `gradtop/1` stream whose rows have `time`.
        speed: how many recorded seconds pass in one second.
        clock: seconds, from any origin; the replay starts at its first read.
        now: Unix seconds, for the age of the data.
    """

    def __init__(self, path: Path, speed: float, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._path = path
        self._speed = speed
        self._clock, self._now = clock, now
        self._lines = path.read_bytes().splitlines()
        self._due = _due_seconds(self._lines)
        self._released = 0
        self._released_at: float | None = None
        self._started: float | None = None
        self._reader = RowReader()

    @property
    def account(self) -> Account:
        """How the lines so far were understood."""
        return self._reader.account

    @property
    def status(self) -> SourceStatus:
        """A file that has just what has been released."""
        offset = sum(len(line) + 1 for line in self._lines[: self._released])
        return SourceStatus(
            self._path,
            self._reader.format,
            size=offset,
            offset=offset,
            modified=self._released_at,
            lines_read=self._released,
        )

    def read(self) -> Batch:
        """The records that have become due since the last read."""
        at = self._clock()
        if self._started is None:
            self._started = at
        elapsed = (at - self._started) * self._speed
        start = self._released
        while self._released < len(self._lines) and self._due[self._released] <= elapsed:
            self._released += 1
        if self._released == start:
            return Batch()
        self._released_at = self._now()
        lines = [Line(i + 1, self._lines[i]) for i in range(start, self._released)]
        records: list[Record] = self._reader.feed(lines)
        return Batch(tuple(records))

    def finish(self) -> Batch:
        """Nothing is held back."""
        return Batch()

    def close(self) -> None:
        """Nothing is held open."""


def _due_seconds(lines: list[bytes]) -> list[float]:
    """Seconds after the start at which each line is released; the head is there at once."""
    times = [number(decode_object(line).get("time")) or 0.0 for line in lines]
    start = times[min(HEAD_LINES, len(times) - 1)]
    return [max(0.0, time - start) if i >= HEAD_LINES else 0.0 for i, time in enumerate(times)]
